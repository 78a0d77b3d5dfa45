/* Who shares connections to the database, and how many there are. */
#include "pools.h"

#include "common/db/pool.h"

static const char *const pool_names[SERVICE_POOLS] = {
    [SERVICE_QUICK] = "quick", [SERVICE_EVENTS] = "events", [SERVICE_BACKGROUND] = "background"};

/* A consumer has its message in the hands of SQS for most of the time. Background jobs have two, so that one that is
 * slow does not stop the others. */
static size_t pool_size(const struct config *config, enum service_pool pool) {
    switch (pool) {
    case SERVICE_EVENTS:
        return ((size_t)config->consumer_threads + 1) / 2;
    case SERVICE_BACKGROUND:
        return 2;
    default:
        return 1;
    }
}

bool pools_open(struct service *service) {
    struct db_options own = service_db(service);
    for (int i = 0; i < SERVICE_POOLS; i++) {
        size_t size = pool_size(service->config, (enum service_pool)i);
        service->pools[i] = db_pool_new(&own, pool_names[i], size);
        if (!service->pools[i])
            return false;
    }
    return true;
}

void pools_close(struct service *service) {
    for (int i = 0; i < SERVICE_POOLS; i++)
        db_pool_free(service->pools[i]);
}

size_t pools_files(const struct config *config) {
    size_t connections = 0;
    for (int i = 0; i < SERVICE_POOLS; i++)
        connections += pool_size(config, (enum service_pool)i);
    return connections * DB_FILES;
}

struct db_options service_db_of(const struct service *service, enum service_pool pool) {
    struct db_options options = service_db(service);
    options.pool = service->pools[pool];
    return options;
}
