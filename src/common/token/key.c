/* One key of the tokens: made of a secret or a PEM file, named by its thumbprint, published as a JWK.
 *
 * Done with OpenSSL: libjwt 1.x knows neither JWK nor thumbprint. What it signs and verifies with is text, a
 * key pair as PEM. That is written anew, so what is in a file besides the key does not get there, and nobody
 * is asked for a passphrase. */
#include "private.h"

#include "common/base/digest.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RSA_MIN_BITS = 2048,
    RSA_MAX_BITS = 8 * TOKEN_SIGNATURE_MAX,
    P256_BYTES = 32, /* of a coordinate, and of each half of a signature */
};

const char token_key_shortage[] = "cannot be read for lack of memory or file descriptors";
const char token_key_gone[] = "is gone";

static const char *const token_key_algorithms[] = {
    [TOKEN_HS256] = "HS256", [TOKEN_RS256] = "RS256", [TOKEN_ES256] = "ES256"};

const char *token_key_algorithm(const struct token_key *key) {
    return token_key_algorithms[key->algorithm];
}

static void token_key_wipe(char *text) {
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void token_key_done(struct token_key *key) {
    token_key_wipe(key->sign_with);
    token_key_wipe(key->verify_with);
    buf_free(&key->jwk);
    *key = (struct token_key){0};
}

bool token_key_of_secret(struct token_key *key, const char *secret, const char **fault) {
    if (strlen(secret) < TOKEN_MIN_SECRET) {
        *fault = "the secret is too short";
        return false;
    }
    *fault = token_key_shortage;
    *key = (struct token_key){.algorithm = TOKEN_HS256,
                              .sign_with = strdup(secret),
                              .verify_with = strdup(secret),
                              .signature_len = BASE64URL_SIZE(SHA256_SIZE) - 1};
    return key->sign_with && key->verify_with;
}

/* Appends "name":"number", the number as base64url of size bytes (0: as many as it needs). */
static bool token_key_append_number(struct buf *out, const EVP_PKEY *pkey, const char *param,
                                    const char *name, int size) {
    unsigned char bytes[TOKEN_SIGNATURE_MAX];
    char text[BASE64URL_SIZE(sizeof bytes)];
    BIGNUM *number = NULL;
    int len = -1;
    if (EVP_PKEY_get_bn_param(pkey, param, &number))
        len = BN_bn2binpad(number, bytes, size ? size : BN_num_bytes(number));
    BN_free(number);
    if (len <= 0)
        return false;
    base64url_encode(bytes, (size_t)len, text);
    buf_printf(out, "\"%s\":\"%s\"", name, text);
    return true;
}

/* The members that make the key, in the order and form that its thumbprint is taken of (RFC 7638 §3.2). */
static bool token_key_append_members(struct buf *out, const struct token_key *key, const EVP_PKEY *pkey) {
    buf_str(out, key->algorithm == TOKEN_RS256 ? "{" : "{\"crv\":\"P-256\",\"kty\":\"EC\",");
    if (key->algorithm == TOKEN_ES256) {
        bool x = token_key_append_number(out, pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", P256_BYTES);
        buf_char(out, ',');
        return token_key_append_number(out, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", P256_BYTES) && x;
    }
    bool e = token_key_append_number(out, pkey, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    buf_str(out, ",\"kty\":\"RSA\",");
    return token_key_append_number(out, pkey, OSSL_PKEY_PARAM_RSA_N, "n", 0) && e;
}

/* Names the key, and writes it as it is published. */
static bool token_key_describe(struct token_key *key, const EVP_PKEY *pkey) {
    struct buf *jwk = &key->jwk;
    uint8_t thumbprint[SHA256_SIZE];
    bool good = token_key_append_members(jwk, key, pkey);
    size_t members = jwk->len;
    buf_char(jwk, '}');
    if (!good || jwk->failed)
        return false;
    sha256(jwk->data, jwk->len, thumbprint);
    base64url_encode(thumbprint, sizeof thumbprint, key->kid);
    jwk->len = members;
    buf_printf(jwk, ",\"use\":\"sig\",\"alg\":\"%s\",\"kid\":\"%s\"}", token_key_algorithm(key), key->kid);
    return !jwk->failed;
}

/* Which algorithm the key is for; NULL, or why for none. */
static const char *token_key_classify(struct token_key *key, const EVP_PKEY *pkey) {
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        key->algorithm = TOKEN_RS256;
        key->signature_len = BASE64URL_SIZE((size_t)EVP_PKEY_get_size(pkey)) - 1;
        return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS ? NULL : "RSA keys must have 2048 to 4096 bits";
    }
    key->algorithm = TOKEN_ES256;
    key->signature_len = BASE64URL_SIZE(2 * P256_BYTES) - 1;
    (void)EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL);
    if (EVP_PKEY_is_a(pkey, "EC") && strcmp(group, "prime256v1") == 0)
        return NULL;
    return "is neither an RSA key nor one on the curve P-256";
}

/* Nobody is there to type a passphrase. */
static int token_key_no_passphrase(char *out, int size, int writing, void *cls) {
    (void)out, (void)size, (void)writing, (void)cls;
    return -1;
}

static const char *key_open_fault(int error) {
    if (error == ENOENT)
        return token_key_gone;
    if (error == EMFILE || error == ENFILE || error == ENOMEM)
        return token_key_shortage;
    return error ? strerrordesc_np(error) : "cannot be opened";
}

/* The key of the file, NULL when there is none; the caller's. */
static EVP_PKEY *token_key_read_pem(const char *path, bool *is_private, const char **fault) {
    errno = 0;
    BIO *file = BIO_new_file(path, "r");
    if (!file) {
        *fault = key_open_fault(errno);
        return NULL;
    }
    *fault = "holds no PEM key that can be read without a passphrase";
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(file, NULL, token_key_no_passphrase, NULL);
    *is_private = pkey;
    if (!pkey && BIO_reset(file) == 0)
        pkey = PEM_read_bio_PUBKEY(file, NULL, token_key_no_passphrase, NULL);
    BIO_free(file);
    return pkey;
}

/* The key as PEM; NULL when out of memory. OpenSSL wipes the memory of a BIO. */
static char *token_key_write_pem(EVP_PKEY *pkey, bool private) {
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL, *pem = NULL;
    bool written = out && (private ? PEM_write_bio_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL)
                                   : PEM_write_bio_PUBKEY(out, pkey)) == 1;
    if (written && BIO_write(out, "", 1) == 1 && BIO_get_mem_data(out, &text) > 1)
        pem = strdup(text);
    BIO_free(out);
    return pem;
}

static bool token_key_write_texts(struct token_key *key, EVP_PKEY *pkey, bool is_private) {
    key->verify_with = token_key_write_pem(pkey, false);
    if (is_private)
        key->sign_with = token_key_write_pem(pkey, true);
    return key->verify_with && (key->sign_with || !is_private);
}

bool token_key_of_pem(struct token_key *key, const char *path, const char **fault) {
    *key = (struct token_key){0};
    bool is_private, good = false;
    EVP_PKEY *pkey = token_key_read_pem(path, &is_private, fault);
    if (pkey) {
        *fault = token_key_classify(key, pkey);
        good = !*fault && token_key_write_texts(key, pkey, is_private) && token_key_describe(key, pkey);
        if (!good && !*fault)
            *fault = token_key_shortage;
        EVP_PKEY_free(pkey);
    }
    ERR_clear_error();
    return good;
}
