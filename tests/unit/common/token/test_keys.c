/* The keys of a folder: who signs, who verifies, and how they follow the folder while others work with them.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "fakes/foreign_token.h"
#include "fakes/key_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW FOREIGN_NOW

/* Folders as the two daemons have them, and the keys in them. */
static char private_folder[FOLDER_SIZE], public_folder[FOLDER_SIZE];
static EVP_PKEY *first, *second, *rsa;

static int make_folders(void **state) {
    (void)state;
    first = EVP_EC_gen("P-256");
    second = EVP_EC_gen("P-256");
    rsa = rsa_key("rsa-2048.pem");
    folder_make(private_folder);
    folder_make(public_folder);
    folder_put_private(private_folder, "current.pem", first);
    folder_put_public(public_folder, "current.pem", first);
    return 0;
}

static int remove_folders(void **state) {
    (void)state;
    folder_remove(private_folder);
    folder_remove(public_folder);
    EVP_PKEY_free(first);
    EVP_PKEY_free(second);
    EVP_PKEY_free(rsa);
    return 0;
}

static struct token_keys *keys_of(const char *folder, bool issues) {
    struct token_options options = foreign_options;
    options.folder = folder;
    options.issues = issues;
    return token_keys_new(&options);
}

static struct token_keys *open_keys(const char *folder, bool issues) {
    struct token_keys *keys = keys_of(folder, issues);
    assert_non_null(keys);
    return keys;
}

static bool becomes(struct token_keys *keys, const char *token, enum token_status expected) {
    for (int64_t end = clock_mono_ms() + 30000; clock_mono_ms() < end; clock_sleep_ms(20))
        if (foreign_status(keys, token) == expected)
            return true;
    return false;
}

/* The published keys, parsed; the caller's. */
static json_t *jwks(struct token_keys *keys) {
    struct buf text = {0};
    token_keys_jwks(keys, &text);
    assert_false(text.failed);
    json_t *set = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(set);
    buf_free(&text);
    return set;
}

static size_t published(struct token_keys *keys) {
    json_t *set = jwks(keys);
    size_t count = json_array_size(json_object_get(set, "keys"));
    json_decref(set);
    return count;
}

static void a_public_key_verifies_what_the_private_one_signed(void **state) {
    (void)state;
    struct token_keys *issuer = open_keys(private_folder, true), *reader = open_keys(public_folder, false);
    char *token = foreign_issue(issuer);
    struct token_claims claims;
    assert_int_equal(foreign_status(issuer, token), TOKEN_OK);
    assert_int_equal(token_verify(reader, token, NOW, &claims), TOKEN_OK);
    assert_string_equal(claims.client_id, "shop-1");
    assert_int_equal(token_verify(reader, token, NOW + 3600, &claims), TOKEN_EXPIRED);
    assert_null(token_issue(reader, "shop-1", "order:read", NOW, &claims));
    free(token);
    token_keys_free(issuer);
    token_keys_free(reader);
}

static void published_keys_are_public(void **state) {
    (void)state;
    folder_put_private(private_folder, "a-next.pem", rsa);
    struct token_keys *issuer = open_keys(private_folder, true);
    json_t *set = jwks(issuer), *list = json_object_get(set, "keys");
    assert_int_equal(json_array_size(list), 2);
    static const char *const algorithms[] = {"ES256", "RS256"}; /* current.pem first */
    for (size_t i = 0; i < 2; i++) {
        const json_t *key = json_array_get(list, i);
        assert_string_equal(json_string_value(json_object_get(key, "alg")), algorithms[i]);
        assert_string_equal(json_string_value(json_object_get(key, "use")), "sig");
        for (const char *secret = "dpq"; *secret; secret++)
            assert_null(json_object_get(key, (char[]){*secret, '\0'}));
    }
    json_decref(set);
    token_keys_free(issuer);
    unlink(folder_path(private_folder, "a-next.pem"));
}

static void a_secret_is_not_published(void **state) {
    (void)state;
    struct token_keys *keys = token_keys_new(&foreign_options);
    assert_int_equal(published(keys), 0);
    token_keys_free(keys);
}

static void assert_unusable(bool issues, const char *why) {
    struct token_keys *keys = keys_of(private_folder, issues);
    if (keys)
        fail_msg("taken: %s", why);
}

static void folders_without_good_keys_are_refused(void **state) {
    (void)state;
    assert_unusable(false, "a private key where only public ones are needed");
    folder_put_text(private_folder, "next.pem", "nonsense");
    assert_unusable(true, "a file that is no key");
    unlink(folder_path(private_folder, "next.pem"));
    folder_rename(private_folder, "current.pem", "next.pem");
    assert_unusable(true, "nothing to sign with");
    folder_put_public(private_folder, "current.pem", second);
    assert_unusable(true, "a public key to sign with");
    unlink(folder_path(private_folder, "current.pem"));
    folder_rename(private_folder, "next.pem", "next.key");
    assert_unusable(true, "no keys");
    folder_rename(private_folder, "next.key", "current.pem");
    for (int i = 0; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "retired-%d.pem", i);
        folder_put_public(private_folder, name, second);
    }
    assert_unusable(true, "too many keys");
    for (int i = 0; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "retired-%d.pem", i);
        unlink(folder_path(private_folder, name));
    }
    assert_null(keys_of("/nonexistent", true));
}

/* Neither kind of key takes the other's tokens, whatever their headers say. */
static void secret_and_key_pairs_do_not_mix(void **state) {
    (void)state;
    struct token_keys *pairs = open_keys(private_folder, true), *secret = token_keys_new(&foreign_options);
    char *signed_by_pair = foreign_issue(pairs), *signed_by_secret = foreign_issue(secret);
    assert_int_equal(foreign_status(pairs, signed_by_pair), TOKEN_OK);
    assert_int_equal(foreign_status(secret, signed_by_secret), TOKEN_OK);
    assert_int_equal(foreign_status(secret, signed_by_pair), TOKEN_INVALID);
    assert_int_equal(foreign_status(pairs, signed_by_secret), TOKEN_INVALID);
    free(signed_by_pair);
    free(signed_by_secret);
    token_keys_free(pairs);
    token_keys_free(secret);
}

/* A token that is right, but for its header; signed by key, or with HMAC when that is NULL. */
static const char *forge(const char *header, EVP_PKEY *key, const char *secret) {
    static char token[FOREIGN_SIZE];
    strcpy(token, foreign_token(header, FOREIGN_CLAIMS, EVP_sha256(), secret ? secret : ""));
    if (!key)
        return token;
    unsigned char signature[512];
    size_t len = sizeof signature;
    char *end = strrchr(token, '.');
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &len, (unsigned char *)token, (size_t)(end - token)),
                     1);
    EVP_MD_CTX_free(context);
    end[1] = '\0';
    append_base64url(token, signature, len);
    return token;
}

/* The public key's own text as a secret, which is the classic, and other ways to name a key to one's taste.
 */
static void the_algorithm_is_that_of_the_key(void **state) {
    (void)state;
    folder_put_private(private_folder, "current.pem", rsa);
    struct token_keys *keys = open_keys(private_folder, true);
    json_t *set = jwks(keys);
    const char *kid =
        json_string_value(json_object_get(json_array_get(json_object_get(set, "keys"), 0), "kid"));
    char header[512], pem[1024] = "";
    folder_put_public(public_folder, "other.pem", rsa);
    FILE *file = fopen(folder_path(public_folder, "other.pem"), "r");
    assert_true(fread(pem, 1, sizeof pem - 1, file) > 0);
    fclose(file);

    snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid);
    assert_int_equal(foreign_status(keys, forge(header, rsa, NULL)), TOKEN_OK);
    assert_int_equal(foreign_status(keys, forge(header, NULL, pem)), TOKEN_INVALID);
    assert_int_equal(foreign_status(keys, forge(header, second, NULL)), TOKEN_INVALID);
    static const char *const refused[] = {
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
        "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
        "{\"alg\":\"RS512\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
        "{\"alg\":\"PS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}",
        "{\"alg\":\"RS256\",\"kid\":\"%s\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":[\"%s\"]}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s \"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\",\"crit\":[\"kid\"]}",
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *rest = strstr(refused[i], "%s");
        snprintf(header, sizeof header, "%.*s%s%s", (int)(rest - refused[i]), refused[i], kid, rest + 2);
        if (foreign_status(keys, forge(header, rsa, NULL)) != TOKEN_INVALID ||
            foreign_status(keys, forge(header, NULL, pem)) != TOKEN_INVALID)
            fail_msg("accepted the header %s", header);
    }
    static const char *const others[] = {
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"current.pem\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"../../x\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"' OR 1=1\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_int_equal(foreign_status(keys, forge(others[i], rsa, NULL)), TOKEN_INVALID);
        assert_int_equal(foreign_status(keys, forge(others[i], NULL, "")), TOKEN_INVALID);
    }
    json_decref(set);
    token_keys_free(keys);
    unlink(folder_path(public_folder, "other.pem"));
    folder_put_private(private_folder, "current.pem", first);
}

/* Next, current, retired: no token fails on the way, and one whose key is gone does, also if it was known. */
static void a_rotation_loses_no_token(void **state) {
    (void)state;
    struct token_keys *issuer = open_keys(private_folder, true), *reader = open_keys(public_folder, false);
    char *old = foreign_issue(issuer);
    assert_int_equal(foreign_status(reader, old), TOKEN_OK);

    folder_put_private(private_folder, "next.pem", second);
    folder_put_public(public_folder, "next.pem", second);
    while (published(issuer) != 2 || published(reader) != 2)
        clock_sleep_ms(20);
    char *token = foreign_issue(issuer);
    assert_memory_equal(token, old, strcspn(old, ".")); /* signed by the same key as before */
    free(token);

    folder_rename(private_folder, "current.pem", "retired.pem");
    folder_rename(private_folder, "next.pem", "current.pem");
    for (int64_t end = clock_mono_ms() + 30000; clock_mono_ms() < end; clock_sleep_ms(20)) {
        token = foreign_issue(issuer);
        assert_int_equal(foreign_status(reader, token), TOKEN_OK);
        assert_int_equal(foreign_status(issuer, token), TOKEN_OK);
        if (strncmp(token, old, strcspn(old, ".")) != 0)
            break;
        free(token);
        token = NULL;
    }
    assert_non_null(token);
    assert_int_equal(foreign_status(issuer, old), TOKEN_OK);
    assert_int_equal(foreign_status(reader, old), TOKEN_OK);

    unlink(folder_path(private_folder, "retired.pem"));
    folder_rename(public_folder, "next.pem", "current.pem");
    assert_true(becomes(issuer, old, TOKEN_INVALID));
    assert_true(becomes(reader, old, TOKEN_INVALID));
    assert_int_equal(foreign_status(issuer, token), TOKEN_OK);
    assert_int_equal(foreign_status(reader, token), TOKEN_OK);
    free(old);
    free(token);
    token_keys_free(issuer);
    token_keys_free(reader);
}

/* A leaked key is deleted in a hurry: nothing else that is wrong with the folder may keep it. */
static void a_deleted_key_is_void_whatever_else_is_wrong(void **state) {
    (void)state;
    struct token_keys *keys = open_keys(private_folder, true); /* signs with second */
    char *leaked = foreign_issue(keys);
    folder_rename(private_folder, "current.pem", "leaked.pem");
    folder_put_private(private_folder, "current.pem", rsa);
    while (published(keys) != 2)
        clock_sleep_ms(20);
    assert_int_equal(foreign_status(keys, leaked), TOKEN_OK);
    char *good = foreign_issue(keys);
    folder_put_text(private_folder, "broken.pem", "-----BEGIN");
    unlink(folder_path(private_folder, "leaked.pem"));
    assert_true(becomes(keys, leaked, TOKEN_INVALID));
    assert_int_equal(foreign_status(keys, good), TOKEN_OK);
    char *next = foreign_issue(keys);
    assert_int_equal(foreign_status(keys, next), TOKEN_OK);
    free(next);

    /* The key that signs is the leaked one, and there is no other: then nobody gets a token. */
    unlink(folder_path(private_folder, "current.pem"));
    assert_true(becomes(keys, good, TOKEN_INVALID));
    struct token_claims claims;
    assert_null(token_issue(keys, "shop-1", "order:read", NOW, &claims));
    assert_int_equal(published(keys), 0);

    unlink(folder_path(private_folder, "broken.pem"));
    folder_put_private(private_folder, "current.pem", second);
    assert_true(becomes(keys, leaked, TOKEN_OK)); /* the key is back, and with it its tokens */
    free(leaked);
    free(good);
    token_keys_free(keys);
}

/* Also of delivery-svc, and when the last file is gone. */
static void the_last_key_is_void_once_it_is_deleted(void **state) {
    (void)state;
    struct token_keys *issuer = open_keys(private_folder, true), *reader;
    folder_put_public(public_folder, "current.pem", second);
    reader = open_keys(public_folder, false);
    char *token = foreign_issue(issuer);
    assert_int_equal(foreign_status(reader, token), TOKEN_OK);
    folder_rename(public_folder, "current.pem", "current.gone");
    assert_true(becomes(reader, token, TOKEN_INVALID));
    folder_rename(public_folder, "current.gone", "current.pem");
    assert_true(becomes(reader, token, TOKEN_OK));
    free(token);
    token_keys_free(issuer);
    token_keys_free(reader);
}

/* Between the two renames of a rotation no file is called current.pem. */
static void a_key_signs_on_under_another_name(void **state) {
    (void)state;
    struct token_keys *keys = open_keys(private_folder, true);
    char *token = foreign_issue(keys);
    folder_put_private(private_folder, "next.pem", rsa);
    folder_rename(private_folder, "current.pem", "retired.pem");
    while (published(keys) != 2)
        clock_sleep_ms(20);
    clock_sleep_ms(1500);
    char *later = foreign_issue(keys);
    assert_memory_equal(later, token, strcspn(token, "."));
    assert_int_equal(foreign_status(keys, token), TOKEN_OK);
    folder_rename(private_folder, "retired.pem", "current.pem");
    unlink(folder_path(private_folder, "next.pem"));
    free(token);
    free(later);
    token_keys_free(keys);
}

static void a_broken_change_leaves_the_keys(void **state) {
    (void)state;
    struct token_keys *keys = open_keys(private_folder, true);
    char *token = foreign_issue(keys);
    folder_put_text(private_folder, "next.pem", "-----BEGIN");
    clock_sleep_ms(1500); /* it may have looked; if not, the test sees less, but is not wrong */
    assert_int_equal(foreign_status(keys, token), TOKEN_OK);
    assert_int_equal(published(keys), 1);
    folder_put_public(private_folder, "next.pem", first);
    while (published(keys) != 2)
        clock_sleep_ms(20);
    assert_int_equal(foreign_status(keys, token), TOKEN_OK);
    free(token);
    token_keys_free(keys);
    unlink(folder_path(private_folder, "next.pem"));
}

static atomic_bool enough;

static void *work(void *cls) {
    struct token_keys *keys = cls;
    size_t failures = 0;
    while (!atomic_load(&enough)) {
        char *token = foreign_issue(keys);
        failures += foreign_status(keys, token) != TOKEN_OK || foreign_status(keys, token) != TOKEN_OK;
        free(token);
    }
    return failures ? keys : NULL;
}

/* Keys change under the hands of those who use them. */
static void keys_change_under_load(void **state) {
    (void)state;
    struct token_keys *keys = open_keys(private_folder, true);
    pthread_t threads[2];
    atomic_store(&enough, false);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, keys), 0);
    for (size_t round = 0; round < 4; round++) {
        if (round % 2 == 0)
            folder_put_public(private_folder, "next.pem", rsa);
        else
            unlink(folder_path(private_folder, "next.pem"));
        while (published(keys) != 2 - round % 2)
            clock_sleep_ms(20);
    }
    atomic_store(&enough, true);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    token_keys_free(keys);
}

int main(void) {
    log_setup("test", LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_key_verifies_what_the_private_one_signed),
        cmocka_unit_test(published_keys_are_public),
        cmocka_unit_test(a_secret_is_not_published),
        cmocka_unit_test(folders_without_good_keys_are_refused),
        cmocka_unit_test(secret_and_key_pairs_do_not_mix),
        cmocka_unit_test(the_algorithm_is_that_of_the_key),
        cmocka_unit_test(a_rotation_loses_no_token),
        cmocka_unit_test(a_deleted_key_is_void_whatever_else_is_wrong),
        cmocka_unit_test(the_last_key_is_void_once_it_is_deleted),
        cmocka_unit_test(a_key_signs_on_under_another_name),
        cmocka_unit_test(a_broken_change_leaves_the_keys),
        cmocka_unit_test(keys_change_under_load),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
