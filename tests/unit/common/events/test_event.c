/* What is an event, and of what is not, why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/events/event.h"
#include "common/queue/queue.h"

#include <stdlib.h>
#include <string.h>

#include "fakes/rows.h"

#define ID "\"orderId\":\"0196f0a0-0000-7000-8000-0000000000ff\""

static const struct {
    const char *body;
    const char *reason; /* NULL: it is an event */
} cases[] = {
    {"{\"eventType\":\"T\"," ID "}", NULL},
    {"{\"eventType\":\"T\"," ID ",\"version\":1,\"new\":[]}", NULL},
    {"", "the document is empty"},
    {"[]", "the document is not an object"},
    {"{" ID "}", "eventType is not T"},
    {"{\"eventType\":\"t\"," ID "}", "eventType is not T"},
    {"{\"eventType\":[\"T\"]," ID "}", "eventType is not T"},
    {"{\"eventType\":\"T\"," ID ",\"version\":2}", "version is not 1"},
    {"{\"eventType\":\"T\"," ID ",\"version\":\"1\"}", "version is not 1"},
    {"{\"eventType\":\"T\"," ID ",\"version\":null}", "version is not 1"},
    {"{\"eventType\":\"T\"}", "orderId is not a UUID"},
    {"{\"eventType\":\"T\",\"orderId\":7}", "orderId is not a UUID"},
    {"{\"eventType\":\"T\",\"orderId\":\"7\"}", "orderId is not a UUID"},
};

static void what_is_no_event_is_told_why(void **state) {
    (void)state;
    for_each_row(i, cases, "%s", cases[i].body) {
        struct uuid id = {{0}};
        char reason[64] = "";
        json_t *event = event_parse(cases[i].body, strlen(cases[i].body), EVENT_TYPES("T"), "orderId", &id,
                                    reason, sizeof reason);
        const char *expected = cases[i].reason ? cases[i].reason : "";
        if (!event != !!cases[i].reason || strcmp(reason, expected) != 0)
            fail_msg("%s: '%s', not '%s'", cases[i].body, reason, expected);
        if (event)
            assert_int_equal(id.bytes[15], 0xff);
        json_decref(event);
    }
}

static void each_type_that_is_known_is_accepted(void **state) {
    (void)state;
    static const char first[] = "{\"eventType\":\"T\"," ID "}", second[] = "{\"eventType\":\"U\"," ID "}";
    struct uuid id;
    char reason[64] = "";
    json_t *event =
        event_parse(first, sizeof first - 1, EVENT_TYPES("T", "U"), "orderId", &id, reason, sizeof reason);
    assert_non_null(event);
    json_decref(event);
    event =
        event_parse(second, sizeof second - 1, EVENT_TYPES("T", "U"), "orderId", &id, reason, sizeof reason);
    assert_non_null(event);
    json_decref(event);
    assert_null(
        event_parse(first, sizeof first - 1, EVENT_TYPES("U", "V"), "orderId", &id, reason, sizeof reason));
    assert_string_equal(reason, "eventType is not U or V");
}

static void an_event_names_what_it_is_about(void **state) {
    (void)state;
    struct uuid id;
    char reason[64] = "";
    static const char body[] = "{\"eventType\":\"T\"," ID "}";
    assert_null(event_parse(body, sizeof body - 1, EVENT_TYPES("T"), "tokenId", &id, reason, sizeof reason));
    assert_string_equal(reason, "tokenId is not a UUID");
}

static void is_not_larger_than_we_send(void **state) {
    (void)state;
    static const char start[] = "{\"eventType\":\"T\"," ID "}";
    char *body = malloc(QUEUE_MAX_BODY + 1), reason[64] = "";
    struct uuid id;
    memset(body, ' ', QUEUE_MAX_BODY + 1);
    memcpy(body, start, sizeof start - 1);
    json_t *event =
        event_parse(body, QUEUE_MAX_BODY, EVENT_TYPES("T"), "orderId", &id, reason, sizeof reason);
    assert_non_null(event);
    json_decref(event);
    assert_null(
        event_parse(body, QUEUE_MAX_BODY + 1, EVENT_TYPES("T"), "orderId", &id, reason, sizeof reason));
    assert_string_equal(reason, "larger than 262144 bytes");
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_event_is_told_why),
        cmocka_unit_test(each_type_that_is_known_is_accepted),
        cmocka_unit_test(an_event_names_what_it_is_about),
        cmocka_unit_test(is_not_larger_than_we_send),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
