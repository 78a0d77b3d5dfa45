/* Which rows of an outbox go together in a call, and what becomes of them, over a made-up queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>

#include "common/base/buf.h"
#include "common/events/outbox_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

/* A row's id is its letter; its payload is its fate, that of queue_send below. */
struct row {
    char id;
    const char *group, *fate;
};

struct db_result {
    const struct row *rows;
    size_t count;
};

struct queue {
    struct buf trace;
    char *long_payload; /* of the fate "long" */
};

static struct queue world;

size_t db_rows(const struct db_result *result) {
    return result->count;
}

const char *db_text(const struct db_result *result, size_t row, int column) {
    const struct row *r = &result->rows[row];
    if (column == OUTBOX_GROUP_ID)
        return r->group;
    if (column == OUTBOX_PAYLOAD)
        return strcmp(r->fate, "long") == 0 ? world.long_payload : r->fate;
    return column == OUTBOX_EVENT_ID ? (r->id == 'a' ? "event a" : "event") : "";
}

int64_t db_int(const struct db_result *result, size_t row, int column) {
    assert_int_equal(column, OUTBOX_ID);
    return result->rows[row].id;
}

struct uuid db_uuid(const struct db_result *result, size_t row, int column) {
    const struct row *r = &result->rows[row];
    assert_true(column == OUTBOX_GROUP_ID || column == OUTBOX_EVENT_ID);
    return (struct uuid){{(uint8_t)(column == OUTBOX_GROUP_ID ? *r->group : r->id)}};
}

/* Capital letters are in the second shard. */
unsigned queue_shard_of(const struct queue *queue, const char *group_id) {
    (void)queue;
    return isupper((unsigned char)*group_id) != 0;
}

static void send_one(struct queue *queue, struct queue_call *call) {
    call->status = QUEUE_OK;
    snprintf(call->error, sizeof call->error, "reason");
    buf_char(&queue->trace, '(');
    for (size_t i = 0; i < call->n; i++) {
        const char *fate = call->entries[i].body;
        buf_str(&queue->trace, call->entries[i].group_id);
        call->entries[i].accepted =
            strcmp(fate, "ok") == 0 || strcmp(fate, "later") == 0 || fate == queue->long_payload;
        call->entries[i].refused = strcmp(fate, "refused") == 0;
        if (strcmp(fate, "away") == 0)
            call->status = QUEUE_UNAVAILABLE;
        if (strcmp(fate, "spoils") == 0)
            call->status = QUEUE_REFUSED;
    }
    buf_char(&queue->trace, ')');
    for (size_t i = 0; i < call->n && call->status != QUEUE_OK; i++)
        call->entries[i].accepted = call->entries[i].refused = false;
}

/* Calls that are made at once are noted in braces. One with "later" is only made as the first of them. */
size_t queue_send(struct queue *queue, struct queue_call calls[], size_t n) {
    size_t made = 1;
    while (made < n && strcmp(calls[made].entries[0].body, "later") != 0)
        made++;
    if (made > 1)
        buf_char(&queue->trace, '{');
    for (size_t i = 0; i < made; i++)
        send_one(queue, &calls[i]);
    if (made > 1)
        buf_char(&queue->trace, '}');
    return made;
}

#define TEN_ROWS                                                                                             \
    {'a', "a", "ok"}, {'b', "b", "ok"}, {'c', "c", "ok"}, {'d', "d", "ok"}, {'e', "e", "ok"},                \
        {'f', "f", "ok"}, {'g', "g", "ok"}, {'h', "h", "ok"}, {'i', "i", "ok"}, {                            \
        'j', "j", "ok"                                                                                       \
    }
#define TEN_OTHERS                                                                                           \
    {'k', "k", "ok"}, {'l', "l", "ok"}, {'m', "m", "ok"}, {'n', "n", "ok"}, {'o', "o", "ok"},                \
        {'p', "p", "ok"}, {'q', "q", "ok"}, {'r', "r", "ok"}, {'s', "s", "ok"}, {                            \
        't', "t", "ok"                                                                                       \
    }
#define ALL "abcdefghijklmnopqrst"

static const struct {
    struct row rows[24];
    const char *calls; /* the groups of the entries of each */
    const char *sent, *held;
    bool ok;
    size_t at_once; /* calls */
} cases[] = {
    {{{0}}, "", "", "", true, 1},
    {{{'a', "g", "ok"}, {'b', "h", "ok"}}, "(gh)", "ab", "", true, 1},
    /* ten in a call */
    {{{'a', "0", "ok"},
      {'b', "1", "ok"},
      {'c', "2", "ok"},
      {'d', "3", "ok"},
      {'e', "4", "ok"},
      {'f', "5", "ok"},
      {'g', "6", "ok"},
      {'h', "7", "ok"},
      {'i', "8", "ok"},
      {'j', "9", "ok"},
      {'k', "x", "ok"}},
     "(0123456789)(x)",
     "abcdefghijk",
     "",
     true,
     1},
    /* never two of a group in one call */
    {{{'a', "g", "ok"}, {'b', "g", "ok"}, {'c', "h", "ok"}, {'d', "g", "ok"}},
     "(gh)(g)(g)",
     "acbd",
     "",
     true,
     1},
    /* a call is for one shard, and that of the earliest goes first */
    {{{'a', "G", "ok"}, {'b', "h", "ok"}, {'c', "I", "ok"}, {'d', "G", "ok"}, {'e', "i", "ok"}},
     "(GI)(hi)(G)",
     "acbed",
     "",
     true,
     1},
    /* 200 KiB each: no two in a call, and nothing overtakes */
    {{{'a', "g", "long"}, {'b', "h", "long"}, {'c', "h", "ok"}, {'d', "i", "ok"}},
     "(g)(hi)(h)",
     "abdc",
     "",
     true,
     1},
    /* a refused one holds its group, and only it */
    {{{'a', "g", "refused"}, {'b', "g", "ok"}, {'c', "h", "ok"}, {'d', "g", "ok"}, {'e', "h", "ok"}},
     "(gh)(h)",
     "ce",
     "g",
     true,
     1},
    /* a call refused as a whole: one by one */
    {{{'a', "g", "ok"}, {'b', "h", "spoils"}, {'c', "i", "ok"}, {'d', "h", "ok"}},
     "(ghi)(g)(h)(i)",
     "ac",
     "h",
     true,
     1},
    {{{'a', "g", "spoils"}}, "(g)", "", "g", true, 1},
    /* trouble of the server's: nobody's fault, try again later */
    {{{'a', "g", "trouble"}, {'b', "h", "ok"}, {'c', "h", "ok"}}, "(gh)", "b", "", false, 1},
    {{{'a', "g", "ok"}, {'b', "g", "away"}, {'c', "h", "ok"}}, "(gh)(g)", "ac", "", false, 1},
    /* as many calls at once as there are for */
    {{{'a', "g", "ok"}, {'b', "h", "ok"}}, "(gh)", "ab", "", true, 4},
    {{TEN_ROWS, {'k', "k", "ok"}, {'l', "l", "ok"}}, "{(abcdefghij)(kl)}", "abcdefghijkl", "", true, 4},
    {{TEN_ROWS, TEN_OTHERS, {'y', "y", "ok"}}, "{(abcdefghij)(klmnopqrst)}(y)", ALL "y", "", true, 2},
    /* never two of a group in calls at once, not even when the first one is full */
    {{TEN_ROWS, {'k', "k", "ok"}, {'l', "a", "ok"}, {'m', "k", "ok"}, {'n', "a", "ok"}},
     "{(abcdefghij)(k)}(ak)(a)",
     "abcdefghijklmn",
     "",
     true,
     4},
    {{{'a', "g", "ok"}, {'b', "g", "ok"}, {'c', "g", "ok"}}, "(g)(g)(g)", "abc", "", true, 4},
    /* each shard has calls of its own, and one for which none is left waits */
    {{{'a', "G", "ok"}, {'b', "h", "ok"}, {'c', "I", "ok"}, {'d', "G", "ok"}, {'e', "i", "ok"}},
     "{(GI)(hi)}(G)",
     "acbed",
     "",
     true,
     4},
    {{TEN_ROWS, {'k', "k", "ok"}, {'l', "L", "ok"}, {'m', "k", "ok"}},
     "{(abcdefghij)(k)}{(L)(k)}",
     "abcdefghijklm",
     "",
     true,
     2},
    /* 200 KiB each: what does not fit goes into the next call, and nothing overtakes */
    {{{'a', "g", "long"}, {'b', "h", "long"}, {'c', "h", "ok"}, {'d', "i", "ok"}, {'e', "g", "ok"}},
     "{(g)(hi)}(hg)",
     "abdce",
     "",
     true,
     4},
    {{{'a', "g", "long"}, {'b', "h", "long"}, {'c', "i", "long"}, {'d', "i", "ok"}, {'e', "j", "ok"}},
     "{(g)(h)}(ij)(i)",
     "abced",
     "",
     true,
     2},
    /* one call fails: the others count, and the rest waits */
    {{TEN_ROWS, {'k', "k", "away"}, {'l', "a", "ok"}}, "{(abcdefghij)(k)}", "abcdefghij", "", false, 4},
    {{{'a', "G", "away"}, {'b', "h", "ok"}, {'c', "G", "ok"}}, "{(G)(h)}", "b", "", false, 4},
    {{{'a', "G", "trouble"}, {'b', "h", "ok"}, {'c', "G", "ok"}}, "{(G)(h)}", "b", "", false, 4},
    /* one is refused, and so are those that find out which row is at fault */
    {{{'a', "G", "spoils"}, {'b', "h", "ok"}, {'c', "I", "ok"}, {'d', "G", "ok"}},
     "{(GI)(h)}{(G)(I)}",
     "bc",
     "G",
     true,
     4},
    {{{'a', "g", "refused"}, {'b', "H", "ok"}, {'c', "g", "ok"}, {'d', "H", "ok"}},
     "{(g)(H)}(H)",
     "bd",
     "g",
     true,
     4},
    /* the breaker does not let all through */
    {{TEN_ROWS, {'k', "k", "later"}, {'l', "a", "ok"}}, "(abcdefghij)(ka)", "abcdefghijkl", "", true, 4},
};

static void rows_of_a_group_are_sent_in_their_order(void **state) {
    (void)state;
    world.long_payload = calloc(1, 200 * 1024 + 1);
    memset(world.long_payload, 'x', 200 * 1024);
    for_each_row(i, cases, "%s", cases[i].calls) {
        struct db_result rows = {.rows = cases[i].rows};
        while (rows.rows[rows.count].id)
            rows.count++;
        struct outbox_held held = {0};
        struct outbox_sent sent = {0};
        buf_clear(&world.trace);
        buf_str(&world.trace, "");
        bool ok = outbox_publish(&world, "outbox", &rows, cases[i].at_once, INT64_MAX, &held, &sent);
        char ids[32] = "", groups[16] = "";
        for (size_t k = 0; k < sent.count; k++) {
            ids[k] = (char)sent.ids[k];
            assert_int_equal(sent.events[k].bytes[0], sent.ids[k]);
        }
        for (size_t k = 0; k < held.count; k++)
            groups[k] = (char)held.groups[k].bytes[0];
        if (strcmp(world.trace.data, cases[i].calls) != 0 || strcmp(ids, cases[i].sent) != 0 ||
            strcmp(groups, cases[i].held) != 0 || ok != cases[i].ok)
            fail_msg("%s, sent %s, held %s, %d", world.trace.data, ids, groups, ok);
    }
    free(world.long_payload);
    buf_free(&world.trace);
}

static void too_many_refused_events_are_an_outage(void **state) {
    (void)state;
    struct row rows[OUTBOX_MAX_HELD + 2];
    char groups[OUTBOX_MAX_HELD + 2][8];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(groups[i], sizeof groups[i], "%zu", i);
        rows[i] = (struct row){'x', groups[i], "refused"};
    }
    struct outbox_held held = {0};
    struct outbox_sent sent = {0};
    const struct db_result some = {rows, OUTBOX_MAX_HELD}, more = {rows, OUTBOX_MAX_HELD + 1};
    assert_true(outbox_publish(&world, "outbox", &some, 1, INT64_MAX, &held, &sent));
    assert_int_equal(held.count, OUTBOX_MAX_HELD);
    assert_false(outbox_publish(&world, "outbox", &more, 1, INT64_MAX, &held, &sent));
    assert_int_equal(held.count, OUTBOX_MAX_HELD);
    buf_free(&world.trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_group_are_sent_in_their_order),
        cmocka_unit_test(too_many_refused_events_are_an_outage),
    };
    return cmocka_run_group_tests_name("outbox_page", tests, NULL, NULL);
}
