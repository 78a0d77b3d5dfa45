/* Matching methods and paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/route.h"

#include <string.h>

#include "fakes/rows.h"

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/orders/:id"},
    {.method = "GET", .pattern = "/orders/export"},
    {.method = "POST", .pattern = "/orders"},
    {.method = "GET", .pattern = "/orders"},
    {.method = "POST", .pattern = "/s/:id/status"},
    {.method = "GET", .pattern = "/s/:id/:part"},
    {.method = "GET", .pattern = "/"},
    {0},
};

static const struct {
    const char *method, *path;
    enum route_result result;
    const char *pattern; /* of the route found */
    const char *first, *second;
    const char *allow; /* when the method is not allowed */
} cases[] = {
    {"GET", "/orders/1", ROUTE_FOUND, "/orders/:id", "1", NULL, NULL},
    {"HEAD", "/orders/1", ROUTE_FOUND, "/orders/:id", "1", NULL, NULL},
    {"GET", "/orders/export", ROUTE_FOUND, "/orders/export", NULL, NULL, NULL},
    {"GET", "/orders", ROUTE_FOUND, "/orders", NULL, NULL, NULL},
    {"POST", "/orders", ROUTE_FOUND, "/orders", NULL, NULL, NULL},
    {"GET", "/s/a%2fb/x y", ROUTE_FOUND, "/s/:id/:part", "a%2fb", "x y", NULL},
    {"GET", "/s/1/status", ROUTE_FOUND, "/s/:id/:part", "1", "status", NULL},
    {"POST", "/s/1/status", ROUTE_FOUND, "/s/:id/status", "1", NULL, NULL},
    {"GET", "/", ROUTE_FOUND, "/", NULL, NULL, NULL},
    {"DELETE", "/orders", ROUTE_NOT_ALLOWED, NULL, NULL, NULL, "POST, GET, HEAD"},
    {"POST", "/orders/1", ROUTE_NOT_ALLOWED, NULL, NULL, NULL, "GET, HEAD"},
    {"get", "/orders", ROUTE_NOT_ALLOWED, NULL, NULL, NULL, "POST, GET, HEAD"},
    {"GET", "/orders/", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "/orders//", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "/orders/1/2", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "/order", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "/ordersx", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "orders", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
    {"GET", "*", ROUTE_NOT_FOUND, NULL, NULL, NULL, NULL},
};

static void same(const char *have, const char *want) {
    if (want)
        assert_string_equal(have, want);
    else
        assert_null(have);
}

static void paths_match_as_the_table_says(void **state) {
    (void)state;
    for_each_row(i, cases, "%s %s", cases[i].method, cases[i].path) {
        struct arena arena = {0};
        const struct http_route *route = NULL;
        const char *params[HTTP_MAX_PARAMS] = {NULL};
        char allow[ROUTE_ALLOW_SIZE];
        assert_int_equal(route_match(routes, cases[i].method, cases[i].path, &arena, &route, params, allow),
                         cases[i].result);
        if (cases[i].result == ROUTE_FOUND) {
            assert_string_equal(route->pattern, cases[i].pattern);
            same(params[0], cases[i].first);
            same(params[1], cases[i].second);
        } else {
            assert_null(route);
        }
        if (cases[i].result == ROUTE_NOT_ALLOWED)
            assert_string_equal(allow, cases[i].allow);
        arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_match_as_the_table_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
