/* Walking through a table along a time, such as that when a row is due, or along ids that grow:
 * then an id takes the place of a time.
 *
 * Rows leave the front of such an index all the time. As long as any old snapshot is open (a backup, a forgotten
 * transaction), the server keeps them, and whoever reads from the start steps over each of them. So a walk goes on where
 * it was. It begins again now and then, for rows that were committed late or were locked by somebody else.
 *
 * Times are in milliseconds since the epoch, on the database's clock. One thread at a time. */
#pragma once

#include <stdint.h>

struct db_walk { /* zero-initialise */
    int64_t position_ms;
    int64_t begin_ms; /* when it begins again, on clock_mono_ms's clock */
};

/* The time from which to read now. every_ms: how long until it begins again. */
int64_t db_walk_from(struct db_walk *walk, int64_t every_ms);

/* All rows up to this time were read, and what was to be done with them is committed. */
void db_walk_to(struct db_walk *walk, int64_t time_ms);
