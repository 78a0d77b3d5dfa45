/* Pages of orders: where they begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order_page.h"

#include <string.h>

static void no_id_is_later_than_the_highest(void **state) {
    (void)state;
    struct uuid highest = order_highest_id();
    assert_int_equal(uuid_time_ms(&highest), 0xffffffffffff);
}

static void a_page_ends_at_the_cursor_or_the_time(void **state) {
    (void)state;
    const int64_t early = 1000, late = 9000;
    const struct uuid cursor = uuid_lowest(5000);
    struct uuid end = order_page_end(&(struct order_page){0});
    assert_int_equal(uuid_time_ms(&end), 0xffffffffffff);
    end = order_page_end(&(struct order_page){.before = &cursor, .created_before = &late});
    assert_memory_equal(&end, &cursor, sizeof end);
    end = order_page_end(&(struct order_page){.before = &cursor, .created_before = &early});
    assert_int_equal(uuid_time_ms(&end), 1000 + ORDER_SPREAD_MS);
}

static bool has(const struct order_page *page, int64_t id_ms, int64_t created_ms, bool is_over) {
    const struct order order = {.id = uuid_lowest(id_ms), .created_ms = created_ms};
    bool over;
    bool found = order_page_has(page, &order, &over);
    assert_int_equal(over, is_over);
    return found;
}

static void both_ends_are_exclusive(void **state) {
    (void)state;
    const int64_t after = 5000, before = 8000;
    const struct order_change change = {.ms = 1};
    const struct order_page page = {.created_after = &after, .created_before = &before};
    assert_true(has(&page, 5001, 5001, false));
    assert_true(has(&page, 7999, 7999, false));
    assert_false(has(&page, 8000, 8000, false));
    assert_false(has(&page, 5000, 5000, false));
    assert_true(has(&page, 4999, 5001, false)); /* of an earlier release */
    assert_false(has(&page, 4994, 4994, true));
    assert_true(has(&(struct order_page){0}, 1, 1, false));
    const struct order_page changed = {.created_after = &after, .changed_after = &change};
    assert_false(has(&changed, 1, 1, false)); /* those that follow may be younger */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_id_is_later_than_the_highest),
        cmocka_unit_test(a_page_ends_at_the_cursor_or_the_time),
        cmocka_unit_test(both_ends_are_exclusive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
