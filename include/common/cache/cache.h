/* Redis: one connection and the few commands we use, each for a whole batch in one round trip. The only room that
 * includes hiredis.
 *
 * No caller needs Redis for correctness. When Redis is unavailable, a breaker makes every call fail immediately for
 * a while, and the caller goes on without the cache. A connection belongs to one thread at a time. Keys are
 * NUL-terminated, values are bytes. */
#pragma once

#include "common/base/attributes.h"
#include "common/base/secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_FILES                                                                                          \
    3 /* file descriptors of a connection at most: its socket, while connecting those of the resolver */

struct breaker;
struct cache;
struct outage;
struct cache_values;

struct cache_options { /* what it points to is borrowed and must outlive the connection */
    const char *host;
    int port;
    const char *username;          /* "" or NULL: the default user */
    struct secret_source password; /* of this moment, at each connection; "" for none */
    int database;
    int timeout_ms;          /* for connecting, and for each round trip */
    bool tls;                /* only if cache_has_tls */
    const char *ca_file;     /* PEM; "": the system's */
    struct breaker *breaker; /* shared by the connections of the process; NULL: none, for health checks */
    struct outage
        *outage; /* also shared; begins when the breaker opens, or a write is refused; NULL: not logged */
};

/* Whether this build can use TLS. hiredis 0.14 cannot. */
bool cache_has_tls(void);

struct cache_entry {
    const char *key;
    const char *value;
    size_t len;
    int64_t ttl_ms;
    int64_t version; /* > 0: written only over a lower version (value starts with "<version>\n"); 0: always */
};

/* Does not connect yet. NULL when out of memory. */
struct cache *cache_open(const struct cache_options *options);
void cache_close(struct cache *cache); /* NULL is fine */

/* The values of n keys, or NULL when Redis is unavailable. The caller frees them. */
struct cache_values *cache_get(struct cache *cache, const char *const keys[], size_t n) MUST_CHECK;

/* Value i, or NULL when that key has none; borrowed from values. values may be NULL. */
const char *cache_value(const struct cache_values *values, size_t i, size_t *len);
void cache_values_free(struct cache_values *values); /* NULL is fine */

/* Writes n entries. False when Redis is unavailable or refused one of them. */
bool cache_put(struct cache *cache, const struct cache_entry entries[], size_t n);

/* The same for entries without a version, without waiting for the answers. The next call on this connection reads
 * them. If Redis refused one, cache_get and cache_put fail then; cache_put_later goes on, on a new connection. */
bool cache_put_later(struct cache *cache, const struct cache_entry entries[], size_t n);

/* Whether Redis takes writes: writes this key for a few seconds. */
bool cache_check(struct cache *cache, const char *key);

/* The error message of the last failure, for the log. Valid until the next call. */
const char *cache_error(const struct cache *cache);
