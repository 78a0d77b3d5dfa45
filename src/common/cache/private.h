/* What the files of the cache share. */
#pragma once

#include "common/cache/cache.h"

#include <hiredis/hiredis.h>

/* Starts TLS on a connection whose timeout is set. It needs TLS 1.2 or later, and a certificate for the options'
 * host. Returns NULL, or an error message that is valid until the connection is freed. */
const char *cache_tls_start(redisContext *redis, const struct cache_options *options);
