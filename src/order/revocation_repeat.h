/* Publishes revocations again, until they expire: their events may be lost. */
#pragma once

#include "common/db/job.h"

/* A db_job_fn. app is the struct order_app. */
int64_t revocation_repeat_run(void *app, struct db *db, enum db_status *status);
