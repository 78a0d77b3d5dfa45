/* The job that cleans up behind webhooks: old deliveries, deleted webhooks, and those that were enabled again. */
#pragma once

#include "common/db/job.h"

db_job_fn webhook_keeper_run; /* its self is the app */
