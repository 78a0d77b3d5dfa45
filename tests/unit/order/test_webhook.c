/* The rules of webhooks. */
#include "order/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fakes/rows.h"

static const char key[] = "the key of this test, which is long enough";

static void a_webhook_wants_the_types_it_names(void **state) {
    (void)state;
    static const struct {
        const char *events, *type;
        bool wants;
    } cases[] = {
        {NULL, "order.created", true},
        {"order.created", "order.created", true},
        {"order.created", "order.create", false},
        {"order.created", "order.shipped", false},
        {"order.created order.shipped", "order.shipped", true},
        {"order.created order.shipped order.delivered", "order.shipped", true},
        {"", "order.created", false},
    };
    for_each_row(i, cases, "'%s' of '%s'", cases[i].type, cases[i].events ? cases[i].events : "all")
        assert_int_equal(webhook_wants(cases[i].events, cases[i].type), cases[i].wants);
}

/* As the library of Standard Webhooks for Python signs it. */
static void signature_is_that_of_another_implementation(void **state) {
    (void)state;
    static const char body[] = "{\"test\": 2432232314}";
    uint8_t secret[WEBHOOK_SECRET_BYTES];
    char signature[WEBHOOK_SIGNATURE_SIZE];
    memset(secret, 0x0b, sizeof secret);
    assert_true(webhook_sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, signature));
    assert_string_equal(signature, "v1,l0YbNdXmMwDUJiA4ddksq4c7MMXD4FWkjh1re2gijJ0=");
}

static void a_secret_is_shown_as_the_standard_has_it_and_stored_sealed(void **state) {
    (void)state;
    struct uuid id = uuid_new(), other = uuid_new();
    char shown[WEBHOOK_SECRET_SIZE], sealed[WEBHOOK_SEALED_SIZE], text[BASE64_SIZE(WEBHOOK_SECRET_BYTES)];
    uint8_t secret[WEBHOOK_SECRET_BYTES];
    assert_true(webhook_secret_new(key, &id, shown, sealed));
    assert_true(webhook_secret_open(key, &id, sealed, secret));
    base64_encode(secret, sizeof secret, text);
    assert_memory_equal(shown, "whsec_", 6);
    assert_string_equal(shown + 6, text);
    assert_false(webhook_secret_open("another key", &id, sealed, secret));
    assert_false(webhook_secret_open(key, &other, sealed, secret));
    assert_false(webhook_secret_open(key, &id, "", secret));
    sealed[5] = sealed[5] == 'A' ? 'B' : 'A';
    assert_false(webhook_secret_open(key, &id, sealed, secret));
}

static void only_2xx_is_success(void **state) {
    (void)state;
    static const struct {
        int status;
        enum webhook_result result;
    } cases[] = {
        {0, WEBHOOK_UNWELL},    {200, WEBHOOK_DELIVERED}, {204, WEBHOOK_DELIVERED}, {299, WEBHOOK_DELIVERED},
        {199, WEBHOOK_REFUSED}, {300, WEBHOOK_REFUSED},   {301, WEBHOOK_REFUSED},   {400, WEBHOOK_REFUSED},
        {404, WEBHOOK_REFUSED}, {410, WEBHOOK_GONE},      {429, WEBHOOK_UNWELL},    {500, WEBHOOK_REFUSED},
        {502, WEBHOOK_UNWELL},  {503, WEBHOOK_UNWELL},    {504, WEBHOOK_UNWELL},    {999, WEBHOOK_REFUSED},
    };
    for_each_row(i, cases, "%d", cases[i].status)
        assert_int_equal(webhook_judge(cases[i].status), cases[i].result);
}

static void delays_follow_the_schedule_with_jitter(void **state) {
    (void)state;
    static const int64_t pauses[] = {5000, 300000, 86400000};
    const struct webhook_schedule schedule = {pauses, 3};
    for (int64_t failures = 1; failures <= 3; failures++) {
        bool differs = false;
        int64_t pause = pauses[failures - 1], first = webhook_delay_ms(&schedule, failures, 0);
        for (int i = 0; i < 100; i++) {
            int64_t delay = webhook_delay_ms(&schedule, failures, 0);
            assert_in_range(delay, pause, pause + pause / 10);
            differs |= delay != first;
        }
        assert_true(differs);
    }
    assert_int_equal(webhook_delay_ms(&schedule, 4, 0), -1);
    assert_int_equal(webhook_delay_ms(&schedule, 4, 60000), -1);
}

static void a_receiver_may_ask_for_more_time_within_bounds(void **state) {
    (void)state;
    static const int64_t pauses[] = {5000};
    const struct webhook_schedule schedule = {pauses, 1};
    assert_int_equal(webhook_delay_ms(&schedule, 1, 60000), 60000);
    assert_int_equal(webhook_delay_ms(&schedule, 1, 86400000), 3600000);
    assert_in_range(webhook_delay_ms(&schedule, 1, 1), 5000, 5500);
    assert_int_equal(webhook_pause_ms(1, 120000), 120000);
    assert_int_equal(webhook_pause_ms(16, 86400000), 3600000);
}

static void pauses_grow_and_have_a_bound(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_in_range(webhook_pause_ms(0, 0), 1, 500);
        assert_in_range(webhook_pause_ms(1, 0), 1, 1000);
        assert_in_range(webhook_pause_ms(16, 0), 1, 60000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_webhook_wants_the_types_it_names),
        cmocka_unit_test(signature_is_that_of_another_implementation),
        cmocka_unit_test(a_secret_is_shown_as_the_standard_has_it_and_stored_sealed),
        cmocka_unit_test(only_2xx_is_success),
        cmocka_unit_test(delays_follow_the_schedule_with_jitter),
        cmocka_unit_test(a_receiver_may_ask_for_more_time_within_bounds),
        cmocka_unit_test(pauses_grow_and_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
