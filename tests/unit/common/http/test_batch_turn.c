/* When the next batch of a lane begins while another one is in progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http/batch.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { WORKERS = 3, ITEMS = 5, EVER_MS = 3600000 };

/* Each batch waits for a sign before it lets the next one begin, and for another one before it ends. */
struct turns {
    sem_t began, let, end;
    atomic_size_t batches, items;
};

static void run(void *cls, size_t lane, void *worker, struct batch_item *items[], size_t n) {
    (void)lane, (void)worker;
    struct turns *turns = cls;
    turns->batches++;
    turns->items += n;
    sem_post(&turns->began);
    sem_wait(&turns->let);
    batch_let_next(items[0]);
    batch_let_next(items[n - 1]); /* does nothing */
    sem_wait(&turns->end);
}

static void *open_worker(void *cls) {
    return cls;
}

static void close_worker(void *cls, void *worker) {
    assert_ptr_equal(worker, cls);
}

static struct batch_pool *start(struct turns *turns) {
    sem_init(&turns->began, 0, 0);
    sem_init(&turns->let, 0, 0);
    sem_init(&turns->end, 0, 0);
    return batch_pool_start(&(struct batch_options){.run = run,
                                                    .open_worker = open_worker,
                                                    .close_worker = close_worker,
                                                    .cls = turns,
                                                    .workers = WORKERS,
                                                    .lanes = 1,
                                                    .capacity = 100,
                                                    .patience_ms = EVER_MS,
                                                    .backlog_ms = EVER_MS,
                                                    .max_batch = 100,
                                                    .gather_ms = EVER_MS});
}

static void put(struct batch_pool *pool, struct batch_item *item) {
    assert_true(batch_reserve(pool, 0));
    batch_push(pool, 0, item);
}

static void finish(struct batch_pool *pool, struct turns *turns) {
    for (size_t i = 0; i < ITEMS; i++) {
        sem_post(&turns->let);
        sem_post(&turns->end);
    }
    batch_pool_stop(pool);
    batch_pool_free(pool);
    sem_destroy(&turns->began);
    sem_destroy(&turns->let);
    sem_destroy(&turns->end);
}

/* The lane is then as free as if the batch was done, and no freer when that ends. */
static void the_next_batch_begins_when_it_may(void **state) {
    (void)state;
    struct turns turns = {0};
    struct batch_item items[ITEMS];
    struct batch_pool *pool = start(&turns);
    put(pool, &items[0]);
    sem_wait(&turns.began);
    put(pool, &items[1]);
    put(pool, &items[2]);
    sem_post(&turns.let);
    sem_wait(&turns.began); /* of what waited: else it waits for ever */
    assert_int_equal(turns.items, 3);
    sem_post(&turns.let);
    put(pool, &items[3]); /* of what comes later */
    sem_wait(&turns.began);
    assert_int_equal(turns.batches, WORKERS);
    sem_post(&turns.let);
    sem_post(&turns.end);
    put(pool, &items[4]); /* when a worker is done with its batch */
    sem_wait(&turns.began);
    finish(pool, &turns);
    assert_int_equal(turns.items, ITEMS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_batch_begins_when_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
