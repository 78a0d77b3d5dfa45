/* Every interleaving of cancelling with shipping, redelivery, repetition, loss and reconciling, as a model: the rules are
 * those of the daemons, the queues and what happens to them are played here. From every state that can be reached, order
 * and shipment end agreed.
 *
 * A message may be processed and come again (a consumer was killed before it deleted), be published twice, even much later (a
 * relay was killed before it deleted, and the broker has forgotten the first), or be lost (a broker lost its disk). */
#include "delivery/shipment.h"
#include "order/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { QUEUE = 3, NO_SHIPMENT = 0xff, TABLE = 1 << 22 };
enum {
    CREATE = 1,
    CANCEL
}; /* messages of orders-queue; those of delivery-status-queue are 1 + the order's status */

struct channel {
    uint8_t messages[QUEUE], count;
    uint8_t sent; /* a bit for each kind that was ever sent: it may come again */
};

struct state {
    uint8_t order, cancellation;   /* enum order_status, enum order_cancellation */
    uint8_t shipment, tracked;     /* enum shipment_status or NO_SHIPMENT; whether a carrier was assigned */
    struct channel orders, status; /* outbox and queue together */
    uint8_t redelivered, repeated, lost, reconciled, by_hand; /* what has happened, which is bounded */
};

static const struct bounds {
    uint8_t redelivered, repeated, lost, reconciled, by_hand;
} bounds = {2, 2, 2, 2, 1};

static const struct shipment_pace pace = {.simulated = true};

static bool send_message(struct channel *channel, uint8_t message) {
    if (channel->count == QUEUE)
        return false;
    channel->messages[channel->count++] = message;
    channel->sent |= (uint8_t)(1u << message);
    return true;
}

static void drop_first(struct channel *channel) {
    memmove(channel->messages, channel->messages + 1, QUEUE - 1);
    channel->messages[QUEUE - 1] = 0;
    channel->count--;
}

/* ---- delivery-svc ---- */

static bool tell_order(struct state *s, enum shipment_status status) {
    enum order_status named;
    return order_status_parse(shipment_status_order_name(status), &named) &&
           send_message(&s->status, (uint8_t)(named + 1));
}

/* Applies a change as the daemon does. False when there is no room for its event. */
static bool change_shipment(struct state *s, struct shipment_change *change) {
    struct shipment shipment = {.status = s->shipment, .tracking_number = s->tracked ? "T" : NULL};
    shipment_apply(&shipment, change, &pace, 1);
    s->shipment = (uint8_t)shipment.status;
    s->tracked = shipment.tracking_number != NULL;
    return !shipment_is_news(change) || tell_order(s, shipment.status);
}

static bool cancel_shipment(struct state *s) {
    struct shipment_change change = {.status = SHIPMENT_CANCELLED};
    return change_shipment(s, &change);
}

static bool step_carrier(struct state *s) {
    char tracking[SHIPMENT_TRACKING_SIZE];
    struct shipment shipment = {.status = s->shipment, .tracking_number = s->tracked ? "T" : NULL};
    struct shipment_change step;
    if (s->shipment == NO_SHIPMENT || shipment_next_ms(&shipment, &pace, 1) == DB_NO_TIME)
        return false;
    shipment_carrier_step(&shipment, tracking, &step);
    return change_shipment(s, &step);
}

static bool process_order(struct state *s, uint8_t message) {
    if (s->shipment == NO_SHIPMENT)
        s->shipment = SHIPMENT_PROCESSING;
    else if (s->shipment != SHIPMENT_PROCESSING && !tell_order(s, s->shipment))
        return false;
    return message != CANCEL || s->shipment != SHIPMENT_PROCESSING || cancel_shipment(s);
}

/* ---- order-svc ---- */

static struct order order_of(const struct state *s) {
    return (struct order){.status = s->order, .cancellation = s->cancellation};
}

static void keep(struct state *s, const struct order *order) {
    s->order = (uint8_t)order->status;
    s->cancellation = (uint8_t)order->cancellation;
}

static bool process_status(struct state *s, uint8_t message) {
    struct order order = order_of(s);
    enum order_status told = message - 1u;
    assert_false(order_contradicts(&order, told));
    bool changed = order_apply_status(&order, told, NULL, NULL, 1);
    assert_int_equal(changed, order.status != s->order);
    keep(s, &order);
    return true;
}

static bool request_cancel(struct state *s) {
    struct order order = order_of(s);
    enum order_cancel_verdict verdict = order_request_cancel(&order, NULL, 1);
    keep(s, &order);
    return verdict == ORDER_CANCEL_NOTED && send_message(&s->orders, CANCEL);
}

static bool reconcile(struct state *s) {
    struct order order = order_of(s);
    return order.status != ORDER_DELIVERED &&
           send_message(&s->orders, order_wants_cancel(&order) ? CANCEL : CREATE);
}

/* ---- what can happen ---- */

static bool process(struct state *s, struct channel *channel) {
    return channel == &s->orders ? process_order(s, channel->messages[0])
                                 : process_status(s, channel->messages[0]);
}

static bool deliver(struct state *s, struct channel *channel, bool again) {
    if (!channel->count || (again && s->redelivered++ == bounds.redelivered) || !process(s, channel))
        return false;
    if (!again)
        drop_first(channel);
    return true;
}

static bool lose(struct state *s, struct channel *channel) {
    if (!channel->count || s->lost++ == bounds.lost)
        return false;
    drop_first(channel);
    return true;
}

static bool repeat(struct state *s, struct channel *channel, uint8_t message) {
    return (channel->sent & 1u << message) && s->repeated++ < bounds.repeated &&
           send_message(channel, message);
}

enum { ACTIONS = 16 };

/* Does one of the things that can happen. False when it cannot happen now. */
static bool act(struct state *s, int action) {
    switch (action) {
    case 0:
        return request_cancel(s);
    case 1:
        return step_carrier(s);
    case 2:
        return s->shipment != NO_SHIPMENT && s->by_hand++ < bounds.by_hand && cancel_shipment(s);
    case 3:
        return s->reconciled++ < bounds.reconciled && reconcile(s);
    case 4:
        return deliver(s, &s->orders, false);
    case 5:
        return deliver(s, &s->orders, true);
    case 6:
        return deliver(s, &s->status, false);
    case 7:
        return deliver(s, &s->status, true);
    case 8:
        return lose(s, &s->orders);
    case 9:
        return lose(s, &s->status);
    case 10:
        return repeat(s, &s->orders, CREATE);
    case 11:
        return repeat(s, &s->orders, CANCEL);
    default:
        return repeat(s, &s->status, (uint8_t)(action - 12 + 1));
    }
}

/* ---- what must hold ---- */

static void check(const struct state *s) {
    switch ((enum order_status)s->order) {
    case ORDER_PENDING_SHIPMENT:
        assert_true(s->cancellation == ORDER_CANCEL_NONE || s->cancellation == ORDER_CANCEL_REQUESTED);
        break;
    case ORDER_SHIPPED:
        assert_true(s->shipment == SHIPMENT_SHIPPED || s->shipment == SHIPMENT_DELIVERED);
        break;
    case ORDER_DELIVERED:
        assert_int_equal(s->shipment, SHIPMENT_DELIVERED);
        break;
    case ORDER_CANCELLED:
        assert_int_equal(s->shipment, SHIPMENT_CANCELLED);
        assert_true(s->cancellation == ORDER_CANCEL_NONE || s->cancellation == ORDER_CANCEL_ACCEPTED);
        break;
    }
    if (s->order == ORDER_SHIPPED || s->order == ORDER_DELIVERED)
        assert_true(s->cancellation == ORDER_CANCEL_NONE || s->cancellation == ORDER_CANCEL_REFUSED);
}

static void drain(struct state *s) {
    while (s->status.count || s->orders.count) {
        struct channel *channel = s->status.count ? &s->status : &s->orders;
        assert_true(process(s, channel));
        drop_first(channel);
    }
}

/* Nothing else happens any more, but time goes on: the carrier works, and silent orders are published again. */
static void check_end(struct state s) {
    enum order_status named;
    drain(&s);
    while (s.shipment == NO_SHIPMENT || step_carrier(&s) || s.order == ORDER_PENDING_SHIPMENT ||
           s.order == ORDER_SHIPPED) {
        drain(&s);
        if (s.order != ORDER_DELIVERED)
            assert_true(reconcile(&s));
        drain(&s);
    }
    check(&s);
    assert_true(order_status_parse(shipment_status_order_name(s.shipment), &named));
    assert_int_equal(s.order, named);
    assert_true(order_status_final(s.order));
    assert_int_not_equal(s.cancellation, ORDER_CANCEL_REQUESTED);
}

/* ---- all states that can be reached ---- */

struct seen {
    struct state *table; /* open addressing; one that is all zero is free */
    struct state *stack;
    size_t count, depth;
};

static bool is_new(struct seen *seen, const struct state *s) {
    static const struct state free_place = {0};
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *s; i++)
        hash = (hash ^ ((const uint8_t *)s)[i]) * 1099511628211u;
    size_t at = (size_t)(hash ^ hash >> 29) % TABLE;
    while (memcmp(&seen->table[at], &free_place, sizeof *s) != 0) {
        if (memcmp(&seen->table[at], s, sizeof *s) == 0)
            return false;
        at = (at + 1) % TABLE;
    }
    assert_true(++seen->count < TABLE / 2);
    seen->table[at] = *s;
    return true;
}

static void every_interleaving_ends_agreed(void **state) {
    (void)state;
    struct seen seen = {.table = calloc(TABLE, sizeof *seen.table),
                        .stack = calloc(TABLE, sizeof *seen.stack)};
    struct state start = {.order = ORDER_PENDING_SHIPMENT, .shipment = NO_SHIPMENT};
    size_t ends[ORDER_STATUSES][ORDER_CANCELLATIONS] = {{0}};
    assert_true(seen.table && seen.stack && send_message(&start.orders, CREATE) && is_new(&seen, &start));
    seen.stack[seen.depth++] = start;
    while (seen.depth) {
        struct state now = seen.stack[--seen.depth];
        check(&now);
        check_end(now);
        ends[now.order][now.cancellation]++;
        for (int action = 0; action < ACTIONS; action++) {
            struct state next = now;
            if (act(&next, action) && is_new(&seen, &next))
                seen.stack[seen.depth++] = next;
        }
    }
    print_message("%zu states\n", seen.count);
    /* What the model is about was reached. */
    assert_true(ends[ORDER_CANCELLED][ORDER_CANCEL_ACCEPTED] && ends[ORDER_CANCELLED][ORDER_CANCEL_NONE]);
    assert_true(ends[ORDER_DELIVERED][ORDER_CANCEL_REFUSED] && ends[ORDER_DELIVERED][ORDER_CANCEL_NONE]);
    free(seen.table);
    free(seen.stack);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_ends_agreed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
