/* The OAuth clients in memory. */
#include "clients.h"

#include "client_store.h"
#include "common/config/config.h"
#include "common/base/log.h"
#include "common/base/ticker.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_MS 2000

static const struct {
    const char *id, *secret, *scope;
} demo_clients[] = {
    {"demo-client", "demo-secret", "order:create order:read"},
    {"demo-delivery", "demo-delivery-secret", "delivery:read delivery:write"},
    {"demo-admin", "demo-admin-secret", SCOPES_KNOWN},
};

#define DEMO_CLIENTS (sizeof demo_clients / sizeof *demo_clients)

/* What the table held; replaced as a whole. */
struct snapshot {
    struct arena arena;
    struct client *list; /* sorted by id */
    size_t count;
};

struct clients {
    struct client demo[DEMO_CLIENTS];
    size_t demo_count;
    struct db *db; /* of the thread that refreshes */
    bool failing;  /* the last read failed: of that thread too */
    struct ticker *ticker;
    pthread_mutex_t lock; /* of what follows */
    struct snapshot snapshot;
    bool read; /* the table was read once */
};

static void refresh(struct clients *clients) {
    struct snapshot fresh = {0};
    if (client_store_list(clients->db, &fresh.arena, &fresh.list, &fresh.count) != DB_OK) {
        if (!clients->failing)
            log_warn(NULL, "cannot read the table of clients, go on with what is known: %s",
                     db_error(clients->db));
        clients->failing = true;
        arena_free(&fresh.arena);
        return;
    }
    if (clients->failing)
        log_info(NULL, "the table of clients can be read again");
    clients->failing = false;

    pthread_mutex_lock(&clients->lock);
    struct snapshot old = clients->snapshot;
    clients->snapshot = fresh;
    clients->read = true;
    pthread_mutex_unlock(&clients->lock);
    arena_free(&old.arena);
}

static int64_t refresh_tick(void *self) {
    refresh(self);
    return REFRESH_MS;
}

struct clients *clients_start(const struct config *config) {
    struct clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    pthread_mutex_init(&clients->lock, NULL);
    clients->demo_count = config->demo_clients ? DEMO_CLIENTS : 0;
    for (size_t i = 0; i < clients->demo_count; i++) {
        struct client *client = &clients->demo[i];
        client->id = demo_clients[i].id;
        client->scope = demo_clients[i].scope;
        secret_hash(demo_clients[i].secret, client->secret_hash);
    }

    struct db_options options;
    config_db(config, "order-svc clients", &options);
    clients->db = db_open(&options);
    if (clients->db) {
        refresh(clients);
        clients->ticker = ticker_start(refresh_tick, clients);
    }
    if (clients->ticker)
        return clients;
    clients_stop(clients);
    return NULL;
}

void clients_stop(struct clients *clients) {
    if (!clients)
        return;
    ticker_stop(clients->ticker);
    db_close(clients->db);
    arena_free(&clients->snapshot.arena);
    pthread_mutex_destroy(&clients->lock);
    free(clients);
}

static int compare_id(const void *id, const void *client) {
    return strcmp(id, ((const struct client *)client)->id);
}

/* A client of the table hides a demo client of the same id. */
static const struct client *find(const struct clients *clients, const char *id) {
    const struct snapshot *snapshot = &clients->snapshot;
    const struct client *found = NULL;
    if (snapshot->count > 0)
        found = bsearch(id, snapshot->list, snapshot->count, sizeof *snapshot->list, compare_id);
    for (size_t i = 0; !found && i < clients->demo_count; i++)
        if (strcmp(clients->demo[i].id, id) == 0)
            found = &clients->demo[i];
    return found;
}

/* All that depends on whether there is such a client is the comparison's outcome: nobody stands in. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        char scope[static TOKEN_SCOPE_SIZE]) {
    static const struct client nobody = {.disabled = true};
    char presented[SECRET_HASH_SIZE];
    secret_hash(secret, presented);

    pthread_mutex_lock(&clients->lock);
    const struct client *found = find(clients, id);
    const struct client *client = found ? found : &nobody;
    bool known = found || clients->read;
    bool same = CRYPTO_memcmp(presented, client->secret_hash, sizeof presented) == 0;
    bool good = same && !client->disabled;
    if (good)
        snprintf(scope, TOKEN_SCOPE_SIZE, "%s", client->scope);
    pthread_mutex_unlock(&clients->lock);

    if (!known)
        return CLIENT_UNREAD;
    return good ? CLIENT_OK : CLIENT_REFUSED;
}
