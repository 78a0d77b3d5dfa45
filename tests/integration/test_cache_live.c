/* cache.c against a real Redis (REDIS_HOST, REDIS_PORT): batches, versions, expiry, a forgotten script, and a
 * server that is not there. */
#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/base/outage.h"
#include "common/base/uuid.h"
#include "common/cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakes/rows.h"

#define KEY_SIZE 80
#define MANY 700 /* more than one pipeline */

static const char *setting(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

static struct outage outage = {.name = "Redis"};
static struct breaker breaker = BREAKER_INIT;

static struct cache_options real_redis(void) {
    return (struct cache_options){.host = setting("REDIS_HOST", "localhost"),
                                  .port = atoi(setting("REDIS_PORT", "6379")),
                                  .password = {.text = ""},
                                  .timeout_ms = 5000,
                                  .breaker = &breaker,
                                  .outage = &outage};
}

static int open_cache(void **state) {
    struct cache_options options = real_redis();
    *state = cache_open(&options);
    return *state && cache_check(*state, "order:health") ? 0 : -1;
}

static int close_cache(void **state) {
    cache_close(*state);
    return 0;
}

/* A key that no other test has. */
static void new_key(char key[static KEY_SIZE]) {
    char id[UUID_TEXT_SIZE];
    struct uuid uuid = uuid_new();
    uuid_format(&uuid, id);
    snprintf(key, KEY_SIZE, "test:cache:%s", id);
}

static struct cache_entry entry(const char *key, const char *value, int64_t version) {
    return (struct cache_entry){key, value, strlen(value), 60000, version};
}

static void assert_stored(struct cache *cache, const char *key, const char *expected) {
    struct cache_values *values = cache_get(cache, &key, 1);
    assert_non_null(values);
    size_t len = 0;
    const char *value = cache_value(values, 0, &len);
    if (expected) {
        assert_non_null(value);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(value, expected, len);
    } else {
        assert_null(value);
    }
    cache_values_free(values);
}

static void many_are_written_and_read_at_once(void **state) {
    struct cache *cache = *state;
    static char keys[MANY][KEY_SIZE], texts[MANY][16];
    static struct cache_entry entries[MANY];
    const char *names[MANY];
    for (size_t i = 0; i < MANY; i++) {
        new_key(keys[i]);
        names[i] = keys[i];
        snprintf(texts[i], sizeof texts[i], "%zu\n", i % 3 + 1);
        entries[i] = entry(keys[i], texts[i], (int64_t)(i % 3));
    }
    assert_true(cache_put(cache, entries, MANY));
    struct cache_values *values = cache_get(cache, names, MANY);
    assert_non_null(values);
    for (size_t i = 0; i < MANY; i++) {
        size_t len = 0;
        const char *value = cache_value(values, i, &len);
        assert_non_null(value);
        assert_int_equal(len, strlen(texts[i]));
        assert_memory_equal(value, texts[i], len);
    }
    size_t len;
    assert_null(cache_value(values, MANY, &len));
    cache_values_free(values);
}

static void bytes_come_back_as_they_went(void **state) {
    struct cache *cache = *state;
    char key[KEY_SIZE];
    new_key(key);
    static const char bytes[] = "\0 \r\n\xff %s";
    const struct cache_entry put = {key, bytes, sizeof bytes, 60000, 0};
    assert_true(cache_put(cache, &put, 1));
    const char *name = key;
    struct cache_values *values = cache_get(cache, &name, 1);
    size_t len = 0;
    const char *value = cache_value(values, 0, &len);
    assert_non_null(value);
    assert_int_equal(len, sizeof bytes);
    assert_memory_equal(value, bytes, len);
    cache_values_free(values);
}

static void nothing_asked_is_nothing_written(void **state) {
    struct cache *cache = *state;
    struct cache_values *values = cache_get(cache, NULL, 0);
    assert_non_null(values);
    size_t len;
    assert_null(cache_value(values, 0, &len));
    cache_values_free(values);
    assert_true(cache_put(cache, NULL, 0));
    char key[KEY_SIZE];
    new_key(key);
    assert_stored(cache, key, NULL);
}

static void only_a_higher_version_is_written(void **state) {
    struct cache *cache = *state;
    char key[KEY_SIZE];
    new_key(key);
    static const struct {
        int64_t version;
        const char *value, *stored;
    } steps[] = {
        {2, "2\nshipped", "2\nshipped"}, {1, "1\nlate", "2\nshipped"},
        {2, "2\nagain", "2\nshipped"},   {10, "10\ndelivered", "10\ndelivered"},
        {9, "9\nlate", "10\ndelivered"}, {0, "no version", "no version"},
        {1, "1\nfirst", "1\nfirst"},
    };
    for_each_row(i, steps, "%s", steps[i].value) {
        struct cache_entry put = entry(key, steps[i].value, steps[i].version);
        assert_true(cache_put(cache, &put, 1));
        assert_stored(cache, key, steps[i].stored);
    }
}

static void entries_expire(void **state) {
    struct cache *cache = *state;
    char keys[2][KEY_SIZE];
    new_key(keys[0]);
    new_key(keys[1]);
    struct cache_entry puts[] = {entry(keys[0], "plain", 0), entry(keys[1], "1\nversion", 1)};
    puts[0].ttl_ms = puts[1].ttl_ms = 1;
    assert_true(cache_put(cache, puts, 2));
    clock_sleep_ms(20);
    assert_stored(cache, keys[0], NULL);
    assert_stored(cache, keys[1], NULL);
}

/* Sends one command past the module, and waits for its +OK. */
static void raw_command(const char *command) {
    struct cache_options options = real_redis();
    char port[8], answer[8] = "";
    snprintf(port, sizeof port, "%d", options.port);
    struct addrinfo *address = NULL, hints = {.ai_socktype = SOCK_STREAM};
    assert_int_equal(getaddrinfo(options.host, port, &hints, &address), 0);
    int fd = -1;
    for (struct addrinfo *a = address; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, 0);
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(address);
    assert_int_equal(write(fd, command, strlen(command)), strlen(command));
    assert_int_equal(read(fd, answer, 5), 5);
    close(fd);
    assert_string_equal(answer, "+OK\r\n");
}

static void a_forgotten_script_is_sent_again(void **state) {
    struct cache *cache = *state;
    char keys[2][KEY_SIZE];
    new_key(keys[0]);
    new_key(keys[1]);
    for (size_t i = 0; i < 2; i++) {
        raw_command("SCRIPT FLUSH\r\n");
        struct cache_entry puts[] = {entry(keys[i], "3\nx", 3), entry(keys[i], "4\ny", 4)};
        assert_true(cache_put(cache, puts, 2));
        assert_stored(cache, keys[i], "4\ny");
    }
}

static void a_refused_write_is_told_and_harms_nothing(void **state) {
    struct cache *cache = *state;
    char keys[2][KEY_SIZE];
    new_key(keys[0]);
    new_key(keys[1]);
    struct cache_entry puts[] = {entry(keys[0], "x", 0), entry(keys[1], "y", 0)};
    puts[0].ttl_ms = 0; /* Redis refuses it */
    assert_false(cache_put(cache, puts, 2));
    assert_non_null(strstr(cache_error(cache), "expire"));
    assert_int_equal(atomic_load(&outage.since_ms), 0); /* Redis is there */
    assert_stored(cache, keys[0], NULL);
    assert_stored(cache, keys[1], "y");
}

static void answers_to_later_writes_are_read_by_the_next_call(void **state) {
    struct cache *cache = *state;
    char keys[3][KEY_SIZE];
    for (size_t i = 0; i < 3; i++)
        new_key(keys[i]);
    struct cache_entry puts[] = {entry(keys[0], "x", 0), entry(keys[1], "y", 0), entry(keys[2], "1\nz", 1)};
    assert_true(cache_put_later(cache, puts, 2));
    assert_stored(cache, keys[1], "y");
    assert_true(cache_put_later(cache, puts, 1));
    assert_true(cache_put_later(cache, puts, 2));
    assert_true(cache_put(cache, &puts[2], 1));
    assert_stored(cache, keys[2], "1\nz");
    puts[0].ttl_ms = 0;
    const char *name = keys[1];
    assert_true(cache_put_later(cache, puts, 2));
    assert_null(cache_get(cache, &name, 1));
    assert_non_null(strstr(cache_error(cache), "expire"));
    assert_stored(cache, keys[1], "y");
}

static void later_writes_leave_no_answers_unread(void **state) {
    struct cache *cache = *state;
    char keys[2][KEY_SIZE];
    new_key(keys[0]);
    new_key(keys[1]);
    struct cache_entry refused = entry(keys[0], "x", 0), put = entry(keys[1], "y", 0);
    refused.ttl_ms = 0;
    assert_true(cache_put_later(cache, &refused, 1));
    assert_true(cache_put_later(cache, &put, 1));
    assert_non_null(strstr(cache_error(cache), "expire")); /* it has read the answer to the first */
    assert_stored(cache, keys[1], "y");
}

static void another_database_is_another_world(void **state) {
    struct cache_options options = real_redis();
    options.database = 1;
    struct cache *other = cache_open(&options);
    char key[KEY_SIZE];
    new_key(key);
    struct cache_entry put = entry(key, "x", 0);
    assert_true(cache_put(other, &put, 1));
    assert_stored(other, key, "x");
    assert_stored(*state, key, NULL);
    cache_close(other);
}

static void with_a_wrong_password_redis_is_away(void **state) {
    (void)state;
    struct cache_options options = real_redis();
    options.password.text = "not this one";
    struct cache *cache = cache_open(&options);
    assert_false(cache_check(cache, "order:health"));
    assert_true(*cache_error(cache));
    cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_are_written_and_read_at_once),
        cmocka_unit_test(bytes_come_back_as_they_went),
        cmocka_unit_test(nothing_asked_is_nothing_written),
        cmocka_unit_test(only_a_higher_version_is_written),
        cmocka_unit_test(entries_expire),
        cmocka_unit_test(a_forgotten_script_is_sent_again),
        cmocka_unit_test(a_refused_write_is_told_and_harms_nothing),
        cmocka_unit_test(answers_to_later_writes_are_read_by_the_next_call),
        cmocka_unit_test(later_writes_leave_no_answers_unread),
        cmocka_unit_test(another_database_is_another_world),
        cmocka_unit_test(with_a_wrong_password_redis_is_away),
    };
    return cmocka_run_group_tests(tests, open_cache, close_cache);
}
