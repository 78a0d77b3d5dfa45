/* Rows of an outbox: what goes to the database, and that it is freed whatever comes of it. The database is this
 * file's. */
#include "common/events/outbox_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct db_query insert = {"test_outbox", OUTBOX_INSERT_ROWS("test_outbox")};

/* What was asked of the database last, and what it answers. */
static const struct db_query *query;
static int count;
static bool failed;
static struct {
    enum db_type type;
    bool array;
    uint32_t elements; /* as the wire says */
    char bytes[512];
    size_t len;
} params[DB_MAX_PARAMS];
static enum db_status answer;

/* An array on the wire begins with its dimensions, a flag, the type of its elements, and how many they are. */
static uint32_t elements_of(const struct buf *bytes) {
    const uint8_t *b = (const uint8_t *)bytes->data + 12;
    return bytes->len < 16 ? 0 : (uint32_t)(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
}

enum db_status db_run(struct db *db, const struct db_query *asked, const struct db_params *p,
                      struct db_result **result) {
    (void)db;
    assert_null(result);
    query = asked;
    count = p->count;
    failed = p->failed;
    for (int i = 0; i < p->count; i++) {
        const struct buf *bytes = &p->list[i].bytes;
        failed |= bytes->failed;
        assert_true(bytes->len < sizeof params[i].bytes);
        memcpy(params[i].bytes, bytes->data, bytes->len);
        params[i].len = bytes->len;
        params[i].type = p->list[i].type;
        params[i].array = p->list[i].array;
        params[i].elements = elements_of(bytes);
    }
    return answer;
}

static void add(struct outbox_rows *rows, uint8_t number, const char *payload) {
    struct uuid event = {{number}}, group = {{0xee, number}};
    struct buf text = {0};
    buf_str(&text, payload);
    outbox_rows_add(rows, &event, &group, &text, "request-1", "00-trace");
    buf_free(&text); /* it was copied */
}

static bool holds(int param, const void *bytes, size_t len) {
    return memmem(params[param].bytes, params[param].len, bytes, len);
}

static void all_rows_go_in_one_statement(void **state) {
    (void)state;
    struct outbox_rows rows;
    outbox_rows_open(&rows);
    add(&rows, 1, "{\"first\":1}");
    add(&rows, 2, "{\"second\":2}");
    answer = DB_OK;
    assert_int_equal(outbox_rows_insert(&rows, NULL, &insert), DB_OK);
    assert_ptr_equal(query, &insert);
    assert_false(failed);
    assert_int_equal(count, 5);
    static const enum db_type types[] = {DB_UUID, DB_UUID, DB_TEXT, DB_TEXT, DB_TEXT};
    for (int i = 0; i < count; i++) {
        assert_true(params[i].array && params[i].type == types[i]);
        assert_int_equal(params[i].elements, 2);
    }
    const struct uuid event = {{2}}, group = {{0xee, 1}};
    assert_true(holds(0, event.bytes, sizeof event.bytes));
    assert_true(holds(1, group.bytes, sizeof group.bytes));
    assert_true(holds(2, "{\"first\":1}", 11) && holds(2, "{\"second\":2}", 12));
    assert_true(holds(3, "request-1", 9));
    assert_true(holds(4, "00-trace", 8));
}

static void the_statement_names_the_columns_in_their_order(void **state) {
    (void)state;
    assert_string_equal(insert.sql, "INSERT INTO test_outbox (event_id, group_id, payload, correlation_id, "
                                    "traceparent) SELECT * FROM unnest($1, $2, $3, $4, $5)");
}

static void a_failure_is_passed_on_and_the_rows_are_freed(void **state) {
    (void)state;
    struct outbox_rows rows;
    outbox_rows_open(&rows);
    add(&rows, 1, "{}");
    answer = DB_REFUSED;
    assert_int_equal(outbox_rows_insert(&rows, NULL, &insert), DB_REFUSED);
    answer = DB_OK;
    assert_int_equal(rows.params.count, 0);
}

/* An event that is not whole must not be published. */
static void a_payload_that_failed_spoils_the_statement(void **state) {
    (void)state;
    struct outbox_rows rows;
    struct uuid id = {{1}};
    outbox_rows_open(&rows);
    outbox_rows_add(&rows, &id, &id, &(struct buf){.failed = true}, "request-1", "00-trace");
    add(&rows, 2, "{}");
    assert_int_equal(outbox_rows_insert(&rows, NULL, &insert), DB_OK); /* which the real one would not say */
    assert_true(failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_go_in_one_statement),
        cmocka_unit_test(the_statement_names_the_columns_in_their_order),
        cmocka_unit_test(a_failure_is_passed_on_and_the_rows_are_freed),
        cmocka_unit_test(a_payload_that_failed_spoils_the_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
