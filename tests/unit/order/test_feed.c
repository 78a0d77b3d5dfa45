/* The readers of the live feed: who is next, how far each is, and what a stop leaves alone. */
#include "order/feed_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static struct order_app app;
static struct feed feed;

static int fresh(void **state) {
    (void)state;
    feed = (struct feed){.app = &app, .end = &feed.first, .tail = {.epoch = 1, .xid = 10, .n = 1}};
    pthread_mutex_init(&feed.lock, NULL);
    return 0;
}

static int gone(void **state) {
    (void)state;
    while (feed.first)
        feed_drop(feed.first);
    pthread_mutex_destroy(&feed.lock);
    return 0;
}

static struct feed_reader *add_reader(void) {
    struct feed_reader *reader = calloc(1, sizeof *reader);
    assert_non_null(reader);
    reader->feed = &feed;
    feed_link(reader);
    return reader;
}

static void assert_order(struct feed_reader *const expected[], size_t n) {
    const struct feed_reader *reader = feed.first;
    for (size_t i = 0; i < n; i++, reader = reader->next)
        assert_ptr_equal(reader, expected[i]);
    assert_null(reader);
    assert_int_equal(feed.count, n);
}

static void a_reader_that_had_its_turn_comes_last(void **state) {
    (void)state;
    struct feed_reader *a = add_reader(), *b = add_reader(), *c = add_reader();
    feed_move_back(a);
    assert_order((struct feed_reader *[]){b, c, a}, 3);
    feed_move_back(a);
    assert_order((struct feed_reader *[]){b, c, a}, 3);
    feed_move_back(c);
    assert_order((struct feed_reader *[]){b, a, c}, 3);
    feed_drop(c);
    struct feed_reader *d = add_reader();
    assert_order((struct feed_reader *[]){b, a, d}, 3);
    feed_drop(b);
    feed_drop(a);
    feed_move_back(d);
    assert_order((struct feed_reader *[]){d}, 1);
}

static void a_live_reader_may_be_ahead_of_the_tail(void **state) {
    (void)state;
    struct feed_reader *reader = add_reader();
    reader->place.after = (struct event_position){.epoch = 1, .xid = 9, .n = 1};
    assert_ptr_equal(feed_reached(reader), &reader->place.after);
    reader->live = true;
    assert_ptr_equal(feed_reached(reader), &feed.tail);
    reader->place.after.xid = 11;
    assert_ptr_equal(feed_reached(reader), &reader->place.after);
}

static void a_stop_leaves_a_stream_alone_that_has_ended(void **state) {
    (void)state;
    struct feed_reader *reader = add_reader();
    reader->gone = reader->fetching = true; /* a page is read for it, and its stream was freed meanwhile */
    reader->stream = (struct http_stream *)(uintptr_t)1;
    feed_drain(&feed);
    assert_true(feed.draining);
    assert_false(reader->over);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_that_had_its_turn_comes_last, fresh, gone),
        cmocka_unit_test_setup_teardown(a_live_reader_may_be_ahead_of_the_tail, fresh, gone),
        cmocka_unit_test_setup_teardown(a_stop_leaves_a_stream_alone_that_has_ended, fresh, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
