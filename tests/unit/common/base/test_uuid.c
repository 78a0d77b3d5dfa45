/* Ids that are unique, sorted, and read strictly. */
#include "common/base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "fakes/rows.h"

static int compare_ids(const void *a, const void *b) {
    return uuid_compare(a, b);
}

/* The 60 bits that carry the time: milliseconds and 12 bits of their fraction. */
static uint64_t time_bits(const struct uuid *id) {
    uint64_t bits = 0;
    for (int i = 0; i < 6; i++)
        bits = bits << 8 | id->bytes[i];
    return bits << 12 | (uint64_t)(id->bytes[6] & 0xf) << 8 | id->bytes[7];
}

static uint64_t now_as_time_bits(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return (ms << 12) + (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;
}

static void new_ids_are_version_7_of_now(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t before = now_as_time_bits();
        struct uuid id = uuid_new();
        uint64_t after = now_as_time_bits();
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_in_range(time_bits(&id), before, after);
    }
}

static void the_time_of_an_id_can_be_read(void **state) {
    (void)state;
    struct uuid id; /* RFC 9562, appendix A.6 */
    assert_true(uuid_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", &id));
    assert_int_equal(uuid_time_ms(&id), 1645557742000);
}

static void the_lowest_id_of_a_time_is_below_all_of_it(void **state) {
    (void)state;
    struct uuid low = uuid_lowest(1769847330123), made = uuid_new_from(1769847330123);
    struct uuid none = {{0}}, before = uuid_lowest(-5);
    assert_int_equal(uuid_time_ms(&low), 1769847330123);
    assert_true(uuid_compare(&low, &made) < 0);
    assert_memory_equal(&before, &none, sizeof none);
}

static void ids_of_one_process_sort_by_time_and_are_unique(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static struct uuid ids[COUNT];
    for (int i = 0; i < COUNT; i++)
        ids[i] = uuid_new();
    for (int i = 1; i < COUNT; i++)
        assert_true(time_bits(&ids[i - 1]) <= time_bits(&ids[i]));
    assert_true(time_bits(&ids[0]) < time_bits(&ids[COUNT - 1]));

    qsort(ids, COUNT, sizeof *ids, compare_ids);
    for (int i = 1; i < COUNT; i++)
        assert_true(uuid_compare(&ids[i - 1], &ids[i]) < 0);
}

static void the_text_of_an_id_reads_back(void **state) {
    (void)state;
    static const struct uuid id = {
        {0x01, 0x9c, 0x12, 0x34, 0x56, 0x78, 0x7a, 0xbc, 0x8d, 0xef, 0, 1, 2, 3, 4, 0xff}};
    char text[UUID_TEXT_SIZE];
    uuid_format(&id, text);
    assert_string_equal(text, "019c1234-5678-7abc-8def-0001020304ff");

    static const char *const forms[] = {"019c1234-5678-7abc-8def-0001020304ff",
                                        "019C1234-5678-7ABC-8DEF-0001020304FF"};
    for_each_row(i, forms, "%s", forms[i]) {
        struct uuid read;
        assert_true(uuid_parse(forms[i], &read));
        assert_int_equal(uuid_compare(&read, &id), 0);
    }
}

static void other_texts_are_no_ids(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "-",
        "019c1234-5678-7abc-8def-0001020304f",
        "019c1234-5678-7abc-8def-0001020304fff",
        "019c1234-5678-7abc-8def-0001020304ff ",
        " 019c1234-5678-7abc-8def-0001020304ff",
        "019c1234-5678-7abc-8def-0001020304fg",
        "019c1234-5678-7abc-8def_0001020304ff",
        "019c123-45678-7abc-8def-0001020304ff",
        "019c12345678-7abc-8def-0001020304ff",
        "019c123456787abc8def0001020304ff",
        "{019c1234-5678-7abc-8def-0001020304ff}",
        "019c1234-5678-7abc-8def-00010203-4ff",
        "' OR 1=1; --",
    };
    for_each_row(i, texts, "%s", texts[i]) {
        struct uuid id = {{0xaa}};
        assert_false(uuid_parse(texts[i], &id));
        assert_int_equal(id.bytes[0], 0xaa);
        assert_int_equal(id.bytes[15], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ids_are_version_7_of_now),
        cmocka_unit_test(the_time_of_an_id_can_be_read),
        cmocka_unit_test(the_lowest_id_of_a_time_is_below_all_of_it),
        cmocka_unit_test(ids_of_one_process_sort_by_time_and_are_unique),
        cmocka_unit_test(the_text_of_an_id_reads_back),
        cmocka_unit_test(other_texts_are_no_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
