/* Choosing between standby and primary by what a client has seen. */
#include "standby.h"

#include "app.h"
#include "common/base/clock.h"
#include "common/service/worker.h"
#include "event_store.h"

#include <stdlib.h>

static const char token_name[] = "Consistency-Token";

enum {
    CLOCKS_DIFFER_S = 60, /* at most, ours and the database's */
    SILENT_MS =
        500 /* a standby that fails after so long is not asked for a while: others would wait as long */
};

struct standby {
    struct breaker
        breaker; /* of all workers: one that is silent must not hold up each of them again and again */
    struct outage outage;
    struct metric_series *answered, *behind, *failed;
};

void *standby_start(void *app) {
    (void)app;
    struct standby *standby = calloc(1, sizeof *standby);
    if (!standby)
        return NULL;
    *standby = (struct standby){.breaker = BREAKER_INIT,
                                .outage = {.name = "standby"},
                                .answered = metric_series(METRIC_STANDBY_READS, METRIC_LABELS("answered")),
                                .behind = metric_series(METRIC_STANDBY_READS, METRIC_LABELS("behind")),
                                .failed = metric_series(METRIC_STANDBY_READS, METRIC_LABELS("failed"))};
    return standby;
}

void standby_stop(void *standby, int64_t deadline_ms) {
    (void)deadline_ms;
    free(standby);
}

static bool is_used(const struct order_app *app) {
    return config_reads_standbys(app->service.config);
}

void standby_see(struct http_request *request, struct standby_seen *out, struct http_faults *faults) {
    const char *token = http_header(request, token_name);
    if (!token)
        return;
    if (!event_position_parse(token, &out->position))
        http_fault(faults, token_name, NULL, "must be the one of an earlier answer, or the id of an event");
    out->known = is_used(request->app);
}

bool standby_asks(struct http_request *request) {
    return is_used(request->app) && http_header(request, token_name);
}

/* Behind all that a statement before has shown: no transaction from next_xid on had begun. */
static struct event_position behind(const struct event_head *head) {
    return (struct event_position){.epoch = head->end.epoch, .xid = head->next_xid};
}

/* Where it is not known how far an answer has come: no standby has it before the primary's next start. Epochs are the times of
 * starts, in seconds. */
static struct event_position unknown(void) {
    return (struct event_position){.epoch = clock_epoch_ms() / 1000 + CLOCKS_DIFFER_S, .xid = INT64_MAX};
}

/* To those that are answered. head: after all that they show; NULL: not known. */
static void give_tokens(struct http_request *const requests[], size_t n, const struct event_head *head) {
    struct event_position position = head ? behind(head) : unknown();
    char text[EVENT_ID_SIZE];
    event_position_format(&position, text);
    for (size_t i = 0; i < n; i++)
        if (requests[i]->reply.status)
            http_reply_header(requests[i], token_name, "%s", text);
}

void standby_mark(struct http_worker *worker, struct http_request *const requests[], size_t n) {
    struct event_head head;
    size_t answered = 0;
    for (size_t i = 0; worker->reads && i < n; i++)
        answered += requests[i]->reply.status != 0;
    if (answered)
        give_tokens(requests, n, event_store_head(worker->db, &head) == DB_OK ? &head : NULL);
}

/* Moves the requests that a standby may answer, as far as the client is concerned, to the front. Returns how many. */
static size_t choose(struct http_request *requests[], size_t n, const struct event_position *reached) {
    size_t chosen = 0;
    for (size_t i = 0; i < n; i++) {
        struct http_request *request = requests[i];
        const struct standby_seen *seen = request->command;
        if (!seen->known || (reached && event_position_compare(&seen->position, reached) > 0))
            continue;
        requests[i] = requests[chosen];
        requests[chosen++] = request;
    }
    return chosen;
}

/* What is read from a standby, in one transaction: a new connection in between could be to another one, which has less. */
struct standby_work {
    struct http_worker *worker;
    struct http_request **requests; /* those that may be answered come first */
    size_t n;
    standby_read_fn *read;
};

/* Answers from the standby. The head before the read tells what it has; the one after it, what it may have shown. */
static enum db_status ask_standby(struct db *db, void *arg) {
    const struct standby_work *work = arg;
    struct event_head head;
    enum db_status status = event_store_standby_head(db, &head);
    if (status != DB_OK)
        return status;
    size_t chosen = choose(work->requests, work->n, &head.end);
    if (chosen == 0)
        return DB_OK;
    status = work->read(work->worker, db, work->requests, chosen);
    if (status == DB_OK)
        status = event_store_standby_head(db, &head);
    give_tokens(work->requests, chosen, status == DB_OK ? &head : NULL);
    return status;
}

static void note_outcome(struct standby *standby, const struct db *db, bool well, bool silent) {
    int64_t now_ms = clock_mono_ms();
    if (silent)
        breaker_trip(&standby->breaker, now_ms);
    else
        breaker_note(&standby->breaker, well, now_ms);
    if (well)
        outage_end(&standby->outage);
    else
        outage_begin(&standby->outage, "%s", db_error(db));
}

/* Answers what the standby can. Moves the others to the front, and returns how many they are. */
static size_t answer_from_standby(struct http_worker *worker, struct http_request *requests[], size_t n,
                                  standby_read_fn *read) {
    const struct order_app *app = worker->app;
    struct standby *standby = app->standby;
    size_t asked = choose(requests, n, NULL), left = 0;
    if (asked == 0 || !breaker_allows(&standby->breaker, clock_mono_ms()))
        return n;
    struct standby_work work = {.worker = worker, .requests = requests, .n = asked, .read = read};
    int64_t began_ms = clock_mono_ms();
    bool well = db_transaction(worker->reads, ask_standby, &work) == DB_OK;
    note_outcome(standby, worker->reads, well, !well && clock_mono_ms() - began_ms >= SILENT_MS);
    for (size_t i = 0; i < n; i++)
        if (!requests[i]->reply.status)
            requests[left++] = requests[i];
    metric_add(standby->answered, (int64_t)(n - left));
    metric_add(well ? standby->behind : standby->failed, (int64_t)(asked - (n - left)));
    return left;
}

enum db_status standby_read(struct http_worker *worker, struct http_request *requests[], size_t n,
                            standby_read_fn *read) {
    struct http_request *rest[HTTP_BATCH_MAX];
    for (size_t i = 0; i < n; i++)
        rest[i] = requests[i];
    size_t left = worker->reads ? answer_from_standby(worker, rest, n, read) : n;
    enum db_status status = left ? read(worker, worker->db, rest, left) : DB_OK;
    standby_mark(worker, rest, left);
    return status;
}
