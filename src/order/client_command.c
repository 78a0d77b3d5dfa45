/* order-svc client add|list|rotate|retire|scope|disable|enable|delete. */
#include "client_command.h"

#include "client_change.h"
#include "client_store.h"
#include "common/base/base64.h"
#include "common/base/random.h"
#include "common/config/config.h"
#include "common/config/duration.h"

#include <stdio.h>
#include <string.h>

#define SECRET_BYTES 32
#define GRACE_MS (INT64_C(24) * 3600 * 1000)
#define MAX_GRACE_MS (30 * GRACE_MS)

static const char usage[] =
    "usage: order-svc client add ID SCOPE...\n"
    "       order-svc client list\n"
    "       order-svc client rotate ID [--grace DURATION | --now]  new secret; the old one is valid for 24h,\n"
    "                                  for DURATION, or ends at once with all tokens\n"
    "       order-svc client retire ID                             ends the old secret\n"
    "       order-svc client scope ID SCOPE...                     ends the tokens if a scope is taken away\n"
    "       order-svc client disable ID                            ends all tokens\n"
    "       order-svc client enable ID\n"
    "       order-svc client delete ID                             ends all tokens\n"
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

bool client_id_ok(const char *id) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(id);
    if (len > 0 && len < TOKEN_CLIENT_ID_SIZE && strspn(id, allowed) == len)
        return true;
    fprintf(stderr, "A client id must be 1 to %d characters of A-Z a-z 0-9 . _ -\n",
            TOKEN_CLIENT_ID_SIZE - 1);
    return false;
}

/* Joins the scopes on the command line. False, with a message, when one is not known. */
static bool read_scopes(int argc, char *argv[], char scope[static TOKEN_SCOPE_SIZE]) {
    struct buf wanted = {0};
    for (int i = 0; i < argc; i++)
        buf_printf(&wanted, "%s ", argv[i]);
    bool known = !wanted.failed && scope_narrow(SCOPES_KNOWN, wanted.data, scope);
    buf_free(&wanted);
    if (!known)
        fprintf(stderr, "Each scope must be one of: %s\n", SCOPES_KNOWN);
    return known;
}

static int client_add(struct db *db, int argc, char *argv[]) {
    const char *id = argv[0];
    char scope[TOKEN_SCOPE_SIZE];
    if (!client_id_ok(id) || !read_scopes(argc - 1, argv + 1, scope))
        return 2;
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

/* Changes a client. Returns the exit code. */
static int client_changed(struct db *db, client_change_fn *apply, struct client_change *change) {
    if (client_change_run(db, apply, change) != DB_OK)
        return database_failed(db);
    return change->done ? 0 : no_such_client(change->id);
}

static bool read_grace(int argc, char *argv[], struct client_change *change) {
    change->grace_ms = GRACE_MS;
    if (argc == 0)
        return true;
    if (argc == 1 && strcmp(argv[0], "--now") == 0) {
        change->grace_ms = 0;
        change->ends = true;
        return true;
    }
    if (argc == 2 && strcmp(argv[0], "--grace") == 0 && config_parse_duration(argv[1], &change->grace_ms) &&
        change->grace_ms <= MAX_GRACE_MS)
        return true;
    fprintf(stderr, "After the id comes nothing, --now, or --grace with a duration from 0s to 720h\n");
    return false;
}

static int client_rotate(struct db *db, int argc, char *argv[]) {
    struct secret secret;
    make_secret(&secret);
    struct client_change change = {.id = argv[0], .secret_hash = secret.hash};
    if (!read_grace(argc - 1, argv + 1, &change))
        return 2;
    int code = client_changed(db, client_change_rotate, &change);
    if (code != 0)
        return code;
    if (change.ends)
        fprintf(stderr, "The old secret and all tokens of %s are void.\n", change.id);
    return print_secret(change.id, &secret);
}

/* A change that needs no more than the id. */
static int client_change_simply(struct db *db, client_change_fn *apply, const char *id, bool ends,
                                const char *told) {
    struct client_change change = {.id = id, .ends = ends};
    int code = client_changed(db, apply, &change);
    if (code == 0)
        fprintf(stderr, "%s\n", told);
    return code;
}

static int client_retire(struct db *db, int argc, char *argv[]) {
    (void)argc;
    return client_change_simply(db, client_change_retire, argv[0], false,
                                "Retired. The old secret is not valid any more.");
}

static int client_disable(struct db *db, int argc, char *argv[]) {
    (void)argc;
    return client_change_simply(db, client_change_disable, argv[0], true,
                                "Disabled. The client gets no new tokens, and all of its tokens are void.");
}

static int client_enable(struct db *db, int argc, char *argv[]) {
    (void)argc;
    return client_change_simply(db, client_change_enable, argv[0], false,
                                "Enabled. The client gets new tokens. The old ones stay void.");
}

static int client_delete(struct db *db, int argc, char *argv[]) {
    (void)argc;
    return client_change_simply(db, client_change_delete, argv[0], true,
                                "Deleted. All tokens of the client are void.");
}

static int client_scope(struct db *db, int argc, char *argv[]) {
    char scope[TOKEN_SCOPE_SIZE];
    if (!read_scopes(argc - 1, argv + 1, scope))
        return 2;
    struct client_change change = {.id = argv[0], .scope = scope};
    int code = client_changed(db, client_change_scope, &change);
    if (code == 0)
        fprintf(stderr, "Changed.%s\n",
                change.ends ? " A scope was taken away, so all tokens of the client are void." : "");
    return code;
}

static const struct {
    const char *name;
    int min_args, max_args;
    int (*run)(struct db *db, int argc, char *argv[]);
} commands[] = {
    {"add", 2, 32, client_add},      {"list", 0, 0, client_list},     {"rotate", 1, 3, client_rotate},
    {"retire", 1, 1, client_retire}, {"scope", 2, 32, client_scope},  {"disable", 1, 1, client_disable},
    {"enable", 1, 1, client_enable}, {"delete", 1, 1, client_delete},
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
