/* One connection at a time looks for a server, while none takes writes. */
#include "search.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"

#include <string.h>

enum { LOOK_AGAIN_MS = 500 }; /* maximum pause before somebody looks again */

void db_search_init(struct db_search *search) {
    pthread_mutex_init(&search->lock, NULL);
}

void db_search_destroy(struct db_search *search) {
    pthread_mutex_destroy(&search->lock);
}

bool db_search_begin(struct db_search *search, struct db_seeker *seeker, char error[static DB_ERROR_SIZE]) {
    int64_t now = seeker->began_ms = clock_mono_ms();
    if (!search)
        return now >= seeker->retry_at_ms;
    pthread_mutex_lock(&search->lock);
    bool rested = now >= seeker->retry_at_ms || seeker->lost_ms < search->found_ms;
    bool fresh = seeker->retry_at_ms == 0 || seeker->lost_ms < search->since_ms; /* the server may be back */
    bool may = search->failed ? fresh || (!search->looking && now >= search->next_ms) : rested;
    if (may && search->failed && !search->looking)
        search->looking = seeker->looks = true;
    else if (!may && search->failed)
        memcpy(error, search->fault, DB_ERROR_SIZE);
    pthread_mutex_unlock(&search->lock);
    return may;
}

/* Who began before a server was found knows nothing new. */
void db_search_end(struct db_search *search, struct db_seeker *seeker, enum db_found found,
                   const char error[static DB_ERROR_SIZE]) {
    if (!search)
        return;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&search->lock);
    if (seeker->looks)
        search->looking = seeker->looks = false;
    if (found == DB_FOUND && search->failed) {
        search->failed = false;
        search->found_ms = now;
    } else if (found == DB_NOTHING && seeker->began_ms > search->found_ms) {
        /* The outage begins no later than it was lost, or it would seem to have failed in an earlier one. */
        if (!search->failed)
            search->since_ms = seeker->lost_ms >= seeker->began_ms ? seeker->lost_ms : now;
        search->failed = true;
        search->next_ms = now + backoff_ms(0, LOOK_AGAIN_MS, LOOK_AGAIN_MS);
        memcpy(search->fault, error, DB_ERROR_SIZE);
    }
    pthread_mutex_unlock(&search->lock);
}
