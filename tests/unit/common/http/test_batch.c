/* Lanes and workers: bounds, order, batching, draining. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/batch.h"

#include "common/base/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fakes/rows.h"

enum { MANY = 20000, PATIENT_MS = 3600000 };

struct job {
    struct batch_item item;
    atomic_int done;
};

/* A lane whose worker waits at a gate: what is pushed meanwhile must come as one batch. */
struct gate {
    atomic_int workers; /* that are open; first, for open_worker */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
    atomic_size_t batches, items, largest;
    struct batch_item *order[64];
};

static void gate_open(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

static void run_gated(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    struct gate *gate = cls;
    assert_int_equal(lane, 0);
    assert_ptr_equal(worker, cls);
    pthread_mutex_lock(&gate->lock);
    gate->batches++;
    for (size_t i = 0; i < n; i++) {
        if (gate->items + i < 64)
            gate->order[gate->items + i] = items[i];
        ((struct job *)items[i])->done++;
    }
    gate->items += n;
    if (n > gate->largest)
        gate->largest = n;
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void *open_worker(void *cls) {
    atomic_int *workers = cls;
    (*workers)++;
    return cls;
}

static void close_worker(void *cls, void *worker) {
    atomic_int *workers = worker;
    assert_ptr_equal(worker, cls);
    (*workers)--;
}

static void *refuse_worker(void *cls) {
    (void)cls;
    return NULL;
}

static struct batch_pool *start(struct gate *gate, size_t workers, size_t capacity, int64_t patience_ms,
                                size_t max_batch) {
    *gate = (struct gate){.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    return batch_pool_start(&(struct batch_options){.run = run_gated,
                                                    .open_worker = open_worker,
                                                    .close_worker = close_worker,
                                                    .cls = gate,
                                                    .workers = workers,
                                                    .lanes = 1,
                                                    .capacity = capacity,
                                                    .patience_ms = patience_ms,
                                                    .backlog_ms = PATIENT_MS,
                                                    .max_batch = max_batch,
                                                    .gather_ms = 5});
}

/* Two slow lanes, and one that is not: the last. */
enum { SLOW_A, SLOW_B, QUICK, LANES };

static bool is_slow(void *cls, size_t lane) {
    (void)cls;
    return lane != QUICK;
}

struct traffic {
    atomic_int workers;
    atomic_size_t slow, quick, largest; /* batches that have begun; the most items of a slow one */
    atomic_bool open;                   /* until then the slow ones do not end */
};

static void run_traffic(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    struct traffic *traffic = cls;
    (void)worker, (void)items;
    if (lane == QUICK) {
        traffic->quick++;
        return;
    }
    traffic->slow++;
    if (n > traffic->largest)
        traffic->largest = n;
    while (!traffic->open)
        sched_yield();
}

static struct batch_pool *start_traffic(struct traffic *traffic, size_t workers) {
    *traffic = (struct traffic){0};
    return batch_pool_start(&(struct batch_options){.run = run_traffic,
                                                    .open_worker = open_worker,
                                                    .close_worker = close_worker,
                                                    .cls = traffic,
                                                    .is_slow = is_slow,
                                                    .workers = workers,
                                                    .lanes = LANES,
                                                    .capacity = 1000,
                                                    .patience_ms = PATIENT_MS,
                                                    .backlog_ms = PATIENT_MS,
                                                    .max_batch = 100,
                                                    .gather_ms = 5});
}

static bool put(struct batch_pool *pool, struct job *job) {
    if (!batch_reserve(pool, 0))
        return false;
    batch_push(pool, 0, &job->item);
    return true;
}

static void wait_for(atomic_size_t *value, size_t wanted) {
    while (*value < wanted)
        sched_yield();
}

static void what_waits_becomes_one_batch_in_order(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[21] = {0};
    struct batch_pool *pool = start(&gate, 1, 100, PATIENT_MS, 100);
    assert_true(put(pool, &jobs[0]));
    wait_for(&gate.batches, 1); /* the worker stands at the gate with the first */
    for (int i = 1; i < 21; i++)
        assert_true(put(pool, &jobs[i]));
    gate_open(&gate);
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(gate.batches, 2);
    assert_int_equal(gate.largest, 20);
    for (int i = 0; i < 21; i++)
        assert_ptr_equal(gate.order[i], &jobs[i].item);
    assert_int_equal(gate.workers, 0);
}

static void slow_lanes_leave_workers_to_the_others(void **state) {
    (void)state;
    static const struct {
        size_t workers, most; /* that slow lanes may have */
    } cases[] = {{1, 1}, {2, 1}, {3, 1}, {4, 2}, {5, 2}, {8, 4}};
    for_each_row(i, cases, "%zu workers", cases[i].workers) {
        struct traffic traffic;
        struct job jobs[200] = {0};
        struct batch_pool *pool = start_traffic(&traffic, cases[i].workers);
        for (size_t j = 0; j < 100; j++) {
            size_t lane = j % 2 ? SLOW_A : SLOW_B;
            assert_true(batch_reserve(pool, lane));
            batch_push(pool, lane, &jobs[j].item);
        }
        wait_for(&traffic.slow, cases[i].most);
        for (size_t j = 100; j < 200 && cases[i].workers > 1; j++) {
            size_t before = traffic.quick;
            assert_true(batch_reserve(pool, QUICK));
            batch_push(pool, QUICK, &jobs[j].item);
            wait_for(&traffic.quick, before + 1);
        }
        assert_int_equal(traffic.slow, cases[i].most);
        traffic.open = true;
        batch_pool_stop(pool); /* all of them are run */
        batch_pool_free(pool);
        assert_true(traffic.slow >= 100 / BATCH_SLOW);
        assert_in_range(traffic.largest, 1, BATCH_SLOW);
    }
}

/* What gathers behind a batch that hangs is taken by another worker, half a batch or not. */
static void nobody_waits_for_a_batch_that_hangs(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[3] = {0};
    struct batch_pool *pool = start(&gate, 3, 100, PATIENT_MS, 8);
    for (size_t i = 0; i < 3; i++) {
        assert_true(put(pool, &jobs[i]));
        wait_for(&gate.items, i + 1);
    }
    gate_open(&gate);
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(gate.batches, 3);
}

static void a_batch_has_a_limit(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[21] = {0};
    struct batch_pool *pool = start(&gate, 1, 100, PATIENT_MS, 8);
    assert_true(put(pool, &jobs[0]));
    wait_for(&gate.batches, 1);
    for (int i = 1; i < 21; i++)
        assert_true(put(pool, &jobs[i]));
    gate_open(&gate);
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(gate.largest, 8);
    assert_int_equal(gate.items, 21);
    assert_int_equal(gate.batches, 4);
}

static void a_full_lane_refuses(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[5] = {0};
    struct batch_pool *pool = start(&gate, 1, 3, PATIENT_MS, 8);
    assert_true(put(pool, &jobs[0]));
    wait_for(&gate.batches, 1); /* taken by the worker: waits no more */
    for (int i = 1; i < 4; i++)
        assert_true(put(pool, &jobs[i]));
    assert_false(put(pool, &jobs[4]));
    gate_open(&gate);
    wait_for(&gate.items, 4);
    assert_true(put(pool, &jobs[4]));
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(gate.items, 5);
}

static void a_lane_whose_first_waits_too_long_refuses(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[4] = {0};
    struct batch_pool *pool = start(&gate, 1, 100, 1, 8);
    assert_true(put(pool, &jobs[0]));
    wait_for(&gate.items, 1);
    assert_true(put(pool, &jobs[1])); /* the first that waits */
    clock_sleep_ms(5);
    assert_false(batch_has_room(pool, 0));
    assert_false(put(pool, &jobs[2]));
    gate_open(&gate);
    wait_for(&gate.items, 2);
    assert_true(batch_has_room(pool, 0));
    assert_true(put(pool, &jobs[3]));
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(gate.items, 3);
}

/* A lane whose batches wait for a sign each. */
struct steps {
    atomic_int workers; /* first, for open_worker */
    sem_t sign;
    atomic_size_t batches;
};

static void run_step(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    (void)lane, (void)worker, (void)items, (void)n;
    struct steps *steps = cls;
    steps->batches++;
    sem_wait(&steps->sign);
}

/* Whether there is room behind 3 items where one has just taken 40 ms. */
static bool room_behind_three(int64_t backlog_ms) {
    struct steps steps = {0};
    struct job jobs[5] = {0};
    sem_init(&steps.sign, 0, 0);
    struct batch_pool *pool = batch_pool_start(&(struct batch_options){.run = run_step,
                                                                       .open_worker = open_worker,
                                                                       .close_worker = close_worker,
                                                                       .cls = &steps,
                                                                       .workers = 1,
                                                                       .lanes = 1,
                                                                       .capacity = 100,
                                                                       .patience_ms = PATIENT_MS,
                                                                       .backlog_ms = backlog_ms,
                                                                       .max_batch = 1,
                                                                       .gather_ms = 5});
    assert_true(put(pool, &jobs[0]));
    wait_for(&steps.batches, 1);
    for (size_t i = 1; i < 5; i++)
        assert_true(put(pool, &jobs[i]));
    clock_sleep_ms(40);
    sem_post(&steps.sign);
    wait_for(&steps.batches, 2);
    bool room = batch_has_room(pool, 0);
    for (int i = 0; i < 4; i++)
        sem_post(&steps.sign);
    batch_pool_stop(pool);
    batch_pool_free(pool);
    sem_destroy(&steps.sign);
    return room;
}

static void a_lane_that_falls_behind_refuses(void **state) {
    (void)state;
    assert_false(room_behind_three(110));
    assert_true(room_behind_three(PATIENT_MS));
}

static void stopping_refuses_new_and_finishes_old(void **state) {
    (void)state;
    struct gate gate;
    struct job jobs[50] = {0};
    struct batch_pool *pool = start(&gate, 3, 100, PATIENT_MS, 4);
    gate_open(&gate);
    for (int i = 0; i < 50; i++)
        assert_true(put(pool, &jobs[i]));
    batch_pool_stop(pool);
    assert_false(batch_reserve(pool, 0));
    batch_pool_free(pool);
    for (int i = 0; i < 50; i++)
        assert_int_equal(jobs[i].done, 1);
}

static void a_worker_that_cannot_open_fails_the_pool(void **state) {
    (void)state;
    struct gate gate = {0};
    assert_null(batch_pool_start(&(struct batch_options){.run = run_gated,
                                                         .open_worker = refuse_worker,
                                                         .close_worker = close_worker,
                                                         .cls = &gate,
                                                         .workers = 2,
                                                         .lanes = 1,
                                                         .capacity = 1,
                                                         .max_batch = 1}));
}

/* What ran in which lane. */
struct lanes {
    atomic_int workers; /* first, for open_worker */
    atomic_size_t items[2];
};

static void run_lane(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    (void)worker;
    struct lanes *lanes = cls;
    assert_true(lane < 2);
    for (size_t i = 0; i < n; i++)
        ((struct job *)items[i])->done += (int)lane + 1;
    lanes->items[lane] += n;
}

static void an_item_runs_in_its_own_lane(void **state) {
    (void)state;
    struct lanes lanes = {0};
    struct job jobs[6] = {0};
    struct batch_pool *pool = batch_pool_start(&(struct batch_options){.run = run_lane,
                                                                       .open_worker = open_worker,
                                                                       .close_worker = close_worker,
                                                                       .cls = &lanes,
                                                                       .workers = 2,
                                                                       .lanes = 2,
                                                                       .capacity = 10,
                                                                       .patience_ms = PATIENT_MS,
                                                                       .backlog_ms = PATIENT_MS,
                                                                       .max_batch = 4});
    for (size_t i = 0; i < 6; i++) {
        assert_true(batch_reserve(pool, i % 3 == 0));
        batch_push(pool, i % 3 == 0, &jobs[i].item);
    }
    batch_pool_stop(pool);
    batch_pool_free(pool);
    assert_int_equal(lanes.items[0], 4);
    assert_int_equal(lanes.items[1], 2);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(jobs[i].done, i % 3 == 0 ? 2 : 1);
    assert_int_equal(lanes.workers, 0);
}

struct producer {
    struct batch_pool *pool;
    struct job *jobs;
    size_t accepted;
};

static void *produce(void *arg) {
    struct producer *p = arg;
    for (size_t i = 0; i < MANY; i++) {
        while (!put(p->pool, &p->jobs[i]))
            sched_yield();
        p->accepted++;
    }
    return NULL;
}

static void each_item_runs_once_under_many_threads(void **state) {
    (void)state;
    struct gate gate;
    struct producer producers[4];
    pthread_t threads[4];
    struct batch_pool *pool = start(&gate, 4, 256, PATIENT_MS, 32);
    gate_open(&gate);
    for (int i = 0; i < 4; i++) {
        producers[i] = (struct producer){pool, calloc(MANY, sizeof(struct job)), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    batch_pool_stop(pool);
    batch_pool_free(pool);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(producers[i].accepted, MANY);
        for (int j = 0; j < MANY; j++)
            assert_int_equal(producers[i].jobs[j].done, 1);
        free(producers[i].jobs);
    }
    assert_int_equal(gate.items, 4 * MANY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_becomes_one_batch_in_order),
        cmocka_unit_test(slow_lanes_leave_workers_to_the_others),
        cmocka_unit_test(nobody_waits_for_a_batch_that_hangs),
        cmocka_unit_test(a_batch_has_a_limit),
        cmocka_unit_test(a_full_lane_refuses),
        cmocka_unit_test(a_lane_whose_first_waits_too_long_refuses),
        cmocka_unit_test(a_lane_that_falls_behind_refuses),
        cmocka_unit_test(stopping_refuses_new_and_finishes_old),
        cmocka_unit_test(a_worker_that_cannot_open_fails_the_pool),
        cmocka_unit_test(an_item_runs_in_its_own_lane),
        cmocka_unit_test(each_item_runs_once_under_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
