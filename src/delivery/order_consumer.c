/* Creates shipments from ORDER_CREATED messages. */
#include "order_consumer.h"

#include "app.h"
#include "carrier.h"
#include "common/base/clock.h"
#include "common/base/trace.h"
#include "common/events/outbox.h"
#include "repeat_store.h"
#include "shipment_json.h"
#include "shipment_store.h"

#include <stdio.h>

/* Reads the new shipment of a message. If the message is not a valid ORDER_CREATED, its reason says why. */
static enum consumer_outcome read_order_message(struct consumer_message *in, struct arena *arena,
                                                const struct shipment_pace *pace, struct shipment *out) {
    const struct queue_message *message = in->message;
    char fresh[TRACEPARENT_SIZE] = "";
    if (!*in->trace)
        trace_adopt(NULL, fresh);
    *out = (struct shipment){.id = uuid_new(), .status = SHIPMENT_PROCESSING, .created_ms = clock_epoch_ms()};
    out->next_ms = shipment_next_ms(out, pace, out->created_ms);
    /* Without a correlation id, the message's id is used. */
    out->correlation_id = *message->correlation_id ? message->correlation_id : message->id;
    out->traceparent = arena_strdup(arena, *in->trace ? in->trace : fresh);
    bool good =
        shipment_order_parse(message->body, message->body_len, arena, out, in->reason, sizeof in->reason);
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

enum db_status order_consumer_handle(void *app, struct db *db, struct consumer_message messages[], size_t n) {
    const struct delivery_app *delivery = app;
    struct shipment_pace pace = carrier_pace(delivery->service.config);
    struct shipment shipments[QUEUE_BATCH];
    struct arena arena = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        messages[i].outcome = read_order_message(&messages[i], &arena, &pace, &shipments[count]);
        count += messages[i].outcome == CONSUMER_DONE;
    }
    enum db_status status = arena.failed ? DB_NO_MEMORY : create_shipments(delivery, db, shipments, count);
    arena_free(&arena);
    return status;
}
