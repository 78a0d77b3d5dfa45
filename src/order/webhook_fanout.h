/* The job that makes a delivery of each event for each webhook that wants it. One replica is at it at a time. */
#pragma once

#include "common/db/job.h"

db_job_fn webhook_fanout_run; /* its self is the app */
