/* Revoked tokens. A token is revoked by its id, or with all tokens that its client got before some time. Each daemon has
 * a table of either kind. A row stays there until its tokens would have expired. Each replica keeps a copy of the tables
 * in memory, where the guard looks. A thread loads new rows several times a second. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REVOCATIONS_MAX 262144 /* tokens by their ids, of all clients; they take up to 40 MB of memory */
#define REVOCATIONS_SHARE 4096 /* of one client */
#define REVOCATION_LIFE_S (INT64_C(31) * 24 * 3600) /* a day more than the maximum of JWT_EXPIRES_IN */
#define REVOCATION_NO_TIME INT64_MIN

struct revocations;

/* One token is revoked. */
struct revocation {
    struct uuid token_id;
    int64_t expires_at;    /* when the token expires, in epoch seconds */
    const char *client_id; /* to which it was issued; NULL: not known */
    int64_t issued_ms;     /* when, as by token_issued_ms; REVOCATION_NO_TIME: not known */
};

/* All tokens of a client that were issued before some time are revoked. */
struct client_revocation {
    const char *client_id;
    int64_t before_ms;
    int64_t expires_at; /* when the last of them has expired, in epoch seconds */
};

/* Loads the tables once before it returns. If that fails, the thread tries again. NULL when out of memory or
 * threads. prefix is borrowed: "x" stands for x_tokens (token_id uuid, client_id text, issued_at timestamptz) and
 * x_clients (client_id text, issued_before timestamptz). Both have expires_at timestamptz, and written_by xid8, the id
 * of the transaction that wrote the row. */
struct revocations *revocations_start(const char *prefix, const struct db_options *db);
void revocations_stop(struct revocations *revocations); /* NULL is fine */

/* TOKEN_OK, TOKEN_REVOKED, or TOKEN_UNDECIDED while the tables have not been loaded yet. Any thread. Never waits for
 * the database. */
enum token_status revocations_check(struct revocations *revocations,
                                    const struct token_claims *claims) MUST_CHECK;

/* Whether the tables were loaded once. Until then nearly every token is undecided. Any thread. */
bool revocations_loaded(struct revocations *revocations);

/* Adds revocations that were committed to the tables, so that this replica knows them immediately. Any thread. */
void revocations_add(struct revocations *revocations, const struct revocation list[], size_t n);
void revocations_end(struct revocations *revocations, const struct client_revocation list[], size_t n);

/* Whether so many tokens were revoked by their ids that one of this client is too many. Then the client's oldest
 * tokens have to be revoked by their time, which takes one row. keep receives how many newer ones may stay. Any
 * thread. */
bool revocations_crowded(struct revocations *revocations, const char *client_id, int64_t *keep);
