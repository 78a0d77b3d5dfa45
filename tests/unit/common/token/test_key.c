/* One key: its name and published form, what libjwt gets of it, and what is no key for us. */
#include "common/token/private.h"
#include "fakes/key_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECRET "0123456789abcdef0123456789abcdef"

/* The key of RFC 7638 §3.1. */
#define RSA_N                                                                                                \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"                \
    "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"               \
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"                      \
    "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define RSA_KID "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0vx7agoebGcQSuuPiLJX\n"
                              "ZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\n"
                              "oc/BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ/2W+5JsGY4Hc5n9yBXArwl93lqt\n"
                              "7/RN5w6Cf0h4QyQ5v+65YGjQR0/FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0\n"
                              "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt+bFTWhAI4vMQFh6WeZu0f\n"
                              "M4lFd2NcRwr3XPksINHaQ+G/xBniIqbw0Ls1jF44+csFCur+kEgU8awapJzKnqDK\n"
                              "gwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";

/* The key of RFC 7515 A.3. */
#define EC_KID "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
static const char ec_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                             "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
                             "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
                             "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
                             "-----END PRIVATE KEY-----\n";

static char folder[FOLDER_SIZE];

static int make_folder(void **state) {
    (void)state;
    folder_make(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

/* The key of the file that was put there; NULL, or what is wrong with it. */
static const char *read_key(const char *name, struct token_key *key) {
    const char *fault = NULL;
    bool good = token_key_of_pem(key, folder_path(folder, name), &fault);
    assert_true(good == !fault);
    return fault;
}

static void read_text(const char *pem, struct token_key *key) {
    folder_put_text(folder, "key.pem", pem);
    assert_null(read_key("key.pem", key));
}

static void an_rsa_key_is_named_and_published(void **state) {
    (void)state;
    struct token_key key;
    read_text(rsa_pem, &key);
    assert_string_equal(token_key_algorithm(&key), "RS256");
    assert_null(key.sign_with);
    assert_string_equal(key.kid, RSA_KID);
    assert_string_equal(key.jwk.data, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"" RSA_N
                                      "\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"" RSA_KID "\"}");
    token_key_done(&key);
}

static void an_ec_key_is_named_and_published(void **state) {
    (void)state;
    struct token_key key;
    read_text(ec_pem, &key);
    assert_string_equal(token_key_algorithm(&key), "ES256");
    assert_non_null(key.sign_with);
    assert_string_equal(key.kid, EC_KID);
    assert_string_equal(key.jwk.data, "{\"crv\":\"P-256\",\"kty\":\"EC\","
                                      "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                      "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
                                      "\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"" EC_KID "\"}");
    token_key_done(&key);
}

/* libjwt gets the key alone, whatever else is in the file, and verifies with no private key. */
static void the_texts_hold_the_key_alone(void **state) {
    (void)state;
    struct token_key key;
    char text[1024];
    snprintf(text, sizeof text, "a comment\n%sand another\n%s", ec_pem, rsa_pem);
    read_text(text, &key);
    assert_string_equal(key.sign_with, ec_pem);
    assert_memory_equal(key.verify_with, "-----BEGIN PUBLIC KEY-----\n", 27);
    assert_null(strstr(key.verify_with, "PRIVATE"));
    assert_string_equal(key.verify_with + strlen(key.verify_with) - 25, "-----END PUBLIC KEY-----\n");
    token_key_done(&key);
    read_text(rsa_pem, &key);
    assert_string_equal(key.verify_with, rsa_pem);
    token_key_done(&key);
}

static void a_secret_is_taken_as_it_is(void **state) {
    (void)state;
    struct token_key key;
    const char *fault;
    assert_true(token_key_of_secret(&key, SECRET, &fault));
    assert_string_equal(key.sign_with, SECRET);
    assert_string_equal(key.verify_with, SECRET);
    assert_string_equal(token_key_algorithm(&key), "HS256");
    assert_string_equal(key.kid, "");
    token_key_done(&key);
}

static void put_encrypted(EVP_PKEY *pkey) {
    FILE *file = folder_open(folder, "key.pem");
    PEM_write_PKCS8PrivateKey(file, pkey, EVP_aes_128_cbc(), "word", 4, NULL, NULL);
    fclose(file);
}

static void assert_no_key(const char *expected) {
    struct token_key key;
    const char *fault = read_key("key.pem", &key);
    if (!fault || !strstr(fault, expected))
        fail_msg("'%s', where '%s' was expected", fault ? fault : "(taken)", expected);
    token_key_done(&key);
}

static void what_is_no_key_for_us_is_refused(void **state) {
    (void)state;
    const struct {
        const char *fault;
        EVP_PKEY *pkey;
    } cases[] = {
        {"2048 to 4096 bits", rsa_key("rsa-1024.pem")},
        {"neither", EVP_EC_gen("P-384")},
        {"neither", EVP_EC_gen("secp256k1")},
        {"neither", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")},
        {"neither", EVP_PKEY_Q_keygen(NULL, NULL, "X25519")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        folder_put_private(folder, "key.pem", cases[i].pkey);
        assert_no_key(cases[i].fault);
        EVP_PKEY_free(cases[i].pkey);
    }
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    put_encrypted(pkey);
    assert_no_key("passphrase");
    EVP_PKEY_free(pkey);
    folder_put_text(folder, "key.pem", "");
    assert_no_key("no PEM key");
    folder_put_text(folder, "key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    assert_no_key("no PEM key");
    unlink(folder_path(folder, "key.pem"));
    assert_no_key("is gone");
}

static void a_short_secret_is_refused(void **state) {
    (void)state;
    struct token_key key = {0};
    const char *fault = NULL;
    assert_false(token_key_of_secret(&key, "0123456789abcdef0123456789abcde", &fault));
    assert_string_equal(fault, "the secret is too short");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_rsa_key_is_named_and_published),
        cmocka_unit_test(an_ec_key_is_named_and_published),
        cmocka_unit_test(the_texts_hold_the_key_alone),
        cmocka_unit_test(a_secret_is_taken_as_it_is),
        cmocka_unit_test(what_is_no_key_for_us_is_refused),
        cmocka_unit_test(a_short_secret_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
