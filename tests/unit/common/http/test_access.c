/* The line of a request in the log, and how many there may be. */
#include "common/http/private.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/captured_log.h"
#include "fakes/rows.h"

struct address http_client_address(struct http_exchange *x) {
    (void)x;
    struct address_list list;
    assert_true(address_list_parse("192.0.2.7", &list));
    return list.networks[0].address;
}

static enum outcome run(struct http_worker *worker, struct http_request *requests[], size_t n) {
    (void)worker, (void)requests, (void)n;
    return OUTCOME_DONE;
}

static const struct http_route orders = {.method = "POST", .pattern = "/orders", .scope = "any", .run = run};
static const struct http_route health = {.method = "GET", .pattern = "/health"};

static const struct row {
    const char *what;
    const struct http_route *route;
    unsigned status;
    int64_t slow_ms;
    bool access_log;
    const char *level; /* NULL: no line */
} rows[] = {
    {"a success", &orders, 201, 1000, false, NULL},
    {"a success, with an access log", &orders, 201, 1000, true, "\"severity_text\":\"INFO\""},
    {"a fault of the client", &orders, 400, 1000, false, NULL},
    {"a failure", &orders, 500, 1000, false, "\"severity_text\":\"WARN\""},
    {"an overload, with an access log", &orders, 503, 1000, true, "\"severity_text\":\"INFO\""},
    {"a failure before the route is known", NULL, 500, 1000, false, "\"severity_text\":\"WARN\""},
    {"a report of bad health", &health, 503, 1000, false, NULL},
    {"a slow success", &orders, 200, 1, false, "\"severity_text\":\"WARN\""},
    {"a slow success that nobody asks for", &orders, 200, 0, false, NULL},
};

static const char *logged(struct http_server *server, const struct row *row) {
    struct http_exchange x = {.server = server, .method = "POST", .whole_ms = clock_mono_ms() - 100};
    x.request = (struct http_request){.route = row->route, .request_id = "the-request"};
    strcpy(x.request.claims.client_id, "shop-1");
    x.request.reply.status = row->status;
    capture_begin();
    http_log_answer(&x);
    return capture_end();
}

static void the_level_tells_what_matters(void **state) {
    (void)state;
    for_each_row(i, rows, "%s", rows[i].what) {
        struct http_server server = {
            .options = {.slow_ms = rows[i].slow_ms, .access_log = rows[i].access_log}};
        const char *log = logged(&server, &rows[i]);
        assert_int_equal(count_lines(log), rows[i].level != NULL);
        if (!rows[i].level)
            continue;
        assert_non_null(strstr(log, rows[i].level));
        assert_non_null(strstr(log, rows[i].route ? "POST /orders " : "POST (no route) "));
        assert_non_null(strstr(log, " ms from 192.0.2.7, client shop-1\""));
        assert_non_null(strstr(log, "the-request"));
    }
}

static void failures_do_not_fill_the_log(void **state) {
    (void)state;
    static const struct row failure = {"", &orders, 500, 0, false, NULL};
    struct http_server server = {0};
    size_t lines = 0;
    int64_t begin = clock_mono_ms() / 1000;
    for (int i = 0; i < 1000; i++)
        lines += count_lines(logged(&server, &failure));
    int64_t seconds = clock_mono_ms() / 1000 - begin + 1;
    assert_true(lines >= LOG_LIMIT_PER_SECOND);
    assert_true((int64_t)lines <= seconds * (LOG_LIMIT_PER_SECOND + 1));
}

int main(void) {
    log_setup("test", LOG_INFO, LOG_JSON);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_level_tells_what_matters, row_tell),
        cmocka_unit_test(failures_do_not_fill_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
