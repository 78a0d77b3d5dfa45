/* Bounding lines of the log. */
#include "common/base/log_limit.h"

#include "common/base/log.h"

#include <stddef.h>

bool log_limit_allows(struct log_limit *limit, const char *subject, int64_t now_ms) {
    long long now = now_ms / 1000, seen = atomic_load(&limit->second);
    if (seen != now && atomic_compare_exchange_strong(&limit->second, &seen, now))
        atomic_store(&limit->lines, 0);
    if (atomic_fetch_add(&limit->lines, 1) >= LOG_LIMIT_PER_SECOND) {
        atomic_fetch_add(&limit->left_out, 1);
        return false;
    }
    unsigned long long left_out = atomic_exchange(&limit->left_out, 0);
    if (left_out)
        log_warn(NULL, "%llu more line(s) about %s were left out", left_out, subject);
    return true;
}
