/* A budget for immediate retries, i.e. those without a backoff. It hides single failures and prevents retry storms.
 * As in the AWS SDKs, it is a bucket of 500 tokens: a retry takes 5, a success gives 1 back. Callers never retry
 * immediately after a timeout. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

struct retry_budget {
    unsigned spent; /* zero: the bucket is full */
};

/* Whether a retry may be made. If so, takes its tokens. */
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
