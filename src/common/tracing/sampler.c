/* Which traces are recorded. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

#define WHOLE (UINT64_C(1) << 63)

void sampler_init(struct sampler *sampler, enum tracing_sampler kind, double ratio) {
    *sampler =
        (struct sampler){.kind = kind, .threshold = ratio >= 1 ? WHOLE : (uint64_t)(ratio * (double)WHOLE)};
}

/* The second half of a trace id is random. Its first 63 bits are the number of the trace, as in other libraries: so all
 * services with the same ratio record the same traces. */
static bool is_below(const struct sampler *sampler, const char *traceparent) {
    char digits[17];
    memcpy(digits, traceparent + 3 + 16, 16);
    digits[16] = '\0';
    return strtoull(digits, NULL, 16) >> 1 < sampler->threshold;
}

bool sampler_decides(const struct sampler *sampler, const char *traceparent, bool has_parent) {
    switch (sampler->kind) {
    case SAMPLER_PARENT_RATIO:
        return has_parent ? trace_is_sampled(traceparent) : is_below(sampler, traceparent);
    case SAMPLER_PARENT_ON:
        return !has_parent || trace_is_sampled(traceparent);
    case SAMPLER_PARENT_OFF:
        return has_parent && trace_is_sampled(traceparent);
    case SAMPLER_ON:
        return true;
    case SAMPLER_OFF:
        return false;
    case SAMPLER_RATIO:
        return is_below(sampler, traceparent);
    }
    return false;
}
