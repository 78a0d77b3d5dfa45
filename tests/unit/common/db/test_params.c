/* The binary format of statement parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/db/params.h"

#include <string.h>

static void check(const struct db_param *param, unsigned oid, const void *bytes, size_t len) {
    assert_int_equal(db_param_oid(param), oid);
    assert_int_equal(param->bytes.len, len);
    assert_memory_equal(param->bytes.data, bytes, len);
}

static void a_scalar_is_as_postgresql_wants_it(void **state) {
    (void)state;
    struct db_params p = {0};
    struct uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    db_text_param(&p, "a\"b");
    db_int_param(&p, -2);
    db_uuid_param(&p, &id);
    db_time_param(&p, 946684800001); /* a millisecond after PostgreSQL's epoch */
    db_text_param(&p, NULL);
    db_uuid_param(&p, NULL);
    db_time_param(&p, DB_NO_TIME);
    db_text_param(&p, "");
    check(&p.list[0], 25, "a\"b", 3);
    check(&p.list[1], 20, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    check(&p.list[2], 2950, id.bytes, 16);
    check(&p.list[3], 1184, "\0\0\0\0\0\0\x03\xe8", 8);
    for (int i = 4; i < 7; i++)
        assert_true(p.list[i].null);
    assert_false(p.list[7].null);
    assert_int_equal(p.count, 8);
    assert_false(p.failed);
    db_params_free(&p);
}

static void an_array_is_as_postgresql_wants_it(void **state) {
    (void)state;
    static const char texts[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\3\0\0\0\1"
                                "\0\0\0\2xy"
                                "\xff\xff\xff\xff"
                                "\0\0\0\0";
    static const char empty[] = "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\1";
    struct db_params p = {0};
    int text = db_array(&p, DB_TEXT), number = db_array(&p, DB_INT);
    db_add_text(&p, text, "xy");
    db_add_text(&p, text, NULL);
    db_add_text(&p, text, "");
    check(&p.list[text], 1009, texts, sizeof texts - 1);
    check(&p.list[number], 1016, empty, sizeof empty - 1);
    db_params_free(&p);
}

static void too_many_parameters_are_remembered(void **state) {
    (void)state;
    struct db_params p = {0};
    for (int i = 0; i < DB_MAX_PARAMS; i++)
        db_int_param(&p, i);
    assert_false(p.failed);
    db_int_param(&p, 0);
    assert_true(p.failed);
    assert_int_equal(p.count, DB_MAX_PARAMS);
    db_params_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scalar_is_as_postgresql_wants_it),
        cmocka_unit_test(an_array_is_as_postgresql_wants_it),
        cmocka_unit_test(too_many_parameters_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
