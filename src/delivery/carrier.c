/* The simulated carrier's thread. */
#include "carrier.h"

#include "common/log.h"
#include "common/outbox.h"
#include "shipment_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    MIN_SLEEP_MS = 5, /* what is late but not ours to take is in another replica's hands */
    MAX_SLEEP_MS = 1000,
};

struct carrier {
    struct db *db;
    const struct shipment_pace *pace;
    struct outbox *outbox;
    pthread_t thread;
    pthread_mutex_t mutex; /* of stopping */
    pthread_cond_t wake;
    bool stopping;
    bool failing; /* the last try failed, and that was logged */
};

/* False when it is time to stop. */
static bool sleep_ms(struct carrier *carrier, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&carrier->mutex);
    while (!carrier->stopping && pthread_cond_timedwait(&carrier->wake, &carrier->mutex, &until) == 0)
        ;
    bool go_on = !carrier->stopping;
    pthread_mutex_unlock(&carrier->mutex);
    return go_on;
}

/* Moves one batch; how long to sleep then. */
static int64_t work(struct carrier *carrier) {
    size_t count = 0;
    int64_t wait_ms = MAX_SLEEP_MS;
    enum db_status status = shipment_store_advance(carrier->db, carrier->pace, &count);
    if (count)
        outbox_wake(carrier->outbox);
    if (count == SHIPMENT_MAX_DUE)
        return 0;
    if (status == DB_OK)
        status = shipment_store_next_due(carrier->db, MAX_SLEEP_MS, &wait_ms);
    if (status != DB_OK && !carrier->failing)
        log_warn(NULL, "carrier: the shipments wait: %s", db_error(carrier->db));
    if (status == DB_OK && carrier->failing)
        log_info(NULL, "carrier: the shipments move again");
    carrier->failing = status != DB_OK;
    if (wait_ms < MIN_SLEEP_MS)
        return MIN_SLEEP_MS;
    return wait_ms < MAX_SLEEP_MS ? wait_ms : MAX_SLEEP_MS;
}

static void *run(void *arg) {
    struct carrier *carrier = arg;
    while (sleep_ms(carrier, work(carrier)))
        ;
    return NULL;
}

static void destroy(struct carrier *carrier) {
    pthread_cond_destroy(&carrier->wake);
    pthread_mutex_destroy(&carrier->mutex);
    db_close(carrier->db);
    free(carrier);
}

struct carrier *carrier_start(const struct db_options *db, const struct shipment_pace *pace,
                              struct outbox *outbox) {
    struct carrier *carrier = calloc(1, sizeof *carrier);
    if (!carrier)
        return NULL;
    carrier->pace = pace;
    carrier->outbox = outbox;
    carrier->db = db_open(db);
    pthread_mutex_init(&carrier->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&carrier->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!carrier->db || pthread_create(&carrier->thread, NULL, run, carrier) != 0) {
        destroy(carrier);
        return NULL;
    }
    return carrier;
}

void carrier_stop(struct carrier *carrier) {
    if (!carrier)
        return;
    pthread_mutex_lock(&carrier->mutex);
    carrier->stopping = true;
    pthread_cond_signal(&carrier->wake);
    pthread_mutex_unlock(&carrier->mutex);
    pthread_join(carrier->thread, NULL);
    destroy(carrier);
}
