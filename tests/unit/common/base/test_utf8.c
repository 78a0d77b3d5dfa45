/* What is UTF-8 and what is not. */
#include "common/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

static void all_short_texts_are_judged_right(void **state) {
    (void)state;
    static const unsigned char edges[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                          0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    enum { COUNT = sizeof edges };
    for (size_t i = 0; i < (size_t)COUNT * COUNT * COUNT * COUNT; i++) {
        const char text[] = {(char)edges[i % COUNT], (char)edges[i / COUNT % COUNT],
                             (char)edges[i / COUNT / COUNT % COUNT], (char)edges[i / COUNT / COUNT / COUNT],
                             '\0'};
        json_t *string = json_string(text); /* jansson refuses what is not UTF-8 */
        if (utf8_valid(text) != (string != NULL))
            fail_msg("%02x %02x %02x %02x", text[0] & 0xff, text[1] & 0xff, text[2] & 0xff, text[3] & 0xff);
        json_decref(string);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_short_texts_are_judged_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
