/* Base64 by OpenSSL, under the names that libjwt calls. */
#include "base64.h"

#include <openssl/evp.h>
#include <string.h>

int jwt_Base64encode(char *coded, const char *plain, int len) {
    return EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, len) + 1;
}

int jwt_Base64decode(char *plain, const char *coded) {
    int size = (int)strlen(coded), padding = 0;
    int len = EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)coded, size);
    while (padding < size && padding < 2 && coded[size - 1 - padding] == '=')
        padding++; /* OpenSSL counts it as bytes */
    return len > padding ? len - padding : 0;
}
