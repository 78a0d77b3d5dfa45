/* What a sender remembers of the receivers it sends to: how much is on its way, and from where to look for more. Pure.
 *
 * Deliveries leave the front of the index of due ones all the time. As long as any old snapshot is open, such as that of a
 * backup, the server keeps them there, and whoever reads from the start steps over each of them. So a claim goes on where the
 * last one was, as db_walk does, for each receiver alone. Now and then it looks at all of them, for those that were
 * committed late, or whose lease ended with their sender. One thread at a time. */
#pragma once

#include "common/base/uuid.h"

#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_RECEIVERS 128 /* more than requests at once */

struct webhook_receiver {
    struct uuid id;   /* of the webhook */
    int64_t sending;  /* requests on their way */
    int64_t from_ms;  /* what was due earlier was taken, on the database's clock; DB_NO_TIME: nobody knows */
    int64_t sweep_ms; /* when to look at all again, on clock_mono_ms's clock */
    unsigned last_used; /* the claim */
};

struct webhook_receivers { /* zero-initialise */
    struct webhook_receiver list[WEBHOOK_RECEIVERS];
    size_t count;
    unsigned claim;
};

/* Begins a claim: nothing is counted as on its way. What is to be looked at as a whole again is noted. */
void webhook_receivers_begin(struct webhook_receivers *receivers, int64_t now_ms);

/* The receiver of a webhook. One that is not known replaces the one that was not used for longest. Valid until the next
 * call. */
struct webhook_receiver *webhook_receivers_find(struct webhook_receivers *receivers, const struct uuid *id);

/* A claim has taken a delivery that was due at this time: the first one of its receiver. */
void webhook_receivers_took(struct webhook_receivers *receivers, const struct uuid *id, int64_t due_ms);
