/* Request limits: who is refused, and what clients are told about their quota. */
#include "private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"

#include <string.h>

bool http_limits_start(struct http_server *server) {
    const struct http_options *o = &server->options;
    if (!address_list_parse(o->trusted_proxies, &server->proxies)) {
        log_error(NULL, "http: TRUSTED_PROXIES is not a list of addresses: %s", o->trusted_proxies);
        return false;
    }
    server->by_address = limit_new(&(struct limit_policy){"address", o->address_limit, 1});
    server->by_client = limit_new(&(struct limit_policy){"client", o->client_limit, 1});
    return server->by_address && server->by_client;
}

void http_limits_stop(struct http_server *server) {
    limit_free(server->by_address);
    limit_free(server->by_client);
}

bool http_within_address(struct http_exchange *x) {
    x->request.address = http_client_address(x);
    struct address key = address_subscriber(&x->request.address);
    return http_within(&x->request, limit_take(x->server->by_address, &key, sizeof key, clock_mono_ms()));
}

bool http_within_client(struct http_exchange *x) {
    const char *id = x->request.claims.client_id; /* empty when anonymous use is allowed */
    return !*id ||
           http_within(&x->request, limit_take(x->server->by_client, id, strlen(id), clock_mono_ms()));
}

static long long seconds(int64_t ms) {
    return (ms + 999) / 1000;
}

static void log_refusals(const struct http_request *request, const struct limit_state *state) {
    char address[ADDRESS_TEXT_SIZE];
    address_format(&request->address, address);
    log_warn(request->request_id,
             "limit '%s': %lld request(s) refused since the last report, the last from %s%s%s",
             state->policy->name, (long long)state->report, address,
             *request->claims.client_id ? ", client " : "", request->claims.client_id);
}

static void reply_rate_limited(struct http_request *request, const struct limit_state *state) {
    const struct limit_policy *policy = state->policy;
    long long wait = seconds(state->wait_ms);
    struct buf violated = {0};
    if (state->report)
        log_refusals(request, state);
    buf_printf(&violated, "\"%s\"", policy->name);
    http_reply_problem_with(request, PROBLEM_RATE_LIMITED, "violated-policies", &violated,
                            "The limit '%s' is reached: %lld in %lld s", policy->name,
                            (long long)policy->quota, (long long)policy->window_s);
    buf_free(&violated);
    /* Jittered, so that clients that were refused together do not return together. */
    http_reply_header(request, "Retry-After", "%lld", wait + (long long)random_below((uint64_t)wait / 4 + 2));
}

/* The reply will say how much is left of the limit. */
static void show_limit(struct http_request *request, struct limit_state state) {
    if (state.policy && request->limit_count < HTTP_MAX_LIMITS)
        request->limits[request->limit_count++] = state;
}

bool http_within(struct http_request *request, struct limit_state state) {
    show_limit(request, state);
    if (state.refused)
        reply_rate_limited(request, &state);
    return !state.refused;
}

bool http_reserve(struct http_request *request, struct limit *limit, const void *key, size_t len) {
    request->reserved =
        (struct http_reservation){limit, key, len, limit_take(limit, key, len, clock_mono_ms()), false};
    return !request->reserved.state.refused;
}

void http_spend(struct http_request *request) {
    request->reserved.spent = true;
}

void http_refuse_reserved(struct http_request *request) {
    reply_rate_limited(request, &request->reserved.state);
}

void http_settle(struct http_request *request) {
    struct http_reservation *r = &request->reserved;
    if (!r->limit)
        return;
    if (!r->spent && !r->state.refused)
        r->state = limit_give_back(r->limit, r->key, r->len, clock_mono_ms());
    show_limit(request, r->state);
    r->limit = NULL;
}

void http_limit_fields(struct http_request *request) {
    struct buf policies = {0}, limits = {0};
    for (size_t i = 0; i < request->limit_count; i++) {
        const struct limit_state *state = &request->limits[i];
        const struct limit_policy *policy = state->policy;
        const char *comma = i > 0 ? ", " : "";
        buf_printf(&policies, "%s\"%s\";q=%lld;w=%lld", comma, policy->name, (long long)policy->quota,
                   (long long)policy->window_s);
        buf_printf(&limits, "%s\"%s\";r=%lld;t=%lld", comma, policy->name, (long long)state->left,
                   seconds(state->wait_ms));
    }
    if (policies.len > 0 && !policies.failed && !limits.failed) {
        http_reply_header(request, "RateLimit-Policy", "%s", policies.data);
        http_reply_header(request, "RateLimit", "%s", limits.data);
    }
    buf_free(&policies);
    buf_free(&limits);
}
