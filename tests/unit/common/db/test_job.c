/* Periodic jobs: how often they run, who runs them first, and what the log is told of their database. */
#include "common/db/job.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "fakes/captured_log.h"

/* Nobody listens there: a connection is refused at once. */
static const struct db_options away = {.host = "127.0.0.1",
                                       .port = "1",
                                       .name = "n",
                                       .user = "u",
                                       .password = {.text = "p"},
                                       .sslmode = "disable",
                                       .application_name = "test",
                                       .connect_timeout_ms = 1000,
                                       .statement_timeout_ms = 1000};

/* What a job finds, and what became of it. */
struct work {
    atomic_int runs;
    atomic_bool ask; /* whether it needs the database */
    int64_t wait_ms;
    pthread_t first; /* the thread of the first run */
};

static int64_t run(void *self, struct db *db, enum db_status *status) {
    static const struct db_query query = {"one", "SELECT 1"};
    struct work *work = self;
    assert_int_equal(*status, DB_OK);
    if (atomic_load(&work->runs) == 0)
        work->first = pthread_self();
    if (atomic_load(&work->ask))
        *status = db_run(db, &query, NULL, NULL);
    atomic_fetch_add(&work->runs, 1);
    return work->wait_ms;
}

static struct db_job *start(struct work *work, bool first_now) {
    struct db_job *job = db_job_start(&(struct db_job_options){
        .name = "sweeping", .db = away, .run = run, .self = work, .first_now = first_now});
    assert_non_null(job);
    return job;
}

static void wait_for_runs(struct work *work, int count) {
    for (int64_t end = clock_mono_ms() + 30000; atomic_load(&work->runs) < count; clock_sleep_ms(1))
        assert_true(clock_mono_ms() < end);
}

static void an_outage_of_the_database_is_told_once(void **state) {
    (void)state;
    struct work work = {.ask = true};
    capture_begin();
    struct db_job *job = start(&work, false);
    wait_for_runs(&work, 20);
    atomic_store(&work.ask, false); /* as if the database were back */
    wait_for_runs(&work, atomic_load(&work.runs) + 3);
    db_job_stop(job);
    assert_int_equal(count_lines(capture_end()), 2);
    const char *begin = strstr(captured, "sweeping is unavailable: database: "),
               *end = strstr(captured, "sweeping is available again after ");
    assert_true(begin && end && begin < end);
}

static void the_first_run_may_be_over_before_the_start_returns(void **state) {
    (void)state;
    struct work work = {.wait_ms = 3600000};
    struct db_job *job = start(&work, true);
    assert_true(atomic_load(&work.runs) >= 1);
    assert_true(pthread_equal(work.first, pthread_self()));
    db_job_stop(job);
}

static void other_runs_are_on_a_thread_of_the_job(void **state) {
    (void)state;
    struct work work = {0};
    struct db_job *job = start(&work, false);
    wait_for_runs(&work, 2);
    assert_false(pthread_equal(work.first, pthread_self()));
    db_job_stop(job);
}

static void a_job_waits_as_long_as_it_says(void **state) {
    (void)state;
    struct work work = {.wait_ms = 200};
    int64_t begin = clock_mono_ms();
    struct db_job *job = start(&work, false);
    wait_for_runs(&work, 3);
    assert_true(clock_mono_ms() - begin >= 400);
    db_job_stop(job);
}

static void a_stop_does_not_wait_for_the_next_run(void **state) {
    (void)state;
    struct work work = {.wait_ms = 3600000};
    struct db_job *job = start(&work, false);
    wait_for_runs(&work, 1);
    db_job_stop(job); /* or the test would time out */
    assert_int_equal(atomic_load(&work.runs), 1);
    db_job_stop(NULL);
}

/* A run that waits for a database. */
static int64_t stay(void *self, struct db *db, enum db_status *status) {
    struct work *work = self;
    (void)db, (void)status;
    atomic_fetch_add(&work->runs, 1);
    while (atomic_load(&work->ask))
        clock_sleep_ms(1);
    return 0;
}

static void jobs_that_wait_may_end_together(void **state) {
    (void)state;
    struct work work = {.ask = true};
    struct db_job *jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = db_job_start(&(struct db_job_options){"staying", away, stay, &work, false});
    wait_for_runs(&work, 3);
    for (int i = 0; i < 3; i++)
        db_job_end(jobs[i]);
    atomic_store(&work.ask, false);
    for (int i = 0; i < 3; i++)
        db_job_stop(jobs[i]);
    assert_int_equal(atomic_load(&work.runs), 3);
}

int main(void) {
    log_setup("test", LOG_INFO, LOG_JSON);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outage_of_the_database_is_told_once),
        cmocka_unit_test(the_first_run_may_be_over_before_the_start_returns),
        cmocka_unit_test(other_runs_are_on_a_thread_of_the_job),
        cmocka_unit_test(a_job_waits_as_long_as_it_says),
        cmocka_unit_test(a_stop_does_not_wait_for_the_next_run),
        cmocka_unit_test(jobs_that_wait_may_end_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
