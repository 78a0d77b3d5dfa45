/* Following the identity of the database. */
#include "common/base/digest.h"
#include "common/base/log.h"
#include "private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct db_identity {
    pthread_mutex_t lock; /* of what follows */
    bool known;
    uint8_t hash[SHA256_SIZE];
    atomic_uint changes;
};

struct db_identity *db_identity_new(void) {
    struct db_identity *identity = calloc(1, sizeof *identity);
    if (identity)
        pthread_mutex_init(&identity->lock, NULL);
    return identity;
}

void db_identity_free(struct db_identity *identity) {
    if (identity)
        pthread_mutex_destroy(&identity->lock);
    free(identity);
}

bool db_identity_get(struct db_identity *identity, uint8_t out[static DB_IDENTITY_SIZE]) {
    if (!identity)
        return false;
    pthread_mutex_lock(&identity->lock);
    bool known = identity->known;
    memcpy(out, identity->hash, DB_IDENTITY_SIZE);
    pthread_mutex_unlock(&identity->lock);
    return known;
}

unsigned db_identity_changes(const struct db_identity *identity) {
    return identity ? atomic_load(&identity->changes) : 0;
}

unsigned db_identity_note(struct db_identity *identity, const char *text,
                          uint8_t out[static DB_IDENTITY_SIZE]) {
    uint8_t hash[SHA256_SIZE];
    sha256(text, strlen(text), hash);
    memcpy(out, hash, DB_IDENTITY_SIZE);
    pthread_mutex_lock(&identity->lock);
    bool changed = identity->known && memcmp(identity->hash, hash, sizeof hash) != 0;
    identity->known = true;
    memcpy(identity->hash, hash, sizeof hash);
    unsigned changes = atomic_fetch_add(&identity->changes, changed) + changed;
    pthread_mutex_unlock(&identity->lock);
    if (changed)
        log_warn(NULL,
                 "the database was replaced (failover or restore, now %s): forgetting what was cached of it",
                 text);
    return changes;
}
