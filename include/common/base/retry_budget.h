/* A budget of retries made at once, without a backoff: a few failures are made up for, an outage is not
 * answered with a storm. As in the AWS SDKs: a bucket of 500 tokens, of which a retry takes 5 and a success
 * gives 1 back. A call that timed out is not retried at once by anybody. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

struct retry_budget {
    unsigned spent; /* zero: the bucket is full */
};

/* Whether a retry may be made; it is paid for then. */
static inline bool MUST_CHECK retry_budget_take(struct retry_budget *budget) {
    enum { CAPACITY = 500, COST = 5 };
    if (budget->spent + COST > CAPACITY)
        return false;
    budget->spent += COST;
    return true;
}

static inline void retry_budget_give(struct retry_budget *budget) {
    budget->spent -= budget->spent > 0;
}
