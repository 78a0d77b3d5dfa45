/* order-svc erase: replaces a customer in all that is stored, batch by batch, until nothing is left. */
#include "erasure_command.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "erasure.h"
#include "erasure_repeat_store.h"
#include "erasure_store.h"
#include "order_receipts.h"
#include "order_views.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char erase_usage[] =
    "usage: order-svc erase --customer ID [--client ID] [--actor NAME]   of all clients, or of one\n"
    "       order-svc erase --customer - ...                             ids from standard input, one a line\n"
    "       order-svc erase --repeat                                     tells delivery-svc again of all\n";

enum {
    ACTOR_SIZE = 256,
    LINE_SIZE = 4 * ORDER_MAX_ID_LENGTH + 3, /* of UTF-8, with its end */
    REDIS_TRIES = 5, /* REDIS_TIMEOUT is short, for requests that do not wait for it */
    REDIS_PAUSE_MS = 200,
    BUSY_TRIES = 100,
    BUSY_LEAST_MS = 50,
    BUSY_MOST_MS = 500,
    MEMORY_VALUES = 8, /* the views need one; nobody reads it */
};

struct erasing_run {
    const struct erasure_options *options;
    const char *actor;
    struct db *db;
    struct cache *cache;
    struct order_views views;
    unsigned long long erased;
    bool incomplete; /* something is left, and was told */
};

static bool erasing_failed(struct erasing_run *run, enum db_status status) {
    run->incomplete = true;
    if (status == DB_NO_MEMORY)
        fprintf(stderr, "Out of memory. Run it again: it goes on.\n");
    else
        fprintf(stderr, "Database error: %s\nRun it again: it goes on.\n", db_error(run->db));
    return false;
}

static bool find_receipt(const struct erasing_run *run, const struct erasure_idempotency_key *key,
                         struct order_receipt_place *place) {
    static const char hashed[] = ORDER_RECEIPT_HASHED;
    if (strncmp(key->key, hashed, sizeof hashed - 1) != 0)
        return order_receipt_locate(place, run->views.identity, key->client_id, key->key);
    snprintf(place->cache_key, sizeof place->cache_key, "order:create:%s", key->key + sizeof hashed - 1);
    return true;
}

/* What is written over receipts lives for a moment only: it deletes them. */
static bool locate_receipts(const struct erasing_run *run, const struct erasure_batch *batch,
                            struct order_receipt_place places[], struct cache_entry entries[]) {
    for (size_t i = 0; i < batch->key_count; i++) {
        if (!find_receipt(run, &batch->keys[i], &places[i]))
            return false;
        entries[i] = (struct cache_entry){.key = places[i].cache_key, .value = "-", .len = 1, .ttl_ms = 1};
    }
    return true;
}

/* Writes over what Redis knows of the orders: views by the ones of now, and receipts by nothing, as they have the fingerprint
 * of the order, and its reference. False, with a message, when Redis does not take it. */
static bool clean_cache(struct erasing_run *run, struct arena *arena, const struct erasure_batch *batch) {
    uint8_t database[DB_IDENTITY_SIZE];
    const struct order **orders = arena_array(arena, batch->count + 1, sizeof *orders);
    struct order_receipt_place *places = arena_array(arena, batch->key_count + 1, sizeof *places);
    struct cache_entry *entries = arena_array(arena, batch->key_count + 1, sizeof *entries);
    bool ready = orders && places && entries && db_identity_of(run->db, database) &&
                 locate_receipts(run, batch, places, entries);
    for (size_t i = 0; ready && i < batch->count; i++)
        orders[i] = &batch->orders[i];
    bool good = false;
    for (int i = 0; ready && !good && i < (run->incomplete ? 1 : REDIS_TRIES); i++) {
        if (i > 0)
            clock_sleep_ms(REDIS_PAUSE_MS);
        good = order_views_put(&run->views, database, orders, batch->count) &&
               cache_put(run->cache, entries, batch->key_count);
    }
    if (!good && !run->incomplete)
        fprintf(stderr,
                "Redis cannot be cleaned: %s\nRun it again when Redis is back. Redis itself forgets after "
                "ORDER_VIEW_TTL (orders) and IDEMPOTENCY_TTL (replays).\n",
                ready ? cache_error(run->cache) : "out of memory");
    run->incomplete |= !good;
    return good;
}

/* What others hold they give back soon. */
static bool erase_batch(struct erasing_run *run, const struct erasure *erasure, bool *more, bool *cleaned) {
    for (int i = 0;; i++) {
        struct arena arena = {0};
        struct erasure_batch batch;
        enum db_status status = erasure_store_replace(run->db, erasure, &arena, &batch);
        bool busy = db_is_busy(status) || (status == DB_OK && batch.seen && !batch.count);
        bool good = status == DB_OK && !busy;
        *more = good && batch.seen > 0;
        if (good && *more) {
            run->erased += batch.count;
            bool clean = clean_cache(run, &arena, &batch);
            *cleaned &= clean;
            status = clean ? erasure_store_forget(run->db, &batch) : DB_OK;
            good = status == DB_OK;
        }
        arena_free(&arena);
        if (good || !busy || i == BUSY_TRIES)
            return good ? true : erasing_failed(run, status);
        clock_sleep_ms(BUSY_LEAST_MS + (int64_t)random_below(BUSY_MOST_MS - BUSY_LEAST_MS));
    }
}

/* Erases the customer's orders with one client. New ones may come meanwhile: until a look finds none. */
static bool erase_with_client(struct erasing_run *run, const char *customer_id, const char *client_id,
                              const struct erasure_key *key) {
    char replacement[ERASURE_REPLACEMENT_SIZE];
    erasure_replacement(key, client_id, replacement);
    const struct erasure erasure = {customer_id, client_id, replacement, run->actor};
    unsigned long long before = run->erased;
    bool more = true, cleaned = true;
    while (more)
        if (!erase_batch(run, &erasure, &more, &cleaned))
            return false;
    if (run->erased > before)
        printf("Erased the customer of %llu order(s) of client %s.\n", run->erased - before, client_id);
    if (!cleaned)
        return true;
    enum db_status status = erasure_store_finish(run->db, replacement);
    return status == DB_OK ? true : erasing_failed(run, status);
}

static bool erase_customer(struct erasing_run *run, const char *customer_id) {
    struct erasure_key key;
    bool good = true, found = true;
    random_bytes(&key, sizeof key);
    while (good && found) {
        struct arena arena = {0};
        const char *client_id;
        enum db_status status =
            erasure_store_client(run->db, customer_id, run->options->client, &arena, &client_id);
        found = status == DB_OK && client_id;
        good = status == DB_OK ? !found || erase_with_client(run, customer_id, client_id, &key)
                               : erasing_failed(run, status);
        arena_free(&arena);
    }
    explicit_bzero(&key, sizeof key);
    return good;
}

/* Reads a line without its end. False at the end of the input. *fits: it is not too long, and has no NUL. */
static bool read_id_line(FILE *in, char line[static LINE_SIZE], bool *fits) {
    size_t len = 0;
    int c;
    *fits = true;
    while ((c = getc(in)) != EOF && c != '\n') {
        *fits &= c != '\0' && len < LINE_SIZE - 1;
        if (*fits)
            line[len++] = (char)c;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return c != EOF || len > 0 || !*fits;
}

/* A line that is no id is told by its number, and the others are erased. */
static bool erase_listed(struct erasing_run *run) {
    char line[LINE_SIZE];
    bool fits, good = true;
    for (unsigned long long number = 1; good && read_id_line(stdin, line, &fits); number++) {
        if (fits && !*line)
            continue;
        if (fits && erasure_customer_ok(line)) {
            good = erase_customer(run, line);
        } else {
            fprintf(stderr, "Line %llu is no customer's id\n", number);
            run->incomplete = true;
        }
    }
    explicit_bzero(line, sizeof line);
    if (ferror(stdin)) {
        fprintf(stderr, "Cannot read standard input\n");
        run->incomplete = true;
    }
    return good;
}

/* Rewrites what Redis keeps of the orders of one unfinished erasure. */
static bool clean_erased(struct erasing_run *run, const struct erasure *erasure) {
    struct uuid behind = {0};
    bool more = true, good = true;
    while (good && more) {
        struct arena arena = {0};
        struct erasure_batch batch;
        enum db_status status = erasure_store_erased(run->db, erasure, &behind, &arena, &batch);
        more = status == DB_OK && batch.count > 0;
        good = status == DB_OK && (!more || clean_cache(run, &arena, &batch));
        if (good && more)
            status = erasure_store_forget(run->db, &batch);
        if (status != DB_OK)
            good = erasing_failed(run, status);
        if (more)
            behind = batch.orders[batch.count - 1].id;
        arena_free(&arena);
    }
    enum db_status status = good ? erasure_store_finish(run->db, erasure->replacement) : DB_OK;
    return status == DB_OK ? good : erasing_failed(run, status);
}

/* A run that was interrupted has erased its last batch in the database, but perhaps not in Redis. (One that goes on somewhere
 * else is not disturbed: each of its batches opens its row again.) */
static bool finish_interrupted(struct erasing_run *run) {
    struct arena arena = {0};
    struct erasure erasure = {.replacement = ""};
    bool good = true;
    while (good) {
        enum db_status status = erasure_store_unfinished(run->db, erasure.replacement, &arena, &erasure);
        if (status != DB_OK)
            good = erasing_failed(run, status);
        else if (!erasure.replacement)
            break;
        else
            good = clean_erased(run, &erasure);
    }
    arena_free(&arena);
    return good;
}

static int erase_all(struct erasing_run *run) {
    const char *customer = run->options->customer;
    (void)finish_interrupted(run); /* if Redis is away, the database still comes first */
    bool good = strcmp(customer, "-") == 0 ? erase_listed(run) : erase_customer(run, customer);
    if (run->erased == 0 && good && !run->incomplete)
        printf("There is nothing to erase.\n");
    if (fflush(stdout) != 0)
        fprintf(stderr, "Cannot print what was done\n");
    return good && !run->incomplete ? 0 : 1;
}

static int repeat_all(struct db *db) {
    int64_t count;
    if (erasure_store_repeat_all(db, &count) != DB_OK) {
        fprintf(stderr, "Database error: %s\n", db_error(db));
        return 1;
    }
    printf("order-svc tells delivery-svc again of %lld erasure(s).\n", (long long)count);
    return 0;
}

/* The user of the operating system, or its number. */
static void name_user(char out[static ACTOR_SIZE]) {
    char text[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found && *found->pw_name)
        snprintf(out, ACTOR_SIZE, "%s", found->pw_name);
    else
        snprintf(out, ACTOR_SIZE, "user %lu", (unsigned long)getuid());
}

static int run_erasure(const struct config *config, const struct erasure_options *options,
                       struct db_identity *identity, struct memory_cache *memory) {
    struct db_options db_options;
    struct cache_options cache_options;
    char user[ACTOR_SIZE];
    config_db(config, "order-svc erase", &db_options);
    db_options.identity = identity;
    config_cache(config, &cache_options);
    name_user(user);
    struct erasing_run run = {.options = options,
                              .actor = options->actor ? options->actor : user,
                              .db = db_open(&db_options),
                              .cache = cache_open(&cache_options),
                              .views = {.memory = memory, .identity = identity}};
    int code = 1;
    run.views.cache = run.cache;
    run.views.ttl_ms = config->order_view_ttl;
    if (!run.db || !run.cache)
        fprintf(stderr, "Out of memory\n");
    else
        code = options->repeat ? repeat_all(run.db) : erase_all(&run);
    cache_close(run.cache);
    db_close(run.db);
    return code;
}

int erasure_command(const struct config *config, int argc, char *argv[]) {
    struct erasure_options options;
    const char *fault;
    if (!erasure_options_parse(argc, (const char *const *)argv, &options, &fault)) {
        fprintf(stderr, "%s.\n%s", fault, erase_usage);
        return 2;
    }
    struct db_identity *identity = db_identity_new();
    struct memory_cache *memory = memory_cache_new(MEMORY_VALUES);
    int code = 1;
    if (identity && memory)
        code = run_erasure(config, &options, identity, memory);
    else
        fprintf(stderr, "Out of memory\n");
    memory_cache_free(memory);
    db_identity_free(identity);
    return code;
}
