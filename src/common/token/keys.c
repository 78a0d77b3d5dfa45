/* The keys of the moment: a set that is replaced as a whole when the folder of the keys changes. */
#include "private.h"

#include "common/base/log.h"
#include "common/base/ticker.h"
#include "common/metrics/metrics.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_MS 1000

struct token_set *token_keys_hold(struct token_keys *keys) {
    pthread_mutex_lock(&keys->lock);
    struct token_set *set = keys->set;
    set->refs++;
    pthread_mutex_unlock(&keys->lock);
    return set;
}

void token_keys_release(struct token_keys *keys, struct token_set *set) {
    pthread_mutex_lock(&keys->lock);
    bool last = --set->refs == 0;
    pthread_mutex_unlock(&keys->lock);
    if (last)
        token_set_free(set);
}

static void measure_age(const char *folder) {
    char path[PATH_MAX];
    struct stat file;
    if (snprintf(path, sizeof path, "%s/current.pem", folder) < PATH_MAX && stat(path, &file) == 0)
        metric_set(metric_series(METRIC_TOKEN_KEY_TIME, NULL), file.st_mtim.tv_sec * INT64_C(1000000000));
}

/* Who works with the old set keeps it until then. */
static void keys_replace(struct token_keys *keys, struct token_set *set) {
    pthread_mutex_lock(&keys->lock);
    struct token_set *old = keys->set;
    keys->set = set;
    pthread_mutex_unlock(&keys->lock);
    if (old)
        token_keys_release(keys, old);
    if (!keys->folder) {
        log_info(NULL, "token keys: the secret is another one: tokens signed with the old one are void");
        return;
    }
    log_info(NULL, "token keys: %zu from %s%s%s", set->count, keys->folder,
             set->signing ? ", signing with " : "", set->signing ? set->signing->kid : "");
    measure_age(keys->folder);
}

/* Reads the folder if it is asked to, if it does not look as it did when it was read, or if something was wrong with it.
 * Appends to faults what is wrong now. */
static void keys_follow(struct token_keys *keys, bool asked, struct buf *faults) {
    struct buf look = {0};
    struct token_set *set = NULL;
    bool good = token_folder_look(keys->folder, &look, faults);
    bool same =
        good && !asked && keys->set && keys->faults.len == 0 && strcmp(look.data, keys->seen.data) == 0;
    if (good && !same)
        set = token_folder_read(keys->folder, keys->issues, keys->set, faults);
    if (!set) { /* as it was, or to be looked at again */
        buf_free(&look);
        if (!same && faults->len == 0)
            buf_str(faults, "out of memory");
        return;
    }
    buf_free(&keys->seen);
    keys->seen = look; /* from before the reading: a change meanwhile is seen next time */
    if (keys->set && token_set_same(keys->set, set))
        token_set_free(set);
    else
        keys_replace(keys, set);
}

/* Each fault is logged when it is new, or when somebody asked. */
static void keys_tell(struct token_keys *keys, bool asked, struct buf *faults) {
    const char *now = faults->len ? faults->data : "", *before = keys->faults.len ? keys->faults.data : "";
    if (strcmp(now, before) == 0 && !(asked && *now)) {
        buf_free(faults);
        return;
    }
    if (*now)
        log_warn(NULL, "token keys: using those that can be used: %s", now);
    else
        log_info(NULL, "token keys: all of %s can be used again", keys->folder);
    buf_free(&keys->faults);
    keys->faults = *faults;
}

static int64_t keys_tick(void *self) {
    struct token_keys *keys = self;
    struct buf faults = {0};
    bool asked = atomic_exchange(&keys->asked, false);
    keys_follow(keys, asked, &faults);
    keys_tell(keys, asked, &faults);
    return LOOK_MS;
}

/* NULL, with the reason in error, when it cannot be used. */
static struct token_set *keys_of_secret(const char *secret, struct buf *error) {
    const char *fault = "out of memory";
    struct token_set *set = token_set_new();
    if (set) {
        set->count = 1;
        set->signing = &set->keys[0];
    }
    if (set && token_key_of_secret(&set->keys[0], secret, &fault))
        return set;
    buf_str(error, fault);
    token_set_free(set);
    return NULL;
}

static bool keys_start(struct token_keys *keys, const struct token_options *options, struct buf *error) {
    keys->issuer = strdup(options->issuer);
    keys->audience = strdup(options->audience);
    if (!keys->issuer || !keys->audience)
        return false;
    if (!options->folder || !*options->folder)
        return (keys->set = keys_of_secret(options->secret, error)) != NULL;
    keys->folder = strdup(options->folder);
    if (!keys->folder)
        return false;
    keys_follow(keys, false, error); /* at the start nothing may be wrong */
    if (error->len > 0 || error->failed)
        return false;
    keys->ticker = ticker_start(keys_tick, keys);
    return keys->ticker;
}

struct token_keys *token_keys_new(const struct token_options *options) {
    struct token_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return NULL;
    pthread_mutex_init(&keys->lock, NULL);
    keys->known = metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS("tokens", "memory", "hit"));
    keys->unknown = metric_series(METRIC_CACHE_LOOKUPS, METRIC_LABELS("tokens", "memory", "miss"));
    keys->lifetime_s = options->lifetime_s;
    keys->issues = options->issues;
    struct buf error = {0};
    bool good = keys_start(keys, options, &error);
    if (!good) {
        log_error(NULL, "token keys: %s", error.data ? error.data : "out of memory");
        token_keys_free(keys);
    }
    buf_free(&error);
    return good ? keys : NULL;
}

/* Whether the secret is the one in use. Only who reloads replaces it. */
static bool keys_have_secret(const struct token_keys *keys, const char *secret) {
    return strcmp(keys->set->keys[0].verify_with, secret) == 0;
}

void token_keys_reload(struct token_keys *keys, const char *secret) {
    if (keys->ticker) {
        keys->asked = true;
        ticker_wake(keys->ticker);
        return;
    }
    if (!secret || keys_have_secret(keys, secret))
        return;
    struct buf error = {0};
    struct token_set *set = keys_of_secret(secret, &error);
    if (set)
        keys_replace(keys, set);
    else
        log_error(NULL, "token keys: the old secret stays: %s", error.data ? error.data : "out of memory");
    buf_free(&error);
}

void token_keys_free(struct token_keys *keys) {
    if (!keys)
        return;
    ticker_stop(keys->ticker);
    token_set_free(keys->set);
    buf_free(&keys->seen);
    buf_free(&keys->faults);
    pthread_mutex_destroy(&keys->lock);
    free(keys->folder);
    free(keys->issuer);
    free(keys->audience);
    free(keys);
}

void token_keys_jwks(struct token_keys *keys, struct buf *out) {
    struct token_set *set = token_keys_hold(keys);
    buf_str(out, "{\"keys\":[");
    for (size_t i = 0; i < set->count; i++) {
        const struct buf *jwk = &set->keys[i].jwk;
        if (i > 0 && jwk->len > 0)
            buf_char(out, ',');
        buf_append(out, jwk->data, jwk->len);
    }
    buf_str(out, "]}");
    token_keys_release(keys, set);
}

int64_t token_lifetime_s(const struct token_keys *keys) {
    return keys->lifetime_s;
}

const char *token_issuer(const struct token_keys *keys) {
    return keys->issuer;
}

const char *token_audience(const struct token_keys *keys) {
    return keys->audience;
}
