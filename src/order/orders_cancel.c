/* POST /orders/:id/cancel: notes the wish. delivery-svc decides, because it alone knows whether the parcel has left. */
#include "app.h"
#include "cancel_store.h"
#include "common/base/json_write.h"
#include "common/events/outbox.h"
#include "common/service/worker.h"
#include "feed.h"
#include "order_json.h"
#include "orders.h"
#include "standby.h"

void orders_cancel_prepare(struct http_request *request) {
    struct http_faults faults = {0};
    struct cancel_wish *wish = arena_alloc(&request->arena, sizeof *wish);
    if (!wish)
        return;
    if (!uuid_parse(request->params[0], &wish->order_id)) {
        http_reply_problem(request, PROBLEM_ORDER_NOT_FOUND, "There is no such order");
        return;
    }
    if (request->body.len && !http_expect_json(request))
        return;
    if (!order_cancel_from_json(request->body.data, request->body.len, &request->arena, &wish->reason,
                                &faults)) {
        http_reply_faults(request, &faults);
        return;
    }
    wish->client_id = request->claims.client_id;
    wish->request_id = request->request_id;
    wish->trace = http_trace(request);
    request->command = wish;
}

/* An order that was CANCELLED without a wish is what the client wishes for. */
static void reply_wish(struct http_request *request, const struct cancel_wish *wish) {
    bool asked = wish->cancellation == ORDER_CANCEL_REQUESTED;
    enum order_cancellation cancellation =
        wish->status == ORDER_CANCELLED ? ORDER_CANCEL_ACCEPTED : wish->cancellation;
    struct buf body = {0};
    buf_str(&body, "{\"order_id\":");
    json_append_uuid(&body, &wish->order_id);
    buf_str(&body, ",\"status\":");
    json_append_text(&body, order_status_name(wish->status));
    buf_str(&body, ",\"cancellation\":");
    json_append_text(&body, order_cancellation_name(cancellation));
    if (cancellation == ORDER_CANCEL_REFUSED)
        buf_str(&body, ",\"refusal\":\"" ORDER_REFUSAL "\"");
    buf_char(&body, '}');
    http_reply_json(request, asked ? 202 : 200, &body);
}

static void answer_wish(struct http_request *request, const struct cancel_wish *wish) {
    if (!wish->found)
        http_reply_problem(request, PROBLEM_ORDER_NOT_FOUND, "There is no such order");
    else if (wish->verdict == ORDER_CANCEL_TOO_LATE)
        http_reply_problem(request, PROBLEM_INVALID_TRANSITION, "An order that is %s cannot be cancelled",
                           order_status_name(wish->status));
    else
        reply_wish(request, wish);
}

enum outcome orders_cancel_run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    const struct order_app *app = worker->app;
    struct cancel_wish *wishes[HTTP_BATCH_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        wishes[i] = requests[i]->command;
    enum db_status status = cancel_store_note(worker->db, wishes, n);
    if (status != DB_OK)
        return db_outcome(status);
    outbox_wake(app->outbox);
    feed_wake(app->feed);
    for (size_t i = 0; i < n; i++) {
        if (wishes[i]->found && wishes[i]->verdict == ORDER_CANCEL_NOTED)
            metric_add(app->series.cancellations[ORDER_CANCEL_REQUESTED], 1);
        answer_wish(requests[i], wishes[i]);
    }
    standby_mark(worker, requests, n);
    return db_outcome(status);
}
