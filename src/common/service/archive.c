/* The steps of taking old data out of the database, and a daemon's own walk through it. */
#include "common/service/archive.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uuid.h"

enum { REST_MS = 600000, RETRY_MS = 5000, LEAST_REST_MS = 50 };

static const struct db_query lock_query = {
    "archive_lock", "SELECT pg_try_advisory_xact_lock(hashtextextended('archive of ' || $1, 0))"};

static enum db_status archive_lock(struct db *db, const char *lock, bool *locked) {
    struct db_params p = {0};
    struct db_result *result = NULL;
    db_text_param(&p, lock);
    enum db_status status = db_run(db, &lock_query, &p, &result);
    *locked = status == DB_OK && db_bool(result, 0, 0);
    db_result_free(result);
    db_params_free(&p);
    return status;
}

enum db_status archive_pick(struct db *db, const char *lock, const struct db_query *pick,
                            struct archive *archive, struct uuid ids[static ARCHIVE_BATCH], size_t *n) {
    bool locked;
    enum db_status status = archive_lock(db, lock, &locked);
    *n = 0;
    archive->more = false;
    archive->busy = status == DB_OK && !locked;
    if (!locked)
        return status;
    struct db_params p = {0};
    struct db_result *found = NULL;
    struct uuid below = uuid_lowest(archive->before_ms);
    db_uuid_param(&p, &archive->behind);
    db_uuid_param(&p, &below);
    db_time_param(&p, archive->before_ms);
    db_int_param(&p, ARCHIVE_BATCH);
    status = db_run(db, pick, &p, &found);
    for (size_t row = 0; status == DB_OK && row < db_rows(found) && row < ARCHIVE_BATCH; row++)
        ids[(*n)++] = db_uuid(found, row, 0);
    archive->more = *n == ARCHIVE_BATCH;
    if (*n)
        archive->behind = ids[*n - 1];
    db_result_free(found);
    db_params_free(&p);
    return status;
}

struct archive_work {
    const struct archive_kind *kind;
    struct archive *archive;
    size_t taken;
};

static enum db_status archive_in_transaction(struct db *db, void *arg) {
    struct archive_work *work = arg;
    return work->kind->step(db, work->archive, &work->taken);
}

enum db_status archive_take(struct db *db, const struct archive_kind *kind, struct archive *archive) {
    const struct archive before = *archive;
    struct archive_work work = {kind, archive, 0};
    enum db_status status = db_transaction(db, archive_in_transaction, &work);
    if (status == DB_OK)
        archive->taken += work.taken;
    else
        *archive = before;
    return status;
}

int64_t archive_retention(struct archive *archive, const struct archive_kind *kind, int64_t retention_ms,
                          struct db *db, enum db_status *status) {
    if (retention_ms == 0)
        return REST_MS;
    int64_t began = clock_mono_ms();
    archive->before_ms = clock_epoch_ms() - retention_ms;
    *status = archive_take(db, kind, archive);
    if (*status != DB_OK)
        return RETRY_MS;
    if (archive->more) {
        int64_t took = clock_mono_ms() - began;
        return took > LEAST_REST_MS ? took : LEAST_REST_MS;
    }
    if (archive->taken)
        log_info(NULL, "%zu %s older than ORDERS_RETENTION removed", archive->taken, kind->what);
    *archive = (struct archive){0};
    return REST_MS;
}
