/* Statement parameters in PostgreSQL's binary format. */
#include "common/db/params.h"

#include <endian.h>
#include <string.h>

/* A binary array: dimensions, has-null flag, element OID, count, lower bound (5 x int32), then the length (-1:
 * NULL) and bytes of each element. Everything is big-endian. */
enum { ARRAY_HAS_NULL = 4, ARRAY_COUNT = 12 };

#define POSTGRES_EPOCH_MS INT64_C(946684800000) /* 2000-01-01 */

static const struct {
    uint32_t scalar, array;
} oids[] = {
    [DB_TEXT] = {25, 1009},  [DB_INT] = {20, 1016},    [DB_UUID] = {2950, 2951},
    [DB_BYTES] = {17, 1001}, [DB_TIME] = {1184, 1185},
};

static void append_int32(struct buf *b, uint32_t value) {
    uint32_t wire = htobe32(value);
    buf_append(b, &wire, sizeof wire);
}

static int64_t wire_time(int64_t epoch_ms) {
    if (epoch_ms == DB_NO_TIME)
        return 0;
    return (int64_t)htobe64((uint64_t)((epoch_ms - POSTGRES_EPOCH_MS) * 1000));
}

static struct db_param *open_param(struct db_params *p, enum db_type type) {
    if (p->count == DB_MAX_PARAMS) {
        p->failed = true;
        return NULL;
    }
    struct db_param *param = &p->list[p->count++];
    *param = (struct db_param){.type = type};
    return param;
}

static void add_scalar(struct db_params *p, enum db_type type, const void *bytes, size_t len) {
    struct db_param *param = open_param(p, type);
    if (!param)
        return;
    param->null = bytes == NULL;
    if (bytes)
        buf_append(&param->bytes, bytes, len);
}

void db_text_param(struct db_params *p, const char *text) {
    add_scalar(p, DB_TEXT, text, text ? strlen(text) : 0);
}

void db_int_param(struct db_params *p, int64_t value) {
    uint64_t wire = htobe64((uint64_t)value);
    add_scalar(p, DB_INT, &wire, sizeof wire);
}

void db_uuid_param(struct db_params *p, const struct uuid *id) {
    add_scalar(p, DB_UUID, id ? id->bytes : NULL, sizeof id->bytes);
}

void db_time_param(struct db_params *p, int64_t epoch_ms) {
    int64_t wire = wire_time(epoch_ms);
    add_scalar(p, DB_TIME, epoch_ms == DB_NO_TIME ? NULL : &wire, sizeof wire);
}

int db_array(struct db_params *p, enum db_type element) {
    struct db_param *param = open_param(p, element);
    if (!param)
        return DB_MAX_PARAMS - 1;
    param->array = true;
    append_int32(&param->bytes, 1);
    append_int32(&param->bytes, 0);
    append_int32(&param->bytes, oids[element].scalar);
    append_int32(&param->bytes, 0);
    append_int32(&param->bytes, 1);
    return p->count - 1;
}

static void add_element(struct db_params *p, int array, const void *bytes, size_t len) {
    struct buf *b = &p->list[array].bytes;
    append_int32(b, bytes ? (uint32_t)len : UINT32_MAX);
    if (bytes)
        buf_append(b, bytes, len);
    if (b->failed)
        return;
    uint32_t count, one = htobe32(1);
    memcpy(&count, b->data + ARRAY_COUNT, sizeof count);
    count = htobe32(be32toh(count) + 1);
    memcpy(b->data + ARRAY_COUNT, &count, sizeof count);
    if (!bytes)
        memcpy(b->data + ARRAY_HAS_NULL, &one, sizeof one);
}

void db_add_text(struct db_params *p, int array, const char *text) {
    add_element(p, array, text, text ? strlen(text) : 0);
}

void db_add_int(struct db_params *p, int array, int64_t value) {
    uint64_t wire = htobe64((uint64_t)value);
    add_element(p, array, &wire, sizeof wire);
}

void db_add_uuid(struct db_params *p, int array, const struct uuid *id) {
    add_element(p, array, id ? id->bytes : NULL, sizeof id->bytes);
}

void db_add_bytes(struct db_params *p, int array, const void *bytes, size_t len) {
    add_element(p, array, bytes, len);
}

void db_add_time(struct db_params *p, int array, int64_t epoch_ms) {
    int64_t wire = wire_time(epoch_ms);
    add_element(p, array, epoch_ms == DB_NO_TIME ? NULL : &wire, sizeof wire);
}

unsigned db_param_oid(const struct db_param *param) {
    return param->array ? oids[param->type].array : oids[param->type].scalar;
}

void db_params_free(struct db_params *p) {
    for (int i = 0; i < p->count; i++)
        buf_free(&p->list[i].bytes);
    *p = (struct db_params){0};
}
