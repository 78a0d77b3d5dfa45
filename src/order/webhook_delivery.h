/* A delivery: one event for one webhook, and how far it is. */
#pragma once

#include "common/base/uuid.h"

#include <stdint.h>

struct webhook_delivery { /* strings belong to the arena it was made in; times are 0 when there is none */
    struct uuid id;
    struct uuid order_id;
    const char *event_id; /* NULL: a ping, which has no order either */
    const char *type;
    int64_t attempts;
    int64_t created_ms, next_ms, delivered_ms;
    int64_t last_ms;
    int64_t last_status;     /* 0: no answer */
    const char *last_error;  /* NULL: there was an answer */
    const char *last_answer; /* its beginning; NULL: none */
};
