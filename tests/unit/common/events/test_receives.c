/* When the queue is asked after how many receives it gives a message up. */
#include "common/events/receives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int asked;
static enum queue_status answer;

enum queue_status queue_check(struct queue *queue) {
    (void)queue;
    asked++;
    return answer;
}

int queue_max_receive_count(const struct queue *queue) {
    (void)queue;
    return 3;
}

static void a_queue_is_asked_once_a_minute_whatever_it_answers(void **state) {
    (void)state;
    const struct queue_options options = {.max_receive_count = 3};
    struct receives receives;
    for (answer = QUEUE_OK; answer <= QUEUE_UNAVAILABLE; answer++) {
        receives_begin(&receives, &options);
        asked = 0;
        receives_compare(&receives, NULL, "consumer");
        assert_int_equal(asked, 0);
        receives.ask_ms = 0;
        receives_compare(&receives, NULL, "consumer");
        receives_compare(&receives, NULL, "consumer");
        assert_int_equal(asked, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_queue_is_asked_once_a_minute_whatever_it_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
