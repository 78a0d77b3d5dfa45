/* Checking, starting and passing on W3C traces. */
#include "common/base/trace.h"
#include "common/base/digest.h"
#include "common/base/random.h"

#include <stdio.h>
#include <string.h>

/* "" : none. */
static _Thread_local char current[TRACEPARENT_SIZE];

static const char shape[] = "vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff";

static bool is_lower_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Whether text has dashes where the shape has dashes, and lower-case hex elsewhere. */
static bool fits_shape(const char *text) {
    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] == '-' ? text[i] != '-' : !is_lower_hex(text[i]))
            return false;
    }
    return true;
}

static bool all_zero(const char *text, size_t len) {
    return strspn(text, "0") >= len;
}

/* Whether text begins with the four fields of a traceparent. */
static bool has_fields(const char *text) {
    return fits_shape(text) && strncmp(text, "ff", 2) != 0 && !all_zero(text + 3, 32) &&
           !all_zero(text + 36, 16);
}

bool trace_valid(const char *text) {
    if (!has_fields(text))
        return false;
    /* Only versions after 00 may have more fields. */
    char end = text[strlen(shape)];
    return end == '\0' || (end == '-' && strncmp(text, "00", 2) != 0);
}

void trace_adopt(const char *incoming, char out[static TRACEPARENT_SIZE]) {
    if (incoming && trace_valid(incoming)) {
        memcpy(out, incoming, TRACEPARENT_SIZE - 1);
        memcpy(out, "00", 2);
        out[TRACEPARENT_SIZE - 1] = '\0';
        return;
    }
    uint8_t ids[16 + 8];
    char trace_id[2 * 16 + 1], parent_id[2 * 8 + 1];
    random_bytes(ids, sizeof ids);
    hex_encode(ids, 16, trace_id);
    hex_encode(ids + 16, 8, parent_id);
    snprintf(out, TRACEPARENT_SIZE, "00-%s-%s-01", trace_id, parent_id);
}

bool trace_is_sampled(const char *traceparent) {
    return strchr("13579bdf", traceparent[TRACEPARENT_SIZE - 2]);
}

bool trace_is_recorded(const char *trace) {
    return trace && has_fields(trace) && trace_is_sampled(trace) && strchr(" ", trace[TRACEPARENT_SIZE - 1]);
}

const char *trace_state(const char *trace) {
    const char *blank = strchr(trace, ' ');
    return blank ? blank + 1 : "";
}

void trace_join(const char *traceparent, const char *state, char out[static TRACE_SIZE]) {
    snprintf(out, TRACE_SIZE, "%.*s%s%s", (int)TRACEPARENT_SIZE - 1, traceparent, *state ? " " : "", state);
}

void trace_set_current(const char *trace) {
    current[0] = '\0';
    if (trace_is_recorded(trace))
        memcpy(current, trace, TRACEPARENT_SIZE - 1);
}

const char *trace_current(void) {
    return *current ? current : NULL;
}
