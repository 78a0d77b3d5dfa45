/* What the programs that talk to a real SQS or PostgreSQL share: settings from the environment, names of
 * their own. */
#pragma once

#include "common/db/db.h"
#include "common/queue/credentials.h"
#include "common/queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline const char *setting(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

/* A queue and its dead letters, by names that no other run uses. */
struct live_queue {
    char name[QUEUE_NAME_SIZE], dead_letters[QUEUE_NAME_SIZE];
    struct queue_options options;
};

/* Those of the environment, for all queues of the program. */
static inline struct credential_chain *live_credentials(void) {
    static struct credential_chain *chain;
    const struct credential_options options = {.key = {.text = setting("AWS_ACCESS_KEY_ID", "")},
                                               .secret = {.text = setting("AWS_SECRET_ACCESS_KEY", "")},
                                               .token = {.text = setting("AWS_SESSION_TOKEN", "")},
                                               .region = "",
                                               .role_arn = "",
                                               .token_file = "",
                                               .session_name = "",
                                               .sts_endpoint = "",
                                               .shared_file = "",
                                               .profile = "",
                                               .container_url = "",
                                               .container_path = "",
                                               .metadata_endpoint = ""};
    return chain ? chain : (chain = credentials_open(&options));
}

static inline void live_queue_init(struct live_queue *q, const char *purpose) {
    struct uuid id = uuid_new();
    char text[UUID_TEXT_SIZE];
    uuid_format(&id, text);
    snprintf(q->name, sizeof q->name, "%.30s-%s.fifo", purpose, text);
    snprintf(q->dead_letters, sizeof q->dead_letters, "%.30s-%s-dlq.fifo", purpose, text);
    q->options = (struct queue_options){.endpoint = setting("SQS_ENDPOINT", "http://localhost:9324"),
                                        .region = setting("AWS_REGION", "us-east-1"),
                                        .credentials = live_credentials(),
                                        .name = q->name,
                                        .dead_letter_name = q->dead_letters,
                                        .max_receive_count = 2,
                                        .visibility_timeout_s = 30};
}

static inline struct db_options live_db_options(void) {
    return (struct db_options){.host = setting("DB_HOST", "localhost"),
                               .port = setting("DB_PORT", "5432"),
                               .name = setting("DB_NAME", "orderprocessing"),
                               .user = setting("DB_USER", "admin"),
                               .password = {.text = setting("DB_PASSWORD", "admin123")},
                               .sslmode = "prefer",
                               .application_name = "test",
                               .connect_timeout_ms = 10000,
                               .statement_timeout_ms = 60000,
                               .lock_timeout_ms = 60000};
}

/* Creates or drops a database: verb is CREATE DATABASE or DROP DATABASE. */
static inline bool live_database(const char *verb, const char *name) {
    struct db_options options = live_db_options();
    char sql[128];
    options.name = "postgres";
    struct db *admin = db_open(&options);
    snprintf(sql, sizeof sql, "%s %s", verb, name);
    bool done = admin && db_script(admin, sql) == DB_OK;
    db_close(admin);
    return done;
}

/* How many entries of a table's indexes were read so far, those of rows that are gone included. -1 when that cannot be
 * read. */
static inline int64_t entries_read(struct db *db, const char *table) {
    static const struct db_query flush = {"flush_statistics", "SELECT pg_stat_force_next_flush()"};
    static const struct db_query read = {
        "entries_read", "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = $1"};
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_text_param(&p, table);
    bool good = db_run(db, &flush, NULL, NULL) == DB_OK && db_run(db, &read, &p, &result) == DB_OK;
    int64_t entries = good && db_rows(result) ? db_int(result, 0, 0) : -1;
    db_result_free(result);
    db_params_free(&p);
    return entries;
}
