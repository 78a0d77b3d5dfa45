/* process_*: what the kernel says about this process. */
#include "private.h"

#include <dirent.h>
#include <stdio.h>
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

/* Reads fields 20 (threads), 22 (start, in ticks since boot), 23 (virtual memory) and 24 (resident pages) of
 * /proc/self/stat (proc(5)). The second field, a name in parentheses, may contain anything. */
static void read_stat(void) {
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[len] = '\0';
    const char *rest = strrchr(text, ')');
    long long threads, start, virtual, pages;
    if (!rest ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lld %*d %lld %lld %lld",
               &threads, &start, &virtual, &pages) != 4)
        return;
    struct timespec boot, now;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t booted = (now.tv_sec - boot.tv_sec) * NANO + now.tv_nsec - boot.tv_nsec;
    gauge(METRIC_THREADS, threads);
    gauge(METRIC_VIRTUAL_MEMORY, virtual);
    gauge(METRIC_RSS, pages * sysconf(_SC_PAGESIZE));
    /* Whole hundredths, as booted varies by some microseconds. */
    gauge(METRIC_START_TIME, (booted / 10000000 + start * 100 / sysconf(_SC_CLK_TCK)) * 10000000);
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
