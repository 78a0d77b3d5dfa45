/* Sending deliveries of webhooks. */
#include "webhook_sender.h"

#include "app.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"
#include "common/config/duration.h"
#include "webhook.h"
#include "webhook_policy.h"
#include "webhook_send_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OF_RECEIVER = 2, /* requests at once to one receiver that is well, besides a quarter of the free places */
    DOUBTFUL = WEBHOOK_PARALLEL / 2, /* to all receivers in doubt */
    LEASE_SLACK_MS = 45000,          /* how much longer than a request a delivery is ours */
    TURN_MS = 3,                     /* at least, from one batch to the next */
    IDLE_MS = 500,                   /* until we look for what has become due */
    STOP_MS = 3000,                  /* for requests in progress, when we stop */
    OUTAGE_BASE_MS = 100,
    OUTAGE_CAP_MS = 5000,
};

struct sending { /* one delivery that is ours */
    enum { SENDING_NONE, SENDING_ON, SENDING_DONE } state;
    struct uuid id, webhook_id;
    char client_id[TOKEN_CLIENT_ID_SIZE];
    int64_t attempts, failures, doubt, claimed_ms;
    struct callout_answer answer; /* when done */
};

struct webhook_sender {
    struct order_app *app;
    struct db *db;
    struct callout *callout;
    struct address_list allowed;
    int64_t pauses[CONFIG_MAX_DURATIONS];
    struct webhook_schedule schedule;
    struct sending list[WEBHOOK_PARALLEL];
    size_t taken; /* of the list */
    struct webhook_receivers receivers;
    int64_t turn_ms;   /* no batch before */
    int64_t look_ms;   /* when to look for due deliveries at the latest */
    unsigned failures; /* of the database, in a row */
    struct outage outage;
    atomic_bool woken;
    atomic_llong stop_ms; /* when requests are cut off; 0: goes on */
    pthread_t thread;
};

static void take_answers(struct webhook_sender *s) {
    struct callout_answer answer;
    while (callout_next(s->callout, &answer)) {
        struct sending *sending = answer.cls;
        sending->answer = answer;
        sending->state = SENDING_DONE;
    }
}

/* The summary of a webhook in this batch; a new one when there is none. */
static struct webhook_shown *shown_of(struct webhook_shown *list, size_t *count, const struct uuid *id) {
    for (size_t i = 0; i < *count; i++)
        if (uuid_compare(&list[i].id, id) == 0)
            return &list[i];
    list[*count] = (struct webhook_shown){.id = *id};
    return &list[(*count)++];
}

/* What follows from one answer: for the delivery, and for its receiver. */
static void judge_answer(const struct webhook_sender *s, struct sending *sending, struct webhook_sent *sent,
                         struct webhook_shown *shown, size_t *shown_count) {
    const struct callout_answer *answer = &sending->answer;
    enum webhook_result result = webhook_judge(answer->status);
    bool delivered = result == WEBHOOK_DELIVERED;
    int64_t delay_ms = delivered ? 0
                                 : webhook_delay_ms(&s->schedule, sending->failures + 1,
                                                    result == WEBHOOK_UNWELL ? answer->retry_after_ms : 0);
    const char *reason = result == WEBHOOK_GONE ? "the receiver answered 410 Gone"
                         : delay_ms < 0         ? "the last attempt of a delivery has failed"
                                                : NULL;
    *sent = (struct webhook_sent){.id = sending->id,
                                  .attempts = sending->attempts,
                                  .delivered = delivered,
                                  .delay_ms = delay_ms < 0 ? 0 : delay_ms,
                                  .status = answer->status,
                                  .error = *answer->error ? answer->error : NULL,
                                  .answer = *answer->excerpt ? answer->excerpt : NULL};
    if (!reason && result != WEBHOOK_UNWELL && (!delivered || sending->doubt == 0))
        return;
    struct webhook_shown *of = shown_of(shown, shown_count, &sending->webhook_id);
    if (of->since_ms == 0 || of->since_ms > sending->claimed_ms)
        of->since_ms = sending->claimed_ms;
    if (reason) {
        of->reason = reason;
        of->client_id = sending->client_id;
    }
    if (delivered)
        return;
    int64_t pause_ms = webhook_pause_ms(sending->doubt, answer->retry_after_ms);
    of->unwell = true;
    if (pause_ms > of->pause_ms)
        of->pause_ms = pause_ms;
}

static void log_disabled(const struct webhook_shown shown[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_format(&shown[i].id, id);
        if (shown[i].disabled)
            log_warn(NULL, "webhook %s of %s is disabled: %s", id, shown[i].client_id, shown[i].reason);
    }
}

static void count_results(const struct webhook_sender *s, const struct webhook_sent sent[], size_t n) {
    int64_t delivered = 0;
    for (size_t i = 0; i < n; i++)
        delivered += sent[i].delivered;
    metric_add(s->app->series.webhooks_delivered, delivered);
    metric_add(s->app->series.webhooks_failed, (int64_t)n - delivered);
}

/* Writes what is done, and frees its places. */
static enum db_status record_results(struct webhook_sender *s) {
    struct webhook_sent sent[WEBHOOK_PARALLEL];
    struct webhook_shown shown[WEBHOOK_PARALLEL];
    size_t n = 0, shown_count = 0;
    for (size_t i = 0; i < WEBHOOK_PARALLEL; i++)
        if (s->list[i].state == SENDING_DONE)
            judge_answer(s, &s->list[i], &sent[n++], shown, &shown_count);
    enum db_status status = n ? webhook_send_store_record(s->db, sent, n, shown, shown_count) : DB_OK;
    if (status != DB_OK || n == 0)
        return status;
    count_results(s, sent, n);
    log_disabled(shown, shown_count);
    for (size_t i = 0; i < WEBHOOK_PARALLEL; i++)
        if (s->list[i].state == SENDING_DONE)
            s->list[i].state = SENDING_NONE;
    s->taken -= n;
    s->look_ms = 0; /* the next ones of their lanes may be due */
    return DB_OK;
}

/* Writes the headers of a delivery. False when no secret can be opened, or when out of memory. */
static bool sign_delivery(const struct webhook_sender *s, const struct webhook_claimed *claimed,
                          const char *id, struct buf *time, struct buf *signatures) {
    const char *const sealed[] = {claimed->secret, claimed->old_secret};
    int64_t now_s = clock_epoch_ms() / 1000;
    char file[SECRET_SIZE];
    const char *key = secret_now(&s->app->service.config->webhook_secrets_key, file);
    buf_printf(time, "webhook-timestamp: %lld", (long long)now_s);
    buf_str(signatures, "webhook-signature:");
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret[WEBHOOK_SECRET_BYTES];
        char signature[WEBHOOK_SIGNATURE_SIZE];
        if (!sealed[i] || !webhook_secret_open(key, &claimed->webhook_id, sealed[i], secret) ||
            !webhook_sign(secret, id, now_s, claimed->body, signature))
            continue;
        buf_printf(signatures, " %s", signature);
        explicit_bzero(secret, sizeof secret);
        count++;
    }
    explicit_bzero(file, sizeof file);
    return count > 0 && !time->failed && !signatures->failed;
}

/* Begins the request of a delivery. One that cannot be signed or begun counts as failed. */
static void send_delivery(struct webhook_sender *s, struct sending *sending,
                          const struct webhook_claimed *claimed) {
    char id[UUID_TEXT_SIZE], id_line[sizeof "webhook-id: " + UUID_TEXT_SIZE];
    struct buf time = {0}, signatures = {0};
    *sending = (struct sending){.state = SENDING_ON,
                                .id = claimed->id,
                                .webhook_id = claimed->webhook_id,
                                .attempts = claimed->attempts,
                                .failures = claimed->failures,
                                .claimed_ms = claimed->claimed_ms,
                                .doubt = claimed->doubt};
    snprintf(sending->client_id, sizeof sending->client_id, "%s", claimed->client_id);
    uuid_format(&claimed->id, id);
    snprintf(id_line, sizeof id_line, "webhook-id: %s", id);
    bool is_signed = sign_delivery(s, claimed, id, &time, &signatures);
    const char *const headers[] = {"Content-Type: application/json", id_line, time.data, signatures.data,
                                   NULL};
    const struct callout_call call = {.url = claimed->url,
                                      .headers = headers,
                                      .body = claimed->body,
                                      .len = strlen(claimed->body),
                                      .cls = sending};
    if (!is_signed || !callout_start(s->callout, &call)) {
        sending->state = SENDING_DONE;
        snprintf(sending->answer.error, sizeof sending->answer.error, "%s",
                 is_signed ? "out of memory"
                           : "the secret cannot be read: rotate it (WEBHOOK_SECRETS_KEY changed)");
    }
    buf_free(&time);
    buf_free(&signatures);
}

/* What a claim needs to know of what is on its way. */
static void describe_sending(struct webhook_sender *s, struct webhook_claim *claim) {
    claim->receivers = &s->receivers;
    claim->doubtful = DOUBTFUL;
    webhook_receivers_begin(&s->receivers, clock_mono_ms());
    for (size_t i = 0; i < WEBHOOK_PARALLEL; i++) {
        const struct sending *sending = &s->list[i];
        if (sending->state == SENDING_NONE)
            continue;
        webhook_receivers_find(&s->receivers, &sending->webhook_id)->sending++;
        claim->doubtful -= sending->doubt > 0 && claim->doubtful > 0;
    }
}

/* The delivery of each receiver that was due first tells from where to look for more. */
static void note_taken(struct webhook_sender *s, const struct webhook_claimed *claimed, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t first_ms = claimed[i].due_ms;
        for (size_t j = 0; j < n; j++)
            if (claimed[j].due_ms < first_ms &&
                uuid_compare(&claimed[j].webhook_id, &claimed[i].webhook_id) == 0)
                first_ms = claimed[j].due_ms;
        webhook_receivers_took(&s->receivers, &claimed[i].webhook_id, first_ms);
    }
}

/* Takes due deliveries into the free places, and begins to send them. */
static enum db_status claim_deliveries(struct webhook_sender *s) {
    struct webhook_claim claim = {.limit = WEBHOOK_PARALLEL - s->taken,
                                  .of_receiver = OF_RECEIVER + (int64_t)(WEBHOOK_PARALLEL - s->taken) / 4,
                                  .lease_ms = s->app->service.config->webhook_timeout + LEASE_SLACK_MS};
    struct arena arena = {0};
    struct webhook_claimed *claimed;
    size_t count;
    describe_sending(s, &claim);
    enum db_status status = webhook_send_store_claim(s->db, &claim, &arena, &claimed, &count);
    for (size_t i = 0, at = 0; status == DB_OK && i < count; i++, s->taken++) {
        while (s->list[at].state != SENDING_NONE)
            at++;
        send_delivery(s, &s->list[at], &claimed[i]);
    }
    if (status == DB_OK) {
        note_taken(s, claimed, count);
        s->look_ms = clock_mono_ms() + (count ? 0 : IDLE_MS);
    }
    arena_free(&arena);
    return status;
}

/* Writes results, and takes new deliveries when it is time. */
static void sender_turn(struct webhook_sender *s) {
    int64_t now = clock_mono_ms();
    if (now < s->turn_ms)
        return;
    bool stopping = atomic_load(&s->stop_ms), look = atomic_exchange(&s->woken, false) || now >= s->look_ms;
    enum db_status status = record_results(s);
    if (status == DB_OK && !stopping && (look || s->look_ms == 0) && s->taken < WEBHOOK_PARALLEL)
        status = claim_deliveries(s);
    if (status == DB_OK) {
        s->failures = 0;
        outage_end(&s->outage);
        int64_t ended = clock_mono_ms(), took = ended - now;
        s->turn_ms = ended + (took > TURN_MS ? took : TURN_MS); /* half of the time is for the requests */
    } else {
        outage_begin(&s->outage, "database: %s", db_error(s->db));
        s->turn_ms = clock_mono_ms() + backoff_ms(s->failures++, OUTAGE_BASE_MS, OUTAGE_CAP_MS);
    }
}

/* How long there is nothing to do but for requests that end. */
static int rest_ms(const struct webhook_sender *s) {
    int64_t now = clock_mono_ms(), until = s->look_ms > s->turn_ms ? s->look_ms : s->turn_ms;
    if (s->taken == WEBHOOK_PARALLEL)
        until = now + IDLE_MS; /* there is no place for more */
    for (size_t i = 0; i < WEBHOOK_PARALLEL; i++)
        if (s->list[i].state == SENDING_DONE)
            until = s->turn_ms;
    int64_t ms = until - now;
    return ms < 0 ? 0 : ms > IDLE_MS ? IDLE_MS : (int)ms;
}

/* Whether it is time to end. */
static bool sender_ends(const struct webhook_sender *s) {
    int64_t stop_ms = atomic_load(&s->stop_ms);
    return stop_ms && (s->taken == 0 || clock_mono_ms() >= stop_ms);
}

/* Others may send at once what we have not sent to its end. */
static enum db_status give_back(struct webhook_sender *s) {
    struct webhook_sent unsent[WEBHOOK_PARALLEL];
    size_t n = 0;
    for (size_t i = 0; i < WEBHOOK_PARALLEL; i++)
        if (s->list[i].state == SENDING_ON)
            unsent[n++] = (struct webhook_sent){.id = s->list[i].id, .attempts = s->list[i].attempts};
    enum db_status status = n ? webhook_send_store_release(s->db, unsent, n) : DB_OK;
    if (n && status == DB_OK)
        log_info(NULL, "%zu deliveries of webhooks were not finished, and will be sent again", n);
    return status;
}

/* What cannot be written now is sent again when its lease has ended. */
static void finish_sending(struct webhook_sender *s) {
    enum db_status status = record_results(s);
    if (status == DB_OK)
        status = give_back(s);
    if (status != DB_OK)
        outage_begin(&s->outage, "database: %s", db_error(s->db));
}

static void *send_webhooks(void *arg) {
    pthread_setname_np(pthread_self(), "webhooks");
    struct webhook_sender *s = arg;
    while (!sender_ends(s)) {
        sender_turn(s);
        callout_wait(s->callout, rest_ms(s));
        take_answers(s);
    }
    finish_sending(s);
    return NULL;
}

static bool open_sender(struct webhook_sender *s) {
    const struct config *config = s->app->service.config;
    struct db_options db = service_db_of(&s->app->service, DB_LATE);
    const struct callout_options options = {.policy = webhook_policy(config, &s->allowed),
                                            .ca_file = config->webhook_ca_file,
                                            .timeout_ms = config->webhook_timeout,
                                            .parallel = WEBHOOK_PARALLEL};
    s->outage.name = "sender of webhooks";
    s->schedule.pauses = s->pauses;
    db.settings = &webhook_send_store_settings;
    s->db = db_open(&db);
    s->callout = callout_open(&options);
    return s->db && s->callout &&
           config_parse_durations(config->webhook_schedule, s->pauses, CONFIG_MAX_DURATIONS,
                                  &s->schedule.count);
}

void *webhook_sender_start(void *app) {
    struct webhook_sender *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->app = app;
    if (open_sender(s) && pthread_create(&s->thread, NULL, send_webhooks, s) == 0)
        return s;
    callout_close(s->callout);
    db_close(s->db);
    free(s);
    return NULL;
}

void webhook_sender_wake(struct webhook_sender *s) {
    if (!s)
        return;
    atomic_store(&s->woken, true);
    callout_wake(s->callout);
}

void webhook_sender_stop(void *sender, int64_t deadline_ms) {
    struct webhook_sender *s = sender;
    int64_t now = clock_mono_ms();
    int64_t half_ms = deadline_ms > now ? (deadline_ms - now) / 2 : 0;
    atomic_store(&s->stop_ms, now + (half_ms < STOP_MS ? half_ms : STOP_MS));
    webhook_sender_wake(s);
    pthread_join(s->thread, NULL);
    callout_close(s->callout);
    db_close(s->db);
    free(s);
}
