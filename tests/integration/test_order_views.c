/* Views of orders against a real Redis (REDIS_HOST, REDIS_PORT). */
#include "order/order_views.h"

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { TTL_MS = 60000, PATIENCE_MS = 5000 };

static struct outage outage = {.name = "Redis"};
static struct breaker breaker = BREAKER_INIT;

/* The other replica found it in Redis when half of its time was over. Nobody may see an old tracking number, or the name of an
 * erased customer, for longer than the time that is configured. */
static void what_another_replica_kept_grows_old_from_when_it_was_written(void **state) {
    (void)state;
    const struct cache_options options = {.host = getenv("REDIS_HOST"),
                                          .port = atoi(getenv("REDIS_PORT")),
                                          .password = {.text = ""},
                                          .timeout_ms = PATIENCE_MS,
                                          .breaker = &breaker,
                                          .outage = &outage};
    struct order order = {.id = uuid_new(),
                          .client_id = "client",
                          .customer_id = "customer",
                          .status = ORDER_DELIVERED,
                          .version = 3,
                          .currency = "EUR"};
    struct arena arena = {0};
    struct order_view view;
    uint8_t database[DB_IDENTITY_SIZE];
    unsigned changes;
    struct order_views one = {cache_open(&options), memory_cache_new(8), db_identity_new(), TTL_MS};
    struct order_views other = {one.cache, memory_cache_new(8), one.identity, 10 * TTL_MS};
    assert_true(db_identity_note(one.identity, "database", clock_mono_ms(), database, &changes));
    int64_t before_ms = clock_epoch_ms();
    assert_true(order_views_put(&one, database, (const struct order *[]){&order}, 1));
    int64_t after_ms = clock_epoch_ms();
    assert_true(order_views_find(&other, &order.id, 1, &arena, &view));
    assert_string_equal(view.client_id, "client");
    assert_int_equal(view.version, 3);
    assert_true(order_view_recall(&other, &order.id, &arena, &view));
    assert_true(order_view_recall(&one, &order.id, &arena, &view));
    uint8_t key[MEMORY_CACHE_KEY_SIZE];
    char value[MEMORY_CACHE_VALUE_MAX];
    size_t len;
    memcpy(key, order.id.bytes, sizeof order.id.bytes);
    memcpy(key + sizeof order.id.bytes, database, sizeof database);
    assert_true(memory_cache_get(other.memory, key, before_ms + TTL_MS - 1, value, &len));
    assert_false(memory_cache_get(other.memory, key, after_ms + TTL_MS + 1, value, &len));
    arena_free(&arena);
    memory_cache_free(one.memory);
    memory_cache_free(other.memory);
    db_identity_free(one.identity);
    cache_close(one.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_replica_kept_grows_old_from_when_it_was_written),
    };
    log_setup("test", LOG_WARN, LOG_TEXT);
    return cmocka_run_group_tests_name("order_views", tests, NULL, NULL);
}
