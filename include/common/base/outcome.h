/* What became of work that needed another part, in words that do not name the part. */
#pragma once

enum outcome {
    OUTCOME_DONE,
    OUTCOME_UNAVAILABLE, /* the part is away: try later */
    OUTCOME_BUSY,        /* others were in the way for too long: rolled back, may be tried again */
    OUTCOME_REFUSED,     /* the data was refused: rolled back */
    OUTCOME_NO_MEMORY,
    OUTCOME_FAILED, /* a fault of ours: rolled back */
};
