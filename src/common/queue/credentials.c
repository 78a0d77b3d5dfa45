/* The credentials of this moment: kept, and fetched anew by one thread at a time before they expire. */
#include "common/queue/credentials.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/outage.h"
#include "credential_source.h"
#include "credential_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 5000,    /* after a failure */
    SKEW_MS = 4 * 60000 /* from here on a difference is why requests are refused: AWS allows five minutes */
};

struct credential_chain {
    struct credential_options options;
    const struct credential_source *source;
    struct outage outage;
    pthread_mutex_t mutex;
    pthread_cond_t fetched;
    bool fetching, has;
    struct credential kept;
    int64_t refresh_ms; /* since 1970, as kept.expires_ms */
    int64_t retry_ms;   /* on clock_mono_ms's clock: not before, as the last attempt failed */
    char why[CREDENTIAL_WHY_SIZE];
    atomic_llong skew_ms; /* the clock of AWS is ahead of ours by this */
};

struct credential_chain *credentials_open(const struct credential_options *options) {
    struct credential_chain *chain = calloc(1, sizeof *chain);
    if (!chain)
        return NULL;
    chain->options = *options;
    chain->source = credential_source_of(options);
    chain->outage.name = "source of AWS credentials";
    pthread_mutex_init(&chain->mutex, NULL);
    pthread_cond_init(&chain->fetched, NULL);
    return chain;
}

void credentials_close(struct credential_chain *chain) {
    if (!chain)
        return;
    pthread_cond_destroy(&chain->fetched);
    pthread_mutex_destroy(&chain->mutex);
    explicit_bzero(&chain->kept, sizeof chain->kept);
    free(chain);
}

const char *credentials_source(const struct credential_chain *chain) {
    return chain->source->name;
}

int64_t credentials_skew_ms(const struct credential_chain *chain) {
    return atomic_load(&chain->skew_ms);
}

/* Now, on the clock of AWS. */
static int64_t aws_now_ms(const struct credential_chain *chain) {
    return clock_epoch_ms() + credentials_skew_ms(chain);
}

bool credentials_are_misdated(struct credential_chain *chain, int64_t date_ms) {
    int64_t off_ms = date_ms - aws_now_ms(chain), skew_ms = date_ms - clock_epoch_ms();
    if (off_ms > -SKEW_MS && off_ms < SKEW_MS)
        return false;
    atomic_store(&chain->skew_ms, skew_ms);
    log_warn(NULL, "the clock of this machine is %lld s %s that of AWS: requests are dated by the latter",
             (long long)llabs(skew_ms) / 1000, skew_ms > 0 ? "behind" : "ahead of");
    return true;
}

static void note(struct credential_chain *chain, bool good, const char *why) {
    if (good) {
        outage_end(&chain->outage);
        return;
    }
    outage_begin(&chain->outage, "%s: %s", chain->source->name, why);
    snprintf(chain->why, sizeof chain->why, "%s", why);
    chain->retry_ms = clock_mono_ms() + RETRY_MS;
}

/* Holds the mutex, but not while it fetches. Others use what is kept meanwhile, or wait. */
static void fetch(struct credential_chain *chain) {
    struct credential fresh = {0};
    char why[CREDENTIAL_WHY_SIZE] = "out of memory";
    chain->fetching = true;
    pthread_mutex_unlock(&chain->mutex);
    bool good = chain->source->fetch(&chain->options, &fresh, why);
    pthread_mutex_lock(&chain->mutex);
    chain->fetching = false;
    if (good && fresh.expires_ms && fresh.expires_ms <= aws_now_ms(chain)) {
        snprintf(why, sizeof why, "what it gives has expired");
        good = false;
    }
    note(chain, good, why);
    if (good) {
        chain->kept = fresh;
        chain->has = true;
        chain->refresh_ms = credential_refresh_ms(&fresh, aws_now_ms(chain));
    }
    explicit_bzero(&fresh, sizeof fresh);
    pthread_cond_broadcast(&chain->fetched);
}

static bool is_valid(const struct credential_chain *chain, int64_t now_ms) {
    return chain->has && (!chain->kept.expires_ms || now_ms < chain->kept.expires_ms);
}

/* Holds the mutex. Whether kept can be used afterwards. */
static bool prepare_kept(struct credential_chain *chain) {
    for (;;) {
        int64_t now_ms = aws_now_ms(chain);
        bool valid = is_valid(chain, now_ms);
        bool due = !chain->has || now_ms >= chain->refresh_ms;
        if (valid && (!due || chain->fetching || clock_mono_ms() < chain->retry_ms))
            return true;
        if (!chain->fetching && clock_mono_ms() < chain->retry_ms)
            return false;
        if (chain->fetching)
            pthread_cond_wait(&chain->fetched, &chain->mutex);
        else
            fetch(chain);
    }
}

bool credentials_now(struct credential_chain *chain, struct credential *out,
                     char why[static CREDENTIAL_WHY_SIZE]) {
    if (!chain->source->keeps) {
        bool good = chain->source->fetch(&chain->options, out, why);
        pthread_mutex_lock(&chain->mutex);
        note(chain, good, why);
        pthread_mutex_unlock(&chain->mutex);
        return good;
    }
    pthread_mutex_lock(&chain->mutex);
    bool good = prepare_kept(chain);
    if (good)
        *out = chain->kept;
    else
        snprintf(why, CREDENTIAL_WHY_SIZE, "%s", *chain->why ? chain->why : "they have expired");
    pthread_mutex_unlock(&chain->mutex);
    return good;
}

bool credentials_url_is_safe(const char *url) {
    static const char *const local[] = {"127.",          "localhost",      "[::1]",
                                        "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    if (strncmp(url, "https://", 8) == 0)
        return url[8] != '\0';
    if (strncmp(url, "http://", 7) != 0)
        return false;
    const char *host = url + 7;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    if (strcspn(host, "/?#") > strcspn(host, "@")) /* user information is no host */
        return false;
    if (strncmp(host, local[0], 4) == 0 && strspn(host, "0123456789.") == len)
        return true;
    for (size_t i = 1; i < sizeof local / sizeof *local; i++)
        if (len == strlen(local[i]) && strncmp(host, local[i], len) == 0)
            return true;
    return false;
}
