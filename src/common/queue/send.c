/* The SQS client's calls that send: one, or several at once. */
#include "private.h"

#include <stdio.h>
#include <string.h>

struct sending { /* a call, and what it sends */
    struct queue_call *call;
    struct line *line;
    struct buf body;
};

static void forget_call(struct queue_call *call) {
    for (size_t i = 0; i < call->n; i++) {
        call->entries[i].accepted = call->entries[i].refused = false;
        call->entries[i].id[0] = '\0';
    }
    call->status = QUEUE_OK;
    call->error[0] = '\0';
    call->took_ns = 0;
}

static void fail_as_client(const struct queue *q, struct queue_call *call, enum queue_status status) {
    call->status = status;
    snprintf(call->error, sizeof call->error, "%s", q->error);
}

static size_t make_calls(struct queue *q, struct sending *const list[], size_t n) {
    struct line *lines[QUEUE_CALLS];
    for (size_t i = 0; i < n; i++) {
        lines[i] = list[i]->line;
        lines[i]->action = "SendMessageBatch";
        lines[i]->body = &list[i]->body;
        lines[i]->wait_s = 0;
    }
    return queue_exchange_lines(q, lines, n);
}

/* What became of the call, as its line says. The line is free again. */
static void finish(const struct sending *s) {
    struct queue_call *call = s->call;
    call->status = s->line->status;
    call->took_ns = s->line->took_ns;
    snprintf(call->error, sizeof call->error, "%s", s->line->error);
    if (call->status == QUEUE_OK &&
        !queue_json_read_sent(s->line->answer, call->entries, call->n, call->error))
        call->status = QUEUE_UNAVAILABLE;
    json_decref(s->line->answer);
    s->line->answer = NULL;
}

/* The server lost the queue (a restart without storage). It is recreated under the same URL, and the calls are made
 * again. */
static void send_again(struct queue *q, struct sending *const list[], size_t n) {
    enum queue_status status = queue_ensure(q);
    for (size_t i = 0; status != QUEUE_OK && i < n; i++)
        fail_as_client(q, list[i]->call, status);
    for (size_t done = 0, made; status == QUEUE_OK && done < n; done += made) {
        made = make_calls(q, &list[done], n - done);
        for (size_t i = done; i < n && i < done + made; i++)
            finish(list[i]);
    }
}

/* Makes the calls whose queue is ready. Returns how many. */
static size_t send_ready(struct queue *q, struct sending sendings[], size_t n) {
    struct sending *list[QUEUE_CALLS], *missing[QUEUE_CALLS];
    size_t missing_count = 0;
    for (size_t i = 0; i < n; i++)
        list[i] = &sendings[i];
    size_t made = make_calls(q, list, n);
    for (size_t i = 0; i < made; i++)
        if (queue_is_missing(sendings[i].line))
            missing[missing_count++] = &sendings[i];
        else
            finish(&sendings[i]);
    if (missing_count > 0)
        send_again(q, missing, missing_count);
    return made;
}

/* queue_send, or to the dead letters. */
static size_t send_all(struct queue *q, struct queue_call calls[], size_t n, bool dead_letters) {
    struct sending sendings[QUEUE_CALLS];
    enum queue_status status = QUEUE_OK;
    size_t ready = 0;
    for (size_t i = 0; i < n; i++)
        forget_call(&calls[i]);
    for (; ready < n && status == QUEUE_OK; ready += status == QUEUE_OK) {
        unsigned shard =
            dead_letters ? q->options.shard : queue_shard_of(q, calls[ready].entries[0].group_id);
        status = queue_ready(q, shard);
        sendings[ready] = (struct sending){.call = &calls[ready], .line = &q->lines[ready]};
        if (status == QUEUE_OK)
            queue_json_send(&sendings[ready].body, dead_letters ? q->dead_letter_url : q->urls[shard],
                            calls[ready].entries, calls[ready].n);
    }
    size_t made = ready > 0 ? send_ready(q, sendings, ready) : 1;
    if (ready == 0)
        fail_as_client(q, &calls[0], status);
    for (size_t i = 0; i < ready; i++)
        buf_free(&sendings[i].body);
    return made;
}

/* Counts what was accepted, and leaves the first error for queue_error. */
static void tell_sent(struct queue *q, const struct queue_call calls[], size_t n) {
    q->error[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (!*q->error)
            snprintf(q->error, sizeof q->error, "%s", calls[i].error);
        for (size_t k = 0; k < calls[i].n; k++)
            metric_add(q->sent, calls[i].entries[k].accepted);
    }
}

size_t queue_send(struct queue *q, struct queue_call calls[], size_t n) {
    size_t made = send_all(q, calls, n, false);
    tell_sent(q, calls, made);
    return made;
}

/* The deduplication id is the message's, as when the server moves it. So the queue recognises a message that is put
 * there twice. */
enum queue_status queue_bury(struct queue *q, const struct queue_message *message, const char *reason) {
    struct queue_entry entry = {.body = message->body,
                                .group_id = message->group_id,
                                .deduplication_id = message->id,
                                .correlation_id = message->correlation_id,
                                .traceparent = message->traceparent,
                                .tracestate = message->tracestate,
                                .reason = reason};
    struct queue_call call = {.entries = &entry, .n = 1};
    (void)send_all(q, &call, 1, true);
    (void)queue_fail(q, call.status, "%s", call.error);
    if (call.status != QUEUE_OK || entry.accepted)
        return call.status;
    return entry.refused ? QUEUE_REFUSED : QUEUE_UNAVAILABLE;
}
