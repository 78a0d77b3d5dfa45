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

static void hmac_is_that_of_the_standards_examples(void **state) {
    (void)state;
    char large[131];
    memset(large, 0xaa, sizeof large);
    const struct {
        const char *key;
        size_t key_len;
        const char *data, *mac;
    } cases[] = {
        /* RFC 4231, 4.2, 4.3 and 4.7 */
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", 4, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {large, sizeof large, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for_each_row(i, cases, "'%s'", cases[i].data) {
        uint8_t mac[SHA256_SIZE];
        char text[2 * SHA256_SIZE + 1];
        hmac_sha256(cases[i].key, cases[i].key_len, cases[i].data, strlen(cases[i].data), mac);
        hex_encode(mac, sizeof mac, text);
        assert_string_equal(text, cases[i].mac);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(sha256_is_that_of_the_standards_examples),
        cmocka_unit_test(hmac_is_that_of_the_standards_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
