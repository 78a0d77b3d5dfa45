/* Counts failed authentications. */
#include "guesses.h"
#include "common/base/digest.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_S = 600, LOOSER = 10 };

struct guesses {
    struct limit *by_pair, *by_address, *by_client;
};

struct guesses *guesses_new(int64_t limit) {
    struct guesses *guesses = calloc(1, sizeof *guesses);
    if (!guesses)
        return NULL;
    guesses->by_pair = limit_new(&(struct limit_policy){"failures", limit, WINDOW_S});
    guesses->by_address = limit_new(&(struct limit_policy){"failures-of-address", LOOSER * limit, WINDOW_S});
    guesses->by_client = limit_new(&(struct limit_policy){"failures-of-client", LOOSER * limit, WINDOW_S});
    if (guesses->by_pair && guesses->by_address && guesses->by_client)
        return guesses;
    guesses_free(guesses);
    return NULL;
}

void guesses_free(struct guesses *guesses) {
    if (!guesses)
        return;
    limit_free(guesses->by_pair);
    limit_free(guesses->by_address);
    limit_free(guesses->by_client);
    free(guesses);
}

/* A client and an address. The client's id may have any length, so it is hashed. */
struct key {
    struct address address;
    uint8_t client[SHA256_SIZE];
};

static struct key key_of(const char *client_id, const struct address *from) {
    struct key key = {.address = address_subscriber(from)};
    sha256(client_id, strlen(client_id), key.client);
    return key;
}

struct limit_state guesses_look(struct guesses *guesses, const char *client_id, const struct address *from,
                                int64_t now_ms) {
    struct key key = key_of(client_id, from);
    struct limit_state pair = limit_look(guesses->by_pair, &key, sizeof key, now_ms);
    if (!pair.policy || pair.refused)
        return pair;
    struct limit_state address = limit_look(guesses->by_address, &key.address, sizeof key.address, now_ms);
    if (address.refused)
        return address;
    if (pair.left == pair.policy->quota) /* no recent failure from here: others attack the client */
        return (struct limit_state){0};
    struct limit_state client = limit_look(guesses->by_client, key.client, sizeof key.client, now_ms);
    return client.refused ? client : (struct limit_state){0};
}

void guesses_failed(struct guesses *guesses, const char *client_id, const struct address *from,
                    int64_t now_ms) {
    struct key key = key_of(client_id, from);
    limit_count(guesses->by_pair, &key, sizeof key, now_ms);
    limit_count(guesses->by_address, &key.address, sizeof key.address, now_ms);
    limit_count(guesses->by_client, key.client, sizeof key.client, now_ms);
}
