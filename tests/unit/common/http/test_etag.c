/* Which If-None-Match names the tag of an answer. */
#include "common/http/etag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/rows.h"

#define TAG "\"v7\""

static void a_tag_that_is_named_matches(void **state) {
    (void)state;
    static const char *const matching[] = {
        TAG,       "W/" TAG, "*",     " * ",          "\"v6\", " TAG,  "\"v6\"," TAG ",\"v8\"",
        " \t" TAG, TAG " ",  "," TAG, "\"\", W/" TAG, "\"a,b\", " TAG,
    };
    for_each_row(i, matching, "%s", matching[i]) {
        if (!etag_matches(matching[i], TAG))
            fail_msg("%s does not match", matching[i]);
    }
}

static void a_tag_that_is_not_named_does_not_match(void **state) {
    (void)state;
    static const char *const others[] = {
        "",        "v7",       "\"v77\"", "\"v\"",     "\"V7\"",      "w/" TAG,    "\"v7",           "W/",
        "\"a,*\"", "\"a,*b\"", "*x",      "\"v6\", *", "\"v6,W/v7\"", "\"x, " TAG, "nonsense, " TAG,
    };
    assert_false(etag_matches(NULL, TAG));
    for_each_row(i, others, "%s", others[i]) {
        if (etag_matches(others[i], TAG))
            fail_msg("%s matches", others[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_tag_that_is_named_matches),
                                       cmocka_unit_test(a_tag_that_is_not_named_does_not_match)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
