/* What a consumer does with the messages of a batch, over a queue and a database that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/consumer_run.h"
#include "fakes/rows.h"

static const struct {
    const char *batch, *trace;
} cases[] = {
    {"1 g ok 1,2 h ok 1", "do 12; delete 12; "},
    {"1 g bad 1,2 h ok 1", "do 12; delete 2; back 1+; "},
    {"1 g bad 1,2 h bad 3", "do 12; back 1+20; "}, /* at its last receive: at once */
    {"1 g refused 1", "do 1; back 1+; "},
    /* one spoils the transaction of all: each alone */
    {"1 g ok 1,2 h refused 1,3 i ok 1", "do 123; do 1; do 2; do 3; delete 13; back 2+; "},
    {"1 g ok 1,2 h broken 1,3 i ok 1", "do 123; do 1; do 2; do 3; delete 13; back 2+; "},
    {"1 g ok 1,2 h busy 1", "do 12; do 1; do 2; delete 12; "},
    /* the later ones of its group wait, and come back together */
    {"1 g refused 2,2 g ok 1,3 h ok 1,4 g ok 1", "do 1234; do 1; do 3; delete 3; back 1+2+4+; "},
    {"1 g ok 1,2 g refused 2,3 g ok 1", "do 123; do 1; do 2; delete 1; back 2+3+; "},
    {"1 g bad 2,2 g bad 3", "do 12; back 1+2+; "},
    /* one that becomes a dead letter holds nobody up */
    {"1 g refused 3,2 g ok 3,3 g ok 1", "do 123; do 1; do 2; do 3; delete 23; back 10; "},
    {"1 g refused 3,2 g refused 1,3 g ok 1", "do 123; do 1; do 2; back 102+3+; "},
    /* what is hopeless is a dead letter at once, and holds nobody up */
    {"1 g hopeless 1,2 g ok 1,3 h ok 1", "do 123; bury 1: it is hopeless; delete 123; "},
    {"1 g hopeless 1,2 g refused 1,3 g ok 1",
     "do 123; do 1; do 2; bury 1: it is hopeless; delete 1; back 2+3+; "},
    {"1 g refused 1,2 g hopeless 1", "do 12; do 1; back 1+2+; "},
    /* a server that counts wrong */
    {"1 g bad 0,2 h bad 1000000", "do 12; back 1+20; "},
};

static void assert_trace(const char *batch, const char *trace) {
    run(batch);
    if (strcmp(world.trace.data, trace) != 0)
        fail_msg("%s:\n  %s\nnot %s", batch, world.trace.data, trace);
}

static void what_was_accepted_is_deleted_and_the_rest_put_back(void **state) {
    (void)state;
    for_each_row(i, cases, "%s", cases[i].batch) {
        assert_trace(cases[i].batch, cases[i].trace);
    }
}

/* No database: nobody's fault. Another replica may reach it, once the time is over for which a message is hidden: 0 here, so each
 * step extends it. */
static void what_waited_for_the_database_goes_back(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.visibility_timeout_s = 0;
    assert_trace("1 g lost 2,2 g ok 1,3 h ok 1",
                 "back 102030; do 123; back 102030; back 102030; away; back 1+2+3+; ");
    assert_trace("1 g ok 1,2 h refused 1,3 i lost-alone 1",
                 "back 102030; do 123; back 102030; do 1; back 102030; do 2; back 102030; do 3; delete 1; "
                 "back 2030; back 2030; away; back 2+3+; ");
    world.visibility_timeout_s = before;
}

/* A failover: it is back before. */
static void what_waits_for_the_database_uses_up_no_receive(void **state) {
    (void)state;
    world.full = 1;
    assert_trace("1 g gone 1,2 h ok 2,3 i bad 1", "do 123; away; away; do 123; delete 12; back 3+; ");
}

static void what_the_dead_letter_queue_does_not_take_comes_back(void **state) {
    (void)state;
    world.refuses_dead_letters = true;
    run("1 g hopeless 1,2 h ok 1,3 h hopeless 3");
    world.refuses_dead_letters = false;
    assert_string_equal(world.trace.data,
                        "do 123; bury 1: it is hopeless; bury 3: it is hopeless; delete 2; back 1+30; ");
}

static void messages_stay_hidden_while_they_are_at_work(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.visibility_timeout_s = 0; /* half of it is always over */
    run("1 g refused 3,2 h ok 3");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data,
                        "back 1020; do 12; back 1020; do 1; back 1020; do 2; delete 2; back 10; ");
}

/* A database that answers but takes nothing: its disk is full. */
static void what_the_database_cannot_take_now_is_held(void **state) {
    (void)state;
    world.full = 3;
    run("1 g full 3,2 h ok 3,3 i hopeless 3");
    assert_string_equal(world.trace.data,
                        "do 123; do 123; do 123; do 123; bury 3: it is hopeless; delete 123; ");
}

/* A database that is gone for long: the messages go back, unless one of them would become a dead letter untried. */
static void a_message_at_its_last_receive_waits_for_the_database(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.full = 1;
    world.visibility_timeout_s = 0;
    run("1 g gone 3,2 h ok 1");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data,
                        "back 1020; do 12; back 1020; back 1020; away; back 1020; back 1020; away; "
                        "back 1020; back 1020; back 1020; do 12; delete 12; ");
}

/* Each lost answer uses up a receive of the messages in it. So no receive is tried until the queue answers. */
static void a_lost_answer_costs_one_receive_however_long_the_queue_is_away(void **state) {
    (void)state;
    world.lost_answers = 1;
    world.queue_away = 3;
    run("1 g ok 2");
    assert_string_equal(world.trace.data, "lost; check; check; check; check; do 1; delete 1; ");
}

/* A lock that somebody holds is nobody's fault: no message comes back for it. */
static void what_the_database_is_too_busy_for_is_held(void **state) {
    (void)state;
    world.full = 2;
    run("1 g locked 3,2 h ok 3");
    assert_string_equal(world.trace.data, "do 12; do 1; do 2; delete 2; do 1; do 1; delete 1; ");
}

/* What comes behind it in its group waits with it, also when it must not be received once more. */
static void what_waits_for_a_lock_holds_its_group_and_no_other(void **state) {
    (void)state;
    world.full = 2;
    run("1 g ok 1,2 h locked 3,3 h ok 3,4 i ok 1,5 j bad 1");
    assert_string_equal(world.trace.data, "do 12345; do 1; do 2; do 4; do 5; delete 14; "
                                          "do 235; do 2; do 5; do 235; delete 23; back 5+; ");
}

/* A few wait for locks, so it is the table that is locked: the others are not tried. */
static void a_locked_table_is_not_tried_for_each_message(void **state) {
    (void)state;
    world.full = 4;
    run("1 a locked 1,2 b locked 1,3 c locked 1,4 d locked 1,5 e ok 1");
    assert_string_equal(world.trace.data, "do 12345; do 1; do 2; do 3; "
                                          "do 12345; do 1; do 2; do 3; do 4; do 5; "
                                          "do 12345; delete 12345; ");
}

static void nothing_is_received_while_the_database_is_away(void **state) {
    (void)state;
    world.probes_to_fail = 2;
    run("1 g ok 1");
    assert_string_equal(world.trace.data, "away; away; do 1; delete 1; ");
}

static void a_stop_returns_what_was_not_started(void **state) {
    (void)state;
    world.stop_while_receiving = true;
    run("1 g ok 1,2 g ok 3,3 h ok 1");
    world.stop_while_receiving = false;
    assert_string_equal(world.trace.data, "back 102030; ");
}

/* What comes while there is more is applied in one transaction, and settled in as many calls as it came in. */
static void a_transaction_takes_what_several_calls_brought(void **state) {
    (void)state;
    world.more = "11 k ok 1,12 l hopeless 1,13 m ok 1";
    run("1 a ok 1,2 b ok 1,3 c ok 1,4 d ok 1,5 e ok 1,6 f ok 1,7 g ok 1,8 h ok 1,9 i ok 1,10 j ok 1");
    assert_string_equal(world.trace.data,
                        "do 12345678910111213; bury 12: it is hopeless; delete 12345678910; delete 111213; ");
}

static int teardown(void **state) {
    (void)state;
    buf_free(&world.trace);
    return 0;
}

/* Only one worker waits at the queue; the others come, and go again, when it was full. */
static void others_help_only_while_the_queue_is_busy(void **state) {
    (void)state;
    static const char *const batches[] = {
        "1 a ok 1,2 b ok 1,3 c ok 1,4 d ok 1,5 e ok 1,6 f ok 1,7 g ok 1,8 h ok 1,9 i ok 1",
        "1 a ok 1,2 b ok 1,3 c ok 1,4 d ok 1,5 e ok 1,6 f ok 1,7 g ok 1,8 h ok 1,9 i ok 1,0 j ok 1"};
    for (size_t full = 0; full < 2; full++) {
        struct consumer *consumer = start(batches[full], 4);
        pthread_mutex_lock(&world.lock);
        wait_until(full ? &world.helped : &world.idle);
        pthread_mutex_unlock(&world.lock);
        consumer_stop(consumer);
        assert_int_equal(world.helped, full);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_help_only_while_the_queue_is_busy),
        cmocka_unit_test(what_was_accepted_is_deleted_and_the_rest_put_back),
        cmocka_unit_test(what_waited_for_the_database_goes_back),
        cmocka_unit_test(what_waits_for_the_database_uses_up_no_receive),
        cmocka_unit_test(what_the_dead_letter_queue_does_not_take_comes_back),
        cmocka_unit_test(messages_stay_hidden_while_they_are_at_work),
        cmocka_unit_test(what_the_database_cannot_take_now_is_held),
        cmocka_unit_test(a_message_at_its_last_receive_waits_for_the_database),
        cmocka_unit_test(a_lost_answer_costs_one_receive_however_long_the_queue_is_away),
        cmocka_unit_test(what_the_database_is_too_busy_for_is_held),
        cmocka_unit_test(what_waits_for_a_lock_holds_its_group_and_no_other),
        cmocka_unit_test(a_locked_table_is_not_tried_for_each_message),
        cmocka_unit_test(nothing_is_received_while_the_database_is_away),
        cmocka_unit_test(a_stop_returns_what_was_not_started),
        cmocka_unit_test(a_transaction_takes_what_several_calls_brought),
    };
    return cmocka_run_group_tests_name("consumer", tests, NULL, teardown);
}
