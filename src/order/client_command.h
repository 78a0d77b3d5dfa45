/* The subcommand "order-svc client ...". Operators manage OAuth clients with it. */
#pragma once

#include "common/base/attributes.h"

#include <stdbool.h>

struct config;

/* argv[0] is "client". Returns the exit code: 0 on success, 1 on failure, 2 when the command line is wrong. */
int client_command(const struct config *config, int argc, char *argv[]);

/* Allows only ids that need no escaping in Basic credentials (RFC 6749 §2.3.1). Many clients forget to escape. False,
 * with a message on standard error, for others. */
bool client_id_ok(const char *id) MUST_CHECK;
