/* A few connections that many parts take turns on.
 *
 * A part opens a db whose options name the pool (db_open), and uses it like any other. Each of its statements and
 * transactions takes a connection of the pool and gives it back, in the order in which they came. In between the part
 * holds none, so what it does then, such as asking a queue, delays nobody. Who waits for longer than a statement may
 * take gets DB_UNAVAILABLE. What a borrower does decides how many connections those of its kind may have at a time
 * (db_share), so that slow statements leave some to others: of three, one is for what is prompt, and one more not for what may be
 * late.
 *
 * The session belongs to all of them: what a part sets is for its transactions (db_options.settings). Of a db of a pool,
 * db_generation and db_identity_of tell of the connection that it last used. Any thread. */
#pragma once

#include <stddef.h>

struct db_options;
struct db_pool;

/* name is for metrics and messages; static. NULL when out of memory. */
struct db_pool *db_pool_new(const struct db_options *options, const char *name, size_t size);

/* After all that was opened of it is closed. NULL is fine. */
void db_pool_free(struct db_pool *pool);
