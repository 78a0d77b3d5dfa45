/* The OAuth clients in memory: those of the table and, with DEMO_CLIENTS, the demo clients. A thread of their own
 * reads the table again every two seconds. */
#pragma once

#include "common/base/attributes.h"
#include "common/token/token.h"

#include <stdbool.h>
#include <stdint.h>

struct clients;

enum client_status {
    CLIENT_OK,
    CLIENT_REFUSED, /* unknown, disabled, or the secret is wrong */
    CLIENT_UNREAD,  /* unknown, but the table has not been read yet: try again later */
};

/* Functions of a service_part. app is the struct order_app. clients_start reads the table once before it returns.
 * If that fails, the thread tries again. NULL when out of memory or threads. */
void *clients_start(void *app);
void clients_stop(void *clients, int64_t deadline_ms);

/* Whether there is such a client, also a disabled one. Any thread. */
bool clients_know(struct clients *clients, const char *id);

/* Checks the secret of a client. On CLIENT_OK, scope receives all scopes of the client. Any thread. Never waits for
 * the database. Takes the same time for an unknown client as for a wrong secret. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        char scope[static TOKEN_SCOPE_SIZE]) MUST_CHECK;
