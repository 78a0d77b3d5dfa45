#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/events/gather.h"

/* What the calls of a test bring, one after the other, and how they were made. */
struct call {
    size_t messages, bytes_each;
    enum queue_status status;
    const char *error;
};

struct queue {
    const struct call *calls;
    size_t made, freed;
    int waits[8];
};

enum queue_status queue_receive(struct queue *q, int wait_s, struct queue_batch *batch) {
    const struct call *call = &q->calls[q->made];
    q->waits[q->made++] = wait_s;
    batch->count = call->messages;
    batch->storage = q;
    for (size_t i = 0; i < batch->count; i++)
        batch->messages[i] = (struct queue_message){.body_len = call->bytes_each,
                                                    .receive_count = (unsigned)(q->made * 100 + i)};
    return call->status;
}

const char *queue_error(const struct queue *q) {
    const char *error = q->calls[q->made - 1].error;
    return error ? error : "";
}

void queue_batch_free(struct queue_batch *batch) {
    ((struct queue *)batch->storage)->freed++;
}

static const struct {
    struct call calls[7];
    size_t made, messages;
    enum queue_status status;
} cases[] = {
    {{{0}}, 1, 0, QUEUE_OK},
    {{{9, 1, QUEUE_OK, NULL}}, 1, 9, QUEUE_OK},
    {{{10, 1, QUEUE_OK, NULL}, {0}}, 2, 10, QUEUE_OK},
    {{{10, 1, QUEUE_OK, NULL}, {10, 1, QUEUE_OK, NULL}, {3, 1, QUEUE_OK, NULL}}, 3, 23, QUEUE_OK},
    {{{10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL}},
     5,
     CONSUMER_BATCH,
     QUEUE_OK},
    {{{0, 0, QUEUE_UNAVAILABLE, "away"}}, 1, 0, QUEUE_UNAVAILABLE},
    {{{10, 1, QUEUE_OK, NULL}, {0, 0, QUEUE_UNAVAILABLE, "away"}}, 2, 10, QUEUE_UNAVAILABLE},
    {{{10, 1, QUEUE_OK, NULL}, {0, 0, QUEUE_INTERRUPTED, "stop"}}, 2, 10, QUEUE_INTERRUPTED},
    {{{10, 1, QUEUE_OK, "one was left out"}}, 1, 10, QUEUE_OK},
    {{{10, QUEUE_MAX_BODY / 10 + 1, QUEUE_OK, NULL}}, 1, 10, QUEUE_OK},
};

static void calls_go_on_while_they_are_full(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct queue queue = {.calls = cases[i].calls};
        struct gathered got;
        /* The time that ends the calls may pass in a debugger, or on a machine that stands still. */
        enum queue_status status = gather(&queue, 20, &got);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(queue.made, cases[i].made);
        assert_int_equal(got.count, cases[i].messages);
        for (size_t k = 0; k < queue.made; k++)
            assert_int_equal(queue.waits[k], k == 0 ? 20 : 0);
        for (size_t k = 0; k < got.count; k++)
            assert_int_equal(got.messages[k]->receive_count, (k / 10 + 1) * 100 + k % 10);
        gather_free(&got);
        assert_int_equal(queue.freed, queue.made);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_on_while_they_are_full),
    };
    return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
