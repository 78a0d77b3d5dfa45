/* Starting and stopping a part of any kind. */
#pragma once

#include "common/service/service.h"

/* NULL when it failed. The reason is logged, unless memory ran out. */
void *part_start(const struct service_part *part, void *app) MUST_CHECK;
/* The file descriptors that the part has open at most. */
size_t part_files(const struct service_part *part, const struct config *config);
/* Before part_stop: a job begins no further run, so that those that wait for the database end at the same time. */
void part_end(const struct service_part *part, void *self);
void part_stop(const struct service_part *part, void *self, int64_t deadline_ms);
