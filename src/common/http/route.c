/* Finding the route of a request in the table of routes. */
#include "route.h"
#include "private.h"

#include <stdio.h>
#include <string.h>

struct segment {
    const char *text;
    size_t len;
};

/* Takes the next segment of *path, which is at a '/' or at its end. */
static bool next_segment(const char **path, struct segment *out) {
    if (**path != '/')
        return false;
    out->text = *path + 1;
    out->len = strcspn(out->text, "/");
    *path = out->text + out->len;
    return true;
}

/* Matches one path. params receives the segments for the parameters of the pattern. */
static bool matches(const char *pattern, const char *path, struct segment params[static HTTP_MAX_PARAMS]) {
    struct segment want, have;
    size_t count = 0;
    while (next_segment(&pattern, &want)) {
        if (!next_segment(&path, &have))
            return false;
        if (want.len && want.text[0] == ':') {
            if (have.len == 0 || count == HTTP_MAX_PARAMS)
                return false;
            params[count++] = have;
        } else if (want.len != have.len || memcmp(want.text, have.text, want.len) != 0) {
            return false;
        }
    }
    return *path == '\0';
}

/* Literal segments win over parameters: "/orders/export" must not be an order's id. */
static bool more_literal(const struct http_route *a, const struct http_route *b) {
    return b == NULL || (strchr(a->pattern, ':') == NULL && strchr(b->pattern, ':') != NULL);
}

/* The methods of the routes that match the path. */
static void list_methods(const struct http_route *routes, const char *path,
                         char allow[static ROUTE_ALLOW_SIZE]) {
    struct segment params[HTTP_MAX_PARAMS];
    size_t len = 0;
    allow[0] = '\0';
    for (const struct http_route *r = routes; r->method && len < ROUTE_ALLOW_SIZE; r++)
        if (matches(r->pattern, path, params))
            len += (size_t)snprintf(allow + len, ROUTE_ALLOW_SIZE - len, "%s%s%s", len ? ", " : "", r->method,
                                    strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
}

enum route_result route_match(const struct http_route *routes, const char *method, const char *path,
                              struct arena *arena, const struct http_route **route,
                              const char *params[static HTTP_MAX_PARAMS],
                              char allow[static ROUTE_ALLOW_SIZE]) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct http_route *found = NULL;
    struct segment values[HTTP_MAX_PARAMS] = {{0}};
    for (const struct http_route *r = routes; r->method; r++) {
        struct segment candidate[HTTP_MAX_PARAMS] = {{0}};
        if (strcmp(r->method, wanted) == 0 && matches(r->pattern, path, candidate) &&
            more_literal(r, found)) {
            found = r;
            memcpy(values, candidate, sizeof values);
        }
    }
    if (!found) {
        list_methods(routes, path, allow);
        return allow[0] ? ROUTE_NOT_ALLOWED : ROUTE_NOT_FOUND;
    }
    for (size_t i = 0; i < HTTP_MAX_PARAMS; i++) {
        params[i] = values[i].text ? arena_memdup(arena, values[i].text, values[i].len) : NULL;
        if (values[i].text && !params[i])
            return ROUTE_NO_MEMORY;
    }
    *route = found;
    return ROUTE_FOUND;
}

enum { DEFAULT_BODY_LIMIT = 65536 }; /* bytes that are read and ignored where no body is expected */

void http_find_route(struct http_exchange *x) {
    struct http_request *request = &x->request;
    const struct http_route *route = NULL;
    char allow[ROUTE_ALLOW_SIZE];
    x->body_limit = DEFAULT_BODY_LIMIT;
    switch (route_match(x->server->options.routes, x->method, x->path, &request->arena, &route,
                        request->params, allow)) {
    case ROUTE_FOUND:
        request->route = route;
        if (route->body_limit)
            x->body_limit = route->body_limit;
        if (route->scope || route->body_limit) /* other routes cost no more than a refusal */
            (void)http_within_address(x);
        break;
    case ROUTE_NOT_ALLOWED:
        if (http_cors_preflight(x, allow))
            break;
        http_reply_problem(request, PROBLEM_METHOD_NOT_ALLOWED, "Allowed here: %s", allow);
        http_reply_header(request, "Allow", "%s", allow);
        break;
    case ROUTE_NOT_FOUND:
        http_reply_problem(request, PROBLEM_NOT_FOUND, "No such path");
        break;
    case ROUTE_NO_MEMORY: /* the arena remembers it */
        break;
    }
}
