/* The OAuth clients in memory. */
#include "clients.h"

#include "app.h"
#include "client_store.h"
#include "common/base/clock.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_MS 500

static const struct {
    const char *id, *secret, *scope;
} demo_clients[] = {
    {"demo-client", "demo-secret", "order:create order:read"},
    {"test-client", "demo-secret", "order:create order:read"},
    {"order-app", "demo-secret", "order:create order:read"},
    {"demo-delivery", "demo-delivery-secret", "delivery:read delivery:read:all delivery:write"},
    {"demo-admin", "demo-admin-secret", SCOPES_KNOWN},
};

#define DEMO_CLIENTS (sizeof demo_clients / sizeof *demo_clients)

/* The clients of the table. Each read replaces it as a whole. */
struct snapshot {
    struct arena arena;
    struct client *list; /* sorted by id */
    size_t count;
};

struct clients {
    struct client demo[DEMO_CLIENTS];
    size_t demo_count;
    struct db_job *job;   /* reads the table */
    pthread_mutex_t lock; /* protects the rest */
    struct snapshot snapshot;
    int64_t fresh_until_ms; /* on the monotonic clock; 0: the table was never read */
};

static int64_t refresh_clients(void *self, struct db *db, enum db_status *status) {
    struct clients *clients = self;
    struct snapshot fresh = {0};
    int64_t now_ms = clock_mono_ms();
    *status = client_store_list(db, &fresh.arena, &fresh.list, &fresh.count);
    if (*status != DB_OK) {
        arena_free(&fresh.arena);
        return REFRESH_MS;
    }
    pthread_mutex_lock(&clients->lock);
    struct snapshot old = clients->snapshot;
    clients->snapshot = fresh;
    clients->fresh_until_ms = now_ms + CLIENTS_MAX_AGE_MS;
    pthread_mutex_unlock(&clients->lock);
    arena_free(&old.arena);
    return REFRESH_MS;
}

static void add_demo_clients(struct clients *clients) {
    for (; clients->demo_count < DEMO_CLIENTS; clients->demo_count++) {
        struct client *client = &clients->demo[clients->demo_count];
        client->id = demo_clients[clients->demo_count].id;
        client->scope = demo_clients[clients->demo_count].scope;
        secret_hash(demo_clients[clients->demo_count].secret, client->secret_hash);
    }
}

void *clients_start(void *app) {
    const struct service *service = &((const struct order_app *)app)->service;
    struct clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    pthread_mutex_init(&clients->lock, NULL);
    if (service->config->demo_clients)
        add_demo_clients(clients);
    clients->job = db_job_start(&(struct db_job_options){.name = "list of clients",
                                                         .db = service_db_of(service, DB_PROMPT),
                                                         .run = refresh_clients,
                                                         .self = clients,
                                                         .first_now = true});
    if (clients->job)
        return clients;
    clients_stop(clients, 0);
    return NULL;
}

void clients_stop(void *self, int64_t deadline_ms) {
    struct clients *clients = self;
    (void)deadline_ms;
    db_job_stop(clients->job);
    arena_free(&clients->snapshot.arena);
    pthread_mutex_destroy(&clients->lock);
    free(clients);
}

static int compare_client_id(const void *id, const void *client) {
    return strcmp(id, ((const struct client *)client)->id);
}

/* A client of the table hides a demo client with the same id. */
static const struct client *client_with_id(const struct clients *clients, const char *id) {
    const struct snapshot *snapshot = &clients->snapshot;
    const struct client *found = NULL;
    if (snapshot->count > 0)
        found = bsearch(id, snapshot->list, snapshot->count, sizeof *snapshot->list, compare_client_id);
    for (size_t i = 0; !found && i < clients->demo_count; i++)
        if (strcmp(clients->demo[i].id, id) == 0)
            found = &clients->demo[i];
    return found;
}

/* Demo clients are no secret of the table. */
static bool client_is_current(const struct clients *clients, const struct client *client) {
    bool demo = client >= clients->demo && client < clients->demo + clients->demo_count;
    return demo || clock_mono_ms() < clients->fresh_until_ms;
}

/* Compares with both secrets in any case, so timing does not tell which one it was. */
static bool client_has_secret(const struct client *client, const char presented[static SECRET_HASH_SIZE]) {
    bool same = CRYPTO_memcmp(presented, client->secret_hash, SECRET_HASH_SIZE) == 0;
    bool old = CRYPTO_memcmp(presented, client->old_secret_hash, SECRET_HASH_SIZE) == 0;
    return (same || old) && !client->disabled;
}

bool clients_know(struct clients *clients, const char *id) {
    pthread_mutex_lock(&clients->lock);
    bool known = client_with_id(clients, id);
    pthread_mutex_unlock(&clients->lock);
    return known;
}

/* Unknown ids are compared with a dummy secret, so timing reveals nothing. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        struct client_grant *grant) {
    static const struct client dummy = {.disabled = true};
    char presented[SECRET_HASH_SIZE];
    secret_hash(secret, presented);

    pthread_mutex_lock(&clients->lock);
    const struct client *found = client_with_id(clients, id);
    const struct client *client = found ? found : &dummy;
    bool current = client_is_current(clients, client);
    bool good = client_has_secret(client, presented) && current;
    if (good) {
        snprintf(grant->scope, sizeof grant->scope, "%s", client->scope);
        grant->from_ms = client->from_ms;
    }
    pthread_mutex_unlock(&clients->lock);

    if (!current)
        return CLIENT_UNREAD;
    return good ? CLIENT_OK : CLIENT_REFUSED;
}
