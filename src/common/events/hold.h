/* For how long a batch is held that the database does not take. Pure: times are on any clock, in ms. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    HOLD_MS = 600000,        /* that the database answers, but is too busy for the batch */
    HOLD_AWAY_MS = 39600000, /* with those that it is away: SQS hides a message for 12 hours at most */
    HOLD_TRIES = 200,        /* one of the messages may be what the database ends with */
    HOLD_SHARED_MS = 30000,  /* at most, while others may reach the database: a failover takes less */
};

struct hold {
    int64_t left_ms, latest_ms;
    int tries;
};

void hold_begin(struct hold *hold, int64_t now_ms);

bool hold_goes_on(const struct hold *hold, int64_t now_ms);

/* A round in which the database answered took so long. tried: the batch was tried in it. */
void hold_count(struct hold *hold, int64_t took_ms, bool tried);
