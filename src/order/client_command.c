/* order-svc client add|list|rotate|disable. */
#include "client_command.h"

#include "client_store.h"
#include "common/base/base64.h"
#include "common/base/random.h"
#include "common/config/config.h"

#include <stdio.h>
#include <string.h>

#define SECRET_BYTES 32
#define MAX_ID 255

static const char usage[] = "usage: order-svc client add ID SCOPE...\n"
                            "       order-svc client list\n"
                            "       order-svc client rotate ID\n"
                            "       order-svc client disable ID\n"
                            "scopes: " SCOPES_KNOWN "\n";

/* A new secret: the text for its owner, and the hash that is stored. */
struct secret {
    char text[BASE64URL_SIZE(SECRET_BYTES)];
    char hash[SECRET_HASH_SIZE];
};

static void make_secret(struct secret *out) {
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof bytes);
    base64url_encode(bytes, sizeof bytes, out->text);
    secret_hash(out->text, out->hash);
}

static int print_secret(const char *id, const struct secret *secret) {
    printf("client_id: %s\nclient_secret: %s\n", id, secret->text);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "Cannot print the secret. Get a new one with: order-svc client rotate %s\n", id);
        return 1;
    }
    fprintf(stderr, "Save the secret now: it is not shown again. It is valid within seconds.\n");
    return 0;
}

static int database_failed(struct db *db) {
    fprintf(stderr, "Database error: %s\n", db_error(db));
    return 1;
}

static int no_such_client(const char *id) {
    fprintf(stderr, "No client %s\n", id);
    return 1;
}

/* Allows only ids that need no escaping in Basic credentials (RFC 6749 §2.3.1). Many clients forget to escape. */
static bool id_ok(const char *id) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(id);
    return len > 0 && len <= MAX_ID && strspn(id, allowed) == len;
}

static int client_add(struct db *db, int argc, char *argv[]) {
    const char *id = argv[0];
    if (!id_ok(id)) {
        fprintf(stderr, "A client id must be 1 to %d characters of A-Z a-z 0-9 . _ -\n", MAX_ID);
        return 2;
    }
    struct buf wanted = {0};
    for (int i = 1; i < argc; i++)
        buf_printf(&wanted, "%s ", argv[i]);
    char scope[TOKEN_SCOPE_SIZE];
    bool known = !wanted.failed && scope_narrow(SCOPES_KNOWN, wanted.data, scope);
    buf_free(&wanted);
    if (!known) {
        fprintf(stderr, "Each scope must be one of: %s\n", SCOPES_KNOWN);
        return 2;
    }

    struct secret secret;
    make_secret(&secret);
    struct client client = {.id = id, .scope = scope};
    memcpy(client.secret_hash, secret.hash, sizeof client.secret_hash);
    bool added;
    if (client_store_add(db, &client, &added) != DB_OK)
        return database_failed(db);
    if (!added) {
        fprintf(stderr, "Client %s already exists\n", id);
        return 1;
    }
    return print_secret(id, &secret);
}

static int client_list(struct db *db, int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    struct arena arena = {0};
    struct client *clients;
    size_t count;
    int code = 0;
    if (client_store_list(db, &arena, &clients, &count) == DB_OK)
        for (size_t i = 0; i < count; i++)
            printf("%s\t%s\t%s\n", clients[i].id, clients[i].disabled ? "disabled" : "active",
                   clients[i].scope);
    else
        code = database_failed(db);
    arena_free(&arena);
    return code;
}

static int client_rotate(struct db *db, int argc, char *argv[]) {
    (void)argc;
    struct secret secret;
    make_secret(&secret);
    bool found;
    if (client_store_rotate(db, argv[0], secret.hash, &found) != DB_OK)
        return database_failed(db);
    return found ? print_secret(argv[0], &secret) : no_such_client(argv[0]);
}

static int client_disable(struct db *db, int argc, char *argv[]) {
    (void)argc;
    bool found;
    if (client_store_disable(db, argv[0], &found) != DB_OK)
        return database_failed(db);
    if (!found)
        return no_such_client(argv[0]);
    fprintf(
        stderr,
        "Disabled. Within seconds it gets no new tokens. Tokens already issued stay valid until they expire.\n");
    return 0;
}

static const struct {
    const char *name;
    int min_args, max_args;
    int (*run)(struct db *db, int argc, char *argv[]);
} commands[] = {
    {"add", 2, 32, client_add},
    {"list", 0, 0, client_list},
    {"rotate", 1, 1, client_rotate},
    {"disable", 1, 1, client_disable},
};

int client_command(const struct config *config, int argc, char *argv[]) {
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        int args = argc - 2;
        if (strcmp(argv[1], commands[i].name) != 0 || args < commands[i].min_args ||
            args > commands[i].max_args)
            continue;
        struct db_options options;
        config_db(config, "order-svc client", &options);
        struct db *db = db_open(&options);
        if (!db) {
            fprintf(stderr, "Out of memory\n");
            return 1;
        }
        int code = commands[i].run(db, args, argv + 2);
        db_close(db);
        return code;
    }
    fputs(usage, stderr);
    return 2;
}
