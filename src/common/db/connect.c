/* Connecting to the first of several addresses that takes writes, or is a standby if that is wanted.
 *
 * An address that is silent must not use up the time of those behind it: the next one is tried beside it after a
 * moment, and the first that is ready wins. */
#include "measure.h"
#include "private.h"

#include "common/base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_START_MS = 200 }; /* of an address before the next one */

struct attempt {
    const struct db_address *address; /* NULL: no attempt */
    PGconn *conn;
    PostgresPollingStatusType step;
    int64_t deadline_ms;
};

/* The attempts of one connection, in the order of their addresses. */
struct race {
    struct db *db;
    struct attempt list[DB_MAX_ADDRESSES];
    size_t count, started, running;
    int64_t next_ms; /* when the next one starts */
    char faults[DB_ERROR_SIZE];
};

/* Notices are ignored: what matters arrives as an error. */
static void ignore_notice(void *cls, const char *message) {
    (void)cls, (void)message;
}

static PGconn *start_connecting(const struct db_options *o, const struct db_address *address) {
    char session[512];
    /* The server's keepalives and idle limit make it drop the locks of a client that hangs or vanished. The
     * client's own keepalives end the wait for a server that vanished during a migration, which has no other
     * limit.
     * The server keeps a plan until it has analyzed the table, for a minute or more. One that was made while the
     * table was nearly empty would then read all of it for each row. So whatever has an index is read by it.
     * To weigh a merge join, the planner reads the ends of an index. Where the oldest rows were deleted, and vacuum has not
     * come yet, that took three times as long as the rest of a page of orders. */
    snprintf(session, sizeof session,
             "-c statement_timeout=%d -c lock_timeout=%d -c idle_in_transaction_session_timeout=%d"
             " -c synchronous_commit=on -c timezone=UTC -c client_min_messages=warning"
             " -c enable_seqscan=off -c enable_mergejoin=off -c jit=off"
             " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3",
             o->statement_timeout_ms, o->lock_timeout_ms, o->statement_timeout_ms + DB_GRACE_MS);
    char password[SECRET_SIZE];
    const char *const keys[] = {"host",
                                "hostaddr",
                                "port",
                                "target_session_attrs",
                                "dbname",
                                "user",
                                "password",
                                "sslmode",
                                "sslrootcert",
                                "options",
                                "application_name",
                                "tcp_user_timeout",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "client_encoding",
                                NULL};
    const char *const values[] = {address->host,
                                  *address->ip ? address->ip : NULL,
                                  address->port,
                                  o->standby ? "standby" : "read-write", /* any other is passed over */
                                  o->name,
                                  o->user,
                                  secret_now(&o->password, password),
                                  o->sslmode,
                                  o->sslrootcert,
                                  o->pooler ? NULL : session,
                                  o->application_name,
                                  "10000",
                                  "5",
                                  "2",
                                  "3",
                                  "UTF8",
                                  NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 0);
    explicit_bzero(password, sizeof password);
    return conn;
}

/* The faults of all addresses are told. libpq's words name the address. */
static void give_up(struct race *race, struct attempt *attempt, const char *fault) {
    size_t len = strlen(race->faults);
    snprintf(race->faults + len, sizeof race->faults - len, "%s%.*s", len ? "; " : "",
             (int)strcspn(fault, "\n"), fault);
    PQfinish(attempt->conn);
    *attempt = (struct attempt){0};
    race->running--;
    race->next_ms = 0;
}

static void time_out(struct race *race, struct attempt *attempt) {
    const struct db_address *address = attempt->address;
    char fault[DB_IP_SIZE + 64] = "connection timeout";
    if (race->count > 1)
        snprintf(fault, sizeof fault, "connection to %s, port %s timed out", address->ip, address->port);
    give_up(race, attempt, fault);
}

static void start_next(struct race *race, const struct db_address *address) {
    struct attempt *attempt = &race->list[race->started++];
    int64_t now = clock_mono_ms();
    *attempt = (struct attempt){.address = address,
                                .conn = start_connecting(&race->db->options, address),
                                .step = PGRES_POLLING_WRITING,
                                .deadline_ms = now + race->db->options.connect_timeout_ms};
    race->running++;
    race->next_ms = now + HEAD_START_MS;
    if (!attempt->conn)
        give_up(race, attempt, "out of memory");
    else if (PQstatus(attempt->conn) == CONNECTION_BAD)
        give_up(race, attempt, PQerrorMessage(attempt->conn));
}

/* One that was silent is the last, and would win against a better one that is slower. So it waits until the others have
 * failed. */
static bool may_start(const struct race *race) {
    size_t left = race->count - race->started;
    return left > 1 || (left == 1 && (!race->db->wary || race->running == 0));
}

/* Waits until a socket is ready, an address has had its time, or the next one starts. events receives what is ready. */
static void await(const struct race *race, struct pollfd events[static DB_MAX_ADDRESSES]) {
    int64_t until = may_start(race) ? race->next_ms : INT64_MAX, now = clock_mono_ms();
    for (size_t i = 0; i < race->started; i++) {
        const struct attempt *attempt = &race->list[i];
        bool reads = attempt->step == PGRES_POLLING_READING;
        events[i] = (struct pollfd){.fd = attempt->conn ? PQsocket(attempt->conn) : -1,
                                    .events = reads ? POLLIN : POLLOUT};
        if (attempt->conn && attempt->deadline_ms < until)
            until = attempt->deadline_ms;
    }
    if (poll(events, race->started, until > now ? (int)(until - now) : 0) < 0)
        for (size_t i = 0; i < race->started; i++)
            events[i].revents = 0;
}

/* Goes on with an attempt. True when it is ready for statements. */
static bool advance(struct race *race, struct attempt *attempt, short events) {
    if (!attempt->conn)
        return false;
    if (events)
        attempt->step = PQconnectPoll(attempt->conn);
    if (attempt->step == PGRES_POLLING_OK && PQsetnonblocking(attempt->conn, 1) == 0)
        return true;
    if (attempt->step == PGRES_POLLING_OK || attempt->step == PGRES_POLLING_FAILED)
        give_up(race, attempt, PQerrorMessage(attempt->conn));
    else if (clock_mono_ms() >= attempt->deadline_ms)
        time_out(race, attempt);
    return false;
}

/* The attempt that is ready first. NULL when all have failed. */
static struct attempt *run_race(struct race *race, const struct db_address list[]) {
    struct pollfd events[DB_MAX_ADDRESSES];
    for (;;) {
        while (may_start(race) && clock_mono_ms() >= race->next_ms)
            start_next(race, &list[(race->db->address + race->started) % race->count]);
        if (race->running == 0)
            return NULL;
        await(race, events);
        for (size_t i = 0, n = race->started; i < n; i++)
            if (advance(race, &race->list[i], events[i].revents))
                return &race->list[i];
    }
}

static enum db_status connect_now(struct db *db) {
    struct db_address list[DB_MAX_ADDRESSES];
    const char *why = "it has no address";
    struct race race = {.db = db, .count = db_addresses(&db->options, list, &why)};
    db->addresses = race.count;
    if (race.count == 0) {
        snprintf(race.faults, sizeof race.faults, "cannot resolve %.128s: %s", db->options.host, why);
        return db_lost(db, race.faults);
    }
    struct attempt *winner = run_race(&race, list);
    db_measure_connect(db, winner);
    if (!winner)
        return db_lost(db, race.faults);
    db->conn = winner->conn;
    db->address = (size_t)(winner->address - list);
    winner->conn = NULL;
    for (size_t i = 0; i < race.started; i++)
        PQfinish(race.list[i].conn);
    db->seeker.retry_at_ms = 0;
    db->wary = false;
    PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
    db->generation = db->connects ? atomic_fetch_add(db->connects, 1) + 1 : db->generation + 1;
    return DB_OK;
}

enum db_status db_connect(struct db *db) {
    struct db_search *search = db_identity_search(db->options.identity, db->options.pooler);
    if (!db_search_begin(search, &db->seeker, db->error))
        return DB_UNAVAILABLE; /* db_error has the last failure */
    enum db_status status = connect_now(db);
    bool in_use = db_identity_used_since(db->options.identity, db->seeker.began_ms);
    db_search_end(search, &db->seeker,
                  status == DB_OK ? DB_FOUND
                  : in_use        ? DB_IN_USE
                                  : DB_NOTHING,
                  db->error);
    return status;
}
