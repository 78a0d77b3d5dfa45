/* Comparing the queue's number of receives with the setting. */
#include "receives.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <stddef.h>

enum { ASK_MS = 60000 };

void receives_begin(struct receives *receives, const struct queue_options *options) {
    receives->setting = receives->logged = options->max_receive_count;
    receives->ask_ms = clock_mono_ms() + ASK_MS;
}

void receives_compare(struct receives *receives, struct queue *queue, const char *name) {
    if (clock_mono_ms() >= receives->ask_ms) {
        receives->ask_ms = clock_mono_ms() + ASK_MS;
        if (queue_check(queue) != QUEUE_OK)
            return; /* what is known stays */
    }
    int now = queue_max_receive_count(queue);
    if (now != receives->logged)
        log_warn(
            NULL,
            "%s: the queue gives a message up after %d receive(s), whatever SQS_MAX_RECEIVE_COUNT says (%d)",
            name, now, receives->setting);
    receives->logged = now;
}
