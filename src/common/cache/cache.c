/* One Redis connection behind a breaker, and batches of GET and SET in one round trip. */
#include "private.h"

#include "common/base/breaker.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/outage.h"
#include "common/metrics/metrics.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIPELINE = 256, /* commands sent before their replies are read */
    ERROR_SIZE = 160,
};

struct cache {
    struct cache_options options;
    redisContext *redis; /* NULL: not connected */
    size_t owed;         /* answers to cache_put_later that are not read yet */
    char script_id[2 * SHA_DIGEST_LENGTH + 1];
    char error[ERROR_SIZE];
    struct metric_memo durations; /* of round trips that succeeded */
};

struct cache_values {
    redisReply *reply; /* an array; NULL when no key was asked for */
};

/* KEYS: key; ARGV: value, version, ttl in ms. A stored value starts with its version and a line break. */
static const char set_if_newer[] =
    "local stored = string.match(redis.call('GETRANGE', KEYS[1], 0, 19), '^(%d+)\\n')\n"
    "if stored and tonumber(stored) >= tonumber(ARGV[2]) then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])\n"
    "return 1";

struct cache *cache_open(const struct cache_options *options) {
    struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->options = *options;
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)set_if_newer, sizeof set_if_newer - 1, digest);
    hex_encode(digest, sizeof digest, cache->script_id);
    return cache;
}

static void disconnect(struct cache *cache) {
    redisFree(cache->redis); /* takes NULL */
    cache->redis = NULL;
    cache->owed = 0;
}

void cache_close(struct cache *cache) {
    if (!cache)
        return;
    disconnect(cache);
    free(cache);
}

const char *cache_error(const struct cache *cache) {
    return cache->error;
}

/* Failures are rare or slow, so they may take a lock. */
static void cache_measure(struct cache *cache, const char *command, int64_t began_ns, bool success) {
    const char *const values[] = {"redis", command, success ? "" : "failed"};
    struct metric_series *series = success
                                       ? metric_recall(&cache->durations, command, METRIC_DB_DURATION, values)
                                       : metric_series(METRIC_DB_DURATION, values);
    metric_observe(series, clock_mono_ns() - began_ns, NULL);
}

/* Tells the breaker how a call went. An outage begins when that opens the breaker, and ends with a success. */
static void cache_note(const struct cache *cache, bool success) {
    const struct cache_options *o = &cache->options;
    bool opened = o->breaker && breaker_note(o->breaker, success, clock_mono_ms());
    if (o->outage && opened)
        outage_begin(o->outage, "%s", cache->error);
    else if (o->outage && success)
        outage_end(o->outage);
}

/* Drops the connection, so that no reply is left for the next command to read. */
static void cache_fail(struct cache *cache, const char *why) {
    snprintf(cache->error, sizeof cache->error, "%s", why);
    disconnect(cache);
    cache_note(cache, false);
}

/* Whether Redis takes no writes now (OOM, READONLY, MISCONF, NOPERM ...). ERR and WRONGTYPE are about one command. */
static bool is_refusing(const char *error) {
    return strncmp(error, "ERR ", 4) != 0 && strncmp(error, "WRONGTYPE ", 10) != 0;
}

/* Redis refused a write. The connection is closed, as the server may have become a replica. */
static void note_refusal(struct cache *cache) {
    const struct cache_options *o = &cache->options;
    disconnect(cache);
    if (!is_refusing(cache->error))
        return;
    if (o->breaker)
        breaker_trip(o->breaker, clock_mono_ms());
    if (o->outage)
        outage_begin(o->outage, "%s", cache->error);
}

/* Sends the appended commands. One write waits at most the timeout, all of them together until the deadline. */
static bool send_commands(struct cache *cache, int64_t deadline_ms) {
    for (int done = 0; !done;) {
        if (redisBufferWrite(cache->redis, &done) != REDIS_OK) {
            cache_fail(cache, cache->redis->errstr);
            return false;
        }
        if (!done && clock_mono_ms() > deadline_ms) {
            cache_fail(cache, "send timeout");
            return false;
        }
    }
    return true;
}

/* The next reply, or NULL when the connection failed. The caller frees it. */
static redisReply *read_reply(struct cache *cache, int64_t deadline_ms) {
    void *reply = NULL;
    while (redisGetReplyFromReader(cache->redis, &reply) == REDIS_OK) {
        if (reply)
            return reply;
        if (clock_mono_ms() > deadline_ms) {
            cache_fail(cache, "receive timeout");
            return NULL;
        }
        if (redisBufferRead(cache->redis) != REDIS_OK)
            break;
    }
    cache_fail(cache, cache->redis->errstr);
    return NULL;
}

/* Reads all replies to n puts, also after an error reply. Sets *unknown when Redis does not know the script. */
static bool read_puts(struct cache *cache, size_t n, int64_t deadline_ms, bool *unknown) {
    bool refused = false;
    for (size_t i = 0; i < n; i++) {
        redisReply *reply = read_reply(cache, deadline_ms);
        if (!reply)
            return false;
        if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
            *unknown = true;
        } else if (reply->type == REDIS_REPLY_ERROR) {
            refused = true;
            snprintf(cache->error, sizeof cache->error, "%s", reply->str);
        }
        freeReplyObject(reply);
    }
    cache_note(cache, true);
    if (refused)
        note_refusal(cache);
    return !refused;
}

/* Reads the owed answers. When Redis refused one of the commands, drops the connection and returns false. */
static bool read_owed(struct cache *cache, int64_t deadline_ms) {
    size_t n = cache->owed;
    bool unknown;
    cache->owed = 0;
    return n == 0 || read_puts(cache, n, deadline_ms, &unknown);
}

/* Appends a command. lens may be NULL when the arguments are NUL-terminated. */
static bool append(struct cache *cache, size_t argc, const char *argv[], const size_t lens[]) {
    if (redisAppendCommandArgv(cache->redis, (int)argc, argv, lens) == REDIS_OK)
        return true;
    cache_fail(cache, "out of memory");
    return false;
}

/* The reply to the last command sent. An error reply is a failure like any other: NULL. The caller frees the
 * reply. */
static redisReply *read_answer(struct cache *cache, int64_t deadline_ms) {
    redisReply *reply = read_owed(cache, deadline_ms) ? read_reply(cache, deadline_ms) : NULL;
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        cache_fail(cache, reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static bool run(struct cache *cache, size_t argc, const char *argv[]) {
    int64_t deadline = clock_mono_ms() + cache->options.timeout_ms;
    redisReply *reply = NULL;
    if (append(cache, argc, argv, NULL) && send_commands(cache, deadline))
        reply = read_answer(cache, deadline);
    freeReplyObject(reply); /* takes NULL */
    return reply != NULL;
}

static bool log_in(struct cache *cache) {
    char database[16], secret[SECRET_SIZE];
    const char *password = secret_now(&cache->options.password, secret);
    snprintf(database, sizeof database, "%d", cache->options.database);
    const char *username = cache->options.username;
    bool named = username && *username;
    const char *login[] = {"AUTH", named ? username : password, password};
    if ((named || *password) && !run(cache, named ? 3 : 2, login))
        return false;
    return cache->options.database == 0 || run(cache, 2, (const char *[]){"SELECT", database});
}

static bool cache_connect(struct cache *cache) {
    struct timeval timeout = {.tv_sec = cache->options.timeout_ms / 1000,
                              .tv_usec = cache->options.timeout_ms % 1000 * 1000L};
    cache->redis = redisConnectWithTimeout(cache->options.host, cache->options.port, timeout);
    if (!cache->redis || cache->redis->err || redisSetTimeout(cache->redis, timeout) != REDIS_OK) {
        cache_fail(cache, cache->redis ? cache->redis->errstr : "out of memory");
        return false;
    }
    const char *fault = cache->options.tls ? cache_tls_start(cache->redis, &cache->options) : NULL;
    if (fault) {
        cache_fail(cache, fault);
        return false;
    }
    return log_in(cache);
}

static bool cache_ready(struct cache *cache) {
    struct breaker *breaker = cache->options.breaker;
    if (breaker && !breaker_allows(breaker, clock_mono_ms()))
        return false;
    return cache->redis || cache_connect(cache);
}

bool cache_check(struct cache *cache, const char *key) {
    if (!cache_ready(cache) || !run(cache, 5, (const char *[]){"SET", key, "1", "PX", "10000"}))
        return false;
    cache_note(cache, true);
    return true;
}

/* The values of the keys, as Redis sends them; NULL when it is unavailable. */
static redisReply *read_values(struct cache *cache, const char *const keys[], size_t n) {
    int64_t deadline = clock_mono_ms() + cache->options.timeout_ms;
    const char **argv = calloc(n + 1, sizeof *argv);
    if (!argv) {
        cache_fail(cache, "out of memory");
        return NULL;
    }
    argv[0] = "MGET";
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = keys[i];
    bool sent = append(cache, n + 1, argv, NULL) && send_commands(cache, deadline);
    free(argv);
    redisReply *reply = sent ? read_answer(cache, deadline) : NULL;
    if (!reply || (reply->type == REDIS_REPLY_ARRAY && reply->elements == n))
        return reply;
    freeReplyObject(reply);
    cache_fail(cache, "unexpected reply to MGET");
    return NULL;
}

struct cache_values *cache_get(struct cache *cache, const char *const keys[], size_t n) {
    static const char mget[] = "MGET";
    struct cache_values *values = cache_ready(cache) ? calloc(1, sizeof *values) : NULL;
    if (!values || n == 0)
        return values;
    int64_t began_ns = clock_mono_ns();
    values->reply = read_values(cache, keys, n);
    cache_measure(cache, mget, began_ns, values->reply);
    if (values->reply) {
        cache_note(cache, true);
        return values;
    }
    free(values);
    return NULL;
}

const char *cache_value(const struct cache_values *values, size_t i, size_t *len) {
    if (!values || !values->reply || i >= values->reply->elements)
        return NULL;
    const redisReply *value = values->reply->element[i];
    if (value->type != REDIS_REPLY_STRING)
        return NULL;
    *len = value->len;
    return value->str;
}

void cache_values_free(struct cache_values *values) {
    if (!values)
        return;
    freeReplyObject(values->reply);
    free(values);
}

static bool append_put(struct cache *cache, const struct cache_entry *entry, bool whole_script) {
    char ttl[24], version[24];
    snprintf(ttl, sizeof ttl, "%lld", (long long)entry->ttl_ms);
    snprintf(version, sizeof version, "%lld", (long long)entry->version);
    size_t key_len = strlen(entry->key);
    if (entry->version == 0) {
        const char *argv[] = {"SET", entry->key, entry->value, "PX", ttl};
        const size_t lens[] = {3, key_len, entry->len, 2, strlen(ttl)};
        return append(cache, 5, argv, lens);
    }
    const char *name = whole_script ? "EVAL" : "EVALSHA";
    const char *script = whole_script ? set_if_newer : cache->script_id;
    const char *argv[] = {name, script, "1", entry->key, entry->value, version, ttl};
    const size_t lens[] = {strlen(name), strlen(script),  1,          key_len,
                           entry->len,   strlen(version), strlen(ttl)};
    return append(cache, 7, argv, lens);
}

/* Writes entries in one round trip. */
static bool put_chunk(struct cache *cache, const struct cache_entry entries[], size_t n, bool whole_script,
                      bool *unknown) {
    for (size_t i = 0; i < n; i++)
        if (!append_put(cache, &entries[i], whole_script))
            return false;
    static const char set[] = "SET";
    int64_t deadline = clock_mono_ms() + cache->options.timeout_ms, began_ns = clock_mono_ns();
    bool success = send_commands(cache, deadline) && read_owed(cache, deadline) &&
                   read_puts(cache, n, deadline, unknown);
    cache_measure(cache, set, began_ns, success);
    return success;
}

bool cache_put(struct cache *cache, const struct cache_entry entries[], size_t n) {
    for (size_t done = 0; done < n; done += PIPELINE) {
        size_t chunk = n - done < PIPELINE ? n - done : PIPELINE;
        bool unknown = false;
        if (!cache_ready(cache) || !put_chunk(cache, entries + done, chunk, false, &unknown))
            return false;
        if (unknown && !put_chunk(cache, entries + done, chunk, true, &unknown))
            return false;
    }
    return true;
}

bool cache_put_later(struct cache *cache, const struct cache_entry entries[], size_t n) {
    int64_t deadline = clock_mono_ms() + cache->options.timeout_ms;
    /* Answers that nobody reads would fill Redis's memory. A connection that was lost with them is made again. */
    if (cache_ready(cache))
        (void)read_owed(cache, deadline);
    if (!cache_ready(cache))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!append_put(cache, &entries[i], false))
            return false;
    cache->owed = n;
    return send_commands(cache, deadline);
}
