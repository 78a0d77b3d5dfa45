/* Creates shipments from ORDER_CREATED messages, moves them on where the order had heard more, cancels them for
 * ORDER_CANCEL_REQUESTED, and forgets their customers for CUSTOMER_ERASED. */
#include "order_consumer.h"

#include "app.h"
#include "carrier.h"
#include "common/base/clock.h"
#include "common/base/trace.h"
#include "common/events/outbox.h"
#include "customer_store.h"
#include "repeat_store.h"
#include "shipment_json.h"
#include "shipment_store.h"

#include <stdio.h>

/* What a batch of messages asks for. A message to cancel also stands for the order it is about, whose ORDER_CREATED may be
 * lost: so a late one finds the shipment cancelled. */
struct order_batch {
    struct shipment shipments[CONSUMER_BATCH];
    size_t count;
    struct shipment_change moves[CONSUMER_BATCH];
    const struct uuid *moved_orders[CONSUMER_BATCH];
    size_t move_count;
    struct customer_erasure erasures[CONSUMER_BATCH];
    size_t erasure_count;
};

/* Reads the shipment of a message. If the message is not valid, its reason says why. */
static enum consumer_outcome read_order_message(struct consumer_message *in, struct arena *arena,
                                                const struct shipment_pace *pace, struct shipment *out,
                                                enum shipment_order_event *kind) {
    const struct queue_message *message = in->message;
    char fresh[TRACEPARENT_SIZE] = "";
    if (!*in->trace)
        trace_adopt(NULL, fresh);
    *out = (struct shipment){.id = uuid_new(), .status = SHIPMENT_PROCESSING, .created_ms = clock_epoch_ms()};
    /* Without a correlation id, the message's id is used. */
    out->correlation_id = *message->correlation_id ? message->correlation_id : message->id;
    out->traceparent = arena_strdup(arena, *in->trace ? in->trace : fresh);
    bool good = shipment_order_parse(message->body, message->body_len, arena, out, kind, in->reason,
                                     sizeof in->reason);
    out->next_ms = shipment_next_ms(out, pace, out->created_ms);
    return good ? CONSUMER_DONE : CONSUMER_HOPELESS;
}

/* From the acceptance of each order, whose time is in its id. Of a batch with repeated events nobody knows which
 * shipments are new. */
static void measure_shipments(const struct delivery_app *app, const struct shipment shipments[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t delay_ms = shipments[i].created_ms - uuid_time_ms(&shipments[i].order_id);
        if (uuid_has_time(&shipments[i].order_id) && delay_ms >= 0)
            metric_observe(app->shipment_delay, delay_ms * 1000000, shipments[i].traceparent);
    }
}

/* When ORDER_CREATED was repeated, order-svc may have missed the status. It is then published again. */
static enum db_status create_shipments(const struct delivery_app *app, struct db *db,
                                       const struct shipment shipments[], size_t n) {
    size_t created = 0;
    enum db_status status = n ? shipment_store_create(db, shipments, n, &created) : DB_OK;
    if (status == DB_OK && created == n)
        measure_shipments(app, shipments, n);
    if (status != DB_OK || created == n)
        return status;
    status = repeat_store_updates(db, shipments, n);
    outbox_wake(app->outbox);
    return status;
}

/* The client cancels. That the shipment has left is what order-svc had heard before it was forgotten here. */
static void add_move(struct order_batch *batch, const struct shipment *shipment,
                     enum shipment_status status) {
    bool by_client = status == SHIPMENT_CANCELLED && shipment->client_id;
    batch->moved_orders[batch->move_count] = &shipment->order_id;
    batch->moves[batch->move_count++] =
        (struct shipment_change){.status = status,
                                 .tracking_number = shipment->tracking_number,
                                 .carrier = shipment->carrier,
                                 .unless_left = true,
                                 .actor = by_client ? shipment->client_id : "order-events",
                                 .request_id = shipment->correlation_id,
                                 .trace = shipment->traceparent};
}

/* An erasure makes no shipment: of an order that is over, it would be sent once more. */
static void add_message(struct order_batch *batch, struct consumer_message *in, struct arena *arena,
                        const struct shipment_pace *pace) {
    struct shipment *shipment = &batch->shipments[batch->count];
    enum shipment_order_event kind = SHIPMENT_ORDERED;
    in->outcome = read_order_message(in, arena, pace, shipment, &kind);
    if (in->outcome != CONSUMER_DONE)
        return;
    if (kind == SHIPMENT_CUSTOMER_ERASED) {
        batch->erasures[batch->erasure_count++] =
            (struct customer_erasure){shipment->order_id, shipment->customer_id};
        return;
    }
    batch->count++;
    if (kind == SHIPMENT_ORDER_CANCELLED)
        add_move(batch, shipment, SHIPMENT_CANCELLED);
    else if (shipment->status == SHIPMENT_SHIPPED) /* one that was made before may have forgotten it */
        add_move(batch, shipment, SHIPMENT_SHIPPED);
}

/* Cancels those that have not left, and lets none leave twice. Of those that have left the order hears as of every repeated
 * order (create_shipments). */
static enum db_status move_shipments(const struct delivery_app *app, struct db *db, struct order_batch *batch,
                                     const struct shipment_pace *pace) {
    struct shipment_change *changes[CONSUMER_BATCH];
    struct shipment_rows found = {0}, changed = {0};
    size_t n = 0;
    enum db_status status = shipment_store_find(db, batch->moved_orders, batch->move_count, &found);
    for (size_t i = 0; status == DB_OK && i < batch->move_count; i++) {
        const struct shipment *shipment = shipment_rows_find(&found, batch->moved_orders[i]);
        if (!shipment || shipment->status != SHIPMENT_PROCESSING)
            continue;
        batch->moves[i].shipment_id = shipment->id;
        changes[n++] = &batch->moves[i];
    }
    if (n)
        status = shipment_store_change(db, pace, changes, n, &changed);
    if (n && status == DB_OK)
        outbox_wake(app->outbox);
    shipment_rows_free(&found);
    shipment_rows_free(&changed);
    return status;
}

enum db_status order_consumer_handle(void *app, struct db *db, struct consumer_message messages[], size_t n) {
    const struct delivery_app *delivery = app;
    struct shipment_pace pace = carrier_pace(delivery->service.config);
    struct order_batch batch = {.count = 0};
    struct arena arena = {0};
    for (size_t i = 0; i < n; i++)
        add_message(&batch, &messages[i], &arena, &pace);
    enum db_status status =
        arena.failed ? DB_NO_MEMORY : create_shipments(delivery, db, batch.shipments, batch.count);
    if (status == DB_OK && batch.move_count)
        status = move_shipments(delivery, db, &batch, &pace);
    if (status == DB_OK &&
        batch.erasure_count) /* last: an earlier message of the order may have made the shipment */
        status = customer_store_erase(db, batch.erasures, batch.erasure_count);
    arena_free(&arena);
    return status;
}
