/* The connections to the database that parts of a daemon share. */
#pragma once

#include "common/service/service.h"

/* False when out of memory. */
bool pools_open(struct service *service) MUST_CHECK;
/* After all parts have stopped. */
void pools_close(struct service *service);
/* The file descriptors that they have open at most. */
size_t pools_files(const struct config *config);
