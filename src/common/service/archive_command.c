/* The subcommand "archive" of both daemons, and the file that it writes. */
#include "common/service/archive.h"

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/config/duration.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100, BUSY_PAUSE_MS = 100 };

struct archive_file {
    int fd;
    const char *path;
    bool regular;
};

static bool file_failed(const struct archive_file *file, const char *doing) {
    fprintf(stderr, "Cannot %s %s: %s\n", doing, file->path, strerror(errno));
    return false;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t wrote = write(fd, data, len);
        if (wrote < 0 && errno != EINTR)
            return false;
        data += wrote > 0 ? wrote : 0;
        len -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool archive_write(const struct archive *archive, const struct buf *lines) {
    const struct archive_file *file = archive->file;
    if (!file)
        return true;
    if (lines->failed) {
        fprintf(stderr, "Out of memory\n");
        return false;
    }
    if (!write_all(file->fd, lines->data, lines->len))
        return file_failed(file, "write");
    return !file->regular || fsync(file->fd) == 0 || file_failed(file, "store");
}

/* What a crash or a full disk has left of a last line is cut off: its batch is still in the database. */
static bool cut_last_line(const struct archive_file *file, off_t size) {
    char byte = '\n';
    off_t end = size;
    while (end > 0 && (pread(file->fd, &byte, 1, end - 1) != 1 || byte != '\n'))
        end--;
    return end == size || ftruncate(file->fd, end) == 0 || file_failed(file, "mend");
}

/* Another run that writes to the same file would lose a line that this one takes for half. The lock ends with the process. */
static bool lock_file(const struct archive_file *file) {
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return file_failed(file, "lock");
    fprintf(stderr, "Another run writes to %s\n", file->path);
    return false;
}

/* The name of a new file is on the disk only when its folder is. */
static bool store_name(const struct archive_file *file) {
    char *path = strdup(file->path);
    int folder = path ? open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool good = folder >= 0 && fsync(folder) == 0;
    if (!good)
        file_failed(file, "store the name of");
    if (folder >= 0)
        close(folder);
    free(path);
    return good;
}

static bool look_at_file(struct archive_file *file, struct stat *about) {
    if (fstat(file->fd, about) != 0)
        return file_failed(file, "open");
    file->regular = S_ISREG(about->st_mode);
    return true;
}

static bool open_file(struct archive_file *file, const char *path) {
    struct stat about;
    *file = (struct archive_file){.fd = STDOUT_FILENO, .path = path};
    if (strcmp(path, "-") == 0)
        return look_at_file(file, &about);
    file->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return file_failed(file, "open");
    if (!lock_file(file) || !look_at_file(file, &about))
        return false;
    return !file->regular || (cut_last_line(file, about.st_size) && store_name(file));
}

/* Takes out one batch. What others hold they give back soon. */
static bool archive_one(struct db *db, const struct archive_kind *kind, struct archive *archive) {
    for (int i = 0; i < TRIES; i++) {
        enum db_status status = archive_take(db, kind, archive);
        if (status == DB_OK && !archive->busy)
            return true;
        if (status != DB_OK && !db_is_busy(status)) {
            if (*db_error(db))
                fprintf(stderr, "Database error: %s\n", db_error(db));
            return false;
        }
        clock_sleep_ms(BUSY_PAUSE_MS);
    }
    fprintf(stderr, "Another process holds %s\n", kind->what);
    return false;
}

/* Rests after each batch for as long as it took, so that others have the database for half of the time. */
static bool archive_all(struct db *db, const struct archive_kind *kind, struct archive *archive) {
    do {
        int64_t began = clock_mono_ms();
        if (!archive_one(db, kind, archive))
            return false;
        clock_sleep_ms(clock_mono_ms() - began);
    } while (archive->more);
    return true;
}

static const char *read_options(int argc, char *argv[], int64_t *age_ms, const char **path) {
    if (argc != 4 || strcmp(argv[1], "--older-than") != 0)
        return "Name an age and a file";
    if (!config_parse_duration(argv[2], age_ms) || *age_ms < CONFIG_LEAST_RETENTION_MS ||
        *age_ms > clock_epoch_ms())
        return "An age is a duration of at least 720h";
    *path = argv[3];
    return NULL;
}

int archive_command(const struct config *config, const struct archive_kind *kind, int argc, char *argv[]) {
    struct archive_file file;
    struct db_options options;
    int64_t age_ms;
    const char *path, *fault = read_options(argc, argv, &age_ms, &path);
    if (fault) {
        fprintf(stderr, "%s.\nusage: %s --older-than DURATION FILE   (- is standard output)\n", fault,
                kind->command);
        return 2;
    }
    if (!open_file(&file, path))
        return 1;
    struct archive archive = {.before_ms = clock_epoch_ms() - age_ms, .file = &file};
    config_db(config, kind->command, &options);
    struct db *db = db_open(&options);
    bool good = db && archive_all(db, kind, &archive);
    if (!db)
        fprintf(stderr, "Out of memory\n");
    db_close(db);
    if (file.fd != STDOUT_FILENO)
        close(file.fd);
    fprintf(stderr, "%zu %s archived.%s\n", archive.taken, kind->what,
            good ? "" : " Run it again: it goes on.");
    return good ? 0 : 1;
}
