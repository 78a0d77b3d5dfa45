/* Walking through a table along a time or an id. */
#include "common/db/walk.h"

#include "common/base/clock.h"

/* What is read again with each page, for transactions that commit a little later than others: milliseconds, or ids. */
enum { OVERLAP = 2000 };

int64_t db_walk_from(struct db_walk *walk, int64_t every_ms) {
    int64_t now = clock_mono_ms();
    if (now >= walk->begin_ms) {
        walk->position_ms = 0;
        walk->begin_ms = now + every_ms;
    }
    return walk->position_ms;
}

void db_walk_to(struct db_walk *walk, int64_t time_ms) {
    walk->position_ms = time_ms > OVERLAP ? time_ms - OVERLAP : 0;
}
