/* Following the identity of the database. */
#include "common/base/digest.h"
#include "common/base/log.h"
#include "private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 64, TIMELINE_DIGITS = 8 };

struct db_identity {
    pthread_mutex_t lock; /* of what follows */
    bool known;
    char text[TEXT_SIZE];
    uint8_t hash[SHA256_SIZE];
    atomic_uint changes;
    atomic_llong used_ms; /* when it was last in use */
    struct db_search direct, pooler;
};

struct db_search *db_identity_search(struct db_identity *identity, bool pooler) {
    if (!identity)
        return NULL;
    return pooler ? &identity->pooler : &identity->direct;
}

struct db_identity *db_identity_new(void) {
    struct db_identity *identity = calloc(1, sizeof *identity);
    if (!identity)
        return NULL;
    pthread_mutex_init(&identity->lock, NULL);
    db_search_init(&identity->direct);
    db_search_init(&identity->pooler);
    return identity;
}

void db_identity_free(struct db_identity *identity) {
    if (!identity)
        return;
    pthread_mutex_destroy(&identity->lock);
    db_search_destroy(&identity->direct);
    db_search_destroy(&identity->pooler);
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

/* Whether both are of one database, and the first is of an earlier timeline. */
static bool precedes(const char *text, const char *other) {
    size_t system = strcspn(text, "/") + 1, database = system + TIMELINE_DIGITS;
    return strlen(text) > database && strlen(other) > database && strncmp(text, other, system) == 0 &&
           strcmp(text + database, other + database) == 0 &&
           strncmp(text + system, other + system, TIMELINE_DIGITS) < 0;
}

bool db_identity_note(struct db_identity *identity, const char *text, int64_t now_ms,
                      uint8_t out[static DB_IDENTITY_SIZE], unsigned *changes) {
    uint8_t hash[SHA256_SIZE];
    sha256(text, strlen(text), hash);
    memcpy(out, hash, DB_IDENTITY_SIZE);
    pthread_mutex_lock(&identity->lock);
    bool changed = identity->known && memcmp(identity->hash, hash, sizeof hash) != 0;
    bool old = changed && precedes(text, identity->text) &&
               now_ms - atomic_load(&identity->used_ms) < DB_IDENTITY_FENCE_MS;
    if (!old) {
        identity->known = true;
        snprintf(identity->text, sizeof identity->text, "%s", text);
        memcpy(identity->hash, hash, sizeof hash);
        atomic_store(&identity->used_ms, now_ms);
        *changes = atomic_fetch_add(&identity->changes, changed) + changed;
    }
    pthread_mutex_unlock(&identity->lock);
    if (changed && !old)
        log_warn(NULL,
                 "the database was replaced (failover or restore, now %s): forgetting what was cached of it",
                 text);
    return !old;
}

bool db_identity_used_since(struct db_identity *identity, int64_t began_ms) {
    return identity && atomic_load(&identity->used_ms) > began_ms;
}

void db_identity_confirm(struct db_identity *identity, unsigned changes, int64_t now_ms) {
    if (changes == atomic_load(&identity->changes))
        atomic_store(&identity->used_ms, now_ms);
}
