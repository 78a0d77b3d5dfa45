/* Lists of origins: which are refused and why, and which origins they let in. */
#include "common/http/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fakes/rows.h"

static const char *const good[] = {
    "",
    "https://shop.example",
    "http://localhost:8080",
    "https://shop.example , https://admin.shop.example:8443",
    "http://127.0.0.1:3000",
    "http://[::1]:3000",
    "https://[2001:db8::1]",
    "https://xn--bcher-kva.example",
    "capacitor://localhost",
    "chrome-extension://abcdefghijklmnop",
    "http://a_b.example",
    "http://shop.example:443", /* the default of another scheme */
    "http://shop.example:65535",
};

static const struct {
    const char *list, *fault;
} bad[] = {
    {"*", "'*' would let every page in: list the origins"},
    {"https://shop.example,*", "'*' would let every page in: list the origins"},
    {"https://shop.example,", "'' is an empty entry"},
    {"https://a.example,,https://b.example", "'' is an empty entry"},
    {" ", "'' is an empty entry"},
    {"null", "'null' does not begin with a scheme such as https://"},
    {"shop.example", "'shop.example' does not begin with a scheme such as https://"},
    {"shop.example:8080", "'shop.example:8080' does not begin with a scheme such as https://"},
    {"//shop.example", "'//shop.example' does not begin with a scheme such as https://"},
    {"1http://shop.example", "'1http://shop.example' does not begin with a scheme such as https://"},
    {"https:/shop.example", "'https:/shop.example' does not begin with a scheme such as https://"},
    {"https://", "'https://' has no valid host behind its scheme"},
    {"https://:443", "'https://:443' has no valid host behind its scheme"},
    {"https://*.shop.example", "'https://*.shop.example' has no valid host behind its scheme"},
    {"https://.shop.example", "'https://.shop.example' has no valid host behind its scheme"},
    {"https://shop..example", "'https://shop..example' has no valid host behind its scheme"},
    {"http://[::1", "'http://[::1' has no valid host behind its scheme"},
    {"http://[::x]", "'http://[::x]' has no valid host behind its scheme"},
    {"http://[]", "'http://[]' has no valid host behind its scheme"},
    {"https://Shop.example", "'https://Shop.example' must be in lower case, as browsers send it"},
    {"https://shop.example/", "'https://shop.example/' must end behind host and port, without a / or a path"},
    {"https://shop.example/a",
     "'https://shop.example/a' must end behind host and port, without a / or a path"},
    {"https://me@shop.example",
     "'https://me@shop.example' has a host with other characters than letters, digits, '-', '.' and '_'"},
    {"https://shop.example?a",
     "'https://shop.example?a' has a host with other characters than letters, digits, '-', '.' and '_'"},
    {"https://a.example https://b.example",
     "'https://a.example https://b.example' has a host with other characters "
     "than letters, digits, '-', '.' and '_'"},
    {"https://shop.example:443",
     "'https://shop.example:443' must not have the default port, as browsers leave it out"},
    {"http://shop.example:80",
     "'http://shop.example:80' must not have the default port, as browsers leave it out"},
    {"http://shop.example:", "'http://shop.example:' has a port that is not a number from 1 to 65535"},
    {"http://shop.example:0", "'http://shop.example:0' has a port that is not a number from 1 to 65535"},
    {"http://shop.example:08080",
     "'http://shop.example:08080' has a port that is not a number from 1 to 65535"},
    {"http://shop.example:65536",
     "'http://shop.example:65536' has a port that is not a number from 1 to 65535"},
    {"http://shop.example:8080/",
     "'http://shop.example:8080/' has a port that is not a number from 1 to 65535"},
};

static void lists_of_origins_are_taken(void **state) {
    (void)state;
    for_each_row(i, good, "%s", good[i]) {
        struct buf fault = {0};
        assert_true(cors_origins_valid(good[i], &fault));
        assert_int_equal(fault.len, 0);
        buf_free(&fault);
    }
}

static void what_is_no_origin_is_named_with_its_fault(void **state) {
    (void)state;
    for_each_row(i, bad, "%s", bad[i].list) {
        struct buf fault = {0};
        assert_false(cors_origins_valid(bad[i].list, &fault));
        assert_string_equal(fault.data, bad[i].fault);
        buf_free(&fault);
    }
}

static void an_origin_has_a_length_at_most(void **state) {
    (void)state;
    char list[400] = "https://";
    struct buf fault = {0};
    memset(list + 8, 'a', 250);
    assert_true(cors_origins_valid(list, &fault));
    memset(list + 8, 'a', 390);
    assert_false(cors_origins_valid(list, &fault));
    assert_non_null(strstr(fault.data, "aaa' is longer than any origin"));
    buf_free(&fault);
}

static void only_a_listed_origin_is_let_in(void **state) {
    (void)state;
    static const char list[] = "https://shop.example,  http://localhost:8080\t, https://b.example";
    static const struct {
        const char *origin;
        bool listed;
    } cases[] = {
        {"https://shop.example", true},
        {"http://localhost:8080", true},
        {"https://b.example", true},
        {"http://shop.example", false},
        {"https://shop.example:8443", false},
        {"https://shop.example.evil.example", false},
        {"https://evil-shop.example", false},
        {"https://SHOP.example", false},
        {"http://localhost", false},
        {"https://shop.example,", false},
        {"https://shop.example,  http://localhost:8080", false},
        {"null", false},
        {"*", false},
        {"", false},
        {" ", false},
    };
    for_each_row(i, cases, "%s", cases[i].origin) {
        assert_int_equal(cors_origin_listed(list, cases[i].origin), cases[i].listed);
        assert_false(cors_origin_listed("", cases[i].origin));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_origins_are_taken),
        cmocka_unit_test(what_is_no_origin_is_named_with_its_fault),
        cmocka_unit_test(an_origin_has_a_length_at_most),
        cmocka_unit_test(only_a_listed_origin_is_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
