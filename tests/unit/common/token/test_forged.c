/* Forged and malformed tokens, all to be refused (RFC 8725). */
#include "fakes/foreign_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define OTHER_SECRET "fedcba9876543210fedcba9876543210"
#define NOW FOREIGN_NOW

static enum token_status with_header(const char *header) {
    return foreign_verify(foreign_token(header, FOREIGN_CLAIMS, EVP_sha256(), FOREIGN_SECRET));
}

static void a_header_that_is_not_ours_is_refused(void **state) {
    (void)state;
    static const char *const refused[] = {
        "{\"alg\":\"none\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"None\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"NONE\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"hs256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS384\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS512\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"\",\"typ\":\"at+jwt\"}",
        "{\"alg\":[\"HS256\"],\"typ\":\"at+jwt\"}",
        "{\"alg\":null,\"typ\":\"at+jwt\"}",
        "{\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt \"}",
        "{\"alg\":\"HS256\",\"typ\":null}",
        "{\"alg\":\"none\",\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"crit\":[\"exp\"],\"exp\":1}",
        "[\"HS256\",\"at+jwt\"]",
        "HS256",
        "{",
    };
    for (size_t i = 0; i < COUNT(refused); i++)
        if (with_header(refused[i]) != TOKEN_INVALID)
            fail_msg("accepted the header %s", refused[i]);
}

/* A key id, or a key that the token brings itself, chooses nothing: ours is tried, and no other. */
static void hints_at_a_key_are_not_followed(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"../../../../dev/null\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"' OR 1=1 --\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"jku\":\"http://127.0.0.1/keys\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"jwk\":{\"kty\":\"oct\",\"k\":\"\"}}",
    };
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_int_equal(with_header(headers[i]), TOKEN_OK);
        assert_int_equal(
            foreign_verify(foreign_token(headers[i], FOREIGN_CLAIMS, EVP_sha256(), OTHER_SECRET)),
            TOKEN_INVALID);
        assert_int_equal(foreign_verify(foreign_token(headers[i], FOREIGN_CLAIMS, EVP_sha256(), "")),
                         TOKEN_INVALID);
    }
}

static void a_signature_with_another_key_or_digest_is_refused(void **state) {
    (void)state;
    assert_int_equal(
        foreign_verify(foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha256(), OTHER_SECRET)),
        TOKEN_INVALID);
    assert_int_equal(foreign_verify(foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha256(), "")),
                     TOKEN_INVALID);
    assert_int_equal(
        foreign_verify(foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha384(), FOREIGN_SECRET)),
        TOKEN_INVALID);
    assert_int_equal(foreign_verify(foreign_token("{\"alg\":\"HS384\",\"typ\":\"at+jwt\"}", FOREIGN_CLAIMS,
                                                  EVP_sha384(), FOREIGN_SECRET)),
                     TOKEN_INVALID);
}

/* The same key and claims, but of the type that libraries write by themselves: no access token. */
static void what_another_library_writes_is_no_access_token(void **state) {
    (void)state;
    jwt_t *jwt;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, FOREIGN_CLAIMS), 0);
    assert_int_equal(
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)FOREIGN_SECRET, strlen(FOREIGN_SECRET)), 0);
    char *token = jwt_encode_str(jwt);
    assert_non_null(token);
    assert_int_equal(foreign_verify(token), TOKEN_INVALID);
    free(token);
    jwt_free(jwt);
}

/* Each byte of a token counts: none can be another, and none can be left out. */
static void every_byte_is_signed(void **state) {
    (void)state;
    char token[FOREIGN_SIZE];
    strcpy(token, foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha256(), FOREIGN_SECRET));
    assert_int_equal(foreign_verify(token), TOKEN_OK);
    for (size_t i = 0; token[i]; i++) {
        char original = token[i];
        token[i] = original == 'A' ? 'B' : 'A';
        if (foreign_verify(token) != TOKEN_INVALID)
            fail_msg("accepted with byte %zu changed", i);
        token[i] = '\0';
        if (foreign_verify(token) != TOKEN_INVALID)
            fail_msg("accepted when cut at byte %zu", i);
        token[i] = original;
    }
}

static void a_token_of_another_shape_is_refused(void **state) {
    (void)state;
    const char *token = foreign_token(FOREIGN_HEADER, FOREIGN_CLAIMS, EVP_sha256(), FOREIGN_SECRET);
    static const char *const forms[] = {"%s.", "%s..", "%s=",    ".%s",    " %s",
                                        "%s ", "%s\n", "%s.e30", "e30.%s", "Bearer %s"};
    char text[FOREIGN_SIZE + 16];
    for (size_t i = 0; i < COUNT(forms); i++) {
        const char *rest = strstr(forms[i], "%s") + 2;
        snprintf(text, sizeof text, "%.*s%s%s", (int)(rest - 2 - forms[i]), forms[i], token, rest);
        if (foreign_verify(text) != TOKEN_INVALID)
            fail_msg("accepted a token of the form '%s'", forms[i]);
    }
    static const char *const junk[] = {"",    ".",     "..",       "...",           "a",
                                       "a.b", "a.b.c", "e30.e30.", "\xff.\xff.\xff"};
    for (size_t i = 0; i < COUNT(junk); i++)
        assert_int_equal(foreign_verify(junk[i]), TOKEN_INVALID);
}

/* With the right signature over what is not base64url: padding, and parts that are missing or too many. */
static void what_is_signed_but_malformed_is_refused(void **state) {
    (void)state;
    char header[128] = "", claims[1024] = "";
    append_base64url(header, FOREIGN_HEADER, strlen(FOREIGN_HEADER));
    append_base64url(claims, FOREIGN_CLAIMS, strlen(FOREIGN_CLAIMS));
    static const char *const forms[][3] = {
        {"", ".", "="}, {"", ".", "=="}, {"", "=.", ""}, {"", "..", ""},  {"", ".", "."},
        {".", ".", ""}, {"", "", ""},    {"", ".", "+"}, {"", ".", "\n"},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        char token[FOREIGN_SIZE];
        snprintf(token, sizeof token, "%s%s%s%s%s", forms[i][0], header, forms[i][1], claims, forms[i][2]);
        append_signature(token, EVP_sha256(), FOREIGN_SECRET);
        if (foreign_verify(token) != TOKEN_INVALID)
            fail_msg("accepted '%sHEADER%sCLAIMS%s'", forms[i][0], forms[i][1], forms[i][2]);
    }
}

static void a_token_that_is_too_long_is_refused(void **state) {
    (void)state;
    char claims[8192];
    for (int room = 2000; room <= 6000; room += 4000) {
        snprintf(claims, sizeof claims, "{\"pad\":\"%0*d\",%s", room, 0, &FOREIGN_CLAIMS[1]);
        const char *token = foreign_token(FOREIGN_HEADER, claims, EVP_sha256(), FOREIGN_SECRET);
        assert_int_equal(foreign_verify(token), strlen(token) <= TOKEN_MAX_SIZE ? TOKEN_OK : TOKEN_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_is_not_ours_is_refused),
        cmocka_unit_test(hints_at_a_key_are_not_followed),
        cmocka_unit_test(a_signature_with_another_key_or_digest_is_refused),
        cmocka_unit_test(what_another_library_writes_is_no_access_token),
        cmocka_unit_test(every_byte_is_signed),
        cmocka_unit_test(a_token_of_another_shape_is_refused),
        cmocka_unit_test(what_is_signed_but_malformed_is_refused),
        cmocka_unit_test(a_token_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, foreign_keys_make, foreign_keys_free);
}
