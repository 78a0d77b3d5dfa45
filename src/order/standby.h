/* Reading from a standby (DB_READ_HOST), so that no client sees an order go back or vanish.
 *
 * Answers carry a Consistency-Token: a position of the feed that is behind all they show. The client sends it with its next
 * requests. Only a standby that has come as far may answer them; if none has, the primary does. Who sends no token is
 * answered by the primary, because nobody knows what it has seen. The ids of events are positions, too, and so are tokens. */
#pragma once

#include "common/db/db.h"
#include "common/http/server.h"
#include "order_event.h"

#include <stdbool.h>
#include <stddef.h>

struct standby; /* what is known of the standbys; of order_app */

/* Functions of a service_part. app is the struct order_app. */
void *standby_start(void *app);
void standby_stop(void *standby, int64_t deadline_ms);

/* What a client has seen. The first member of the command of a request that standby_read is for. */
struct standby_seen {
    struct event_position position;
    bool known; /* it has told; a standby may answer */
};

/* On an HTTP thread: reads the Consistency-Token of the request. Nothing is known where no standby is read from. */
void standby_see(struct http_request *request, struct standby_seen *out, struct http_faults *faults);

/* Whether the request must not be answered from memory: its client would not learn how far the answer has come. On an HTTP
 * thread. */
bool standby_asks(struct http_request *request);

/* Reads with the connection, and answers all requests unless it fails. */
typedef enum db_status standby_read_fn(struct http_worker *worker, struct db *db,
                                       struct http_request *requests[], size_t n);

/* Reads from the standby for those requests whose clients have not seen more than it has, and from the primary for all others.
 * Gives the answers their tokens. Returns what the primary returned. */
enum db_status standby_read(struct http_worker *worker, struct http_request *requests[], size_t n,
                            standby_read_fn *read) MUST_CHECK;

/* Gives tokens to those of the requests that were answered from the primary, after all was read and committed. */
void standby_mark(struct http_worker *worker, struct http_request *const requests[], size_t n);
