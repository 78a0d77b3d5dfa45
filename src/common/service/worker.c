/* The connections of a worker. */
#include "common/service/worker.h"

#include "common/cache/cache.h"
#include "common/service/service.h"

#include <stdlib.h>

struct http_worker *worker_open(void *app) {
    struct service *service = app;
    struct http_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    struct db_options db = service_db(service);
    worker->app = app;
    worker->db = db_open(&db);
    if (config_db_read(service->config, service->daemon->name, &db))
        worker->reads = db_open(&db);
    if (service->daemon->uses_redis) {
        struct cache_options cache = service_cache(service);
        worker->cache = cache_open(&cache);
    }
    if (worker->db && (worker->cache || !service->daemon->uses_redis))
        return worker;
    worker_close(worker);
    return NULL;
}

void worker_close(struct http_worker *worker) {
    db_close(worker->reads);
    db_close(worker->db);
    cache_close(worker->cache);
    free(worker);
}

const char *worker_error(const struct http_worker *worker) {
    return db_error(worker->db);
}
