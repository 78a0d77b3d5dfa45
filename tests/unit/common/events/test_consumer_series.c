/* What a consumer counts of its messages, over a queue and a database that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/metrics/metrics.h"

#include "fakes/consumer_run.h"
#include "fakes/rows.h"

/* Which messages of one batch are counted: "outcome reason number". */
static const struct {
    const char *batch;
    bool refuses_dead_letters, stops;
    const char *counts;
} counted[] = {
    {.batch = "1 g ok 1,2 h ok 1", .counts = "done  2; "},
    {.batch = "1 g hopeless 1,2 h unknown 1,3 i unknown 1,4 j ok 1",
     .counts = "done  1; dead_lettered malformed 1; dead_lettered unknown_order 2; "},
    {.batch = "1 g refused 1,2 g ok 1,3 h ok 1",
     .counts = "done  1; retried refused_by_database 1; retried blocked 1; "},
    {.batch = "1 g refused 3,2 g hopeless 1",
     .counts = "dead_lettered malformed 1; dead_lettered too_many_receives 1; "},
    {.batch = "1 g bad 1", .counts = "retried refused_by_database 1; "},
    {.batch = "1 g large 1", .counts = "retried out_of_memory 1; "},
    {.batch = "1 g lost 2,2 g ok 1,3 h ok 1", .counts = "retried database_away 3; "},
    {.batch = "1 g hopeless 1,2 h lost-alone 1,3 i broken 1",
     .counts = "dead_lettered malformed 1; retried database_away 2; "},
    {.batch = "1 g hopeless 1,2 h hopeless 3",
     .refuses_dead_letters = true,
     .counts = "dead_lettered too_many_receives 1; retried dead_letter_queue_away 1; "},
    {.batch = "1 g ok 1,2 h ok 1", .stops = true, .counts = "retried stopping 2; "},
};

static void note_counts(struct buf *out) {
    static const char begin[] = "\norders_messages_total{messaging_destination_name=\"q.fifo\",outcome=\"";
    struct buf text = {0};
    metrics_write(&text, METRICS_PROMETHEUS);
    buf_str(out, "");
    for (const char *at = text.data; (at = strstr(at, begin)) != NULL; at++) {
        char outcome[32], reason[32] = "";
        int number = -1;
        const char *line = at + strlen(begin);
        if (sscanf(line, "%31[^\"]\",reason=\"%31[^\"]\"} %d", outcome, reason, &number) != 3)
            assert_int_equal(sscanf(line, "%31[^\"]\"} %d", outcome, &number), 2);
        if (number)
            buf_printf(out, "%s %s %d; ", outcome, reason, number);
    }
    buf_free(&text);
}

static void each_message_is_counted_with_its_reason(void **state) {
    (void)state;
    for_each_row(i, counted, "%s", counted[i].batch) {
        struct buf counts = {0};
        assert_true(metrics_start());
        world.refuses_dead_letters = counted[i].refuses_dead_letters;
        world.stop_while_receiving = counted[i].stops;
        world.visibility_timeout_s = 0; /* what waits for the database goes back at once */
        run(counted[i].batch);
        world.refuses_dead_letters = world.stop_while_receiving = false;
        note_counts(&counts);
        metrics_stop();
        if (strcmp(counts.data, counted[i].counts) != 0)
            fail_msg("%s:\n  %s\nnot %s", counted[i].batch, counts.data, counted[i].counts);
        buf_free(&counts);
    }
}

static int teardown(void **state) {
    (void)state;
    buf_free(&world.trace);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_counted_with_its_reason),
    };
    return cmocka_run_group_tests_name("consumer_series", tests, NULL, teardown);
}
