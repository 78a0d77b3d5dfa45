/* The settings of tracing: URLs, lists of pairs, ratios. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/tracing/private.h"
#include "fakes/rows.h"

#include <string.h>

static const struct {
    const char *text;
    bool valid;
} urls[] = {
    {"http://localhost:4318", true},
    {"https://collector.example/otlp/", true},
    {"https://[::1]:4318/v1/traces", true},
    {"http://otel_collector:4318", true},
    {"", false},
    {"localhost:4318", false},
    {"ftp://localhost", false},
    {"http://", false},
    {"http:///v1/traces", false},
    {"http://user:password@host", false},
    {"http://host?key=1", false},
    {"http://host/a?key=1", false},
    {"http://host/a b", false},
    {"http://host/a#b", false},
    {"http://host/\303\244", false},
};

static void urls_are_checked(void **state) {
    (void)state;
    for_each_row(i, urls, "%s", urls[i].text)
        assert_int_equal(tracing_url_is_valid(urls[i].text), urls[i].valid);
}

static const struct {
    const char *endpoint, *traces_endpoint, *url; /* "": none */
} endpoints[] = {
    {"", "", ""},
    {"http://c:4318", "", "http://c:4318/v1/traces"},
    {"http://c:4318/", "", "http://c:4318/v1/traces"},
    {"http://c:4318/otlp", "", "http://c:4318/otlp/v1/traces"},
    {"", "http://t/x", "http://t/x"},
    {"http://c:4318", "http://t", "http://t"},
};

static void the_path_is_appended_to_the_common_endpoint_only(void **state) {
    (void)state;
    for_each_row(i, endpoints, "%s %s", endpoints[i].endpoint, endpoints[i].traces_endpoint) {
        struct tracing_options options = {.endpoint = endpoints[i].endpoint,
                                          .traces_endpoint = endpoints[i].traces_endpoint};
        struct buf url = {0};
        assert_int_equal(tracing_url(&options, &url), *endpoints[i].url != '\0');
        assert_string_equal(url.data ? url.data : "", endpoints[i].url);
        buf_free(&url);
    }
}

static const struct {
    const char *text;
    double value; /* -1: refused */
} ratios[] = {
    {"1.0", 1},  {"0", 0},     {"0.25", 0.25}, {".5", 0.5}, {"1e-3", 0.001}, {"1", 1},    {"", -1},
    {"1.1", -1}, {"-0", -1},   {"2", -1},      {"0x1", -1}, {"nan", -1},     {"inf", -1}, {"0.5 ", -1},
    {" 1", -1},  {"half", -1}, {"1,0", -1},    {"1e", -1},  {".", -1},
};

static void ratios_are_from_0_to_1(void **state) {
    (void)state;
    for_each_row(i, ratios, "'%s'", ratios[i].text) {
        double value = -1;
        assert_int_equal(tracing_parse_ratio(ratios[i].text, &value), ratios[i].value >= 0);
        assert_true(value == ratios[i].value);
    }
}

static void pairs_are_read_in_order(void **state) {
    (void)state;
    const char *at = " a=1 ,b = x%20y%2Cz,, Api-Key =k=v,c=,d=100%25";
    static const char *const wanted[][2] = {
        {"a", "1"}, {"b", "x y,z"}, {"Api-Key", "k=v"}, {"c", ""}, {"d", "100%"}};
    struct pair pair;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_true(tracing_next_pair(&at, &pair));
        assert_string_equal(pair.key, wanted[i][0]);
        assert_string_equal(pair.value, wanted[i][1]);
    }
    assert_false(tracing_next_pair(&at, &pair));
    assert_string_equal(at, "");
}

static const struct {
    const char *text;
    bool valid;
} lists[] = {
    {"", true},       {"a=1", true},      {"a=1,b=2", true},        {"a", false},     {"=1", false},
    {"a=1,b", false}, {"a b=1", false},   {"a=%0d%0ax", false},     {"a=%2", false},  {"a=%g0", false},
    {"a=%", false},   {"a=%41", true},    {"a=\"x\"", true},        {"a:b=1", false}, {"a=\001", false},
    {"a=%ff", false}, {"a=%c3%a4", true}, {"service.name=x", true}, {",", true},
};

static void lists_are_checked(void **state) {
    (void)state;
    for_each_row(i, lists, "%s", lists[i].text)
        assert_int_equal(tracing_pairs_are_valid(lists[i].text), lists[i].valid);
}

static void a_long_value_is_refused(void **state) {
    (void)state;
    static char text[2 * PAIR_SIZE];
    memset(text, 'x', PAIR_SIZE + 1);
    memcpy(text, "a=", 2);
    assert_true(tracing_pairs_are_valid(text)); /* 4,096 bytes */
    strcat(text, "x");
    assert_false(tracing_pairs_are_valid(text));
}

static void a_value_is_found_by_its_key(void **state) {
    (void)state;
    static const char list[] = "a=1, service.name = my%20shop ,service.name=other,empty=";
    char out[8] = "before";
    assert_false(tracing_resource_value(list, "name", out, sizeof out));
    assert_false(tracing_resource_value("", "a", out, sizeof out));
    assert_string_equal(out, "before");
    assert_true(tracing_resource_value(list, "a", out, sizeof out));
    assert_string_equal(out, "1");
    assert_true(tracing_resource_value(list, "service.name", out, sizeof out));
    assert_string_equal(out, "my shop");
    assert_true(tracing_resource_value(list, "service.name", out, 4));
    assert_string_equal(out, "my ");
    assert_true(tracing_resource_value(list, "empty", out, sizeof out));
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(the_path_is_appended_to_the_common_endpoint_only),
        cmocka_unit_test(ratios_are_from_0_to_1),
        cmocka_unit_test(pairs_are_read_in_order),
        cmocka_unit_test(a_value_is_found_by_its_key),
        cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(a_long_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
