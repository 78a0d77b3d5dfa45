/* Receiving what a transaction is made of. */
#include "gather.h"

#include "common/base/clock.h"
#include "pace.h"

enum {
    LATE_MS = 1000, /* an answer that comes so long after it was due may have been on its way all the time */
    GATHER_MS = 20, /* no further call is begun after so long: where calls are slow, threads help more */
    GATHER_BYTES = QUEUE_MAX_BODY, /* nor with so many bytes in hand */
};

/* Adds what a call brought. Returns its bytes. */
static size_t keep_messages(struct gathered *g, const struct queue_batch *batch) {
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        g->messages[g->count++] = &batch->messages[i];
        bytes += batch->messages[i].body_len;
    }
    return bytes;
}

enum queue_status gather(struct queue *queue, int wait_s, struct gathered *out) {
    out->count = out->calls = 0;
    size_t bytes = 0, got;
    int64_t came_ms = 0;
    enum queue_status status;
    if (out->came_ms)
        clock_sleep_ms(pace_rest_ms(clock_mono_ms() - out->came_ms));
    int64_t asked_ms = clock_mono_ms();
    bool late = false;
    do {
        struct queue_batch *batch = &out->batches[out->calls++];
        status = queue_receive(queue, out->count ? 0 : wait_s, batch);
        got = batch->count;
        bytes += keep_messages(out, batch);
        if (out->calls == 1) {
            came_ms = clock_mono_ms();
            late = came_ms > asked_ms + wait_s * INT64_C(1000) + LATE_MS;
        }
        /* What the queue says of a message that it left out is for the log: the next call would forget it. */
    } while (got == QUEUE_BATCH && status == QUEUE_OK && !*queue_error(queue) && out->calls < GATHER_CALLS &&
             bytes < GATHER_BYTES && !late && clock_mono_ms() < came_ms + GATHER_MS);
    out->hidden_ms = late ? asked_ms : came_ms;
    out->came_ms = out->count && got < QUEUE_BATCH ? came_ms : 0;
    return status;
}

void gather_free(struct gathered *g) {
    for (size_t i = 0; i < g->calls; i++)
        queue_batch_free(&g->batches[i]);
    g->calls = g->count = 0;
}
