/* The limit of open files: whether it suffices for a daemon. */
#pragma once

#include "common/service/service.h"

/* Counts the file descriptors that the parts (NULL-terminated) and the HTTP server may have open at the same time, and
 * raises the soft limit to that. False when the hard limit is lower, which is logged: later the limit would cost us
 * connections to the database, at the time of the highest load. */
bool files_reserve(const struct service_daemon *daemon, const struct service_part *const parts[],
                   const struct config *config) MUST_CHECK;
