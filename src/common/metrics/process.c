/* process_*: what the kernel says about this process. */
#include "private.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NANO INT64_C(1000000000)

static void gauge(enum metric metric, int64_t value) {
    metric_set(metric_series(metric, NULL), value);
}

static int64_t count_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", ".." and the folder itself */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 0 ? count : 0;
}

/* A field of /proc/self/stat, counted from 1 as in proc(5). The fields begin behind the second one, a name in parentheses
 * that may contain anything. */
static int64_t stat_field(const char *text, int number) {
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < number; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : 0;
}

enum {
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VIRTUAL = 23,
    STAT_PAGES = 24
}; /* START in ticks since boot */

static void read_stat(void) {
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    if (len == 0)
        return;
    text[len] = '\0';
    struct timespec boot, now;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t booted = (now.tv_sec - boot.tv_sec) * NANO + now.tv_nsec - boot.tv_nsec;
    gauge(METRIC_THREADS, stat_field(text, STAT_THREADS));
    gauge(METRIC_VIRTUAL_MEMORY, stat_field(text, STAT_VIRTUAL));
    gauge(METRIC_RSS, stat_field(text, STAT_PAGES) * sysconf(_SC_PAGESIZE));
    /* Whole hundredths, as booted varies by some microseconds. */
    gauge(METRIC_START_TIME,
          (booted / 10000000 + stat_field(text, STAT_START) * 100 / sysconf(_SC_CLK_TCK)) * 10000000);
}

void metrics_process(void *cls) {
    (void)cls;
    struct timespec cpu;
    struct rlimit files;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    gauge(METRIC_CPU, cpu.tv_sec * NANO + cpu.tv_nsec);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        gauge(METRIC_MAX_FILES, (int64_t)files.rlim_cur);
    gauge(METRIC_FILES, count_files());
    read_stat();
}
