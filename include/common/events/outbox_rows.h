/* Writing rows of an outbox table, in the transaction of the change they describe. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

#include <stddef.h>

/* The start of every statement that writes to an outbox. The five values follow, in this order. */
#define OUTBOX_INSERT(table)                                                                                 \
    "INSERT INTO " table " (event_id, group_id, payload, correlation_id, traceparent)"

/* A statement that writes the rows of a struct outbox_rows. */
#define OUTBOX_INSERT_ROWS(table) OUTBOX_INSERT(table) " SELECT * FROM unnest($1, $2, $3, $4, $5)"

struct outbox_rows {
    struct db_params params;
    int event_id, group_id, payload, correlation_id, traceparent;
};

/* Opens an empty list of rows. outbox_rows_insert frees it. */
void outbox_rows_open(struct outbox_rows *rows);

/* Adds a row. Everything is copied. After a failed payload, or without memory, outbox_rows_insert fails. */
void outbox_rows_add(struct outbox_rows *rows, const struct uuid *event_id, const struct uuid *group_id,
                     const struct buf *payload, const char *correlation_id, const char *traceparent);

/* Inserts the rows with an OUTBOX_INSERT_ROWS statement. Frees them even when it fails. */
enum db_status outbox_rows_insert(struct outbox_rows *rows, struct db *db,
                                  const struct db_query *insert) MUST_CHECK;
