/* A disk that is full while the file named by FULL_DISK_FLAG exists. Preloaded into PostgreSQL: its files
 * cannot grow then, but what is in them can be overwritten, as on a real one. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_full(int fd, off_t end) {
    const char *flag = getenv("FULL_DISK_FLAG");
    struct stat file;
    return flag && access(flag, F_OK) == 0 && fstat(fd, &file) == 0 && end > file.st_size;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
    if (!is_full(fd, offset + (off_t)len))
        return syscall(SYS_pwrite64, fd, data, len, offset);
    errno = ENOSPC;
    return -1;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    off_t end = offset;
    for (int i = 0; i < count; i++)
        end += (off_t)pieces[i].iov_len;
    if (!is_full(fd, end))
        return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
    errno = ENOSPC;
    return -1;
}

int posix_fallocate(int fd, off_t offset, off_t len) {
    if (is_full(fd, offset + len))
        return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, offset, len) == 0 ? 0 : errno;
}
