/* Who looks for a server that takes writes, while none does.
 *
 * If each connection looked for itself, an outage would be a storm of logins on the standbys, at the very moment when
 * one of them is to become the primary. So one connection of the process looks at a time, and the others fail at once, with
 * what it found. As soon as it has found one, all connect. A pause lies between two looks. Who has not failed in
 * this outage looks at once, whoever else looks: nobody may be refused for an outage that is over. */
#pragma once

#include "common/base/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { DB_ERROR_SIZE = 320 };

struct db_search {
    pthread_mutex_t lock; /* of what follows */
    bool failed;          /* the last one who looked has found none */
    bool looking;         /* somebody looks just now */
    int64_t since_ms;     /* when the first one found none */
    int64_t next_ms;      /* nobody looks before */
    int64_t found_ms;     /* when one was found, after there was none */
    char fault[DB_ERROR_SIZE];
};

/* Of one connection; zero-initialise it. Times are those of clock_mono_ms. */
struct db_seeker {
    int64_t lost_ms; /* when it was lost */
    int64_t
        retry_at_ms; /* it does not connect before, unless a server was found since; 0: it has not failed since it
                            was connected */
    int64_t began_ms; /* when it last began to connect */
    bool looks;       /* it looks for all */
};

void db_search_init(struct db_search *search);
void db_search_destroy(struct db_search *search);

/* Whether the connection may connect now. If it may, db_search_end must follow. If not, error receives what the one who
 * looked has found, where that is known. search: NULL when it stands for itself. */
bool db_search_begin(struct db_search *search, struct db_seeker *seeker,
                     char error[static DB_ERROR_SIZE]) MUST_CHECK;

enum db_found {
    DB_FOUND,   /* it is connected */
    DB_IN_USE,  /* it is not, but others have worked with the server meanwhile */
    DB_NOTHING, /* it is not, and error tells why not */
};

void db_search_end(struct db_search *search, struct db_seeker *seeker, enum db_found found,
                   const char error[static DB_ERROR_SIZE]);
