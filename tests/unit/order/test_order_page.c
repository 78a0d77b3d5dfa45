/* Pages of orders: where they begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "order/order_page.h"

#include <string.h>

static void an_id_tells_the_time(void **state) {
    (void)state;
    struct uuid low = order_lowest_id(1769847330123), none = {{0}}, before = order_lowest_id(-5);
    struct uuid made = uuid_new_from(1769847330123);
    assert_int_equal(uuid_time_ms(&low), 1769847330123);
    assert_true(uuid_compare(&low, &made) < 0);
    assert_memory_equal(&before, &none, sizeof none);
    made = order_highest_id();
    assert_int_equal(uuid_time_ms(&made), 0xffffffffffff);
}

static void a_page_ends_at_the_cursor_or_the_time(void **state) {
    (void)state;
    const int64_t early = 1000, late = 9000;
    const struct uuid cursor = order_lowest_id(5000);
    struct uuid end = order_page_end(&(struct order_page){0});
    assert_int_equal(uuid_time_ms(&end), 0xffffffffffff);
    end = order_page_end(&(struct order_page){.before = &cursor, .created_before = &late});
    assert_memory_equal(&end, &cursor, sizeof end);
    end = order_page_end(&(struct order_page){.before = &cursor, .created_before = &early});
    assert_int_equal(uuid_time_ms(&end), 1000 + ORDER_SPREAD_MS);
}

static bool has(const struct order_page *page, int64_t id_ms, int64_t created_ms, bool is_over) {
    const struct order order = {.id = order_lowest_id(id_ms), .created_ms = created_ms};
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
        cmocka_unit_test(an_id_tells_the_time),
        cmocka_unit_test(a_page_ends_at_the_cursor_or_the_time),
        cmocka_unit_test(both_ends_are_exclusive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
