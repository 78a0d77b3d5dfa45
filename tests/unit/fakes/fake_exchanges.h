/* The lanes and the connections around dispatch.c: all that is asked of them is noted. Include after cmocka.h, in one
 * file of a test. */
#pragma once

#include "common/http/private.h"

#include <stdio.h>
#include <string.h>

enum { FAKE_REQUESTS = 4 };

static struct buf trace; /* what was called: "room 1; guard; prepare; ..." */
static bool has_room, reserves, within;
static struct batch_item *pushed;
static const struct batch_item *let_by; /* the next batch */
static int resumed[FAKE_REQUESTS];      /* how often, by the number of the exchange */
static struct http_exchange exchanges[FAKE_REQUESTS];

static inline void note(const char *word) {
    buf_printf(&trace, "%s; ", word);
}

bool batch_has_room(struct batch_pool *pool, size_t lane) {
    (void)pool;
    buf_printf(&trace, "room %zu; ", lane);
    return has_room;
}

bool batch_reserve(struct batch_pool *pool, size_t lane) {
    (void)pool;
    buf_printf(&trace, "reserve %zu; ", lane);
    return reserves;
}

void batch_push(struct batch_pool *pool, size_t lane, struct batch_item *item) {
    (void)pool;
    buf_printf(&trace, "push %zu; ", lane);
    pushed = item;
}

void batch_let_next(const struct batch_item *item) {
    let_by = item;
}

void http_suspend(struct http_exchange *x) {
    note("suspend");
    x->stage = HTTP_WAITING;
}

void http_resume(struct http_exchange *x) {
    resumed[x - exchanges]++;
}

bool http_expect_plain(struct http_request *request) {
    (void)request;
    note("plain");
    return true;
}

bool http_within_client(struct http_exchange *x) {
    note("within");
    if (!within)
        http_reply_problem(&x->request, PROBLEM_RATE_LIMITED, "Too many");
    return within;
}

static inline void fake_exchanges_begin(void) {
    buf_str(&trace, "");
    has_room = reserves = within = true;
    pushed = NULL;
    memset(resumed, 0, sizeof resumed);
    memset(exchanges, 0, sizeof exchanges);
}

static inline void fake_exchanges_end(void) {
    for (size_t i = 0; i < FAKE_REQUESTS; i++) {
        buf_free(&exchanges[i].request.body);
        buf_free(&exchanges[i].request.reply.body);
        arena_free(&exchanges[i].request.arena);
    }
    buf_free(&trace);
}

static inline void assert_problem(const struct http_request *request, unsigned status, const char *code) {
    char member[64];
    snprintf(member, sizeof member, "\"error\":\"%s\"", code);
    assert_int_equal(request->reply.status, status);
    assert_non_null(strstr(request->reply.body.data, member));
}
