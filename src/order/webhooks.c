/* Handlers of /webhooks: each request is a statement of its own, because they are rare. */
#include "webhooks.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/base/json_write.h"
#include "common/base/utf8.h"
#include "common/service/worker.h"
#include "webhook_json.h"
#include "webhook_policy.h"
#include "webhook_sender.h"
#include "webhook_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 20, LIST_MAX = 100 };

struct webhook_command {
    struct uuid id, delivery_id;
    struct webhook_input input;
    struct uuid before; /* of a list */
    bool has_before;
    size_t limit;
};

/* A command with the ids of the path. NULL when it has answered, or when out of memory. */
static struct webhook_command *read_ids(struct http_request *request) {
    struct webhook_command *command = arena_alloc(&request->arena, sizeof *command);
    if (!command)
        return NULL;
    if ((request->params[0] && !uuid_parse(request->params[0], &command->id)) ||
        (request->params[1] && !uuid_parse(request->params[1], &command->delivery_id))) {
        http_reply_problem(request, PROBLEM_WEBHOOK_NOT_FOUND, "There is no such webhook or delivery");
        return NULL;
    }
    return command;
}

void webhooks_named_prepare(struct http_request *request) {
    request->command = read_ids(request);
}

/* Reads the body of a new webhook (complete) or of a change. */
static void read_input(struct http_request *request, bool complete) {
    const struct order_app *app = request->app;
    struct http_faults faults = {0};
    struct address_list allowed;
    const struct callout_policy policy = webhook_policy(app->service.config, &allowed);
    struct webhook_command *command = http_expect_json(request) ? read_ids(request) : NULL;
    if (!command)
        return;
    if (webhook_from_json(request->body.data ? request->body.data : "", request->body.len, complete, &policy,
                          &request->arena, &command->input, &faults))
        request->command = command;
    else
        http_reply_faults(request, &faults);
}

void webhooks_post_prepare(struct http_request *request) {
    read_input(request, true);
}

void webhooks_change_prepare(struct http_request *request) {
    read_input(request, false);
}

void webhooks_list_prepare(struct http_request *request) {
    static const char *const known[] = {"limit", "cursor", NULL};
    struct http_faults faults = {0};
    const char *fault = http_query_fault(request, known), *limit = http_query(request, "limit");
    const char *cursor = http_query(request, "cursor");
    struct webhook_command *command = read_ids(request);
    char *end = NULL;
    if (!command)
        return;
    errno = 0;
    command->limit = limit ? strtoul(limit, &end, 10) : LIST_DEFAULT;
    command->has_before = cursor;
    if (fault)
        http_fault(&faults, utf8_valid(fault) ? fault : "?", NULL,
                   "is unknown, was sent twice, or has no value");
    if (limit &&
        (errno || *end || *limit < '0' || *limit > '9' || command->limit < 1 || command->limit > LIST_MAX))
        http_fault(&faults, "limit", NULL, "must be a number from 1 to %d", LIST_MAX);
    if (cursor && !uuid_parse(cursor, &command->before))
        http_fault(&faults, "cursor", NULL, "must be the next_cursor of an earlier answer");
    if (faults.count)
        http_reply_faults(request, &faults);
    else
        request->command = command;
}

/* ---- On a worker's thread ---- */

/* One request of a batch. Answers it, or returns why it cannot. */
typedef enum db_status webhook_work(struct http_worker *worker, struct http_request *request,
                                    const struct webhook_command *command);

static enum outcome run_each(struct http_worker *worker, struct http_request *requests[], size_t n,
                             webhook_work *work) {
    enum db_status status = DB_OK;
    for (size_t i = 0; status == DB_OK && i < n; i++)
        status = work(worker, requests[i], requests[i]->command);
    return db_outcome(status);
}

static enum db_status reply_missing(struct http_request *request) {
    http_reply_problem(request, PROBLEM_WEBHOOK_NOT_FOUND, "There is no such webhook or delivery");
    return DB_OK;
}

static enum db_status reply_webhook(struct http_request *request, unsigned code,
                                    const struct webhook *webhook, const char *secret) {
    struct buf body = {0};
    webhook_json(&body, webhook, secret);
    http_reply_json(request, code, &body);
    return DB_OK;
}

/* A secret for the webhook with this id. */
static bool new_secret(const struct http_worker *worker, const struct uuid *id,
                       char shown[static WEBHOOK_SECRET_SIZE], char sealed[static WEBHOOK_SEALED_SIZE]) {
    const struct order_app *app = worker->app;
    char file[SECRET_SIZE];
    bool ok =
        webhook_secret_new(secret_now(&app->service.config->webhook_secrets_key, file), id, shown, sealed);
    explicit_bzero(file, sizeof file);
    return ok;
}

static enum db_status post_webhook(struct http_worker *worker, struct http_request *request,
                                   const struct webhook_command *command) {
    char shown[WEBHOOK_SECRET_SIZE], sealed[WEBHOOK_SEALED_SIZE], text[UUID_TEXT_SIZE];
    struct uuid id = uuid_new();
    struct webhook webhook;
    bool done;
    if (!new_secret(worker, &id, shown, sealed))
        return DB_NO_MEMORY;
    enum db_status status = webhook_store_add(worker->db, &id, request->claims.client_id, &command->input,
                                              sealed, &request->arena, &webhook, &done);
    if (status != DB_OK)
        return status;
    if (!done) {
        http_reply_problem(request, PROBLEM_WEBHOOK_LIMIT, "A client has at most %d webhooks",
                           WEBHOOK_MAX_OF_CLIENT);
        return DB_OK;
    }
    uuid_format(&id, text);
    (void)reply_webhook(request, 201, &webhook, shown);
    http_reply_header(request, "Location", "/webhooks/%s", text);
    explicit_bzero(shown, sizeof shown);
    return DB_OK;
}

enum outcome webhooks_post_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, post_webhook);
}

static enum db_status get_webhook(struct http_worker *worker, struct http_request *request,
                                  const struct webhook_command *command) {
    struct webhook webhook;
    bool done;
    enum db_status status = webhook_store_get(worker->db, &command->id, request->claims.client_id,
                                              &request->arena, &webhook, &done);
    if (status != DB_OK)
        return status;
    return done ? reply_webhook(request, 200, &webhook, NULL) : reply_missing(request);
}

enum outcome webhooks_get_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, get_webhook);
}

static enum db_status change_webhook(struct http_worker *worker, struct http_request *request,
                                     const struct webhook_command *command) {
    const struct order_app *app = worker->app;
    struct webhook webhook;
    bool done;
    enum db_status status = webhook_store_change(worker->db, &command->id, request->claims.client_id,
                                                 &command->input, &request->arena, &webhook, &done);
    if (status != DB_OK)
        return status;
    webhook_sender_wake(app->webhook_sender);
    return done ? reply_webhook(request, 200, &webhook, NULL) : reply_missing(request);
}

enum outcome webhooks_change_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, change_webhook);
}

static enum db_status delete_webhook(struct http_worker *worker, struct http_request *request,
                                     const struct webhook_command *command) {
    bool done;
    enum db_status status = webhook_store_delete(worker->db, &command->id, request->claims.client_id, &done);
    if (status != DB_OK)
        return status;
    if (!done)
        return reply_missing(request);
    http_reply_empty(request, 204);
    return DB_OK;
}

enum outcome webhooks_delete_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, delete_webhook);
}

static enum db_status rotate_webhook(struct http_worker *worker, struct http_request *request,
                                     const struct webhook_command *command) {
    char shown[WEBHOOK_SECRET_SIZE], sealed[WEBHOOK_SEALED_SIZE];
    struct webhook webhook;
    bool done;
    if (!new_secret(worker, &command->id, shown, sealed))
        return DB_NO_MEMORY;
    enum db_status status = webhook_store_rotate(worker->db, &command->id, request->claims.client_id, sealed,
                                                 &request->arena, &webhook, &done);
    if (status == DB_OK)
        status = done ? reply_webhook(request, 200, &webhook, shown) : reply_missing(request);
    explicit_bzero(shown, sizeof shown);
    return status;
}

enum outcome webhooks_rotate_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, rotate_webhook);
}

/* A delivery was queued. */
static enum db_status reply_queued(struct http_worker *worker, struct http_request *request,
                                   const struct uuid *delivery_id) {
    const struct order_app *app = worker->app;
    struct buf body = {0};
    webhook_sender_wake(app->webhook_sender);
    buf_str(&body, "{\"delivery_id\":");
    json_append_uuid(&body, delivery_id);
    buf_char(&body, '}');
    http_reply_json(request, 202, &body);
    return DB_OK;
}

static enum db_status ping_webhook(struct http_worker *worker, struct http_request *request,
                                   const struct webhook_command *command) {
    struct uuid delivery_id = uuid_new();
    struct buf body = {0};
    bool done;
    webhook_ping_json(&body, &delivery_id, &command->id, clock_epoch_ms());
    enum db_status status = body.failed
                                ? DB_NO_MEMORY
                                : webhook_store_ping(worker->db, &command->id, request->claims.client_id,
                                                     &delivery_id, body.data, &done);
    buf_free(&body);
    if (status != DB_OK)
        return status;
    return done ? reply_queued(worker, request, &delivery_id) : reply_missing(request);
}

enum outcome webhooks_ping_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, ping_webhook);
}

static enum db_status retry_delivery(struct http_worker *worker, struct http_request *request,
                                     const struct webhook_command *command) {
    bool done;
    enum db_status status = webhook_store_retry(worker->db, &command->id, request->claims.client_id,
                                                &command->delivery_id, &done);
    if (status != DB_OK)
        return status;
    return done ? reply_queued(worker, request, &command->delivery_id) : reply_missing(request);
}

enum outcome webhooks_retry_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, retry_delivery);
}

/* Answers with {"NAME":[elements],"next_cursor":...}. last is the last element when there are more. */
static enum db_status reply_list(struct http_request *request, const char *name, struct buf *elements,
                                 const struct uuid *last) {
    struct buf body = {.failed = elements->failed};
    buf_printf(&body, "{\"%s\":[%s],\"next_cursor\":", name, elements->data ? elements->data : "");
    if (last)
        json_append_uuid(&body, last);
    else
        buf_str(&body, "null");
    buf_char(&body, '}');
    buf_free(elements);
    http_reply_json(request, 200, &body);
    return DB_OK;
}

static enum db_status list_webhooks(struct http_worker *worker, struct http_request *request,
                                    const struct webhook_command *command) {
    struct arena arena = {0}; /* not the request's: it may be sent for long */
    struct webhook *list;
    struct buf elements = {0};
    size_t count, limit = command->limit; /* one more shows whether there is a next page */
    enum db_status status =
        webhook_store_list(worker->db, request->claims.client_id,
                           command->has_before ? &command->before : NULL, limit + 1, &arena, &list, &count);
    for (size_t i = 0; status == DB_OK && i < count && i < limit; i++) {
        buf_str(&elements, i ? "," : "");
        webhook_json(&elements, &list[i], NULL);
    }
    if (status == DB_OK)
        status = reply_list(request, "webhooks", &elements, count > limit ? &list[limit - 1].id : NULL);
    arena_free(&arena);
    return status;
}

enum outcome webhooks_list_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, list_webhooks);
}

static enum db_status show_deliveries(struct http_worker *worker, struct http_request *request,
                                      const struct webhook_command *command, struct arena *arena) {
    struct webhook webhook;
    struct webhook_delivery *list;
    struct buf elements = {0};
    size_t count, limit = command->limit;
    bool done;
    enum db_status status =
        webhook_store_get(worker->db, &command->id, request->claims.client_id, arena, &webhook, &done);
    if (status != DB_OK || !done)
        return status != DB_OK ? status : reply_missing(request);
    status = webhook_store_deliveries(worker->db, &command->id, command->has_before ? &command->before : NULL,
                                      limit + 1, arena, &list, &count);
    if (status != DB_OK)
        return status;
    for (size_t i = 0; i < count && i < limit; i++) {
        buf_str(&elements, i ? "," : "");
        webhook_delivery_json(&elements, &list[i]);
    }
    return reply_list(request, "deliveries", &elements, count > limit ? &list[limit - 1].id : NULL);
}

static enum db_status list_deliveries(struct http_worker *worker, struct http_request *request,
                                      const struct webhook_command *command) {
    struct arena arena = {0};
    enum db_status status = show_deliveries(worker, request, command, &arena);
    arena_free(&arena);
    return status;
}

enum outcome webhooks_deliveries_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    return run_each(worker, requests, n, list_deliveries);
}
