/* A periodic job: one thread, one function, and a connection, its own or one that it borrows (db/pool.h). */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stdbool.h>
#include <stdint.h>

struct db_job;

/* Does the job once, on the job's thread. Returns the milliseconds until the next run (0: immediately). *status
 * starts as DB_OK. Another status begins an outage, which is logged once. */
typedef int64_t db_job_fn(void *self, struct db *db, enum db_status *status);

struct db_job_options {
    const char *name; /* for the log; static */
    struct db_options db;
    db_job_fn *run;
    void *self;
    bool first_now; /* db_job_start does the first run, on the caller's thread, before it returns */
};

/* NULL when out of memory or threads. */
struct db_job *db_job_start(const struct db_job_options *options);

/* Lets no further run begin, and does not wait. db_job_stop is still to be called. */
void db_job_end(struct db_job *job);

/* Lets a run in progress finish, joins the thread and frees. NULL is fine. */
void db_job_stop(struct db_job *job);
