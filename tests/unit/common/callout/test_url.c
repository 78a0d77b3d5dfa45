/* Which URLs a client may name. */
#include "common/callout/callout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/http/address.h"
#include "fakes/rows.h"

static const struct address_list none;

static void good_urls_have_no_fault(void **state) {
    (void)state;
    static const char *const urls[] = {
        "https://example.com",         "https://example.com/",
        "HTTPS://EXAMPLE.COM/",        "http://example.com/hook?key=value&x=%20",
        "https://example.com:443/",    "http://example.com:80/",
        "https://example.com:1024/",   "https://example.com:65535/",
        "https://93.184.215.14/",      "https://[2606:4700::1111]:8443/x",
        "https://xn--exmple-cua.com/", "https://10.example.com/",
    };
    const struct callout_policy policy = {.allowed = &none};
    for_each_row(i, urls, "%s", urls[i]) assert_null(callout_url_fault(urls[i], &policy));
}

static void bad_urls_are_told(void **state) {
    (void)state;
    static const struct {
        const char *url, *fault;
    } cases[] = {
        {"", "characters"},
        {"example.com", "http"},
        {"//example.com/", "http"},
        {"ftp://example.com/", "http"},
        {"file:///etc/passwd", "http"},
        {"gopher://example.com/", "http"},
        {"https:example.com", "http"},
        {"https://", "valid"},
        {"https://exa mple.com/", "ASCII"},
        {"https://example.com/\n", "ASCII"},
        {"https://ex\xc3\xa4mple.com/", "ASCII"},
        {"https://user@example.com/", "user"},
        {"https://:word@example.com/", "user"},
        {"https://example.com@10.0.0.1/", "user"},
        {"https://example.com/#part", "fragment"},
        {"https://example.com:22/", "port"},
        {"https://example.com:0/", "port"},
        {"https://example.com:1023/", "port"},
        {"https://example.com:65536/", "valid"},
        {"https://example.com:x/", "valid"},
        {"https://127.0.0.1/", "private"},
        {"https://10.0.0.1:8443/", "private"},
        {"https://169.254.169.254/latest/meta-data/", "private"},
        {"https://0/", "private"},
        {"https://2130706433/", "private"},
        {"https://0x7f.1/", "private"},
        {"https://0177.0.0.1/", "private"},
        {"https://127.1/", "private"},
        {"https://[::1]/", "private"},
        {"https://[::]/", "private"},
        {"https://[fd00:ec2::254]/", "private"},
        {"https://[::ffff:127.0.0.1]/", "private"},
        {"https://[64:ff9b::10.0.0.1]/", "private"},
        {"https://[2002:7f00:1::]/", "private"},
        {"https://[fe80::1%25eth0]/", "host"},
    };
    const struct callout_policy policy = {.allowed = &none};
    for_each_row(i, cases, "%s", cases[i].url) {
        const char *fault = callout_url_fault(cases[i].url, &policy);
        assert_non_null(fault);
        if (!strstr(fault, cases[i].fault))
            fail_msg("told '%s'", fault);
    }
}

static void length_has_a_bound(void **state) {
    (void)state;
    const struct callout_policy policy = {.allowed = &none};
    char url[CALLOUT_URL_MAX + 2] = "https://example.com/";
    memset(url + strlen(url), 'x', CALLOUT_URL_MAX - strlen(url));
    assert_null(callout_url_fault(url, &policy));
    url[CALLOUT_URL_MAX] = 'x';
    assert_non_null(callout_url_fault(url, &policy));
}

static void production_wants_https(void **state) {
    (void)state;
    const struct callout_policy policy = {.https_only = true, .allowed = &none};
    assert_null(callout_url_fault("https://example.com/", &policy));
    assert_string_equal(callout_url_fault("http://example.com/", &policy), "be an https:// URL");
}

static void listed_networks_are_allowed(void **state) {
    (void)state;
    struct address_list list;
    const struct callout_policy policy = {.allowed = &list};
    assert_true(address_list_parse("10.1.0.0/16, fd00::/8", &list));
    assert_null(callout_url_fault("http://10.1.2.3/", &policy));
    assert_null(callout_url_fault("http://[fd00::1]/", &policy));
    assert_non_null(callout_url_fault("http://10.2.0.1/", &policy));
    assert_non_null(callout_url_fault("http://127.0.0.1/", &policy));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_have_no_fault),     cmocka_unit_test(bad_urls_are_told),
        cmocka_unit_test(length_has_a_bound),          cmocka_unit_test(production_wants_https),
        cmocka_unit_test(listed_networks_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
