/* The session of a process that lasts. One thread hears NOTIFY in it, for all parts, and holds advisory locks that make
 * this process the leader of something.
 *
 * The parts run their statements on other connections. So when the session has ended, another process may lead before this one
 * knows: what leaders do must bear that for some seconds. A process that is frozen leads no more when it goes on: the
 * server ends a session that is silent for so long. Any thread, unless something else is said. */
#pragma once

#include "common/base/attributes.h"
#include "common/db/db.h"

#include <stdbool.h>
#include <stdint.h>

struct db_session;
struct db_watch;

/* NULL when out of memory or file descriptors. */
struct db_session *db_session_new(void);

/* Which connection it uses: one of its own, or that of a pool of one. The options of the connection itself have
 * db_session_heard as heard, with the session as heard_cls. False when out of memory or threads. */
bool db_session_start(struct db_session *session, const struct db_options *options) MUST_CHECK;
void db_session_heard(void *session, const char *channel);

/* Ends the thread. What it led is free for others. */
void db_session_stop(struct db_session *session);
/* After it was stopped, and when nobody uses the connection. NULL is fine. */
void db_session_free(struct db_session *session);

/* What a part hears, and perhaps leads. */
struct db_watch_options {
    const char *channel;     /* of NOTIFY, and the name of the lock; static, an SQL identifier */
    bool leads;              /* wants to lead, and hears as long as it does */
    void (*wake)(void *cls); /* it was notified, or may have been, or leads now; must not block */
    void *cls;
};

/* NULL when out of memory. */
struct db_watch *db_session_watch(struct db_session *session, const struct db_watch_options *options);

/* Whether this process is the leader, as far as is known. */
bool db_watch_leads(struct db_watch *watch);

/* Lets another process lead, and does not try to for pause_ms. */
void db_watch_yield(struct db_watch *watch, int64_t pause_ms);

/* Gives the lock back, in a moment, and frees. wake is not called any more. NULL is fine. */
void db_watch_end(struct db_watch *watch);
