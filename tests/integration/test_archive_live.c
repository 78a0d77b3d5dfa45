/* A daemon's walk through what is old, against a real PostgreSQL (DB_*). */
#include "live.h"

#include "common/service/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct db_query divide = {"divide", "SELECT 1 / (pg_backend_pid() - pg_backend_pid())"};

/* Goes on by a batch, and fails before it has taken it. */
static enum db_status failing_step(struct db *db, struct archive *archive, size_t *taken) {
    archive->behind = uuid_new();
    archive->more = true;
    *taken = ARCHIVE_BATCH;
    return db_run(db, &divide, NULL, NULL);
}

static void a_failure_keeps_the_place_and_is_followed_by_another_try(void **state) {
    (void)state;
    const struct archive_kind kind = {.what = "orders", .step = failing_step};
    const struct db_options options = live_db_options();
    struct db *db = db_open(&options);
    struct archive archive = {.behind = uuid_new(), .taken = 400};
    const struct uuid behind = archive.behind;
    enum db_status status = DB_OK;
    int64_t rest_ms = archive_retention(&archive, &kind, 1000, db, &status);
    assert_int_equal(status, DB_REFUSED);
    assert_in_range(rest_ms, 1000, 60000);
    assert_int_equal(archive.taken, 400);
    assert_memory_equal(&archive.behind, &behind, sizeof behind);
    db_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_keeps_the_place_and_is_followed_by_another_try),
    };
    return cmocka_run_group_tests_name("archive, live", tests, NULL, NULL);
}
