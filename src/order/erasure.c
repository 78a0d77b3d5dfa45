/* The words of "order-svc erase", and what takes a customer's place. */
#include "erasure.h"

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/token/token.h"
#include "order.h"

#include <string.h>

enum { ACTOR_MAX = 255, RANDOM_BYTES = 16 };

static bool is_name(const char *text, size_t max) {
    return utf8_valid(text) && json_text_plain(text, max);
}

bool erasure_customer_ok(const char *id) {
    return is_name(id, ORDER_MAX_ID_LENGTH);
}

/* Where the value of an option goes; NULL: there is no such option. */
static const char **place_of(const char *name, struct erasure_options *options) {
    if (strcmp(name, "--customer") == 0)
        return &options->customer;
    if (strcmp(name, "--client") == 0)
        return &options->client;
    return strcmp(name, "--actor") == 0 ? &options->actor : NULL;
}

static const char *read_words(int argc, const char *const argv[], struct erasure_options *out) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--repeat") == 0) {
            out->repeat = true;
            continue;
        }
        const char **place = place_of(argv[i], out);
        if (!place)
            return "There is no such option";
        if (*place)
            return "An option is given twice";
        if (i + 1 == argc)
            return "The last option has no value";
        *place = argv[++i];
    }
    return NULL;
}

static const char *check_words(const struct erasure_options *options) {
    if (options->repeat)
        return options->customer || options->client || options->actor ? "--repeat stands alone" : NULL;
    if (!options->customer)
        return "Name the customer with --customer ID, or --customer - to read ids from standard input";
    if (!erasure_customer_ok(options->customer))
        return "A customer's id has 1 to 255 characters and no control characters";
    if (options->client && !is_name(options->client, TOKEN_CLIENT_ID_SIZE - 1))
        return "A client's id has 1 to 255 characters and no control characters";
    if (options->actor && !is_name(options->actor, ACTOR_MAX))
        return "An actor has 1 to 255 characters and no control characters";
    return NULL;
}

bool erasure_options_parse(int argc, const char *const argv[], struct erasure_options *out,
                           const char **fault) {
    *out = (struct erasure_options){0};
    *fault = read_words(argc, argv, out);
    if (!*fault)
        *fault = check_words(out);
    return !*fault;
}

void erasure_replacement(const struct erasure_key *key, const char *client_id,
                         char out[static ERASURE_REPLACEMENT_SIZE]) {
    uint8_t mac[SHA256_SIZE];
    hmac_sha256(key->bytes, sizeof key->bytes, client_id, strlen(client_id), mac);
    memcpy(out, "erased-", sizeof "erased-");
    hex_encode(mac, RANDOM_BYTES, out + sizeof "erased-" - 1);
}
