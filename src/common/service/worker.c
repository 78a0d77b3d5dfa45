/* The connections of a worker. */
#include "common/cache/cache.h"
#include "common/http/http.h"

#include <stdlib.h>

struct http_worker *http_worker_open(const struct db_options *db, const struct cache_options *cache,
                                     void *app) {
    struct http_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    *worker = (struct http_worker){.db = db_open(db), .cache = cache ? cache_open(cache) : NULL, .app = app};
    if (worker->db && (worker->cache || !cache))
        return worker;
    http_worker_close(worker);
    return NULL;
}

void http_worker_close(void *worker) {
    struct http_worker *w = worker;
    db_close(w->db);
    cache_close(w->cache);
    free(w);
}
