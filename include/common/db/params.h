/* Parameters of a statement, in PostgreSQL's binary format: scalars, and arrays that carry a batch.
 *
 *     struct db_params p = {0};
 *     int ids = db_array(&p, DB_UUID), names = db_array(&p, DB_TEXT);
 *     for (...) { db_add_uuid(&p, ids, &row->id); db_add_text(&p, names, row->name); }
 *     status = db_run(db, &query, &p, &result);     -- $1 is uuid[], $2 is text[]
 *     db_params_free(&p);
 *
 * Zero-initialise it. The calls that open a parameter define $1, $2, ... in their order. When memory runs out,
 * db_run fails. Not thread-safe. */
#pragma once

#include "common/base/buf.h"
#include "common/base/uuid.h"

#include <stdint.h>

#define DB_MAX_PARAMS 20

enum db_type { DB_TEXT, DB_INT, DB_UUID, DB_BYTES, DB_TIME }; /* text, bigint, uuid, bytea, timestamptz */

struct db_param {
    enum db_type type;
    bool array;
    bool null;        /* a scalar NULL */
    struct buf bytes; /* in wire format */
};

struct db_params {
    int count;
    bool failed; /* too many parameters, or the caller ran out of memory */
    struct db_param list[DB_MAX_PARAMS];
};

/* Opens a scalar parameter. */
void db_text_param(struct db_params *p, const char *text); /* NULL: SQL NULL */
void db_int_param(struct db_params *p, int64_t value);
void db_uuid_param(struct db_params *p, const struct uuid *id); /* NULL: SQL NULL */
void db_time_param(struct db_params *p, int64_t epoch_ms);      /* DB_NO_TIME: SQL NULL */

/* Opens an array parameter. The index it returns is for the db_add_ functions of the same type. */
int db_array(struct db_params *p, enum db_type element);
void db_add_text(struct db_params *p, int array, const char *text); /* NULL: SQL NULL */
void db_add_int(struct db_params *p, int array, int64_t value);
void db_add_uuid(struct db_params *p, int array, const struct uuid *id); /* NULL: SQL NULL */
void db_add_bytes(struct db_params *p, int array, const void *bytes, size_t len);
void db_add_time(struct db_params *p, int array, int64_t epoch_ms); /* DB_NO_TIME: SQL NULL */

#define DB_NO_TIME INT64_MIN

/* The PostgreSQL type OID with which the parameter is declared. */
unsigned db_param_oid(const struct db_param *param);

void db_params_free(struct db_params *p);
