/* One key of the tokens: made of a secret or a PEM file, named by its thumbprint, signing and verifying.
 *
 * Done with OpenSSL: libjwt 1.10 (Debian 12) neither writes nor accepts a typ other than JWT. */
#include "common/base/digest.h"
#include "private.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RSA_MIN_BITS = 2048,
    RSA_MAX_BITS = 8 * TOKEN_SIGNATURE_MAX,
    P256_BYTES = 32, /* of a coordinate, and of each half of a signature */
};

static const char *const algorithms[] = {
    [TOKEN_HS256] = "HS256", [TOKEN_RS256] = "RS256", [TOKEN_ES256] = "ES256"};

const char *token_key_algorithm(const struct token_key *key) {
    return algorithms[key->algorithm];
}

void token_key_done(struct token_key *key) {
    if (key->secret)
        OPENSSL_cleanse(key->secret, strlen(key->secret));
    free(key->secret);
    EVP_PKEY_free(key->pkey);
    buf_free(&key->jwk);
    *key = (struct token_key){0};
}

static void make_header(struct token_key *key) {
    char text[TOKEN_HEADER_SIZE * 3 / 4];
    int len =
        snprintf(text, sizeof text, "{\"alg\":\"%s\",\"typ\":\"at+jwt\"%s%s%s}", token_key_algorithm(key),
                 *key->kid ? ",\"kid\":\"" : "", key->kid, *key->kid ? "\"" : "");
    base64url_encode(text, (size_t)len, key->header);
}

bool token_key_of_secret(struct token_key *key, const char *secret, const char **fault) {
    if (strlen(secret) < TOKEN_MIN_SECRET) {
        *fault = "the secret is too short";
        return false;
    }
    *fault = "out of memory";
    *key = (struct token_key){.algorithm = TOKEN_HS256, .secret = strdup(secret), .may_sign = true};
    make_header(key);
    return key->secret;
}

/* Appends "name":"number", the number as base64url of size bytes (0: as many as it needs). */
static bool append_number(struct buf *out, const EVP_PKEY *pkey, const char *param, const char *name,
                          int size) {
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
static bool append_members(struct buf *out, const struct token_key *key) {
    buf_str(out, key->algorithm == TOKEN_RS256 ? "{" : "{\"crv\":\"P-256\",\"kty\":\"EC\",");
    if (key->algorithm == TOKEN_ES256) {
        bool x = append_number(out, key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", P256_BYTES);
        buf_char(out, ',');
        return append_number(out, key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", P256_BYTES) && x;
    }
    bool e = append_number(out, key->pkey, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    buf_str(out, ",\"kty\":\"RSA\",");
    return append_number(out, key->pkey, OSSL_PKEY_PARAM_RSA_N, "n", 0) && e;
}

/* Names the key, and writes it as it is published. */
static bool describe(struct token_key *key) {
    struct buf *jwk = &key->jwk;
    uint8_t thumbprint[SHA256_SIZE];
    bool good = append_members(jwk, key);
    size_t members = jwk->len;
    buf_char(jwk, '}');
    if (!good || jwk->failed)
        return false;
    sha256(jwk->data, jwk->len, thumbprint);
    base64url_encode(thumbprint, sizeof thumbprint, key->kid);
    jwk->len = members;
    buf_printf(jwk, ",\"use\":\"sig\",\"alg\":\"%s\",\"kid\":\"%s\"}", token_key_algorithm(key), key->kid);
    make_header(key);
    return !jwk->failed;
}

/* Which algorithm the key is for; NULL, or why for none. */
static const char *classify(struct token_key *key) {
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(key->pkey);
    if (EVP_PKEY_is_a(key->pkey, "RSA")) {
        key->algorithm = TOKEN_RS256;
        return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS ? NULL : "RSA keys must have 2048 to 4096 bits";
    }
    key->algorithm = TOKEN_ES256;
    (void)EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL);
    if (EVP_PKEY_is_a(key->pkey, "EC") && strcmp(group, "prime256v1") == 0)
        return NULL;
    return "is neither an RSA key nor one on the curve P-256";
}

/* Nobody is there to type a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *cls) {
    (void)out, (void)size, (void)writing, (void)cls;
    return -1;
}

static const char *read_pem(struct token_key *key, const char *path) {
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        return "cannot be opened";
    key->pkey = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
    key->may_sign = key->pkey;
    if (!key->pkey && BIO_reset(file) == 0)
        key->pkey = PEM_read_bio_PUBKEY(file, NULL, no_passphrase, NULL);
    BIO_free(file);
    return key->pkey ? NULL : "holds no PEM key that can be read without a passphrase";
}

bool token_key_of_pem(struct token_key *key, const char *path, const char **fault) {
    *key = (struct token_key){0};
    *fault = read_pem(key, path);
    if (!*fault)
        *fault = classify(key);
    if (!*fault && !describe(key))
        *fault = "out of memory";
    ERR_clear_error();
    return !*fault;
}

/* JWS wants r and s side by side (RFC 7518 §3.4), OpenSSL has them in DER. */
static size_t signature_from_der(const uint8_t *der, size_t len, uint8_t *out) {
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, P256_BYTES) > 0 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + P256_BYTES, P256_BYTES) > 0;
    ECDSA_SIG_free(pair);
    return good ? 2 * P256_BYTES : 0;
}

/* The size of the DER, 0 when out of memory. */
static size_t signature_to_der(const uint8_t *in, uint8_t der[static TOKEN_SIGNATURE_MAX]) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(in, P256_BYTES, NULL), *s = BN_bin2bn(in + P256_BYTES, P256_BYTES, NULL);
    int len = 0;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        r = s = NULL; /* the pair's */
        len = i2d_ECDSA_SIG(pair, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len > 0 ? (size_t)len : 0;
}

static size_t sign_hs256(const struct token_key *key, const char *text, size_t len, uint8_t *signature) {
    return HMAC(EVP_sha256(), key->secret, (int)strlen(key->secret), (const unsigned char *)text, len,
                signature, NULL)
               ? SHA256_SIZE
               : 0;
}

size_t token_key_sign(const struct token_key *key, const char *text, size_t len,
                      uint8_t signature[static TOKEN_SIGNATURE_MAX]) {
    if (key->algorithm == TOKEN_HS256)
        return sign_hs256(key, text, len, signature);
    uint8_t made[TOKEN_SIGNATURE_MAX];
    size_t size = sizeof made;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, made, &size, (const unsigned char *)text, len) != 1)
        size = 0;
    EVP_MD_CTX_free(context);
    if (key->algorithm == TOKEN_ES256)
        return size ? signature_from_der(made, size, signature) : 0;
    memcpy(signature, made, size);
    return size;
}

static enum token_status verify_hs256(const struct token_key *key, const char *text, size_t len,
                                      const uint8_t *signature, size_t signature_len) {
    uint8_t own[SHA256_SIZE];
    if (sign_hs256(key, text, len, own) != sizeof own)
        return TOKEN_NO_MEMORY;
    bool same = signature_len == sizeof own && CRYPTO_memcmp(own, signature, sizeof own) == 0;
    return same ? TOKEN_OK : TOKEN_INVALID;
}

enum token_status token_key_verify(const struct token_key *key, const char *text, size_t len,
                                   const uint8_t *signature, size_t signature_len) {
    if (key->algorithm == TOKEN_HS256)
        return verify_hs256(key, text, len, signature, signature_len);
    uint8_t der[TOKEN_SIGNATURE_MAX];
    if (key->algorithm == TOKEN_ES256) {
        if (signature_len != 2 * P256_BYTES)
            return TOKEN_INVALID;
        signature_len = signature_to_der(signature, der);
        signature = der;
        if (!signature_len)
            return TOKEN_NO_MEMORY;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    enum token_status status = TOKEN_NO_MEMORY;
    if (context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1)
        status = EVP_DigestVerify(context, signature, signature_len, (const unsigned char *)text, len) == 1
                     ? TOKEN_OK
                     : TOKEN_INVALID;
    EVP_MD_CTX_free(context);
    if (status != TOKEN_OK)
        ERR_clear_error(); /* or it would wait for whoever looks next on this thread */
    return status;
}
