/* Connecting to parts that never answer, not even that there is nobody: a network that swallows all, played
 * by a listener whose backlog is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cache/cache.h"
#include "common/db/db.h"
#include "common/queue/queue.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fakes/loopback.h"

enum { BACKLOG = 4 };

static struct {
    int listener, waiting[BACKLOG];
    int port;
    char port_text[8], url[40];
} deaf;

static int setup(void **state) {
    (void)state;
    deaf.listener = loopback_socket(&deaf.port);
    assert_int_equal(listen(deaf.listener, 0), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)deaf.port)};
    for (int i = 0; i < BACKLOG; i++) {
        deaf.waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(deaf.waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    snprintf(deaf.port_text, sizeof deaf.port_text, "%d", deaf.port);
    snprintf(deaf.url, sizeof deaf.url, "http://127.0.0.1:%d", deaf.port);
    return queue_global_setup() ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < BACKLOG; i++)
        close(deaf.waiting[i]);
    close(deaf.listener);
    queue_global_cleanup();
    return 0;
}

static enum db_status no_work(struct db *db, void *arg) {
    (void)db, (void)arg;
    return DB_OK;
}

static void connecting_to_postgresql_has_a_deadline(void **state) {
    (void)state;
    struct db *db = db_open(&(struct db_options){.host = "127.0.0.1",
                                                 .port = deaf.port_text,
                                                 .name = "n",
                                                 .user = "u",
                                                 .password = {"p"},
                                                 .sslmode = "disable",
                                                 .application_name = "test",
                                                 .connect_timeout_ms = 100});
    assert_int_equal(db_transaction(db, no_work, NULL), DB_UNAVAILABLE);
    assert_string_equal(db_error(db), "connection timeout");
    db_close(db);
}

static void connecting_to_redis_has_a_deadline(void **state) {
    (void)state;
    struct cache *cache = cache_open(
        &(struct cache_options){.host = "127.0.0.1", .port = deaf.port, .password = {""}, .timeout_ms = 100});
    assert_false(cache_check(cache, "order:health"));
    assert_string_equal(cache_error(cache), "Connection timed out");
    cache_close(cache);
}

static void connecting_to_sqs_has_a_deadline(void **state) {
    (void)state;
    struct queue *queue = queue_open(&(struct queue_options){
        .endpoint = deaf.url, .region = "us-east-1", .name = "q.fifo", .dead_letter_name = "d.fifo"});
    assert_int_equal(queue_check(queue), QUEUE_UNAVAILABLE);
    /* Its own deadline, not the call's. libcurl has several words for it, depending on its version and on who notices. */
    const char *words = queue_error(queue);
    if (!(strstr(words, "Failed to connect") && strstr(words, "Timeout was reached")) &&
        !strstr(words, "Connection timed out after") && !strstr(words, "Connection timeout after"))
        fail_msg("SQS: %s", words);
    queue_close(queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting_to_postgresql_has_a_deadline),
        cmocka_unit_test(connecting_to_redis_has_a_deadline),
        cmocka_unit_test(connecting_to_sqs_has_a_deadline),
    };
    return cmocka_run_group_tests_name("connect", tests, setup, teardown);
}
