/* Which traces the samplers record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/tracing/private.h"
#include "fakes/rows.h"

#include <stdio.h>

#define PARENT(flags) "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" flags

static const struct {
    const char *what;
    enum tracing_sampler kind;
    bool root, unsampled, sampled; /* what it decides without a parent, and of each kind of parent */
} kinds[] = {
    {"parentbased_traceidratio", SAMPLER_PARENT_RATIO, true, false, true},
    {"parentbased_always_on", SAMPLER_PARENT_ON, true, false, true},
    {"parentbased_always_off", SAMPLER_PARENT_OFF, false, false, true},
    {"always_on", SAMPLER_ON, true, true, true},
    {"always_off", SAMPLER_OFF, false, false, false},
    {"traceidratio", SAMPLER_RATIO, true, true, true},
};

static void each_sampler_looks_at_what_it_should(void **state) {
    (void)state;
    for_each_row(i, kinds, "%s", kinds[i].what) {
        struct sampler sampler;
        sampler_init(&sampler, kinds[i].kind, 1);
        assert_int_equal(sampler_decides(&sampler, PARENT("01"), false), kinds[i].root);
        assert_int_equal(sampler_decides(&sampler, PARENT("00"), true), kinds[i].unsampled);
        assert_int_equal(sampler_decides(&sampler, PARENT("01"), true), kinds[i].sampled);
    }
}

/* The same as the Go and the Java library decide: the second half of the trace id, without its last bit. */
static const struct {
    const char *id;
    double ratio;
    bool recorded;
} vectors[] = {
    {"ffffffffffffffff0000000000000000", 0, false},        {"ffffffffffffffff0000000000000000", 1e-15, true},
    {"00000000000000017fffffffffffffff", 0.5, true},       {"00000000000000018000000000000000", 0.5, false},
    {"00000000000000013fffffffffffffff", 0.25, true},      {"00000000000000014000000000000000", 0.25, false},
    {"ffffffffffffffffffffffffffffffff", 0.999999, false}, {"ffffffffffffffffffffffffffffffff", 1, true},
    {"4bf92f3577b34da6a3ce929d0e0e4736", 0.65, true}, /* 0xa3ce... / 2^64 is 0.6398... */
    {"4bf92f3577b34da6a3ce929d0e0e4736", 0.63, false},
};

static void the_ratio_counts_traces_by_their_id(void **state) {
    (void)state;
    for_each_row(i, vectors, "%s %g", vectors[i].id, vectors[i].ratio) {
        struct sampler sampler;
        char trace[TRACEPARENT_SIZE];
        snprintf(trace, sizeof trace, "00-%s-b7ad6b7169203331-00", vectors[i].id);
        sampler_init(&sampler, SAMPLER_RATIO, vectors[i].ratio);
        assert_int_equal(sampler_decides(&sampler, trace, true), vectors[i].recorded);
        sampler_init(&sampler, SAMPLER_PARENT_RATIO, vectors[i].ratio);
        assert_int_equal(sampler_decides(&sampler, trace, false), vectors[i].recorded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sampler_looks_at_what_it_should),
        cmocka_unit_test(the_ratio_counts_traces_by_their_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
