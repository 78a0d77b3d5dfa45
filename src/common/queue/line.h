/* A line to the server: one call at a time over a handle of libcurl of its own, so that several lines work at once. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/buf.h"
#include "common/queue/queue.h"
#include "json.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LINE_WHY_SIZE 256 /* libcurl's own */
#define LINE_ANSWER_S 5   /* timeout of a call, besides its own wait_s */

struct line {
    const struct queue_options *options;
    void *easy, *headers; /* libcurl's */

    /* The call. */
    const char *action;
    const struct buf *body;
    int wait_s; /* for how much longer the answer is of use */

    /* The last exchange. */
    struct buf text;         /* the body of the answer */
    int result;              /* a CURLcode */
    char why[LINE_WHY_SIZE]; /* "", or what libcurl says of a failure */
    bool is_signed;
    int64_t skew_ms;  /* of the clock that dated it */
    int64_t ended_ns; /* on clock_mono_ns's clock */

    /* What became of the call. */
    enum queue_status status;
    json_t *answer;                   /* when it is QUEUE_OK; whoever made the call owns it */
    char error[QUEUE_ERROR_SIZE];     /* for the log */
    char refusal[QUEUE_REFUSAL_SIZE]; /* the type of an error answer; "": none */
    bool well;                        /* the server, as its answer shows, also when it refused the call */
    int64_t took_ns;
};

/* Opens a zeroed line. The options are borrowed until line_close. False when out of memory; close it then, too. */
bool line_open(struct line *line, const struct queue_options *options) MUST_CHECK;
void line_close(struct line *line);

/* Prepares the exchange: signs the request with the credentials of this moment, which may block for seconds to get some.
 * False with result and why when there is nothing to send. Otherwise easy is to be driven, and line_done called. */
bool line_prepare(struct line *line) MUST_CHECK;

/* The exchange has ended so. */
void line_done(struct line *line, int result);

/* Whether the request was refused because our clock is wrong. It is corrected then, and the exchange may be repeated, once. */
bool line_is_misdated(const struct line *line);

/* Reads what has come: sets what became of the call. */
void line_judge(struct line *line);

/* What became of the call is a failure of ours. */
void line_fail(struct line *line, enum queue_status status, const char *format, ...) PRINTF_LIKE(3, 4);
