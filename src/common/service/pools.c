/* Who shares connections to the database, and how many there are. */
#include "pools.h"

#include "common/db/pool.h"

enum {
    LEAST_BULK = 2,      /* connections: one for events, one for what may be late */
    ASK_LIMIT_MS = 2000, /* a server that takes longer for a short statement counts as unavailable */
};

/* A consumer has its message in the hands of SQS for most of the time. One more is for what is prompt. */
static size_t work_size(const struct config *config) {
    size_t bulk = ((size_t)config->consumer_threads + 1) / 2;
    return (bulk > LEAST_BULK ? bulk : LEAST_BULK) + 1;
}

struct db_options pools_asking(const struct service *service) {
    struct db_options options = service_db(service);
    if (options.connect_timeout_ms > ASK_LIMIT_MS)
        options.connect_timeout_ms = ASK_LIMIT_MS;
    if (options.statement_timeout_ms > ASK_LIMIT_MS)
        options.statement_timeout_ms = ASK_LIMIT_MS;
    return options;
}

static struct db_options heard_by(const struct service *service, struct db_options options) {
    options.heard = db_session_heard;
    options.heard_cls = service->session;
    return options;
}

bool pools_open(struct service *service) {
    service->session = db_session_new();
    if (!service->session)
        return false;
    struct db_options work = service_db(service), lasting = heard_by(service, pools_asking(service));
    service->lasting = db_pool_new(&lasting, "session", 1);
    service->work = db_pool_new(&work, "work", work_size(service->config));
    return service->lasting && service->work;
}

void pools_close(struct service *service) {
    db_pool_free(service->work);
    db_pool_free(service->lasting);
    db_session_free(service->session);
}

size_t pools_files(const struct config *config) {
    enum { SESSION = 2 };
    size_t direct = *config->db_direct_host ? 1 : 0;
    return (work_size(config) + 1 + direct) * DB_FILES + SESSION;
}

struct db_options service_db_of(const struct service *service, enum db_share share) {
    struct db_options options = service_db(service);
    options.pool = service->work;
    options.share = share;
    return options;
}

/* A pooler keeps no session. */
bool pools_start_session(struct service *service) {
    struct db_options options = heard_by(service, service_db_direct(service));
    if (service->config->db_pooler == POOLER_NONE) {
        options = pools_asking(service);
        options.pool = service->lasting;
    }
    return db_session_start(service->session, &options);
}
