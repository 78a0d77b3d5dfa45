/* Which database the process works with, as its connections tell. */
#include "common/db/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void it_is_known_once_a_connection_has_told_it(void **state) {
    (void)state;
    struct db_identity *identity = db_identity_new();
    uint8_t told[DB_IDENTITY_SIZE], known[DB_IDENTITY_SIZE];
    assert_false(db_identity_get(identity, known));
    assert_int_equal(db_identity_note(identity, "7/00000001/5", told), 0);
    assert_true(db_identity_get(identity, known));
    assert_memory_equal(known, told, sizeof known);
    assert_int_equal(db_identity_note(identity, "7/00000001/5", told),
                     0); /* another connection says the same */
    assert_memory_equal(known, told, sizeof known);
    db_identity_free(identity);
}

static void any_part_of_it_changes_it(void **state) {
    (void)state;
    static const char *const others[] = {"8/00000001/5", "8/00000002/5", "8/00000002/6"};
    struct db_identity *identity = db_identity_new();
    uint8_t last[DB_IDENTITY_SIZE], now[DB_IDENTITY_SIZE];
    (void)db_identity_note(identity, "7/00000001/5", last);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(db_identity_note(identity, others[i], now), i + 1);
        assert_int_equal(db_identity_changes(identity), i + 1);
        assert_memory_not_equal(now, last, sizeof now);
        memcpy(last, now, sizeof last);
    }
    db_identity_free(identity);
}

static void without_one_nothing_is_known(void **state) {
    (void)state;
    uint8_t known[DB_IDENTITY_SIZE];
    assert_false(db_identity_get(NULL, known));
    assert_int_equal(db_identity_changes(NULL), 0);
    db_identity_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_known_once_a_connection_has_told_it),
        cmocka_unit_test(any_part_of_it_changes_it),
        cmocka_unit_test(without_one_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
