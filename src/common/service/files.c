/* Counting and reserving the file descriptors of a daemon. */
#include "files.h"

#include "common/base/log.h"
#include "common/cache/cache.h"
#include "common/queue/queue.h"
#include "part.h"
#include "pools.h"

#include <sys/resource.h>

enum { PROCESS_FILES = 16 }; /* standard streams, and what is open for a moment: secrets, keys, the journal */

static size_t files_needed(const struct service_daemon *daemon, const struct service_part *const parts[],
                           const struct config *config) {
    struct http_options http, metrics;
    config_http(config, &http);
    size_t worker =
        (config_reads_standbys(config) ? 2 : 1) * (size_t)DB_FILES + (daemon->uses_redis ? CACHE_FILES : 0);
    size_t needed = PROCESS_FILES + http_files(&http) + http.workers * worker + pools_files(config);
    if (config_metrics(config, &metrics))
        needed += http_files(&metrics);
    for (size_t i = 0; parts[i]; i++)
        needed += part_files(parts[i], config);
    return needed;
}

bool files_reserve(const struct service_daemon *daemon, const struct service_part *const parts[],
                   const struct config *config) {
    struct rlimit limit;
    rlim_t needed = files_needed(daemon, parts, config);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return true;
    limit.rlim_cur = needed;
    if (needed <= limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    log_error(NULL,
              "the limit of open files (nofile) is %llu, but the configuration needs %llu, of them %lld for "
              "HTTP_MAX_CONNECTIONS: raise the limit or lower the setting",
              (unsigned long long)limit.rlim_max, (unsigned long long)needed,
              (long long)config->http_max_connections);
    return false;
}
