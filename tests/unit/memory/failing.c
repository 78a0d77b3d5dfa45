/* Failing one allocation after the other. The linker's --wrap lets our code's calls come here. */
#include "failing.h"

#include "common/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jwt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    size_t left; /* allocations until one fails; 0: none does */
    bool all;    /* and those behind it fail too */
    bool failed;
} plan;

static bool fails(void) {
    if (plan.left == 0 || --plan.left > 0)
        return false;
    plan.left = plan.all;
    plan.failed = true;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
int __real_setenv(const char *name, const char *value, int overwrite);
FILE *__real_fopen(const char *path, const char *mode);
void *__real_arena_alloc(struct arena *a, size_t size);
void *__real_arena_array(struct arena *a, size_t count, size_t size);
char *__real_arena_memdup(struct arena *a, const char *text, size_t len);
char *__real_arena_strdup(struct arena *a, const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_setenv(const char *name, const char *value, int overwrite);
FILE *__wrap_fopen(const char *path, const char *mode);
void *__wrap_arena_alloc(struct arena *a, size_t size);
void *__wrap_arena_array(struct arena *a, size_t count, size_t size);
char *__wrap_arena_memdup(struct arena *a, const char *text, size_t len);
char *__wrap_arena_strdup(struct arena *a, const char *text);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_setenv(const char *name, const char *value, int overwrite) {
    return fails() ? -1 : __real_setenv(name, value, overwrite);
}

FILE *__wrap_fopen(const char *path, const char *mode) {
    return fails() ? NULL : __real_fopen(path, mode);
}

/* As the arena itself does. */
static bool arena_fails(struct arena *a) {
    bool failed = fails();
    a->failed |= failed;
    return failed;
}

void *__wrap_arena_alloc(struct arena *a, size_t size) {
    return arena_fails(a) ? NULL : __real_arena_alloc(a, size);
}

void *__wrap_arena_array(struct arena *a, size_t count, size_t size) {
    return arena_fails(a) ? NULL : __real_arena_array(a, count, size);
}

char *__wrap_arena_memdup(struct arena *a, const char *text, size_t len) {
    return arena_fails(a) ? NULL : __real_arena_memdup(a, text, len);
}

char *__wrap_arena_strdup(struct arena *a, const char *text) {
    return arena_fails(a) ? NULL : __real_arena_strdup(a, text);
}

static void *openssl_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return __wrap_malloc(size);
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return __wrap_realloc(memory, size);
}

static void openssl_free(void *memory, const char *file, int line) {
    (void)file, (void)line;
    free(memory);
}

void memory_fail(size_t nth) {
    plan.left = nth;
    plan.all = plan.failed = false;
}

/* Returns how many allocations the scenario makes. */
static size_t run_each(const struct memory_scenario *scenario, bool all) {
    size_t count = 0;
    do {
        memory_fail(++count);
        plan.all = all;
        bool done = scenario->run();
        plan.left = 0;
        if (!done && !plan.failed)
            fail_msg("%s is short of memory, but is not", scenario->name);
    } while (plan.failed);
    return count - 1;
}

static void run(void **state) {
    const struct memory_scenario *scenario = *state;
    assert_true(scenario->run()); /* what is set up but once is set up now */
    size_t count = run_each(scenario, false);
    assert_true(count > 0);
    run_each(scenario, true);
    print_message("%zu allocations\n", count);
}

/* libjwt's own allocations do not fail: it would leak the token it had so far. Nor are they empty: with an
 * HMAC that failed it writes a NUL behind no bytes, for which glibc always has room. */
static void *jwt_allocate(size_t size) {
    return __real_malloc(size ? size : 1);
}

int memory_run(const struct memory_scenario scenarios[], size_t n) {
    jwt_set_alloc(jwt_allocate, __real_realloc, free);
    struct CMUnitTest *tests = calloc(n, sizeof *tests);
    int failures = 1;
    if (tests && CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free)) {
        for (size_t i = 0; i < n; i++)
            tests[i] = (struct CMUnitTest){.name = scenarios[i].name,
                                           .test_func = run,
                                           .initial_state = (void *)(uintptr_t)&scenarios[i]};
        failures = _cmocka_run_group_tests("memory", tests, n, NULL, NULL);
    }
    free(tests);
    return failures;
}
