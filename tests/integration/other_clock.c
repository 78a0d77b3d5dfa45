/* A wall clock that is wrong by the seconds in the file named by OTHER_CLOCK. Preloaded into a daemon or into PostgreSQL. */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Calls no function that a sanitizer replaces, because those read the clock too. */
static long ahead(void) {
    const char *path = getenv("OTHER_CLOCK");
    char text[32];
    long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1, seconds = 0;
    if (fd < 0)
        return 0;
    long len = syscall(SYS_read, fd, text, sizeof text);
    syscall(SYS_close, fd);
    for (long i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        seconds = seconds * 10 + (text[i] - '0');
    return seconds;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    long status = syscall(SYS_clock_gettime, id, now);
    if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += ahead();
    return (int)status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    long status = syscall(SYS_gettimeofday, now, zone);
    if (status == 0)
        now->tv_sec += ahead();
    return (int)status;
}

time_t time(time_t *out) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
