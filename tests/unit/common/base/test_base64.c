/* Base64 both ways: the vectors of RFC 4648, and the texts that are refused. */
#include "common/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fakes/rows.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *bytes;
    const char *url;    /* base64url */
    const char *padded; /* base64 */
} vectors[] = {
    {"", "", ""},
    {"f", "Zg", "Zg=="},
    {"fo", "Zm8", "Zm8="},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg", "Zm9vYg=="},
    {"fooba", "Zm9vYmE", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "-_-_", "+/+/"},
    {"\xff\xff\xff\xff", "_____w", "/////w=="},
};

static void bytes_become_text(void **state) {
    (void)state;
    for_each_row(i, vectors, "'%s'", vectors[i].bytes) {
        char text[BASE64URL_SIZE(6)];
        size_t len = base64url_encode(vectors[i].bytes, strlen(vectors[i].bytes), text);
        assert_string_equal(text, vectors[i].url);
        assert_int_equal(len, strlen(vectors[i].url));
        char padded[BASE64_SIZE(6)];
        len = base64_encode(vectors[i].bytes, strlen(vectors[i].bytes), padded);
        assert_string_equal(padded, vectors[i].padded);
        assert_int_equal(len, strlen(vectors[i].padded));
    }
}

static void text_becomes_bytes_again(void **state) {
    (void)state;
    for_each_row(i, vectors, "'%s'", vectors[i].bytes) {
        uint8_t bytes[8];
        size_t expected = strlen(vectors[i].bytes);
        size_t len = 99;
        assert_true(base64url_decode(vectors[i].url, strlen(vectors[i].url), bytes, &len));
        assert_int_equal(len, expected);
        assert_memory_equal(bytes, vectors[i].bytes, expected);
        len = 99;
        assert_true(base64_decode(vectors[i].padded, strlen(vectors[i].padded), bytes, &len));
        assert_int_equal(len, expected);
        assert_memory_equal(bytes, vectors[i].bytes, expected);
    }
}

static void malformed_text_is_refused(void **state) {
    (void)state;
    static const char *const url[] = {"A",    "Zm9vY", "Zg==", "Zg=", "Zm9v\n", " Zm9v",
                                      "Zm+v", "Zm/v",  "Zh",   "Zm9", "Zm\x80v"};
    static const char *const padded[] = {
        "Zg", "Zg=", "Zg=A", "Z===", "====", "=Zg=", "Zm-v", "Zm_v", "Zh==", "Zm9v\n"};
    uint8_t bytes[8];
    size_t len;
    for (size_t i = 0; i < COUNT(url); i++)
        if (base64url_decode(url[i], strlen(url[i]), bytes, &len))
            fail_msg("base64url accepted '%s'", url[i]);
    for (size_t i = 0; i < COUNT(padded); i++)
        if (base64_decode(padded[i], strlen(padded[i]), bytes, &len))
            fail_msg("base64 accepted '%s'", padded[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_text),
        cmocka_unit_test(text_becomes_bytes_again),
        cmocka_unit_test(malformed_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
