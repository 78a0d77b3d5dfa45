/* One connection that hears NOTIFY and holds advisory locks for all parts of a process. */
#include "common/db/session.h"

#include "common/base/clock.h"
#include "common/base/outage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    PERIOD_MS = 1000, /* between two looks at the session, and at locks that others hold */
    RETRY_MS = 200,   /* after a failure */
    BELIEF_MS =
        10000, /* that it leads, since the last look: less than the server's limit below, which frees the locks */
};

/* What is asked once a period, so only a process that is frozen is silent for so long. */
static const struct db_query look_query = {"session_look",
                                           "SELECT set_config('idle_session_timeout', '15s', false)"};
static const struct db_query lock_query = {"session_lock", "SELECT pg_try_advisory_lock(hashtext($1))"};
static const struct db_query unlock_query = {"session_unlock", "SELECT pg_advisory_unlock(hashtext($1))"};

struct db_watch {
    struct db_session *session;
    struct db_watch *next;
    struct db_watch_options options;
    char names[2][80], sql[2][80];
    struct db_query listen, unlisten;
    bool locked, hears; /* of this session, as the thread knows */

    /* Guarded by the session's lock: */
    bool leads, yields, ended; /* yields: the lock is to be given back */
    int64_t after_ms;          /* it may lead from then on */
};

struct db_session {
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping;

    /* Of the thread: */
    struct db *db;
    bool alive;
    unsigned generation; /* of the connection whose session it is */
    int64_t due_ms;      /* when to look */
    struct outage outage;

    pthread_mutex_t lock;   /* guards what follows */
    struct db_watch *first; /* only the thread takes out of the list */
    int64_t confirmed_ms;   /* the session was there */
};

static void wake_session(struct db_session *s) {
    (void)!write(s->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static struct db_watch *first_watch(struct db_session *s) {
    pthread_mutex_lock(&s->lock);
    struct db_watch *first = s->first;
    pthread_mutex_unlock(&s->lock);
    return first;
}

/* The session has ended, and its locks with it. */
static void session_lose(struct db_session *s) {
    pthread_mutex_lock(&s->lock);
    for (struct db_watch *w = s->first; w; w = w->next)
        w->locked = w->hears = w->leads = false;
    pthread_mutex_unlock(&s->lock);
    s->alive = false;
}

static enum db_status ask_lock(struct db_session *s, const struct db_query *query, const char *name,
                               bool *done) {
    struct db_params params = {0};
    struct db_result *result = NULL;
    db_text_param(&params, name);
    enum db_status status = db_run(s->db, query, &params, &result);
    db_params_free(&params);
    *done = status == DB_OK && db_bool(result, 0, 0);
    db_result_free(result);
    return status;
}

static enum db_status give_lock_back(struct db_session *s, struct db_watch *w) {
    bool done;
    enum db_status status = db_run(s->db, &w->unlisten, NULL, NULL);
    w->hears = status != DB_OK;
    if (status == DB_OK)
        status = ask_lock(s, &unlock_query, w->options.channel, &done);
    w->locked = status != DB_OK;
    pthread_mutex_lock(&s->lock);
    w->yields = w->locked;
    pthread_mutex_unlock(&s->lock);
    return status;
}

static enum db_status begin_hearing(struct db_session *s, struct db_watch *w) {
    int64_t began_ms = clock_mono_ms();
    enum db_status status = db_run(s->db, &w->listen, NULL, NULL);
    w->hears = status == DB_OK;
    if (!w->hears)
        return status;
    pthread_mutex_lock(&s->lock);
    s->confirmed_ms = began_ms;
    w->leads = w->locked && !w->ended && !w->yields;
    if (!w->ended)
        w->options.wake(w->options.cls);
    pthread_mutex_unlock(&s->lock);
    return DB_OK;
}

/* Brings the session to what the part wants. */
static enum db_status serve_watch(struct db_session *s, struct db_watch *w) {
    enum db_status status = DB_OK;
    pthread_mutex_lock(&s->lock);
    bool ended = w->ended, gives_back = w->locked && (ended || w->yields);
    bool leads = !ended && w->options.leads && clock_mono_ms() >= w->after_ms;
    w->yields &= w->locked;
    pthread_mutex_unlock(&s->lock);
    if (gives_back)
        return give_lock_back(s, w);
    if (!w->locked && leads) {
        status = ask_lock(s, &lock_query, w->options.channel, &w->locked);
        w->hears = false; /* it is told that it leads */
    }
    if (status == DB_OK && !ended && !w->hears && (w->locked || !w->options.leads))
        status = begin_hearing(s, w);
    return status;
}

/* Frees those that have ended and hold no lock. */
static void forget_ended(struct db_session *s) {
    pthread_mutex_lock(&s->lock);
    for (struct db_watch **at = &s->first; *at;) {
        struct db_watch *w = *at;
        if (w->ended && !w->locked) {
            *at = w->next;
            free(w);
        } else {
            at = &w->next;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* Brings the session, which is there, to what all parts want. */
static enum db_status session_serve(struct db_session *s, int64_t began_ms) {
    enum db_status status = DB_OK;
    if (!s->alive || db_generation(s->db) != s->generation) {
        session_lose(s);
        s->alive = true;
        s->generation = db_generation(s->db);
    }
    for (struct db_watch *w = first_watch(s); w && status == DB_OK; w = w->next)
        status = serve_watch(s, w);
    if (status != DB_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    s->confirmed_ms = began_ms;
    pthread_mutex_unlock(&s->lock);
    forget_ended(s);
    return DB_OK;
}

/* What failed may have taken a lock all the same, so the session begins anew. */
static void session_renew(struct db_session *s) {
    if (db_is_connected(s->db))
        db_renew(s->db);
    session_lose(s);
}

static void session_turn(struct db_session *s) {
    int64_t began_ms = clock_mono_ms();
    enum db_status looked = db_run(s->db, &look_query, NULL, NULL);
    enum db_status status = looked == DB_OK ? session_serve(s, began_ms) : looked;
    bool same = db_is_connected(s->db) && db_generation(s->db) == s->generation;
    s->due_ms = clock_mono_ms() + (status == DB_OK && same ? PERIOD_MS : RETRY_MS);
    if (status == DB_OK) {
        outage_end(&s->outage);
        if (!same) /* the last ones were on another session */
            session_renew(s);
        return;
    }
    if (!atomic_load(&s->stopping))
        outage_begin(&s->outage, "database: %s", db_error(s->db));
    /* It lasts when it was not its turn on the connection, or the look took too long. */
    bool lasts = same && (status == DB_UNAVAILABLE || db_is_busy(looked));
    if (!lasts)
        session_renew(s);
}

static void session_wait(struct db_session *s) {
    uint64_t wakes;
    int64_t wait_ms = s->due_ms - clock_mono_ms();
    (void)db_wait_notify(s->db, s->wake_fd, wait_ms < 0 ? 0 : (int)wait_ms);
    if (read(s->wake_fd, &wakes, sizeof wakes) > 0)
        s->due_ms = 0;
    if (!s->alive || (db_is_connected(s->db) && db_generation(s->db) == s->generation))
        return;
    session_lose(s);
    s->due_ms = 0;
}

static void *session_run(void *session) {
    pthread_setname_np(pthread_self(), "session");
    struct db_session *s = session;
    for (;;) {
        bool last = atomic_load(&s->stopping); /* a stop also wakes, so it is not missed */
        if (last || clock_mono_ms() >= s->due_ms)
            session_turn(s);
        if (last)
            return NULL;
        session_wait(s);
    }
}

struct db_session *db_session_new(void) {
    struct db_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->outage.name = "session";
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&s->lock, NULL);
    if (s->wake_fd >= 0)
        return s;
    db_session_free(s);
    return NULL;
}

bool db_session_start(struct db_session *s, const struct db_options *options) {
    s->db = db_open(options);
    if (s->db && pthread_create(&s->thread, NULL, session_run, s) == 0)
        return true;
    db_close(s->db);
    s->db = NULL;
    return false;
}

void db_session_heard(void *session, const char *channel) {
    struct db_session *s = session;
    pthread_mutex_lock(&s->lock);
    for (struct db_watch *w = s->first; w; w = w->next)
        if (!w->ended && strcmp(w->options.channel, channel) == 0)
            w->options.wake(w->options.cls);
    pthread_mutex_unlock(&s->lock);
}

void db_session_stop(struct db_session *s) {
    atomic_store(&s->stopping, true);
    wake_session(s);
    pthread_join(s->thread, NULL);
    db_close(s->db);
}

void db_session_free(struct db_session *s) {
    if (!s)
        return;
    for (struct db_watch *w = s->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct db_watch *db_session_watch(struct db_session *s, const struct db_watch_options *options) {
    struct db_watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->session = s;
    w->options = *options;
    static const char *const verbs[] = {"listen", "unlisten"};
    for (int i = 0; i < 2; i++) {
        snprintf(w->names[i], sizeof w->names[i], "%s_%s", verbs[i], options->channel);
        snprintf(w->sql[i], sizeof w->sql[i], "%s %s", verbs[i], options->channel);
    }
    w->listen = (struct db_query){w->names[0], w->sql[0]};
    w->unlisten = (struct db_query){w->names[1], w->sql[1]};
    pthread_mutex_lock(&s->lock);
    w->next = s->first;
    s->first = w;
    pthread_mutex_unlock(&s->lock);
    wake_session(s);
    return w;
}

bool db_watch_leads(struct db_watch *w) {
    pthread_mutex_lock(&w->session->lock);
    bool leads = w->leads && clock_mono_ms() - w->session->confirmed_ms < BELIEF_MS;
    pthread_mutex_unlock(&w->session->lock);
    return leads;
}

void db_watch_yield(struct db_watch *w, int64_t pause_ms) {
    pthread_mutex_lock(&w->session->lock);
    w->leads = false;
    w->yields = true;
    w->after_ms = clock_mono_ms() + pause_ms;
    pthread_mutex_unlock(&w->session->lock);
    wake_session(w->session);
}

void db_watch_end(struct db_watch *w) {
    if (!w)
        return;
    struct db_session *s = w->session;
    pthread_mutex_lock(&s->lock);
    w->leads = false;
    w->ended = true;
    pthread_mutex_unlock(&s->lock);
    wake_session(s);
}
