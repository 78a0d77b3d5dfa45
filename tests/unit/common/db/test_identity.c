/* Which database the process works with, as its connections tell. */
#include "common/db/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What a connection tells now_ms after the start. The number of changes, or NOTHING when it is that of an old primary. */
enum { NOTHING = -1 };
static int note(struct db_identity *identity, const char *text, int64_t now_ms,
                uint8_t out[static DB_IDENTITY_SIZE]) {
    unsigned changes;
    return db_identity_note(identity, text, now_ms, out, &changes) ? (int)changes : NOTHING;
}

static void it_is_known_once_a_connection_has_told_it(void **state) {
    (void)state;
    struct db_identity *identity = db_identity_new();
    uint8_t told[DB_IDENTITY_SIZE], known[DB_IDENTITY_SIZE];
    assert_false(db_identity_get(identity, known));
    assert_int_equal(note(identity, "7/00000001/5", 0, told), 0);
    assert_true(db_identity_get(identity, known));
    assert_memory_equal(known, told, sizeof known);
    assert_int_equal(note(identity, "7/00000001/5", 0, told), 0); /* another connection says the same */
    assert_memory_equal(known, told, sizeof known);
    db_identity_free(identity);
}

static void any_part_of_it_changes_it(void **state) {
    (void)state;
    static const char *const others[] = {"8/00000001/5", "8/00000002/5", "8/00000002/6"};
    struct db_identity *identity = db_identity_new();
    uint8_t last[DB_IDENTITY_SIZE], now[DB_IDENTITY_SIZE];
    (void)note(identity, "7/00000001/5", 0, last);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(note(identity, others[i], 0, now), i + 1);
        assert_int_equal(db_identity_changes(identity), i + 1);
        assert_memory_not_equal(now, last, sizeof now);
        memcpy(last, now, sizeof last);
    }
    db_identity_free(identity);
}

/* Two servers take writes for a moment after a failover. The one that was replaced is not the database. */
static void an_old_primary_changes_nothing(void **state) {
    (void)state;
    struct db_identity *identity = db_identity_new();
    uint8_t known[DB_IDENTITY_SIZE], current[DB_IDENTITY_SIZE], told[DB_IDENTITY_SIZE];
    assert_int_equal(note(identity, "7/00000009/5", 0, told), 0);
    assert_int_equal(note(identity, "7/0000000A/5", 0, current), 1);
    assert_int_equal(note(identity, "7/00000009/5", DB_IDENTITY_FENCE_MS - 1, told), NOTHING);
    assert_true(db_identity_get(identity, known));
    assert_memory_equal(known, current, sizeof known);
    assert_int_equal(db_identity_changes(identity), 1);
    assert_int_equal(note(identity, "7/0000000A/5", 0, told), 1);
    db_identity_free(identity);
}

/* A snapshot of the disk that is put back is of an earlier timeline, too. But nobody works with the later one then. */
static void an_earlier_timeline_that_is_restored_is_the_database(void **state) {
    (void)state;
    struct db_identity *identity = db_identity_new();
    uint8_t told[DB_IDENTITY_SIZE];
    assert_int_equal(note(identity, "7/00000001/5", 0, told), 0);
    assert_int_equal(note(identity, "7/00000002/5", 0, told), 1);
    db_identity_confirm(identity, 0, 2000); /* by a connection to the old one */
    db_identity_confirm(identity, 1, 1000);
    assert_int_equal(note(identity, "7/00000001/5", DB_IDENTITY_FENCE_MS + 999, told), NOTHING);
    assert_int_equal(note(identity, "7/00000001/5", DB_IDENTITY_FENCE_MS + 1000, told), 2);
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
        cmocka_unit_test(an_old_primary_changes_nothing),
        cmocka_unit_test(an_earlier_timeline_that_is_restored_is_the_database),
        cmocka_unit_test(without_one_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
