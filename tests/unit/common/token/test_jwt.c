/* What libjwt signs and verifies for us, and what it lets pass where we do not. */
#include "common/token/private.h"
#include "fakes/foreign_token.h"
#include "fakes/key_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <openssl/err.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW FOREIGN_NOW
#define OTHER_SECRET "fedcba9876543210fedcba9876543210"

enum { SECRET, RSA_PAIR, EC_PAIR, KINDS };
static const char *const algorithms[KINDS] = {"HS256", "RS256", "ES256"};
static const size_t signature_lens[KINDS] = {43, 342, 86};

/* One of each kind, and another. */
static struct token_keys *owners[KINDS], *others[KINDS];
static char folders[2 * KINDS][FOLDER_SIZE];
static size_t folder_count;

static struct token_keys *of_secret(const char *text) {
    struct token_options options = foreign_options;
    options.secret = text;
    return token_keys_new(&options);
}

static struct token_keys *of_pair(EVP_PKEY *pkey) {
    struct token_options options = foreign_options;
    char *folder = folders[folder_count++];
    folder_make(folder);
    folder_put_private(folder, "current.pem", pkey);
    options.folder = folder;
    options.issues = true;
    struct token_keys *keys = token_keys_new(&options);
    EVP_PKEY_free(pkey);
    return keys;
}

static int make_keys(void **state) {
    (void)state;
    owners[SECRET] = of_secret(FOREIGN_SECRET);
    others[SECRET] = of_secret(OTHER_SECRET);
    owners[RSA_PAIR] = of_pair(rsa_key("rsa-2048.pem"));
    others[RSA_PAIR] = of_pair(rsa_key("rsa-2048-other.pem"));
    owners[EC_PAIR] = of_pair(EVP_EC_gen("P-256"));
    others[EC_PAIR] = of_pair(EVP_EC_gen("P-256"));
    for (size_t kind = 0; kind < KINDS; kind++)
        if (!owners[kind] || !others[kind])
            return -1;
    return 0;
}

static int free_keys(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        token_keys_free(owners[kind]);
        token_keys_free(others[kind]);
    }
    while (folder_count > 0)
        folder_remove(folders[--folder_count]);
    return 0;
}

static const struct token_key *key_of(const struct token_keys *keys) {
    return keys->set->signing;
}

/* What libjwt says by itself. */
static int library(const char *token, const char *key) {
    jwt_t *jwt = NULL;
    int fault = jwt_decode(&jwt, token, (const unsigned char *)key, key ? (int)strlen(key) : 0);
    jwt_free(jwt);
    ERR_clear_error();
    return fault;
}

static void each_kind_verifies_what_it_signed_and_no_other(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char *token = foreign_issue(owners[kind]);
        assert_int_equal(strlen(strrchr(token, '.') + 1), signature_lens[kind]);
        assert_int_equal(foreign_status(owners[kind], token), TOKEN_OK);
        for (size_t other = 0; other < KINDS; other++) {
            assert_int_equal(foreign_status(others[other], token), TOKEN_INVALID);
            assert_int_equal(token_jwt_verify(key_of(others[other]), token), TOKEN_INVALID);
        }
        free(token);
    }
}

static void the_header_says_algorithm_type_and_kid(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        const struct token_key *key = key_of(owners[kind]);
        char expected[256], *token = foreign_issue(owners[kind]);
        uint8_t header[TOKEN_MAX_SIZE];
        size_t len;
        snprintf(expected, sizeof expected, "{\"alg\":\"%s\"%s%s%s,\"typ\":\"at+jwt\"}", algorithms[kind],
                 *key->kid ? ",\"kid\":\"" : "", key->kid, *key->kid ? "\"" : "");
        assert_true(base64url_decode(token, strcspn(token, "."), header, &len));
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(header, expected, len);
        free(token);
    }
}

/* Also the bits that the last character has to spare, which libjwt drops. */
static void every_character_of_a_signature_counts(void **state) {
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/.";
    for (size_t kind = 0; kind < KINDS; kind++) {
        char *token = foreign_issue(owners[kind]);
        size_t last = strlen(token) - 1;
        for (char *at = strrchr(token, '.') + 1; *at; at++) {
            char original = *at;
            *at = original == 'A' ? 'B' : 'A';
            if (foreign_status(owners[kind], token) != TOKEN_INVALID)
                fail_msg("%s: accepted with another '%c'", algorithms[kind], original);
            *at = original;
        }
        for (const char *digit = digits, original = token[last]; *digit; digit++) {
            token[last] = *digit;
            assert_int_equal(foreign_status(owners[kind], token),
                             *digit == original ? TOKEN_OK : TOKEN_INVALID);
            token[last] = original;
        }
        free(token);
    }
}

/* RFC 7515 A.3. */
static void the_signature_of_the_standard_is_good(void **state) {
    (void)state;
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                              "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                              "-----END PUBLIC KEY-----\n";
    char token[] = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                   "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5d"
                   "jxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    struct token_key key = {.algorithm = TOKEN_ES256, .verify_with = strdup(pem), .signature_len = 86};
    assert_int_equal(token_jwt_verify(&key, token), TOKEN_OK);
    token[30] = 'x';
    assert_int_equal(token_jwt_verify(&key, token), TOKEN_INVALID);
    token_key_done(&key);
}

static void signatures_of_zeros_or_of_another_length_are_refused(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char text[TOKEN_MAX_SIZE + 1], *token = foreign_issue(owners[kind]);
        int start = (int)(strrchr(token, '.') + 1 - token);
        snprintf(text, sizeof text, "%sA", token);
        assert_int_equal(foreign_status(owners[kind], text), TOKEN_INVALID);
        for (size_t len = 0; len < signature_lens[kind]; len++) {
            snprintf(text, sizeof text, "%.*s", start + (int)len, token);
            assert_int_equal(foreign_status(owners[kind], text), TOKEN_INVALID);
        }
        memset(token + start, 'A', signature_lens[kind]);
        assert_int_equal(foreign_status(owners[kind], token), TOKEN_INVALID);
        assert_int_equal(token_jwt_verify(key_of(owners[kind]), token), TOKEN_INVALID);
        free(token);
    }
}

/* Of 200 signatures some have an r or s that begins with a zero byte. */
static void signatures_of_a_curve_have_one_length(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        char *token = foreign_issue(owners[EC_PAIR]);
        assert_int_equal(strlen(strrchr(token, '.') + 1), signature_lens[EC_PAIR]);
        assert_int_equal(foreign_status(owners[EC_PAIR], token), TOKEN_OK);
        free(token);
    }
}

static void no_key_is_no_key(void **state) {
    (void)state;
    char token[FOREIGN_SIZE];
    strcpy(token, foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha256(), OTHER_SECRET));
    assert_int_equal(library(token, NULL), 0); /* a wrong signature, not looked at */
    assert_int_equal(library(token, FOREIGN_SECRET), EINVAL);
    char empty[] = "";
    struct token_key key = {.algorithm = TOKEN_HS256, .verify_with = empty, .signature_len = 43};
    assert_int_equal(token_jwt_verify(&key, token), TOKEN_INVALID);
}

static void a_token_without_an_algorithm_is_refused(void **state) {
    (void)state;
    char token[FOREIGN_SIZE];
    strcpy(token, foreign_token("{\"alg\":\"none\",\"typ\":\"at+jwt\"}", FOREIGN_CLAIMS, EVP_sha256(), ""));
    for (int with_signature = 1; with_signature >= 0; with_signature--) {
        assert_int_equal(library(token, NULL), 0);
        for (size_t kind = 0; kind < KINDS; kind++) {
            assert_int_equal(token_jwt_verify(key_of(owners[kind]), token), TOKEN_INVALID);
            assert_int_equal(foreign_status(owners[kind], token), TOKEN_INVALID);
        }
        strrchr(token, '.')[1] = '\0';
    }
}

/* HMAC with the text of the public key: to libjwt a good token, of whatever kind the key is. */
static void a_public_key_is_no_secret(void **state) {
    (void)state;
    for (size_t kind = RSA_PAIR; kind < KINDS; kind++) {
        const struct token_key *key = key_of(owners[kind]);
        char header[256];
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", key->kid);
        const char *token = foreign_token(header, FOREIGN_CLAIMS, EVP_sha256(), key->verify_with);
        assert_int_equal(library(token, key->verify_with), 0);
        assert_int_equal(token_jwt_verify(key, token), TOKEN_INVALID);
        assert_int_equal(foreign_status(owners[kind], token), TOKEN_INVALID);
    }
}

/* The signature is right. The rest is not, and libjwt does not mind. */
static void what_the_library_lets_pass_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *header, *claims;
        size_t claims_len; /* 0: of a text */
        enum token_status expected;
    } cases[] = {
        {FOREIGN_HEADER, FOREIGN_CLAIMS, 0, TOKEN_OK},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":1}", 0, TOKEN_EXPIRED},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":1800000001,\"nbf\":1800000001}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START "}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":1800000001.5}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":\"1800000001\"}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":null}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":1,\"exp\":1800000001}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_START ",\"exp\":1800000001,\"a\":{\"b\":1,\"b\":2}}", 0, TOKEN_INVALID},
        {FOREIGN_HEADER, FOREIGN_CLAIMS "\0}", sizeof FOREIGN_CLAIMS + 1, TOKEN_INVALID},
        {FOREIGN_HEADER, "{}", 0, TOKEN_INVALID},
        {"{\"alg\":\"HS256\"}", FOREIGN_CLAIMS, 0, TOKEN_INVALID},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", FOREIGN_CLAIMS, 0, TOKEN_INVALID},
        {"{\"alg\":\"RS256\",\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", FOREIGN_CLAIMS, 0, TOKEN_INVALID},
        {"{\"alg\":\"HS256\",\"crit\":[\"x\"],\"typ\":\"at+jwt\"}", FOREIGN_CLAIMS, 0, TOKEN_INVALID},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char token[FOREIGN_SIZE] = "";
        size_t len = cases[i].claims_len ? cases[i].claims_len : strlen(cases[i].claims);
        append_base64url(token, cases[i].header, strlen(cases[i].header));
        strcat(token, ".");
        append_base64url(token, cases[i].claims, len);
        append_signature(token, EVP_sha256(), FOREIGN_SECRET);
        assert_int_equal(library(token, FOREIGN_SECRET), 0);
        if (foreign_status(owners[SECRET], token) != cases[i].expected)
            fail_msg("%s.%s", cases[i].header, cases[i].claims);
    }
}

/* libjwt reads the claims before it looks at the signature: what nests too deep does not get there. */
static void claims_that_nest_too_deep_are_refused(void **state) {
    (void)state;
    char claims[2600] = "{\"a\":";
    memset(claims + 5, '[', 1200);
    memset(claims + 1205, ']', 1200);
    strcpy(claims + 2405, "}");
    const char *token = foreign_token(FOREIGN_HEADER, claims, EVP_sha256(), OTHER_SECRET);
    assert_true(strlen(token) <= TOKEN_MAX_SIZE);
    assert_int_equal(foreign_status(owners[SECRET], token), TOKEN_INVALID);
}

/* OpenSSL's errors are the thread's: what libjwt leaves there would be read as another's. */
static void no_errors_are_left_on_the_thread(void **state) {
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char *token = foreign_issue(owners[kind]);
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(foreign_status(owners[kind], token), TOKEN_OK);
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(token_jwt_verify(key_of(others[kind]), token), TOKEN_INVALID);
        assert_int_equal(ERR_peek_error(), 0);
        free(token);
    }
}

static struct {
    size_t left;  /* 0: it counts nothing */
    bool is_hard; /* the last one and all after it fail; else the last one has memory and errno */
} allocations;

static void *allocate(size_t size) {
    if (allocations.left == 0 || --allocations.left > 0)
        return malloc(size);
    if (allocations.is_hard)
        allocations.left = 1;
    void *memory = allocations.is_hard ? NULL : malloc(size);
    errno = ENOMEM;
    return memory;
}

static void count_allocations(void) {
    jwt_set_alloc(allocate, realloc, free);
    json_set_alloc_funcs(malloc, free); /* jwt_set_alloc has changed them too */
}

static void count_no_allocations(void) {
    jwt_set_alloc(NULL, NULL, NULL);
    json_set_alloc_funcs(malloc, free);
}

/* As malloc leaves it behind when it gets memory only at its second try. */
static void an_errno_is_no_lack_of_memory(void **state) {
    (void)state;
    count_allocations();
    allocations.is_hard = false;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char *token = foreign_issue(owners[kind]);
        for (size_t nth = 1; nth < 20; nth++) {
            allocations.left = nth;
            assert_int_equal(token_jwt_verify(key_of(owners[kind]), token), TOKEN_OK);
            allocations.left = nth;
            assert_int_equal(token_jwt_verify(key_of(others[kind]), token), TOKEN_INVALID);
        }
        allocations.left = 0;
        free(token);
    }
    count_no_allocations();
}

/* Short of memory a good token is not called a bad one, which libjwt does. */
static void a_lack_of_memory_is_no_bad_token(void **state) {
    (void)state;
    count_allocations();
    allocations.is_hard = true;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char *token = foreign_issue(owners[kind]);
        enum token_status status = TOKEN_NO_MEMORY;
        size_t nth = 0;
        while (status == TOKEN_NO_MEMORY) {
            allocations.left = ++nth;
            status = token_jwt_verify(key_of(owners[kind]), token);
        }
        allocations.left = 0;
        assert_int_equal(status, TOKEN_OK);
        assert_in_range(nth, 4, 20);
        free(token);
    }
    count_no_allocations();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_verifies_what_it_signed_and_no_other),
        cmocka_unit_test(the_header_says_algorithm_type_and_kid),
        cmocka_unit_test(every_character_of_a_signature_counts),
        cmocka_unit_test(signatures_of_zeros_or_of_another_length_are_refused),
        cmocka_unit_test(the_signature_of_the_standard_is_good),
        cmocka_unit_test(signatures_of_a_curve_have_one_length),
        cmocka_unit_test(no_key_is_no_key),
        cmocka_unit_test(a_token_without_an_algorithm_is_refused),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(what_the_library_lets_pass_is_refused),
        cmocka_unit_test(claims_that_nest_too_deep_are_refused),
        cmocka_unit_test(no_errors_are_left_on_the_thread),
        cmocka_unit_test(an_errno_is_no_lack_of_memory),
        cmocka_unit_test(a_lack_of_memory_is_no_bad_token),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
