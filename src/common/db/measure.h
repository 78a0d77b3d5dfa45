/* What is counted of a connection. For the thread that uses the connection. */
#pragma once

#include "common/db/db.h"

/* Finds the series of its connections. Call it before the others. */
void db_measure_open(struct db *db);

/* Counts an attempt to connect, and the connection. */
void db_measure_connect(struct db *db, bool success);
/* Counts the connection as closed. */
void db_measure_drop(struct db *db);

/* Observes how long a statement took that began at began_ns. */
void db_measure_statement(struct db *db, const char *name, int64_t began_ns, enum db_status status);
