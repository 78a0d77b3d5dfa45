/* The outcome of work that needed another part, without naming that part. */
#pragma once

#include <stddef.h>

enum outcome {
    OUTCOME_DONE,
    OUTCOME_UNAVAILABLE, /* the part is unavailable: try later */
    OUTCOME_BUSY,        /* conflict, lock wait or timeout: rolled back, may be tried again */
    OUTCOME_REFUSED,     /* the data was refused: rolled back */
    OUTCOME_NO_MEMORY,
    OUTCOME_FAILED, /* an error on our side: rolled back */
};

/* The kind of failure in a word, for traces; NULL when there is none. */
static inline const char *outcome_error(enum outcome outcome) {
    static const char *const names[] = {NULL, "unavailable", "busy", "refused", "no_memory", "failed"};
    return names[outcome];
}
