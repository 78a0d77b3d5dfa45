/* The kinds of parts: how each is started with the options of the daemon, and stopped. */
#include "part.h"

#include "common/cache/cache.h"
#include "common/events/outbox.h"

struct db_options service_db(const struct service *service) {
    struct db_options options;
    config_db(service->config, service->daemon->name, &options);
    options.identity = service->identity;
    return options;
}

struct db_options service_db_direct(const struct service *service) {
    struct db_options options;
    config_db_direct(service->config, service->daemon->name, &options);
    options.identity = service->identity;
    return options;
}

struct cache_options service_cache(struct service *service) {
    struct cache_options options;
    config_cache(service->config, &options);
    options.breaker = &service->redis_breaker;
    options.outage = &service->redis_outage;
    return options;
}

static unsigned consumer_threads(const struct service_part *part, const struct config *config) {
    if (part->single)
        return 1;
    bool few = config->consumer_threads < config->queue_shards;
    return (unsigned)(few ? config->queue_shards : config->consumer_threads);
}

struct consumer *service_consumer(struct service *service, const struct service_part *part, void *self) {
    enum db_share share = part->single ? DB_PROMPT : DB_BULK;
    struct consumer_options options = {.db = service_db_of(service, share),
                                       .threads = consumer_threads(part, service->config),
                                       .wait_s = (int)(service->config->sqs_wait_time / 1000),
                                       .probe = part->probe,
                                       .handle = part->consume,
                                       .action = part->action,
                                       .app = self};
    part->queue(service->config, &options.queue);
    options.queue.breaker = &service->sqs_breaker;
    return consumer_start(&options);
}

static struct outbox *start_relay(struct service *service, const struct service_part *part) {
    struct outbox_options options = {
        .table = part->outbox, .db = service_db_of(service, DB_PROMPT), .session = service->session};
    part->queue(service->config, &options.queue);
    options.queue.calls = (unsigned)service->config->relay_calls;
    options.queue.breaker = &service->sqs_breaker;
    return outbox_start(&options);
}

void *part_start(const struct service_part *part, void *app) {
    if (part->start)
        return part->start(app);
    if (part->outbox)
        return start_relay(app, part);
    if (part->consume)
        return service_consumer(app, part, app);
    return db_job_start(&(struct db_job_options){
        .name = part->name, .db = service_db_of(app, DB_LATE), .run = part->job, .self = app});
}

int64_t service_retention_run(void *app, struct db *db, enum db_status *status) {
    struct service *service = app;
    return archive_retention(&service->retention, service->daemon->archive, service->config->orders_retention,
                             db, status);
}

size_t part_files(const struct service_part *part, const struct config *config) {
    size_t files = part->files;
    if (part->consume || part->consumes)
        files += CONSUMER_FILES((size_t)consumer_threads(part, config));
    if (part->outbox)
        files += OUTBOX_FILES;
    return files;
}

void part_end(const struct service_part *part, void *self) {
    if (part->job)
        db_job_end(self);
}

void part_stop(const struct service_part *part, void *self, int64_t deadline_ms) {
    if (part->stop)
        part->stop(self, deadline_ms);
    else if (part->outbox)
        outbox_stop(self, deadline_ms);
    else if (part->consume)
        consumer_stop(self);
    else if (part->job)
        db_job_stop(self);
}
