/* Who looks for a server, while none takes writes. */
#include "common/db/search.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct party {
    struct db_search search;
    struct db_seeker a, b, c;
    char error[DB_ERROR_SIZE];
};

static int set_up(void **state) {
    static struct party party;
    memset(&party, 0, sizeof party);
    db_search_init(&party.search);
    *state = &party;
    return 0;
}

static int tear_down(void **state) {
    struct party *party = *state;
    db_search_destroy(&party->search);
    return 0;
}

static bool begin(struct party *party, struct db_seeker *seeker) {
    return db_search_begin(&party->search, seeker, party->error);
}

static void end_well(struct party *party, struct db_seeker *seeker) {
    db_search_end(&party->search, seeker, DB_FOUND, party->error);
}

/* The clock shows a later time than now. */
static void next_moment(void) {
    for (int64_t now = clock_mono_ms(); clock_mono_ms() == now;)
        ;
}

/* Some time after seeker was lost. Then the pause lasts until begin_when_it_may. */
static void end_badly(struct db_search *search, struct db_seeker *seeker, const char *why) {
    char error[DB_ERROR_SIZE] = "";
    snprintf(error, sizeof error, "%s", why);
    seeker->lost_ms = clock_mono_ms();
    seeker->retry_at_ms = INT64_MAX; /* far away: what the search says is what counts */
    next_moment();
    db_search_end(search, seeker, DB_NOTHING, error);
    if (!search || !search->failed)
        return;
    assert_true(search->next_ms > seeker->lost_ms);
    search->next_ms = INT64_MAX;
}

static void begin_when_it_may(struct party *party, struct db_seeker *seeker) {
    party->search.next_ms = clock_mono_ms();
    assert_true(begin(party, seeker));
}

static void one_looks_and_the_others_learn_what_it_found(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->a, "none");
    begin_when_it_may(p, &p->b);
    assert_false(begin(p, &p->a));
    assert_string_equal(p->error, "none");
    end_badly(&p->search, &p->b, "still none");
    assert_false(begin(p, &p->a));
    assert_string_equal(p->error, "still none");
}

static void when_one_is_found_all_connect_at_once(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->a, "none");
    next_moment();
    begin_when_it_may(p, &p->b);
    end_well(p, &p->b);
    assert_true(begin(p, &p->a));
    assert_true(begin(p, &p->c));
}

/* It asked the servers of the time before. */
static void a_late_failure_says_nothing(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->c));
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->a, "none");
    begin_when_it_may(p, &p->b);
    end_well(p, &p->b);
    end_badly(&p->search, &p->c, "none");
    assert_true(begin(p, &p->b));
}

/* Its outage may be over, whatever those have found who looked before. */
static void who_has_not_failed_yet_looks_at_once(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->a, "none");
    assert_false(begin(p, &p->a));
    assert_true(begin(p, &p->b));
    assert_true(begin(p, &p->c)); /* b may hang at a server that is dead */
    end_badly(&p->search, &p->c, "still none");
    assert_false(begin(p, &p->c));
    next_moment();
    end_well(p, &p->b);
    assert_true(begin(p, &p->c));
}

/* b failed in an outage, and was not needed until the next one. */
static void an_old_failure_is_not_one_of_this_outage(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->b));
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->b, "none");
    next_moment();
    assert_true(begin(p, &p->c));
    end_well(p, &p->c);
    next_moment();
    assert_true(begin(p, &p->a));
    end_badly(&p->search, &p->a, "none again");
    assert_false(begin(p, &p->a));
    assert_true(begin(p, &p->b));
}

/* A server that is busy turned it away. */
static void a_failure_while_others_work_is_its_own(void **state) {
    struct party *p = *state;
    assert_true(begin(p, &p->a));
    db_search_end(&p->search, &p->a, DB_IN_USE, p->error);
    assert_true(begin(p, &p->b));
    assert_true(begin(p, &p->c));
}

static void a_connection_that_is_lost_waits_by_itself(void **state) {
    struct party *p = *state;
    p->a = (struct db_seeker){.lost_ms = clock_mono_ms(), .retry_at_ms = INT64_MAX};
    assert_false(begin(p, &p->a));
    assert_true(begin(p, &p->b));
}

static void who_stands_for_itself_waits_for_nobody_else(void **state) {
    struct party *p = *state;
    assert_true(db_search_begin(NULL, &p->a, p->error));
    end_badly(NULL, &p->a, "none");
    assert_false(db_search_begin(NULL, &p->a, p->error));
    assert_true(db_search_begin(NULL, &p->b, p->error));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_looks_and_the_others_learn_what_it_found),
        TEST(when_one_is_found_all_connect_at_once),
        TEST(a_late_failure_says_nothing),
        TEST(who_has_not_failed_yet_looks_at_once),
        TEST(an_old_failure_is_not_one_of_this_outage),
        TEST(a_failure_while_others_work_is_its_own),
        TEST(a_connection_that_is_lost_waits_by_itself),
        TEST(who_stands_for_itself_waits_for_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
