/* The OAuth clients in memory: those of the table, read again every two seconds by a thread of its own, and
 * in development the demo clients. */
#pragma once

#include "common/base/attributes.h"
#include "common/token/token.h"

#include <stdint.h>

struct clients;

enum client_status {
    CLIENT_OK,
    CLIENT_REFUSED, /* unknown, disabled, or another secret */
    CLIENT_UNREAD,  /* not known, but the table could not be read yet: try again later */
};

/* A service_part's; app is the struct order_app. Reads the table once before it returns; while that fails the thread
 * tries again. NULL when out of memory or threads. */
void *clients_start(void *app);
void clients_stop(void *clients, int64_t deadline_ms);

/* Whether the client is who it says it is; scope then receives what it may have. Any thread, never waits for
 * the database. Takes the same time for an unknown client as for a wrong secret. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        char scope[static TOKEN_SCOPE_SIZE]) MUST_CHECK;
