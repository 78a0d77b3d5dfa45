/* Hashes, and bytes as hex. */
#include "common/base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fakes/rows.h"

static void hex_is_lower_case(void **state) {
    (void)state;
    char text[9];
    hex_encode("\x00\x7f\xab\xff", 4, text);
    assert_string_equal(text, "007fabff");
    hex_encode(NULL, 0, text);
    assert_string_equal(text, "");
}

static void sha256_is_that_of_the_standards_examples(void **state) {
    (void)state;
    static const struct {
        const char *data, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    };
    for_each_row(i, cases, "'%s'", cases[i].data) {
        uint8_t hash[SHA256_SIZE];
        char text[2 * SHA256_SIZE + 1];
        sha256(cases[i].data, strlen(cases[i].data), hash);
        hex_encode(hash, sizeof hash, text);
        assert_string_equal(text, cases[i].hash);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(sha256_is_that_of_the_standards_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
