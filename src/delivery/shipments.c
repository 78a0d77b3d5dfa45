/* Handlers of /delivery/shipment: reading a shipment and its audit trail, changing its status. */
#include "shipments.h"

#include "app.h"
#include "carrier.h"
#include "common/base/json_write.h"
#include "common/base/uuid.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "event_store.h"
#include "shipment_json.h"
#include "shipment_store.h"

#include <string.h>

static void reply_no_shipment(struct http_request *request) {
    http_reply_problem(request, PROBLEM_SHIPMENT_NOT_FOUND, "There is no such shipment");
}

static void reply_shipment(struct http_request *request, const struct shipment *shipment) {
    struct buf body = {0};
    shipment_view_json(&body, shipment);
    http_reply_json(request, 200, &body);
}

/* A client sees the shipments of its own orders. Another one's looks as if there were none. Without a token, which only
 * development allows, all are seen. */
static bool may_see(const struct http_request *request, const char *client_id) {
    const struct token_claims *caller = &request->claims;
    bool all = !*caller->client_id || token_has_scope(caller->scope, "delivery:read:all");
    return all || (client_id && strcmp(client_id, caller->client_id) == 0);
}

void shipments_get_prepare(struct http_request *request) {
    struct uuid *order_id = arena_alloc(&request->arena, sizeof *order_id);
    request->command = order_id;
    if (order_id && !uuid_parse(request->params[0], order_id))
        reply_no_shipment(request);
}

static void collect_order_ids(struct http_request *const requests[], size_t n, const struct uuid *ids[]) {
    for (size_t i = 0; i < n; i++)
        ids[i] = requests[i]->command;
}

enum outcome shipments_get_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct uuid *ids[HTTP_BATCH_MAX] = {0};
    struct shipment_rows rows = {0};
    collect_order_ids(requests, n, ids);
    enum db_status status = shipment_store_find(worker->db, ids, n, &rows);
    for (size_t i = 0; status == DB_OK && i < n; i++) {
        const struct shipment *shipment = shipment_rows_find(&rows, ids[i]);
        if (shipment && may_see(requests[i], shipment->client_id))
            reply_shipment(requests[i], shipment);
        else
            reply_no_shipment(requests[i]);
    }
    shipment_rows_free(&rows);
    return db_outcome(status);
}

enum outcome shipments_events_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct uuid *ids[HTTP_BATCH_MAX] = {0};
    struct event_rows rows = {0};
    collect_order_ids(requests, n, ids);
    enum db_status status = event_store_find(worker->db, ids, n, &rows);
    for (size_t i = 0; status == DB_OK && i < n; i++) {
        size_t count;
        const struct shipment_event *events = event_rows_find(&rows, ids[i], &count);
        if (events && may_see(requests[i], events->client_id)) {
            struct buf body = {0};
            shipment_events_json(&body, events, count);
            http_reply_json(requests[i], 200, &body);
        } else {
            reply_no_shipment(requests[i]);
        }
    }
    event_rows_free(&rows);
    return db_outcome(status);
}

void shipments_status_prepare(struct http_request *request) {
    struct shipment_change *change = arena_alloc(&request->arena, sizeof *change);
    struct http_faults faults = {0};
    if (!change)
        return;
    if (!uuid_parse(request->params[0], &change->shipment_id)) {
        reply_no_shipment(request);
        return;
    }
    if (!http_expect_json(request))
        return;
    change->actor = *request->claims.client_id ? request->claims.client_id : "anonymous";
    change->request_id = request->request_id;
    change->trace = http_trace(request);
    if (shipment_change_parse(request->body.data, request->body.len, &request->arena, change, &faults))
        request->command = change;
    else
        http_reply_faults(request, &faults);
}

static void reply_refused(struct http_request *request, const struct shipment_change *change) {
    struct buf allowed = {0}, words = {0};
    for (enum shipment_status next = SHIPMENT_PROCESSING; next < SHIPMENT_STATUSES; next++) {
        if (!shipment_status_may_follow(change->before, next))
            continue;
        buf_str(&words, words.len ? " or " : "");
        buf_str(&words, shipment_status_name(next));
        buf_str(&allowed, allowed.len ? "," : "");
        json_append_text(&allowed, shipment_status_name(next));
    }
    http_reply_problem_with(request, PROBLEM_INVALID_TRANSITION, "allowed", &allowed,
                            "A shipment that is %s cannot become %s; allowed: %s",
                            shipment_status_name(change->before), shipment_status_name(change->status),
                            words.len ? words.data : "nothing, it is final");
    request->arena.failed |= words.failed;
    buf_free(&allowed);
    buf_free(&words);
}

static void reply_change(struct http_request *request, const struct shipment_change *change) {
    switch (change->verdict) {
    case SHIPMENT_UNKNOWN:
        reply_no_shipment(request);
        break;
    case SHIPMENT_REFUSED:
        reply_refused(request, change);
        break;
    case SHIPMENT_UNCHANGED:
    case SHIPMENT_DETAILED:
    case SHIPMENT_MOVED:
        reply_shipment(request, &change->shipment);
        break;
    }
}

enum outcome shipments_status_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct delivery_app *app = worker->app;
    struct shipment_change *changes[HTTP_BATCH_MAX] = {0};
    struct shipment_pace pace = carrier_pace(app->service.config);
    struct shipment_rows rows = {0};
    for (size_t i = 0; i < n; i++)
        changes[i] = requests[i]->command;
    enum db_status status = shipment_store_change(worker->db, &pace, changes, n, &rows);
    if (status == DB_OK)
        outbox_wake(app->outbox);
    for (size_t i = 0; status == DB_OK && i < n; i++)
        reply_change(requests[i], changes[i]);
    shipment_rows_free(&rows);
    return db_outcome(status);
}
