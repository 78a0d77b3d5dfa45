/* A sorted list of clients, each with its revoked tokens. */
#include "revoked_clients.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16 };

/* The first place whose id is not less. */
static size_t revoked_client_place(const struct revoked_clients *clients, const char *id) {
    size_t first = 0, end = clients->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (strcmp(clients->list[middle].id, id) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static struct revoked_client *revoked_client_at(const struct revoked_clients *clients, size_t place,
                                                const char *id) {
    bool found = place < clients->count && strcmp(clients->list[place].id, id) == 0;
    return found ? &clients->list[place] : NULL;
}

const struct revoked_client *revoked_clients_find(const struct revoked_clients *clients, const char *id) {
    return revoked_client_at(clients, revoked_client_place(clients, id), id);
}

static bool revoked_clients_grow(struct revoked_clients *clients) {
    if (clients->count < clients->capacity)
        return true;
    size_t capacity = clients->capacity ? 2 * clients->capacity : FIRST_CAPACITY;
    struct revoked_client *list = realloc(clients->list, capacity * sizeof *list);
    if (!list)
        return false;
    clients->list = list;
    clients->capacity = capacity;
    return true;
}

/* Finds or adds the client. NULL when out of memory. */
static struct revoked_client *revoked_clients_open(struct revoked_clients *clients, const char *id) {
    size_t place = revoked_client_place(clients, id);
    struct revoked_client *client = revoked_client_at(clients, place, id);
    if (client)
        return client;
    char *copy = revoked_clients_grow(clients) ? strdup(id) : NULL;
    if (!copy)
        return NULL;
    client = &clients->list[place];
    memmove(client + 1, client, (clients->count - place) * sizeof *client);
    *client = (struct revoked_client){.id = copy, .before_ms = REVOCATION_NO_TIME};
    clients->count++;
    return client;
}

/* Whether the token needs no entry, because all of its time are revoked. */
static bool revoked_client_covers(const struct revoked_client *client, int64_t issued_ms) {
    return issued_ms != REVOCATION_NO_TIME && issued_ms < client->before_ms;
}

bool revoked_clients_add(struct revoked_clients *clients, const struct revocation *revocation,
                         int64_t now_s) {
    if (revocation->expires_at <= now_s)
        return true;
    struct revoked_client *client =
        revoked_clients_open(clients, revocation->client_id ? revocation->client_id : "");
    if (!client)
        return false;
    if (revoked_client_covers(client, revocation->issued_ms))
        return true;
    size_t before = client->tokens.count;
    const struct revoked_token token = {revocation->token_id, revocation->expires_at, revocation->issued_ms};
    bool added = revocation_set_add(&client->tokens, &token, now_s);
    clients->tokens += client->tokens.count - before;
    return added;
}

static void revoked_client_tidy(struct revoked_clients *clients, struct revoked_client *client,
                                int64_t now_s) {
    size_t before = client->tokens.count;
    revocation_set_tidy(&client->tokens, now_s, client->before_ms);
    clients->tokens -= before - client->tokens.count;
}

bool revoked_clients_end(struct revoked_clients *clients, const struct client_revocation *end,
                         int64_t now_s) {
    if (end->expires_at <= now_s)
        return true;
    struct revoked_client *client = revoked_clients_open(clients, end->client_id);
    if (!client)
        return false;
    if (end->before_ms <= client->before_ms)
        return true;
    client->before_ms = end->before_ms;
    client->before_expires_at = end->expires_at;
    revoked_client_tidy(clients, client, now_s);
    return true;
}

bool revoked_clients_has(const struct revoked_clients *clients, const char *client_id,
                         const struct uuid *token_id, int64_t issued_ms) {
    if (clients->count == 0)
        return false;
    const struct revoked_client *client = revoked_clients_find(clients, client_id);
    if (client && (issued_ms < client->before_ms || revocation_set_has(&client->tokens, token_id)))
        return true;
    const struct revoked_client *nobody = revoked_clients_find(clients, "");
    return nobody && revocation_set_has(&nobody->tokens, token_id);
}

static void revoked_client_free(struct revoked_client *client) {
    revocation_set_free(&client->tokens);
    free(client->id);
}

void revoked_clients_tidy(struct revoked_clients *clients, int64_t now_s) {
    size_t kept = 0;
    for (size_t i = 0; i < clients->count; i++) {
        struct revoked_client *client = &clients->list[i];
        if (client->before_expires_at <= now_s)
            client->before_ms = REVOCATION_NO_TIME;
        revoked_client_tidy(clients, client, now_s);
        if (client->tokens.count > 0 || client->before_ms != REVOCATION_NO_TIME)
            clients->list[kept++] = *client;
        else
            revoked_client_free(client);
    }
    clients->count = kept;
}

void revoked_clients_free(struct revoked_clients *clients) {
    for (size_t i = 0; i < clients->count; i++)
        revoked_client_free(&clients->list[i]);
    free(clients->list);
    *clients = (struct revoked_clients){0};
}
