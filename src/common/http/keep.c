/* Kept requests, which are answered after their batch. */
#include "stream.h"

#include "common/base/clock.h"

/* The worker that ran the batch and whoever answers may come in either order. The last one resumes the request. */
enum { KEPT = 1, ANSWERED = 2, LET_GO = 4 };

void http_keep(struct http_request *request) {
    struct http_exchange *x = http_exchange_of(request);
    x->kept_ns = clock_mono_ns();
    atomic_store(&x->keeping, KEPT);
}

bool http_is_kept(const struct http_exchange *x) {
    return atomic_load(&x->keeping) & KEPT;
}

void http_answer(struct http_request *request) {
    struct http_exchange *x = http_exchange_of(request);
    int64_t kept_ns = clock_mono_ns() - x->kept_ns;
    x->began_ns += kept_ns;
    x->whole_ms += kept_ns / 1000000;
    http_hold_reply(x);
    if (atomic_fetch_or(&x->keeping, ANSWERED) & LET_GO)
        http_resume(x);
}

bool http_let_go(struct http_exchange *x) {
    unsigned before = atomic_fetch_or(&x->keeping, LET_GO);
    return !(before & KEPT) || (before & ANSWERED);
}
