/* Logging outages. */
#include "common/base/outage.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>

bool outage_begin(struct outage *outage, const char *format, ...) {
    long long none = 0, now = clock_mono_ms();
    atomic_fetch_add(&outage->failures, 1);
    atomic_store(&outage->failed_ms, now);
    if (!atomic_compare_exchange_strong(&outage->since_ms, &none, now))
        return false;
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    log_warn(NULL, "%s is unavailable: %s", outage->name, reason);
    return true;
}

void outage_end(struct outage *outage) {
    if (!atomic_load(&outage->since_ms) ||
        clock_mono_ms() - atomic_load(&outage->failed_ms) < outage->quiet_ms)
        return;
    long long since_ms = atomic_exchange(&outage->since_ms, 0);
    unsigned long long failures = atomic_exchange(&outage->failures, 0);
    if (since_ms)
        log_info(NULL, "%s is available again after %.1f s and %llu failure(s)", outage->name,
                 (double)(clock_mono_ms() - since_ms) / 1000.0, failures);
}
