/* A consumer that works over a queue and a database that are made up. */
#pragma once

#include "fakes/consumer_queue.h"

static const struct db_query probe = {"probe", "SELECT"};

struct db {
    const struct db_options *options;
};

struct db *db_open(const struct db_options *options) {
    struct db *db = malloc(sizeof *db);
    db->options = options;
    return db;
}

void db_close(struct db *db) {
    free(db);
}

const char *db_error(const struct db *db) {
    (void)db;
    return "reason";
}

enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) {
    (void)db;
    (void)params;
    (void)result;
    if (query != &probe)
        note("another query; ");
    if (world.probes_to_fail == 0)
        return DB_OK;
    world.probes_to_fail--;
    note("away; ");
    return DB_UNAVAILABLE;
}

/* Fates: ok, bad, hopeless and unknown (known before the transaction), and what the database says of the transaction
 * it is in; busy only in company. */
static enum db_status handle(void *app, struct db *db, struct consumer_message messages[], size_t n) {
    (void)app;
    (void)db;
    enum db_status status = DB_OK;
    note("do ");
    for (size_t i = 0; i < n; i++) {
        const char *fate = messages[i].message->body;
        note("%s", messages[i].message->id);
        messages[i].outcome = CONSUMER_DONE;
        if (strcmp(fate, "bad") == 0)
            messages[i].outcome = CONSUMER_RETRY;
        if (strcmp(fate, "hopeless") == 0 || strcmp(fate, "unknown") == 0)
            messages[i].outcome = CONSUMER_HOPELESS;
        if (strcmp(fate, "unknown") == 0)
            messages[i].cause = CONSUMER_UNKNOWN_ORDER;
        if (messages[i].outcome != CONSUMER_DONE)
            snprintf(messages[i].reason, sizeof messages[i].reason, "it is %s", fate);
        if (strcmp(fate, "refused") == 0)
            status = DB_REFUSED;
        if (strcmp(fate, "large") == 0)
            status = DB_NO_MEMORY;
        if (strcmp(fate, "broken") == 0)
            status = DB_FAILED;
        if (strcmp(fate, "busy") == 0 && n > 1)
            status = DB_DEADLOCK;
        if (strcmp(fate, "lost") == 0 || (strcmp(fate, "lost-alone") == 0 && n == 1)) {
            status = DB_UNAVAILABLE;
            world.probes_to_fail = 1;
        }
        if (strcmp(fate, "locked") == 0 && world.full > 0) {
            status = DB_LOCK_TIMEOUT;
            world.full -= n == 1;
        }
        if (strcmp(fate, "gone") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
            world.probes_to_fail = 2;
        }
        if (strcmp(fate, "full") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
        }
    }
    note("; ");
    return status;
}

static struct consumer *start(const char *batch, unsigned threads) {
    const struct consumer_options options = {.queue = {.name = "q.fifo",
                                                       .max_receive_count = 3,
                                                       .visibility_timeout_s = world.visibility_timeout_s},
                                             .threads = threads,
                                             .wait_s = 20,
                                             .probe = &probe,
                                             .handle = handle};
    world.batch = batch;
    world.idle = world.interrupted = world.helped = false;
    buf_clear(&world.trace);
    buf_str(&world.trace, "");
    struct consumer *consumer = consumer_start(&options);
    assert_non_null(consumer);
    return consumer;
}

static void run(const char *batch) {
    struct consumer *consumer = start(batch, 1);
    pthread_mutex_lock(&world.lock);
    wait_until(&world.idle);
    pthread_mutex_unlock(&world.lock);
    consumer_stop(consumer);
}
