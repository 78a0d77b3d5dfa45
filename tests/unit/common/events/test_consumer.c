/* What a consumer does with the messages of a batch, over a queue and a database that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/events/consumer.h"
#include "common/metrics/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

/* The world of one test: one batch to receive, and what happened. A message is "id group fate receives";
 * the fates are those of handle. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *batch;       /* NULL once it was received */
    unsigned probes_to_fail; /* of the database, from now on */
    unsigned full;           /* so many transactions fail on a full disk */
    unsigned lost_answers;   /* so many receives get no answer */
    unsigned queue_away;     /* so many checks of the queue fail */
    int visibility_timeout_s;
    bool stop_while_receiving, refuses_dead_letters;
    bool idle, interrupted, helped;
    struct buf trace;
} world = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .visibility_timeout_s = 3600};

static const struct db_query probe = {"probe", "SELECT"};

struct queue {
    const struct queue_options *options;
};

struct db {
    const struct db_options *options;
};

static void note(const char *format, ...) PRINTF_LIKE(1, 2);
static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(&world.trace, format, args);
    va_end(args);
}

struct queue *queue_open(const struct queue_options *options) {
    struct queue *q = malloc(sizeof *q);
    q->options = options;
    return q;
}

int queue_max_receive_count(const struct queue *q) {
    return q->options->max_receive_count;
}

void queue_close(struct queue *q) {
    free(q);
}

const char *queue_error(const struct queue *q) {
    (void)q;
    return "";
}

void queue_interrupt(struct queue *q) {
    (void)q;
    pthread_mutex_lock(&world.lock);
    world.interrupted = true;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void wait_until(const bool *flag) {
    while (!*flag)
        pthread_cond_wait(&world.changed, &world.lock);
}

/* Cuts the text of the batch into messages; their strings point into it. */
static void fill(struct queue_batch *batch, char *text) {
    char *rest_of_text, *line = strtok_r(text, ",", &rest_of_text);
    for (; line; line = strtok_r(NULL, ",", &rest_of_text)) {
        char *rest_of_line, *id = strtok_r(line, " ", &rest_of_line);
        struct queue_message *m = &batch->messages[batch->count++];
        *m = (struct queue_message){.id = id, .receipt = id, .correlation_id = "", .traceparent = ""};
        m->group_id = strtok_r(NULL, " ", &rest_of_line);
        m->body = strtok_r(NULL, " ", &rest_of_line);
        m->receive_count = (unsigned)atoi(rest_of_line);
    }
}

enum queue_status queue_check(struct queue *q) {
    (void)q;
    note("check; ");
    if (world.queue_away == 0)
        return QUEUE_OK;
    world.queue_away--;
    return QUEUE_UNAVAILABLE;
}

enum queue_status queue_receive(struct queue *q, int wait_s, struct queue_batch *batch) {
    (void)q;
    batch->count = 0;
    batch->storage = NULL;
    if (world.lost_answers > 0) {
        world.lost_answers--;
        note("lost; ");
        return QUEUE_UNAVAILABLE;
    }
    enum queue_status status = QUEUE_OK;
    pthread_mutex_lock(&world.lock);
    if (wait_s == 0) {
        world.helped = true;
        pthread_cond_broadcast(&world.changed);
        pthread_mutex_unlock(&world.lock);
        return QUEUE_OK;
    }
    world.idle = !world.batch || world.stop_while_receiving;
    pthread_cond_broadcast(&world.changed);
    if (world.idle)
        wait_until(&world.interrupted);
    if (world.batch)
        fill(batch, batch->storage = strdup(world.batch));
    else
        status = QUEUE_INTERRUPTED;
    world.batch = NULL;
    pthread_mutex_unlock(&world.lock);
    return status;
}

void queue_batch_free(struct queue_batch *batch) {
    free(batch->storage);
}

enum queue_status queue_delete(struct queue *q, const struct queue_message *const messages[], size_t n) {
    (void)q;
    for (size_t i = 0; i < n; i++)
        note("%s%s", i == 0 ? "delete " : "", messages[i]->id);
    note("%s", n ? "; " : "");
    return QUEUE_OK;
}

enum queue_status queue_bury(struct queue *q, const struct queue_message *message, const char *reason) {
    (void)q;
    note("bury %s: %s; ", message->id, reason);
    return world.refuses_dead_letters ? QUEUE_UNAVAILABLE : QUEUE_OK;
}

/* Notes 0 or + for the seconds; those of a group that are not 0 must be the same. */
enum queue_status queue_set_visibility(struct queue *q, const struct queue_message *const messages[],
                                       const int seconds[], size_t n) {
    (void)q;
    for (size_t i = 0; i < n; i++) {
        note("%s%s%s", i == 0 ? "back " : "", messages[i]->id, seconds[i] == 0 ? "0" : "+");
        for (size_t k = 0; k < i; k++)
            if (strcmp(messages[i]->group_id, messages[k]->group_id) == 0 && seconds[k] != 0 &&
                seconds[i] != seconds[k])
                note(" not together");
        if (seconds[i] < 0 || seconds[i] > 30)
            note(" in %d s", seconds[i]);
    }
    note("%s", n ? "; " : "");
    return QUEUE_OK;
}

struct db *db_open(const struct db_options *options) {
    struct db *db = malloc(sizeof *db);
    db->options = options;
    return db;
}

void db_close(struct db *db) {
    free(db);
}

const char *db_error(const struct db *db) {
    (void)db;
    return "reason";
}

enum db_status db_run(struct db *db, const struct db_query *query, const struct db_params *params,
                      struct db_result **result) {
    (void)db;
    (void)params;
    (void)result;
    if (query != &probe)
        note("another query; ");
    if (world.probes_to_fail == 0)
        return DB_OK;
    world.probes_to_fail--;
    note("away; ");
    return DB_UNAVAILABLE;
}

/* Fates: ok, bad, hopeless and unknown (known before the transaction), and what the database says of the transaction
 * it is in; busy only in company. */
static enum db_status handle(void *app, struct db *db, struct consumer_message messages[], size_t n) {
    (void)app;
    (void)db;
    enum db_status status = DB_OK;
    note("do ");
    for (size_t i = 0; i < n; i++) {
        const char *fate = messages[i].message->body;
        note("%s", messages[i].message->id);
        messages[i].outcome = CONSUMER_DONE;
        if (strcmp(fate, "bad") == 0)
            messages[i].outcome = CONSUMER_RETRY;
        if (strcmp(fate, "hopeless") == 0 || strcmp(fate, "unknown") == 0)
            messages[i].outcome = CONSUMER_HOPELESS;
        if (strcmp(fate, "unknown") == 0)
            messages[i].cause = CONSUMER_UNKNOWN_ORDER;
        if (messages[i].outcome != CONSUMER_DONE)
            snprintf(messages[i].reason, sizeof messages[i].reason, "it is %s", fate);
        if (strcmp(fate, "refused") == 0)
            status = DB_REFUSED;
        if (strcmp(fate, "large") == 0)
            status = DB_NO_MEMORY;
        if (strcmp(fate, "broken") == 0)
            status = DB_FAILED;
        if (strcmp(fate, "busy") == 0 && n > 1)
            status = DB_DEADLOCK;
        if (strcmp(fate, "lost") == 0 || (strcmp(fate, "lost-alone") == 0 && n == 1)) {
            status = DB_UNAVAILABLE;
            world.probes_to_fail = 1;
        }
        if (strcmp(fate, "locked") == 0 && world.full > 0) {
            status = DB_LOCK_TIMEOUT;
            world.full -= n == 1;
        }
        if (strcmp(fate, "gone") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
            world.probes_to_fail = 2;
        }
        if (strcmp(fate, "full") == 0 && world.full > 0) {
            status = DB_UNAVAILABLE;
            world.full--;
        }
    }
    note("; ");
    return status;
}

static struct consumer *start(const char *batch, unsigned threads) {
    const struct consumer_options options = {.queue = {.name = "q.fifo",
                                                       .max_receive_count = 3,
                                                       .visibility_timeout_s = world.visibility_timeout_s},
                                             .threads = threads,
                                             .wait_s = 20,
                                             .probe = &probe,
                                             .handle = handle};
    world.batch = batch;
    world.idle = world.interrupted = world.helped = false;
    buf_clear(&world.trace);
    buf_str(&world.trace, "");
    struct consumer *consumer = consumer_start(&options);
    assert_non_null(consumer);
    return consumer;
}

static void run(const char *batch) {
    struct consumer *consumer = start(batch, 1);
    pthread_mutex_lock(&world.lock);
    wait_until(&world.idle);
    pthread_mutex_unlock(&world.lock);
    consumer_stop(consumer);
}

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
    {"1 g hopeless 1,2 h lost-alone 1,3 i broken 1",
     "do 123; do 1; do 2; away; bury 1: it is hopeless; delete 1; back 2+3+; "},
    /* no database: nobody's fault */
    {"1 g lost 2,2 g ok 1,3 h ok 1", "do 123; away; back 1+2+3+; "},
    {"1 g ok 1,2 h refused 1,3 i lost-alone 1", "do 123; do 1; do 2; do 3; away; delete 1; back 2+3+; "},
    /* a server that counts wrong */
    {"1 g bad 0,2 h bad 1000000", "do 12; back 1+20; "},
};

static void what_was_accepted_is_deleted_and_the_rest_put_back(void **state) {
    (void)state;
    for_each_row(i, cases, "%s", cases[i].batch) {
        run(cases[i].batch);
        if (strcmp(world.trace.data, cases[i].trace) != 0)
            fail_msg("%s:\n  %s\nnot %s", cases[i].batch, world.trace.data, cases[i].trace);
    }
}

static void what_the_dead_letter_queue_does_not_take_comes_back(void **state) {
    (void)state;
    world.refuses_dead_letters = true;
    run("1 g hopeless 1,2 h ok 1,3 h hopeless 3");
    world.refuses_dead_letters = false;
    assert_string_equal(world.trace.data,
                        "do 123; bury 1: it is hopeless; bury 3: it is hopeless; delete 2; back 1+30; ");
}

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
        run(counted[i].batch);
        world.refuses_dead_letters = world.stop_while_receiving = false;
        note_counts(&counts);
        metrics_stop();
        if (strcmp(counts.data, counted[i].counts) != 0)
            fail_msg("%s:\n  %s\nnot %s", counted[i].batch, counts.data, counted[i].counts);
        buf_free(&counts);
    }
}

static void messages_stay_hidden_while_they_are_at_work(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.visibility_timeout_s = 0; /* half of it is always over */
    run("1 g refused 3,2 h ok 3");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data, "do 12; back 1020; do 1; back 1020; do 2; delete 2; back 10; ");
}

/* A database that answers but takes nothing: its disk is full. */
static void what_the_database_cannot_take_now_is_held(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.full = 3;
    world.visibility_timeout_s = 25; /* noted as + */
    run("1 g full 3,2 h ok 3,3 i hopeless 3");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data,
                        "do 123; back 1+2+3+; do 123; back 1+2+3+; do 123; back 1+2+3+; do 123; "
                        "bury 3: it is hopeless; delete 123; ");
}

/* A database that is gone: the messages go back, unless one of them would become a dead letter untried. */
static void a_message_at_its_last_receive_waits_for_the_database(void **state) {
    (void)state;
    int before = world.visibility_timeout_s;
    world.full = 2;
    world.visibility_timeout_s = 25; /* noted as + */
    run("1 g gone 3,2 h ok 1");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data,
                        "do 12; away; back 1+2+; away; back 1+2+; back 1+2+; do 12; away; back 1+2+; away; "
                        "back 1+2+; back 1+2+; do 12; delete 12; ");
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
    int before = world.visibility_timeout_s;
    world.full = 2;
    world.visibility_timeout_s = 25; /* noted as + */
    run("1 g locked 3,2 h ok 3");
    world.visibility_timeout_s = before;
    assert_string_equal(world.trace.data,
                        "do 12; do 1; back 1+2+; do 12; do 1; back 1+2+; do 12; delete 12; ");
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
        cmocka_unit_test(what_the_dead_letter_queue_does_not_take_comes_back),
        cmocka_unit_test(each_message_is_counted_with_its_reason),
        cmocka_unit_test(messages_stay_hidden_while_they_are_at_work),
        cmocka_unit_test(what_the_database_cannot_take_now_is_held),
        cmocka_unit_test(a_message_at_its_last_receive_waits_for_the_database),
        cmocka_unit_test(a_lost_answer_costs_one_receive_however_long_the_queue_is_away),
        cmocka_unit_test(what_the_database_is_too_busy_for_is_held),
        cmocka_unit_test(nothing_is_received_while_the_database_is_away),
        cmocka_unit_test(a_stop_returns_what_was_not_started),
    };
    return cmocka_run_group_tests_name("consumer", tests, NULL, teardown);
}
