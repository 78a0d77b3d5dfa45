/* Starting and stopping a part of whichever kind. */
#pragma once

#include "common/service/service.h"

/* NULL when it failed; the reason is logged, or memory is short. */
void *part_start(const struct service_part *part, void *app) MUST_CHECK;
void part_stop(const struct service_part *part, void *self, int64_t deadline_ms);
