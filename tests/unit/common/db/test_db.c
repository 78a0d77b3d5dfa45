/* Deadlines of a database connection, against a server that is played by a socket of our own and falls
 * silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/db/db.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fakes/loopback.h"

struct server {
    int fd;
    char port[8];
    enum { ACCEPTS_ONLY, SILENT, BABBLES } kind; /* after what is answered */
    pthread_t thread;
};

static const char welcome[] = "R\0\0\0\10\0\0\0\0" /* AuthenticationOk */
                              "S\0\0\0\46"         /* ParameterStatus */
                              "default_transaction_read_only\0off\0"
                              "S\0\0\0\27"
                              "in_hot_standby\0off\0"
                              "Z\0\0\0\5I";       /* ReadyForQuery */
static const char notice[] = "N\0\0\0\13SNOTE\0"; /* says nothing */

/* Takes one client; until it goes. */
static void *serve(void *cls) {
    struct server *s = cls;
    char request[1024];
    int fd = accept(s->fd, NULL, NULL);
    if (s->kind != ACCEPTS_ONLY && recv(fd, request, sizeof request, 0) > 0)
        (void)!send(fd, welcome, sizeof welcome - 1, MSG_NOSIGNAL);
    if (s->kind == BABBLES && recv(fd, request, sizeof request, 0) > 0)
        while (send(fd, notice, sizeof notice - 1, MSG_NOSIGNAL) > 0)
            usleep(10000);
    while (recv(fd, request, sizeof request, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static struct db *connect_to(struct server *s) {
    int port;
    s->fd = loopback_socket(&port);
    assert_int_equal(listen(s->fd, 8), 0);
    snprintf(s->port, sizeof s->port, "%d", port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    struct db *db = db_open(&(struct db_options){.host = "127.0.0.1",
                                                 .port = s->port,
                                                 .name = "n",
                                                 .user = "u",
                                                 .password = {.text = "p"},
                                                 .sslmode = "disable",
                                                 .application_name = "test",
                                                 .connect_timeout_ms = s->kind == ACCEPTS_ONLY ? 200 : 10000,
                                                 .statement_timeout_ms = 10});
    assert_non_null(db);
    return db;
}

static void finish(struct server *s, struct db *db) {
    db_close(db);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static enum db_status no_work(struct db *db, void *arg) {
    (void)db, (void)arg;
    return DB_OK;
}

static void connecting_has_a_deadline(void **state) {
    (void)state;
    struct server s = {.kind = ACCEPTS_ONLY};
    struct db *db = connect_to(&s);
    assert_int_equal(db_transaction(db, no_work, NULL), DB_UNAVAILABLE);
    assert_string_equal(db_error(db), "connection timeout");
    finish(&s, db);
}

static void a_statement_has_a_deadline(void **state) {
    (void)state;
    static const struct db_query query = {"q", "SELECT 1"};
    for (int i = 0; i < 3; i++) {
        struct server s = {.kind = i < 2 ? SILENT : BABBLES};
        struct db *db = connect_to(&s);
        assert_int_equal(i == 0 ? db_run(db, &query, NULL, NULL) : db_transaction(db, no_work, NULL),
                         DB_UNAVAILABLE);
        assert_string_equal(db_error(db), "no response within the statement timeout");
        finish(&s, db);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting_has_a_deadline),
        cmocka_unit_test(a_statement_has_a_deadline),
    };
    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
