/* Hearing NOTIFY on a connection, which others may use meanwhile. */
#include "private.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

bool db_tell_notifications(struct db *db) {
    bool any = false;
    for (PGnotify *n; db->conn && (n = PQnotifies(db->conn)) != NULL; PQfreemem(n)) {
        any = true;
        if (db->options.heard)
            db->options.heard(db->options.heard_cls, n->relname);
    }
    return any;
}

/* A connection that has ended is made anew by who needs it next, at once: it was good until now. */
static bool take_notifications(struct db *db) {
    if (db->conn && !PQconsumeInput(db->conn)) {
        db_set_error(db, "", PQerrorMessage(db->conn));
        db_drop(db);
    }
    return db_tell_notifications(db);
}

/* Takes what has arrived. *copy receives another descriptor of the socket, which stays good when somebody else closes the
 * connection; -1: there is none. */
static bool hear_arrived(struct db *db, int *copy) {
    struct db *lent = db_lend(db);
    bool any = lent && take_notifications(lent);
    if (copy)
        *copy = lent && lent->conn ? fcntl(PQsocket(lent->conn), F_DUPFD_CLOEXEC, 0) : -1;
    if (lent)
        db_give_back(db, lent, DB_OK);
    return any;
}

bool db_wait_notify(struct db *db, int wake_fd, int timeout_ms) {
    int copy;
    bool any = hear_arrived(db, &copy);
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = copy, .events = POLLIN}};
    bool arrived = !any && poll(fds, 2, timeout_ms) > 0 && fds[1].revents;
    if (copy >= 0)
        close(copy);
    return any || (arrived && hear_arrived(db, NULL));
}
