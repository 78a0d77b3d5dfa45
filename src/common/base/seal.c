/* Sealing secrets: nonce, ciphertext and tag, one after the other. */
#include "common/base/seal.h"

#include "common/base/digest.h"
#include "common/base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/* Runs the cipher over one secret. Encrypting writes the tag, decrypting checks it. */
static bool run_cipher(bool encrypt, const char *key, const uint8_t nonce[static SEAL_NONCE_SIZE],
                       const void *name, size_t name_len, const void *in, size_t len, void *out, void *tag) {
    uint8_t hash[SHA256_SIZE];
    int n;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c)
        return false;
    sha256(key, strlen(key), hash);
    bool ok = EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, hash, nonce, encrypt) &&
              EVP_CipherUpdate(c, NULL, &n, name, (int)name_len) &&
              EVP_CipherUpdate(c, out, &n, in, (int)len);
    if (ok && !encrypt)
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_SIZE, tag);
    ok = ok && EVP_CipherFinal_ex(c, (uint8_t *)out + len, &n) > 0;
    if (ok && encrypt)
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_SIZE, tag);
    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(hash, sizeof hash);
    return ok;
}

bool seal(const char *key, const void *name, size_t name_len, const void *secret, size_t len, uint8_t *out) {
    uint8_t *text = out + SEAL_NONCE_SIZE;
    random_bytes(out, SEAL_NONCE_SIZE);
    return run_cipher(true, key, out, name, name_len, secret, len, text, text + len);
}

bool seal_open(const char *key, const void *name, size_t name_len, const uint8_t *sealed, size_t len,
               void *out) {
    const uint8_t *text = sealed + SEAL_NONCE_SIZE;
    uint8_t tag[SEAL_TAG_SIZE];
    memcpy(tag, text + len, sizeof tag);
    if (run_cipher(false, key, sealed, name, name_len, text, len, out, tag))
        return true;
    memset(out, 0, len); /* what was decrypted is not to be trusted */
    return false;
}
