/* cache.c when Redis is away, slow or odd: played by a socket of our own. */
#include "common/cache/cache.h"

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/base/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fakes/loopback.h"

#define ONE_VALUE(value) "*1\r\n$1\r\n" value "\r\n"

#define AUTH "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n"
#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
#define CHECK "*5\r\n$3\r\nSET\r\n$12\r\norder:health\r\n$1\r\n1\r\n$2\r\nPX\r\n$5\r\n10000\r\n"
#define MGET "*2\r\n$4\r\nMGET\r\n$3\r\nkey\r\n"

static const char *const keys[] = {"key"};

struct fixture {
    int socket; /* bound; listens only where a test says so */
    struct breaker breaker;
    struct outage outage;
    struct cache *cache, *other; /* two connections with one breaker */
    struct cache *unguarded;     /* one without */
};

static int set_up(void **state) {
    static struct fixture fixture;
    fixture.breaker = (struct breaker)BREAKER_INIT;
    fixture.outage.name = "cache in Redis";
    outage_end(&fixture.outage);
    int port;
    fixture.socket = loopback_socket(&port);
    struct cache_options options = {.host = "127.0.0.1",
                                    .port = port,
                                    .password = {.text = "sesame"},
                                    .database = 3,
                                    .timeout_ms = 500,
                                    .breaker = &fixture.breaker,
                                    .outage = &fixture.outage};
    fixture.cache = cache_open(&options);
    fixture.other = cache_open(&options);
    options.breaker = NULL;
    options.outage = NULL;
    fixture.unguarded = cache_open(&options);
    *state = &fixture;
    return fixture.cache && fixture.other && fixture.unguarded ? 0 : -1;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    cache_close(fixture->cache);
    cache_close(fixture->other);
    cache_close(fixture->unguarded);
    close(fixture->socket);
    return 0;
}

static bool send_text(int fd, const char *text) {
    return send(fd, text, strlen(text), MSG_NOSIGNAL) > 0;
}

/* Reads the client's next command; whether it is this one, whole. */
static bool take_command(int fd, const char *expected) {
    char command[256];
    ssize_t len = recv(fd, command, sizeof command, 0);
    return len == (ssize_t)strlen(expected) && memcmp(command, expected, strlen(expected)) == 0;
}

/* Takes a connection of the client, lets it log in, and reads its first command. */
static int take_client(int listener, const char *expected) {
    int fd = accept(listener, NULL, NULL);
    if (take_command(fd, AUTH) && send_text(fd, "+OK\r\n") && take_command(fd, SELECT) &&
        send_text(fd, "+OK\r\n") && take_command(fd, expected))
        return fd;
    close(fd);
    return -1;
}

static pthread_t serve(struct fixture *fixture, void *(*server)(void *)) {
    pthread_t thread;
    assert_int_equal(listen(fixture->socket, 8), 0);
    assert_int_equal(pthread_create(&thread, NULL, server, &fixture->socket), 0);
    return thread;
}

static bool is_out(struct outage *outage) {
    return atomic_load(&outage->since_ms) != 0;
}

/* Redis refuses to be connected to until the breaker opens. */
static void open_breaker(struct fixture *fixture) {
    for (int calls = 0; calls < 10; calls++) {
        assert_false(is_out(&fixture->outage)); /* few failures are no outage */
        assert_null(cache_get(fixture->cache, keys, 1));
    }
    assert_true(is_out(&fixture->outage));
}

static void the_breaker_opens_for_all_connections_and_is_told_once(void **state) {
    struct fixture *fixture = *state;
    open_breaker(fixture);
    assert_string_equal(cache_error(fixture->cache), "Connection refused");

    assert_int_equal(listen(fixture->socket, 8), 0);
    const struct cache_entry entry = {"key", "v", 1, 1000, 0};
    assert_null(cache_get(fixture->cache, keys, 1));
    assert_null(cache_get(fixture->other, keys, 1));
    assert_false(cache_put(fixture->cache, &entry, 1));
    struct pollfd listener = {.fd = fixture->socket, .events = POLLIN};
    assert_int_equal(poll(&listener, 1, 0), 0); /* nobody tried to connect */
    assert_int_equal(atomic_load(&fixture->outage.failures), 1);
}

static void *answer_check(void *arg) {
    int fd = take_client(*(int *)arg, CHECK);
    send_text(fd, "+OK\r\n");
    close(fd);
    return NULL;
}

static void a_connection_without_a_breaker_always_tries(void **state) {
    struct fixture *fixture = *state;
    for (int calls = 0; calls < 20; calls++)
        assert_false(cache_check(fixture->unguarded, "order:health"));
    assert_false(is_out(&fixture->outage));
    pthread_t server = serve(fixture, answer_check);
    bool well = cache_check(fixture->unguarded, "order:health");
    pthread_join(server, NULL);
    assert_true(well);
}

static void *answer_get(void *arg) {
    int fd = take_client(*(int *)arg, MGET);
    send_text(fd, ONE_VALUE("1"));
    close(fd);
    return NULL;
}

static void a_success_ends_the_outage(void **state) {
    struct fixture *fixture = *state;
    assert_true(outage_begin(&fixture->outage, "not there"));
    pthread_t server = serve(fixture, answer_get);
    struct cache_values *values = cache_get(fixture->cache, keys, 1);
    pthread_join(server, NULL);
    assert_non_null(values);
    cache_values_free(values);
    assert_false(is_out(&fixture->outage));
}

static void *answer_late_then_right(void *arg) {
    int first = take_client(*(int *)arg, MGET); /* the client gives up on it */
    int second = take_client(*(int *)arg, MGET);
    send_text(first, ONE_VALUE("1"));
    send_text(second, ONE_VALUE("2"));
    close(first);
    close(second);
    return NULL;
}

static void a_late_reply_never_answers_the_next_command(void **state) {
    struct fixture *fixture = *state;
    pthread_t server = serve(fixture, answer_late_then_right);
    struct cache_values *first = cache_get(fixture->cache, keys, 1);
    struct cache_values *second = cache_get(fixture->cache, keys, 1);
    pthread_join(server, NULL);
    assert_null(first);
    size_t len = 0;
    const char *value = cache_value(second, 0, &len);
    assert_non_null(value);
    assert_memory_equal(value, "2", 1);
    cache_values_free(second);
}

/* A reply that comes byte by byte, each within the timeout, all of it in many times the timeout. */
static void *trickle(void *arg) {
    int fd = take_client(*(int *)arg, MGET);
    send_text(fd, "*1\r\n$100\r\n");
    for (int i = 0; i < 100 && send_text(fd, "x"); i++)
        clock_sleep_ms(50);
    send_text(fd, "\r\n");
    close(fd);
    return NULL;
}

static void a_trickling_reply_is_given_up(void **state) {
    struct fixture *fixture = *state;
    pthread_t server = serve(fixture, trickle);
    struct cache_values *values = cache_get(fixture->cache, keys, 1);
    pthread_join(server, NULL);
    assert_null(values);
    assert_string_equal(cache_error(fixture->cache), "receive timeout");
}

static void *answer_oddly(void *arg) {
    static const char *const answers[] = {"-LOADING Redis is loading the dataset in memory\r\n",
                                          "*2\r\n$1\r\na\r\n$1\r\nb\r\n"};
    for (size_t i = 0; i < 2; i++) {
        int fd = take_client(*(int *)arg, MGET);
        send_text(fd, answers[i]);
        close(fd);
    }
    return NULL;
}

static void odd_answers_are_no_values(void **state) {
    struct fixture *fixture = *state;
    pthread_t server = serve(fixture, answer_oddly);
    assert_null(cache_get(fixture->cache, keys, 1));
    char first[64];
    snprintf(first, sizeof first, "%s", cache_error(fixture->cache));
    assert_null(cache_get(fixture->cache, keys, 1));
    pthread_join(server, NULL);
    assert_memory_equal(first, "LOADING", 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_breaker_opens_for_all_connections_and_is_told_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_without_a_breaker_always_tries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_success_ends_the_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_reply_never_answers_the_next_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trickling_reply_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_answers_are_no_values, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
