/* Running a periodic job that needs the database. */
#include "common/db/job.h"

#include "common/base/outage.h"
#include "common/base/ticker.h"

#include <stdlib.h>

struct db_job {
    struct db_job_options options;
    struct db *db; /* of the job's thread */
    struct outage outage;
    struct ticker *thread;
};

static int64_t db_job_run(void *self) {
    struct db_job *job = self;
    enum db_status status = DB_OK;
    int64_t wait_ms = job->options.run(job->options.self, job->db, &status);
    if (status == DB_OK)
        outage_end(&job->outage);
    else
        outage_begin(&job->outage, "database: %s", db_error(job->db));
    return wait_ms;
}

struct db_job *db_job_start(const struct db_job_options *options) {
    struct db_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->options = *options;
    job->outage.name = options->name;
    job->db = db_open(&options->db);
    if (job->db && options->first_now)
        (void)db_job_run(job);
    job->thread = job->db ? ticker_start(db_job_run, job) : NULL;
    if (job->thread)
        return job;
    db_job_stop(job);
    return NULL;
}

void db_job_end(struct db_job *job) {
    ticker_end(job->thread);
}

void db_job_stop(struct db_job *job) {
    if (!job)
        return;
    ticker_stop(job->thread);
    db_close(job->db);
    free(job);
}
