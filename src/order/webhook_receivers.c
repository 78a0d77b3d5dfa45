/* What a sender remembers of its receivers. */
#include "webhook_receivers.h"

#include "common/base/clock.h"
#include "common/db/params.h"

#include <stdbool.h>

enum {
    SWEEP_MS = 60000,
    OVERLAP_MS = 2000, /* that is looked at again with each claim, for what is committed a little later */
};

void webhook_receivers_begin(struct webhook_receivers *receivers, int64_t now_ms) {
    receivers->claim++;
    for (size_t i = 0; i < receivers->count; i++) {
        struct webhook_receiver *receiver = &receivers->list[i];
        receiver->sending = 0;
        if (now_ms < receiver->sweep_ms)
            continue;
        receiver->from_ms = DB_NO_TIME;
        receiver->sweep_ms = now_ms + SWEEP_MS;
    }
}

struct webhook_receiver *webhook_receivers_find(struct webhook_receivers *receivers, const struct uuid *id) {
    struct webhook_receiver *oldest = &receivers->list[0];
    for (size_t i = 0; i < receivers->count; i++) {
        struct webhook_receiver *receiver = &receivers->list[i];
        if (uuid_compare(&receiver->id, id) == 0) {
            receiver->last_used = receivers->claim;
            return receiver;
        }
        if (receiver->last_used < oldest->last_used)
            oldest = receiver;
    }
    if (receivers->count < WEBHOOK_RECEIVERS)
        oldest = &receivers->list[receivers->count++];
    *oldest = (struct webhook_receiver){.id = *id,
                                        .from_ms = DB_NO_TIME,
                                        .sweep_ms = clock_mono_ms() + SWEEP_MS,
                                        .last_used = receivers->claim};
    return oldest;
}

void webhook_receivers_took(struct webhook_receivers *receivers, const struct uuid *id, int64_t due_ms) {
    struct webhook_receiver *receiver = webhook_receivers_find(receivers, id);
    if (receiver->from_ms < due_ms - OVERLAP_MS) /* DB_NO_TIME is less than any time */
        receiver->from_ms = due_ms - OVERLAP_MS;
}
