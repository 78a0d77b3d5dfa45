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
    assert_int_equal(column, OUTBOX_GROUP_ID);
    return (struct uuid){{(uint8_t)*result->rows[row].group}};
}

const char *queue_error(const struct queue *queue) {
    (void)queue;
    return "reason";
}

/* Capital letters are in the second shard. */
unsigned queue_shard_of(const struct queue *queue, const char *group_id) {
    (void)queue;
    return isupper((unsigned char)*group_id) != 0;
}

enum queue_status queue_send(struct queue *queue, struct queue_entry entries[], size_t n) {
    enum queue_status status = QUEUE_OK;
    buf_char(&queue->trace, '(');
    for (size_t i = 0; i < n; i++) {
        const char *fate = entries[i].body;
        buf_str(&queue->trace, entries[i].group_id);
        entries[i].accepted = strcmp(fate, "ok") == 0 || fate == queue->long_payload;
        entries[i].refused = strcmp(fate, "refused") == 0;
        if (strcmp(fate, "away") == 0)
            status = QUEUE_UNAVAILABLE;
        if (strcmp(fate, "spoils") == 0)
            status = QUEUE_REFUSED;
    }
    buf_char(&queue->trace, ')');
    for (size_t i = 0; i < n && status != QUEUE_OK; i++)
        entries[i].accepted = entries[i].refused = false;
    return status;
}

static const struct {
    struct row rows[14];
    const char *calls; /* the groups of the entries of each */
    const char *sent, *held;
    bool ok;
} cases[] = {
    {{{0}}, "", "", "", true},
    {{{'a', "g", "ok"}, {'b', "h", "ok"}}, "(gh)", "ab", "", true},
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
     true},
    /* never two of a group in one call */
    {{{'a', "g", "ok"}, {'b', "g", "ok"}, {'c', "h", "ok"}, {'d', "g", "ok"}},
     "(gh)(g)(g)",
     "acbd",
     "",
     true},
    /* a call is for one shard, and that of the earliest goes first */
    {{{'a', "G", "ok"}, {'b', "h", "ok"}, {'c', "I", "ok"}, {'d', "G", "ok"}, {'e', "i", "ok"}},
     "(GI)(hi)(G)",
     "acbed",
     "",
     true},
    /* 200 KiB each: no two in a call, and nothing overtakes */
    {{{'a', "g", "long"}, {'b', "h", "long"}, {'c', "h", "ok"}, {'d', "i", "ok"}},
     "(g)(hi)(h)",
     "abdc",
     "",
     true},
    /* a refused one holds its group, and only it */
    {{{'a', "g", "refused"}, {'b', "g", "ok"}, {'c', "h", "ok"}, {'d', "g", "ok"}, {'e', "h", "ok"}},
     "(gh)(h)",
     "ce",
     "g",
     true},
    /* a call refused as a whole: one by one */
    {{{'a', "g", "ok"}, {'b', "h", "spoils"}, {'c', "i", "ok"}, {'d', "h", "ok"}},
     "(ghi)(g)(h)(i)",
     "ac",
     "h",
     true},
    {{{'a', "g", "spoils"}}, "(g)", "", "g", true},
    /* trouble of the server's: nobody's fault, try again later */
    {{{'a', "g", "trouble"}, {'b', "h", "ok"}, {'c', "h", "ok"}}, "(gh)", "b", "", false},
    {{{'a', "g", "ok"}, {'b', "g", "away"}, {'c', "h", "ok"}}, "(gh)(g)", "ac", "", false},
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
        bool ok = outbox_publish(&world, "outbox", &rows, INT64_MAX, &held, &sent);
        char ids[16] = "", groups[16] = "";
        for (size_t k = 0; k < sent.count; k++)
            ids[k] = (char)sent.ids[k];
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
    assert_true(outbox_publish(&world, "outbox", &some, INT64_MAX, &held, &sent));
    assert_int_equal(held.count, OUTBOX_MAX_HELD);
    assert_false(outbox_publish(&world, "outbox", &more, INT64_MAX, &held, &sent));
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
