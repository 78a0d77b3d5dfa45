/* Allocation failure: scenarios that are run again and again, each time with another allocation failing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Does something that allocates, and frees it. True when all of it succeeded, which it checks; false when it
 * was told that memory was short, in the way that is documented. Anything else fails the test. */
struct memory_scenario {
    const char *name;
    bool (*run)(void);
};

/* Runs each scenario once for each of its allocations: with this one failing, and with this and all later
 * ones failing. Counted are malloc, calloc, realloc, strdup, setenv and fopen where our code calls them, each
 * piece of an arena, and what OpenSSL allocates. Returns the exit code of the test. */
int memory_run(const struct memory_scenario scenarios[], size_t n);

/* Lets the nth allocation from now on fail, counted from 1; 0: none. */
void memory_fail(size_t nth);
