/* Creates and frees what order-svc keeps only in memory. */
#include "memory.h"

#include "app.h"
#include "common/base/memory_cache.h"
#include "guesses.h"

enum { REMEMBERED = 32768 }; /* receipts and views, of up to 1 KiB each */

static void collect_memory(void *memory) {
    struct memory_cache_size size = memory_cache_size(memory);
    metric_set(metric_series(METRIC_CACHE_ENTRIES, METRIC_LABELS("answers")), (int64_t)size.values);
    metric_set(metric_series(METRIC_CACHE_SIZE, METRIC_LABELS("answers")), (int64_t)size.bytes);
}

void *memory_start(void *self) {
    struct order_app *app = self;
    const struct config *config = app->service.config;
    app->memory = memory_cache_new(REMEMBERED);
    app->guesses = guesses_new(config->auth_failure_limit);
    order_series_make(&app->series);
    app->orders_limit = limit_new(&(struct limit_policy){"orders", config->order_rate_limit, 60});
    if (app->memory && app->guesses && app->orders_limit && metrics_collect(collect_memory, app->memory))
        return app;
    memory_stop(app, 0);
    return NULL;
}

void memory_stop(void *self, int64_t deadline_ms) {
    struct order_app *app = self;
    (void)deadline_ms;
    metrics_forget(collect_memory, app->memory);
    limit_free(app->orders_limit);
    guesses_free(app->guesses);
    memory_cache_free(app->memory);
}
