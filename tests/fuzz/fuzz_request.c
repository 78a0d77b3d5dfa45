/* Fuzz target: what a request says of itself, without the HTTP around it: method and path against the routes,
 * query arguments, Idempotency-Key, If-None-Match, traceparent. The input is a request's head, read here in
 * the simplest way. */
#include "fuzz.h"

#include "common/base/json.h"
#include "common/base/memory_cache.h"
#include "common/config/config.h"
#include "common/http/etag.h"
#include "common/http/limit.h"
#include "common/http/route.h"
#include "delivery/routes.h"
#include "fakes/fake_http.h"
#include "order/app.h"
#include "order/clients.h"
#include "order/order_store.h"
#include "order/orders.h"
#include "order/routes.h"
#include "order/standby.h"

#define BODY "{\"customer_id\":\"c\",\"items\":[{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":1}]}"

enum { MAX_ARGUMENTS = FAKE_ARGUMENTS - 1 };

bool clients_know(struct clients *clients, const char *id) {
    (void)clients, (void)id;
    return true;
}

/* No request here gets as far as the clients. */
enum client_status clients_authenticate(struct clients *clients, const char *id, const char *secret,
                                        struct client_grant *grant) {
    (void)clients, (void)id, (void)secret, (void)grant;
    return CLIENT_REFUSED;
}

/* Splits off what stands before the separator; the rest, or NULL. */
static char *cut(char *text, const char *separator) {
    char *rest = text;
    (void)strsep(&rest, separator);
    return rest;
}

/* The path with its parameters must be the pattern's. */
static void check_params(const struct http_route *route, const char *path, const char *const params[]) {
    struct buf built = {0};
    size_t count = 0;
    for (const char *p = route->pattern; *p; p++) {
        if (*p != ':') {
            buf_char(&built, *p);
            continue;
        }
        HOLDS(count < HTTP_MAX_PARAMS && params[count] && *params[count] && !strchr(params[count], '/'));
        buf_str(&built, params[count++]);
        p += strcspn(p, "/") - 1;
    }
    HOLDS(same_text(built.data, path));
    buf_free(&built);
}

static void find_route(const struct http_route *routes, const char *method, const char *path) {
    struct arena arena = {0};
    const struct http_route *route = NULL;
    const char *params[HTTP_MAX_PARAMS] = {0};
    char allow[ROUTE_ALLOW_SIZE];
    switch (route_match(routes, method, path, &arena, &route, params, allow)) {
    case ROUTE_FOUND:
        HOLDS(same_text(route->method, method) ||
              (same_text(route->method, "GET") && same_text(method, "HEAD")));
        check_params(route, path, params);
        break;
    case ROUTE_NOT_ALLOWED:
        HOLDS(*allow && !route);
        break;
    case ROUTE_NOT_FOUND:
        HOLDS(!*allow && !route);
        break;
    case ROUTE_NO_MEMORY:
        HOLDS(false);
    }
    arena_free(&arena);
}

static void read_trace(const char *header) {
    char adopted[TRACEPARENT_SIZE], again[TRACEPARENT_SIZE];
    trace_adopt(header, adopted);
    HOLDS(trace_valid(adopted) && strlen(adopted) == TRACEPARENT_SIZE - 1 && strncmp(adopted, "00-", 3) == 0);
    HOLDS(!header || !trace_valid(header) || strncmp(adopted + 3, header + 3, TRACEPARENT_SIZE - 4) == 0);
    trace_adopt(adopted, again);
    HOLDS(same_text(adopted, again));
}

/* A list that names one of two tags that are not in each other names the other one only by itself. */
static void read_tags(const char *header) {
    bool all = etag_matches(header, "\"?\"") && etag_matches(header, "\"!\"");
    if (!header)
        return;
    HOLDS(!all || strchr(header, '*') || (strstr(header, "\"?\"") && strstr(header, "\"!\"")));
    HOLDS(!etag_matches(header, "\"v7\"") || strstr(header, "\"v7\"") ||
          strspn(header, " \t*") == strlen(header));
}

static struct http_request new_request(const struct order_app *app) {
    struct http_request request = {.app = (void *)(uintptr_t)app, .request_id = "fuzz"};
    strcpy(request.claims.client_id, "shop-1");
    strcpy(request.claims.scope, "order:read order:create");
    return request;
}

/* The keys are those of the draft and nothing else; quoted or bare they are the same. */
static void post(const struct order_app *app, const char *header) {
    struct http_request request = new_request(app);
    buf_str(&request.body, BODY);
    orders_post_prepare(&request);
    const struct order_creation *creation = request.command; /* a creation begins with it */
    HOLDS(!creation == (request.reply.status == 400));
    if (!header) {
        HOLDS(creation && strncmp(creation->key, "f:", 2) == 0 &&
              strlen(creation->key) == 2 + 2 * SHA256_SIZE);
    } else if (creation) {
        const char *key = creation->key + 2;
        size_t len = strlen(key), quotes = *header == '"';
        HOLDS(strncmp(creation->key, "k:", 2) == 0 && len >= 1 && len <= 255);
        HOLDS(strlen(header) == len + 2 * quotes && strncmp(header + quotes, key, len) == 0);
        for (; *key; key++)
            HOLDS(*key > ' ' && *key <= '~' && *key != '"');
    }
    buf_free(&request.body);
    buf_free(&request.reply.body);
    arena_free(&request.arena);
}

static void list(const struct order_app *app) {
    struct http_request request = new_request(app);
    orders_list_prepare(&request);
    const struct { /* as a listing begins */
        struct standby_seen seen;
        struct order_page page;
    } *listing = request.command;
    const struct order_page *page = listing ? &listing->page : NULL;
    HOLDS(!page == (request.reply.status == 400));
    if (page) {
        const char *customer = http_query(&request, "customer_id");
        HOLDS(same_text(page->client_id, "shop-1") && same_text(page->customer_id, customer));
        HOLDS(!customer || json_text_plain(customer, ORDER_MAX_ID_LENGTH));
        HOLDS(page->limit >= 1 && page->limit <= 100);
        HOLDS(!page->status == !http_query(&request, "status"));
        HOLDS(!page->before == !http_query(&request, "cursor"));
    }
    buf_free(&request.reply.body);
    arena_free(&request.arena);
}

static void get(const struct order_app *app, const char *id) {
    struct http_request request = new_request(app);
    struct uuid parsed_id;
    char text[UUID_TEXT_SIZE];
    request.params[0] = id;
    orders_get_prepare(&request);
    bool bad_token = request.reply.status == 400;
    HOLDS(!request.command == (request.reply.status == 404 || bad_token));
    HOLDS(bad_token || !request.command == !uuid_parse(id, &parsed_id));
    if (request.command) {
        uuid_format(&parsed_id, text);
        HOLDS(strcasecmp(text, id) == 0);
    }
    buf_free(&request.reply.body);
    arena_free(&request.arena);
}

/* "METHOD path?arguments", then lines of headers. */
static void read_head(char *text) {
    char *line = cut(text, "\n"), *path = cut(text, " "), *query = path ? cut(path, "?") : NULL;
    for (size_t i = 0; i < MAX_ARGUMENTS; i++) {
        char *rest = query ? cut(query, "&") : NULL, *value = query ? cut(query, "=") : NULL;
        fake_arguments[i] = (struct http_header){value ? query : NULL, value};
        query = rest;
    }
    while (line) {
        char *rest = cut(line, "\n"), *value = cut(line, ":");
        if (value)
            fake_request_header(line, value + strspn(value, " \t"));
        line = rest;
    }
    find_route(order_routes, text, path ? path : "");
    find_route(delivery_routes, text, path ? path : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct config config = {.idempotency_ttl = 86400000,
                                         .idempotency_fingerprint_ttl = 86400000};
    static struct order_app app = {.service = {.config = &config}};
    if (!app.orders_limit)
        app.orders_limit = limit_new(&(struct limit_policy){.name = "none"});
    if (!app.memory)
        app.memory = memory_cache_new(32768);
    HOLDS(app.orders_limit && app.memory);
    struct http_request headers = {0};
    char *text = text_of(data, size);
    read_head(text);
    read_trace(http_header(&headers, "traceparent"));
    read_tags(http_header(&headers, "If-None-Match"));
    if (http_header_count(&headers, "Idempotency-Key") <= 1)
        post(&app, http_header(&headers, "Idempotency-Key"));
    list(&app);
    const char *id = http_query(&headers, "id");
    if (id)
        get(&app, id);
    fake_end(&headers);
    free(text);
    return 0;
}
