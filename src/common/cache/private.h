/* What the files of the cache share. */
#pragma once

#include "common/cache/cache.h"

#include <hiredis/hiredis.h>

/* Shakes hands on a connection that has its timeout: TLS 1.2 or later with a server that proves to be the
 * options' host. NULL, or words for the failure, valid until the connection is freed. */
const char *cache_tls_start(redisContext *redis, const struct cache_options *options);
