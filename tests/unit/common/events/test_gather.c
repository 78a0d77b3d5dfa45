#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/events/gather.h"
#include "common/events/pace.h"

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
    bool paced;
} cases[] = {
    {{{0}}, 1, 0, QUEUE_OK, false},
    {{{9, 1, QUEUE_OK, NULL}}, 1, 9, QUEUE_OK, true},
    {{{10, 1, QUEUE_OK, NULL}, {0}}, 2, 10, QUEUE_OK, true},
    {{{10, 1, QUEUE_OK, NULL}, {10, 1, QUEUE_OK, NULL}, {3, 1, QUEUE_OK, NULL}}, 3, 23, QUEUE_OK, true},
    {{{10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL},
      {10, 1, QUEUE_OK, NULL}},
     5,
     CONSUMER_BATCH,
     QUEUE_OK,
     false},
    {{{0, 0, QUEUE_UNAVAILABLE, "away"}}, 1, 0, QUEUE_UNAVAILABLE, false},
    {{{10, 1, QUEUE_OK, NULL}, {0, 0, QUEUE_UNAVAILABLE, "away"}}, 2, 10, QUEUE_UNAVAILABLE, true},
    {{{10, 1, QUEUE_OK, NULL}, {0, 0, QUEUE_INTERRUPTED, "stop"}}, 2, 10, QUEUE_INTERRUPTED, true},
    {{{10, 1, QUEUE_OK, "one was left out"}}, 1, 10, QUEUE_OK, false},
    {{{10, QUEUE_MAX_BODY / 10 + 1, QUEUE_OK, NULL}}, 1, 10, QUEUE_OK, false},
};

static void calls_go_on_while_they_are_full(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct queue queue = {.calls = cases[i].calls};
        struct gathered got = {0};
        int64_t began_ms = clock_mono_ms();
        /* The time that ends the calls may pass in a debugger, or on a machine that stands still. */
        enum queue_status status = gather(&queue, 20, &got);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(queue.made, cases[i].made);
        assert_int_equal(got.count, cases[i].messages);
        for (size_t k = 0; k < queue.made; k++)
            assert_int_equal(queue.waits[k], k == 0 ? 20 : 0);
        for (size_t k = 0; k < got.count; k++)
            assert_int_equal(got.messages[k]->receive_count, (k / 10 + 1) * 100 + k % 10);
        assert_int_equal(got.came_ms >= began_ms, cases[i].paced);
        assert_true(cases[i].paced || got.came_ms == 0);
        gather_free(&got);
        assert_int_equal(queue.freed, queue.made);
    }
}

static void rest_after_few_messages_follows_the_turn(void **state) {
    (void)state;
    assert_int_equal(pace_rest_ms(0), 0);
    assert_int_equal(pace_rest_ms(3), 6);
    assert_int_equal(pace_rest_ms(25), PACE_CAP_MS);
    assert_int_equal(pace_rest_ms(INT64_MAX), PACE_CAP_MS);
    const struct call calls[2] = {{1, 1, QUEUE_OK, NULL}};
    struct queue queue = {.calls = calls};
    struct gathered got = {.came_ms = clock_mono_ms() - 1000};
    int64_t began_ms = clock_mono_ms();
    assert_int_equal(gather(&queue, 20, &got), QUEUE_OK);
    assert_true(clock_mono_ms() >= began_ms + PACE_CAP_MS);
    gather_free(&got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_on_while_they_are_full),
        cmocka_unit_test(rest_after_few_messages_follows_the_turn),
    };
    return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
