/* The OAuth clients in memory: those of the table and, with DEMO_CLIENTS, the demo clients. A thread of their own
 * reads the table again twice a second. */
#pragma once

#include "common/base/attributes.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stdint.h>

struct clients;

enum client_status {
    CLIENT_OK,
    CLIENT_REFUSED, /* unknown, disabled, or the secret is wrong */
    CLIENT_UNREAD,  /* the table could not be read lately: try again later */
};

/* What is remembered of the table counts for so long. A change of a client ends tokens that are issued until twice
 * this time later: those of replicas that do not know of the change yet, or whose clock is ahead. */
#define CLIENTS_MAX_AGE_MS 5000

struct client_grant {
    char scope[TOKEN_SCOPE_SIZE]; /* all scopes of the client */
    int64_t from_ms;              /* a token counts as issued then at the earliest (token_issue_from) */
};

/* Functions of a service_part. app is the struct order_app. clients_start reads the table once before it returns.
 * If that fails, the thread tries again. NULL when out of memory or threads. */
void *clients_start(void *app);
void clients_stop(void *clients, int64_t deadline_ms);

/* Whether there is such a client, also a disabled one. Any thread. */
bool clients_know(struct clients *clients, const char *id);

/* Checks the secret of a client. *grant is set only on CLIENT_OK. Any thread. Never waits for the database. Takes the
 * same time for an unknown client as for a wrong secret. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        struct client_grant *grant) MUST_CHECK;
