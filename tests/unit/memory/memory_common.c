/* The library when memory is short: texts, tables, configuration, tokens, replies. */
#include "failing.h"
#include "short_request.h"

#include "common/auth/auth.h"
#include "common/base/json.h"
#include "common/base/json_write.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/db/params.h"
#include "common/http/route.h"
#include "common/queue/json.h"
#include "common/token/private.h"
#include "common/tracing/tracing.h"
#include "fakes/fake_revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MD5_OK "444bcb3a3fcf8389296c49467f27e1d6" /* of "ok" */

/* Whether the text is whole; if so it is JSON. Frees it. */
static bool whole_json(struct buf *text) {
    bool whole = !text->failed;
    if (whole) {
        json_t *value = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(value);
        json_decref(value);
    }
    buf_free(text);
    return whole;
}

static bool text_grows(void) {
    struct buf b = {0};
    for (int i = 0; i < 40; i++) {
        buf_printf(&b, "%0100d", i);
        json_append_text(&b, "a\n\"\x01\xef\xbf\xbf");
        json_append_money(&b, 105997);
        json_append_time(&b, 0);
    }
    size_t len = b.len;
    bool whole = !b.failed;
    if (whole)
        assert_int_equal(strlen(b.data),
                         40 *
                             (100 + strlen("\"a\\n\\\"\\u0001\\uffff\"1059.97\"1970-01-01T00:00:00.000Z\"")));
    char *taken = buf_take(&b);
    assert_int_equal(taken != NULL, whole);
    assert_true(!taken || strlen(taken) == len);
    free(taken);
    return whole;
}

static bool arena_gives_pieces(void) {
    struct arena arena = {0};
    char *large = arena_alloc(&arena, 10000);
    char *copy = arena_strdup(&arena, "text");
    uint64_t *list = arena_array(&arena, 1000, sizeof *list);
    assert_true(!copy || strcmp(copy, "text") == 0);
    assert_true(!list || (list[0] == 0 && list[999] == 0));
    arena_free(&arena);
    return large && copy && list;
}

static bool statement_parameters(void) {
    struct db_params p = {0};
    struct uuid id = {{1}};
    db_text_param(&p, "text");
    db_uuid_param(&p, &id);
    db_time_param(&p, 0);
    int ids = db_array(&p, DB_UUID), texts = db_array(&p, DB_TEXT), bytes = db_array(&p, DB_BYTES);
    for (int i = 0; i < 30; i++) {
        db_add_uuid(&p, ids, &id);
        db_add_text(&p, texts, i % 2 ? NULL : "text");
        db_add_bytes(&p, bytes, "\0\1", 2);
    }
    bool whole = !p.failed;
    for (int i = 0; i < p.count; i++)
        whole = whole && !p.list[i].bytes.failed;
    if (whole)
        assert_int_equal(p.list[ids].bytes.len, 20 + 30 * (4 + 16));
    db_params_free(&p);
    return whole;
}

static const char *good_settings(const char *name) {
    return strcmp(name, "APP_ENV") == 0 ? "development" : NULL;
}

static const char *bad_settings(const char *name) {
    return strcmp(name, "DB_PASSWORD") == 0 ? "not\ntold" : "neither this nor that";
}

/* Whether a refusal is for want of memory. Frees the words. */
static bool short_of_memory(struct buf *errors) {
    bool is_short = errors->failed || strstr(errors->data, "out of memory\n");
    buf_free(errors);
    return is_short;
}

static bool configuration(void) {
    struct buf errors = {0};
    struct config *config = config_load(CONFIG_BOTH, good_settings, &errors);
    if (!config) {
        assert_true(short_of_memory(&errors));
        return false;
    }
    assert_int_equal(errors.len, 0);
    assert_string_equal(config->db_password.text, "admin123");
    assert_string_equal(config->sqs_endpoint, "http://localhost:9324");
    struct buf shown = {0};
    for (size_t i = 0; i < config_knob_count; i++)
        config_show(config, &config_knobs[i], &shown);
    config_unsafe(config, &shown);
    bool whole = !shown.failed;
    buf_free(&shown);
    config_free(config);
    return whole;
}

static bool bad_configuration(void) {
    struct buf errors = {0};
    assert_null(config_load(CONFIG_BOTH, bad_settings, &errors));
    if (!errors.failed && !strstr(errors.data, "out of memory\n"))
        for (size_t i = 0; i < config_knob_count; i++)
            assert_true(config_knobs[i].type == CONFIG_SECRET || config_knobs[i].type == CONFIG_STRING ||
                        strstr(errors.data, config_knobs[i].name));
    return !short_of_memory(&errors);
}

static bool env_file(void) {
    static const char text[] = "T_FIRST=1\nT_SECOND='two'\n", bad[] = "T_FIRST=1\n=\n";
    struct buf errors = {0};
    char path[64];
    int file = memfd_create("env", 0);
    assert_int_equal(write(file, text, sizeof text - 1), sizeof text - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    bool read = config_read_env_file(path, &errors);
    if (read)
        assert_string_equal(getenv("T_SECOND"), "two");
    else
        assert_true(errors.failed || strstr(errors.data, "annot allocate memory"));
    buf_free(&errors);
    assert_int_equal(pwrite(file, bad, sizeof bad - 1, 0), sizeof bad - 1);
    assert_false(config_read_env_file(path, &errors));
    bool told = !errors.failed && strstr(errors.data, "line 2");
    buf_free(&errors);
    close(file);
    unsetenv("T_FIRST");
    unsetenv("T_SECOND");
    return read && told;
}

static const struct token_options token_options = {.secret = "0123456789abcdef0123456789abcdef",
                                                   .issuer = "the-issuer",
                                                   .audience = "the-api",
                                                   .lifetime_s = INT32_MAX};

static bool tokens(void) {
    struct token_claims claims, found;
    struct token_keys *keys = token_keys_new(&token_options);
    char *token = keys ? token_issue(keys, "shop-1", "order:read", 1800000000, &claims) : NULL;
    enum token_status status = token ? token_verify(keys, token, 1800000000, &found) : TOKEN_NO_MEMORY;
    assert_true(status == TOKEN_OK || status == TOKEN_NO_MEMORY);
    if (status == TOKEN_OK)
        assert_string_equal(found.client_id, "shop-1");
    free(token);
    token_keys_free(keys);
    return status == TOKEN_OK;
}

static const struct http_route route = {.method = "GET", .pattern = "/orders/:id", .scope = "order:read"};

/* Another token each time: one that was seen before is let in without any memory. */
static bool token_is_let_in(void) {
    enum { TOKENS = 200 };
    static struct token_keys *keys;
    static char headers[TOKENS][1024];
    static size_t next;
    struct http_request request = {.route = &route, .request_id = "id"};
    struct token_claims claims;
    if (!keys) { /* in the first run, where all is well */
        keys = token_keys_new(&token_options);
        for (size_t i = 0; i < TOKENS; i++) {
            char *token = token_issue(keys, "shop-1", "order:read", 1700000000, &claims);
            snprintf(headers[i], sizeof headers[i], "Bearer %s", token);
            free(token);
        }
    }
    assert_true(next < TOKENS);
    fake_request_header("Authorization", headers[next++]);
    if (!auth_guard(&(struct auth){.keys = keys}, &request)) {
        http_reply_shortage(&request);
        assert_int_equal(request.reply.status, 503);
        return answered(&request, 401, NULL);
    }
    assert_string_equal(request.claims.client_id, "shop-1");
    fake_end(&request);
    return true;
}

static bool bad_token_is_refused(void) {
    static struct token_keys *keys;
    struct http_request request = {.route = &route, .request_id = "id"};
    if (!keys)
        keys = token_keys_new(&token_options);
    fake_request_header("Authorization", "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30."
                                         "0000000000000000000000000000000000000000000");
    assert_false(auth_guard(&(struct auth){.keys = keys}, &request));
    return answered(&request, 401, "WWW-Authenticate");
}

/* Without memory for an HMAC libjwt compares the signature with what may be an empty one. */
static bool unsigned_token_is_refused(void) {
    static struct token_keys *keys;
    static char token[1024];
    struct token_claims claims;
    if (!keys) {
        keys = token_keys_new(&token_options);
        char *whole = token_issue(keys, "shop-1", "order:read", 1700000000, &claims);
        snprintf(token, sizeof token, "%.*s", (int)(strrchr(whole, '.') + 1 - whole), whole);
        free(whole);
    }
    enum token_status status = token_jwt_verify(keys->set->signing, token);
    assert_true(status == TOKEN_INVALID || status == TOKEN_NO_MEMORY);
    return status == TOKEN_INVALID;
}

static bool problem(void) {
    struct http_request request = {.request_id = "id"};
    struct buf allowed = {0};
    json_append_text(&allowed, "SHIPPED");
    http_reply_problem_with(&request, PROBLEM_IDEMPOTENCY_CONFLICT, "allowed", &allowed, "not %0300d times",
                            7);
    buf_free(&allowed);
    http_reply_shortage(&request);
    assert_true(request.reply.status == 503 || strstr(request.reply.body.data, "\"allowed\":[\"SHIPPED\"]"));
    return answered(&request, 409, "Retry-After");
}

static bool reply_with_headers(void) {
    struct http_request request = {.request_id = "id"};
    struct buf body = {0};
    buf_printf(&body, "{\"status\":201}");
    http_reply_json(&request, 201, &body);
    http_reply_header(&request, "Location", "/orders/%d", 7);
    return answered(&request, 201, "Location");
}

static bool faults_of_a_body(void) {
    static const char *const members[] = {"a", NULL};
    struct http_request request = {.request_id = "id"};
    struct http_faults faults = {0};
    json_t *body = json_pack("{s:i, s:i}", "a", 1, "b/~", 2);
    http_fault(&faults, "/items/0", "quantity", "must be %0300d", 1);
    http_fault_unknown(&faults, body, "", members);
    assert_int_equal(faults.count, 2);
    json_decref(body);
    http_reply_faults(&request, &faults);
    http_reply_shortage(&request);
    const char *text = request.reply.body.data;
    assert_true(request.reply.status == 503 || (strstr(text, "/items/0/quantity") && strstr(text, "/b~1~0")));
    return answered(&request, 400, NULL);
}

static bool route_parameters(void) {
    static const struct http_route routes[] = {{.method = "GET", .pattern = "/a/:x/:y"}, {0}};
    struct arena arena = {0};
    const struct http_route *found = NULL;
    const char *params[HTTP_MAX_PARAMS];
    char allow[ROUTE_ALLOW_SIZE];
    enum route_result result = route_match(routes, "GET", "/a/b/c", &arena, &found, params, allow);
    assert_true(result == ROUTE_NO_MEMORY || (result == ROUTE_FOUND && found == routes));
    if (result == ROUTE_FOUND)
        assert_string_equal(params[1], "c");
    arena_free(&arena);
    return result == ROUTE_FOUND;
}

static bool queue_requests(void) {
    const struct queue_options options = {.visibility_timeout_s = 30, .max_receive_count = 3};
    const struct queue_entry entry = {
        .body = "{}", .group_id = "g", .deduplication_id = "d", .correlation_id = "c"};
    const struct queue_message message = {.receipt = "r"}, *messages[] = {&message, &message};
    struct buf create = {0}, send = {0}, receipts = {0};
    queue_json_create(&create, &options, "o.fifo", "arn:d");
    queue_json_send(&send, "http://h/o", &entry, 1);
    queue_json_receipts(&receipts, "http://h/o", messages, NULL, 2);
    bool created = whole_json(&create), sent = whole_json(&send);
    return whole_json(&receipts) && created && sent;
}

/* A message whose MD5 cannot be made is believed. */
static bool queue_answer(void) {
    struct queue_batch batch = {.count = 0};
    char words[QUEUE_ERROR_SIZE] = "";
    json_t *answer =
        json_pack("{s:[{s:s,s:s,s:s,s:s,s:{s:s}}]}", "Messages", "MessageId", "m", "ReceiptHandle", "r",
                  "Body", "ok", "MD5OfBody", MD5_OK, "Attributes", "MessageGroupId", "g");
    assert_true(queue_json_read_received(answer, &batch, words));
    assert_int_equal(batch.count, 1);
    assert_string_equal(words, "");
    queue_batch_free(&batch);
    json_decref(answer);
    return true;
}

static bool log_line(void) {
    char line[8192] = "";
    int real = dup(STDERR_FILENO), file = memfd_create("log", 0);
    dup2(file, STDERR_FILENO);
    log_setup("test", LOG_INFO, LOG_JSON);
    log_error("id", "%01000d \xff", 7);
    dup2(real, STDERR_FILENO);
    assert_true(pread(file, line, sizeof line - 1, 0) > 0);
    close(real);
    close(file);
    json_t *entry = json_loads(line, 0, NULL);
    assert_non_null(entry);
    bool whole = json_member_string(entry, "request_id");
    assert_true(whole || strstr(line, "out of memory"));
    json_decref(entry);
    return whole;
}

/* jansson drops characters when memory is short: so the process ends, or the document is whole. */
static bool tracing_starts(void) {
    const struct tracing_options options = {.endpoint = "http://127.0.0.1:1",
                                            .traces_endpoint = "",
                                            .timeout_ms = 1000,
                                            .service = "s",
                                            .resource = "a=b",
                                            .ratio = "1"};
    bool started = tracing_start(&options);
    assert_int_equal(tracing_is_on(), started);
    tracing_stop(0);
    return started;
}

static void parse_in_child(size_t nth) {
    static const char text[] =
        "{\"a name of some length\":\"a text that is longer than that\",\"n\":[12345678901234567,1.5]}";
    char error[JSON_ERROR_SIZE];
    json_setup();
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    memory_fail(nth);
    json_t *value = json_parse_object(text, sizeof text - 1, error);
    json_t *number = json_array_get(json_object_get(value, "n"), 0);
    const char *found = json_member_string(value, "a name of some length");
    bool whole = found && strcmp(found, "a text that is longer than that") == 0 &&
                 json_integer_value(number) == 12345678901234567;
    _exit(whole ? 0 : 1);
}

static void json_is_whole_or_the_process_ends(void **state) {
    (void)state;
    size_t nth = 1;
    int status;
    do {
        pid_t child = fork();
        if (child == 0)
            parse_in_child(nth);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 0);
    } while (WIFSIGNALED(status) && ++nth);
    assert_true(nth > 10);
}

int main(void) {
    static const struct memory_scenario scenarios[] = {
        {"text grows", text_grows},
        {"an arena gives pieces", arena_gives_pieces},
        {"parameters of a statement", statement_parameters},
        {"a configuration", configuration},
        {"a bad configuration", bad_configuration},
        {"a .env file", env_file},
        {"a token is issued and verified", tokens},
        {"a token is let in", token_is_let_in},
        {"a bad token is refused", bad_token_is_refused},
        {"a token without its signature is refused", unsigned_token_is_refused},
        {"a problem", problem},
        {"a reply with headers", reply_with_headers},
        {"the faults of a body", faults_of_a_body},
        {"the parameters of a route", route_parameters},
        {"requests to the queue", queue_requests},
        {"an answer of the queue", queue_answer},
        {"a line of the log", log_line},
        {"tracing starts", tracing_starts},
    };
    const struct CMUnitTest tests[] = {cmocka_unit_test(json_is_whole_or_the_process_ends)};
    return memory_run(scenarios, COUNT(scenarios)) + cmocka_run_group_tests(tests, NULL, NULL);
}
