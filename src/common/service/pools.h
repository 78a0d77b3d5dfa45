/* The connections to the database that parts of a daemon share, and the session among them. */
#pragma once

#include "common/service/service.h"

/* False when out of memory. */
bool pools_open(struct service *service) MUST_CHECK;
/* Options of a connection that only asks whether the server is well. */
struct db_options pools_asking(const struct service *service);
/* False when out of memory or threads. */
bool pools_start_session(struct service *service) MUST_CHECK;
/* After all parts have stopped. */
void pools_close(struct service *service);
/* The file descriptors that they have open at most. */
size_t pools_files(const struct config *config);
