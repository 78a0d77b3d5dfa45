/* Spans as protocol buffers. The bytes that are expected were written by the official Python library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/digest.h"
#include "common/tracing/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char full[] =
    "128f020a100af7651916cd43dd8448eb211c80319c1208b7ad6b71692033311a0876656e646f723d31220800f067aa0b"
    "a902b72a0c504f5354202f6f726465727330023915cd853dfe9c97174115ae7b43fe9c97174a1d0a13687474702e7265"
    "71756573742e6d6574686f6412060a04504f53544a200a19687474702e726573706f6e73652e7374617475735f636f64"
    "65120318f7034a100a016e120b18ffffffffffffffffff014a130a0a6572726f722e7479706512050a033530336a260a"
    "104bf92f3577b34da6a3ce929d0e0e4736120800f067aa0ba902b71a03613d6235010000006a210a104bf92f3577b34d"
    "a6a3ce929d0e0e4736120800f067aa0ba902b835030000007a021802850101030000";
static const char least[] =
    "123c0a100af7651916cd43dd8448eb211c80319c1208b7ad6b71692033312a0477616974300139010000000000000041"
    "0200000000000000850101010000";

static void assert_encoded(const struct span *span, const struct span_details *details, int64_t end_ns,
                           const char *wanted) {
    uint8_t bytes[SPAN_MAX_BYTES];
    char text[2 * SPAN_MAX_BYTES + 1];
    size_t len = span_encode(span, details, end_ns, bytes);
    hex_encode(bytes, len, text);
    assert_string_equal(text, wanted);
}

static void a_span_with_everything(void **state) {
    (void)state;
    const struct span span = {.kind = SPAN_SERVER,
                              .remote = true,
                              .start_ns = 1700000000123456789,
                              .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                              .parent_id = "00f067aa0ba902b7",
                              .state = "vendor=1"};
    const struct span_attribute attributes[] = {SPAN_TEXT("http.request.method", "POST"),
                                                SPAN_NUMBER("http.response.status_code", 503),
                                                SPAN_NUMBER("n", -1)};
    const char *const links[] = {
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 a=b",
        NULL,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b9-00", /* not recorded */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-03",
    };
    const struct span_details details = {.name = "POST /orders",
                                         .attributes = attributes,
                                         .attribute_count = 3,
                                         .links = links,
                                         .link_count = 4,
                                         .error = "503"};
    assert_encoded(&span, &details, 1700000000223456789, full);
}

static void a_span_with_little(void **state) {
    (void)state;
    const struct span span = {.kind = SPAN_INTERNAL,
                              .start_ns = 1,
                              .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                              .state = ""};
    assert_encoded(&span, &(struct span_details){.name = "wait"}, 2, least);
}

/* Whether part is somewhere in a span with this one attribute. */
static bool encodes(const char *text, const char *part, size_t part_len) {
    const struct span span = {
        .kind = 1, .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", .state = ""};
    uint8_t bytes[SPAN_MAX_BYTES];
    size_t len = span_encode(
        &span,
        &(struct span_details){.name = "n", .attributes = &SPAN_TEXT("key", text), .attribute_count = 1}, 2,
        bytes);
    return memmem(bytes, len, part, part_len);
}

static void texts_are_cut_and_stay_utf8(void **state) {
    (void)state;
    char text[400];
    memset(text, 'x', sizeof text);
    text[399] = '\0';
    assert_true(encodes(text, "\n\xff\x01x", 4)); /* a text (field 1) of 255 bytes */
    memcpy(text + 254, "\303\244", 2);
    assert_true(encodes(text, "\n\xfe\x01x", 4));
    assert_true(encodes("\xff\xfe", "\x12\x02\n\0", 4)); /* no text at all */
}

static void what_is_too_large_is_not_encoded(void **state) {
    (void)state;
    const struct span span = {
        .kind = 1, .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", .state = ""};
    struct span_attribute many[60];
    char text[256];
    uint8_t bytes[SPAN_MAX_BYTES];
    memset(text, 'x', 255);
    text[255] = '\0';
    for (size_t i = 0; i < 60; i++)
        many[i] = SPAN_TEXT("key", text);
    struct span_details details = {.name = "n", .attributes = many, .attribute_count = 60};
    assert_int_equal(span_encode(&span, &details, 2, bytes), 0);
    details.attribute_count = 20;
    assert_true(span_encode(&span, &details, 2, bytes) > 20 * 255);
}

static void further_links_are_counted(void **state) {
    (void)state;
    const struct span span = {
        .kind = 1, .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", .state = ""};
    const char *links[SPAN_MAX_LINKS + 300];
    uint8_t bytes[SPAN_MAX_BYTES];
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        links[i] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct span_details details = {.name = "n", .links = links, .link_count = sizeof links / sizeof *links};
    size_t len = span_encode(&span, &details, 2, bytes);
    assert_non_null(memmem(bytes, len, "\x70\xac\x02", 3)); /* field 14: 300 */
    size_t count = 0;
    for (size_t i = 0; i + 18 < len; i++)
        count += memcmp(bytes + i, "\x0a\x10\x4b\xf9", 4) == 0;
    assert_int_equal(count, SPAN_MAX_LINKS);
}

static void answers_of_a_collector_are_read(void **state) {
    (void)state;
    static const uint8_t some[] = "\x0a\x0c\x08\xac\x02\x12\x07too old", none[] = "\x0a\x03\x12\x01w";
    assert_int_equal(response_rejected(some, sizeof some - 1), 300);
    assert_int_equal(response_rejected(none, sizeof none - 1), 0);
    assert_int_equal(response_rejected(NULL, 0), 0);
    for (size_t len = 0; len < 4; len++) { /* cut */
        uint8_t *copy = malloc(len + !len);
        memcpy(copy, some, len);
        assert_int_equal(response_rejected(copy, len), 0);
        free(copy);
    }
    assert_int_equal(response_rejected((const uint8_t *)"{\"partialSuccess\":{}}", 21), 0);
    static const uint8_t other_types[] = "\x0d\x08\x03\x08\x03\x0a\x02\x0a\x03";
    assert_int_equal(response_rejected(other_types, sizeof other_types - 1), 0);
    static const uint8_t endless[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_int_equal(response_rejected(endless, sizeof endless - 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_with_everything),      cmocka_unit_test(a_span_with_little),
        cmocka_unit_test(texts_are_cut_and_stay_utf8), cmocka_unit_test(what_is_too_large_is_not_encoded),
        cmocka_unit_test(further_links_are_counted),   cmocka_unit_test(answers_of_a_collector_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
