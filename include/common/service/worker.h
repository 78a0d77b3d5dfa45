/* The connections of one worker of the HTTP server. Only its thread uses them. */
#pragma once

struct cache;
struct db;

struct http_worker {
    struct db *db;
    struct db *reads;    /* to a standby; NULL: nothing is read from one */
    struct cache *cache; /* NULL where the daemon has no Redis */
    void *app;
};

/* For http_options; app begins with a struct service. NULL when out of memory. */
struct http_worker *worker_open(void *app);
void worker_close(struct http_worker *worker);
const char *worker_error(const struct http_worker *worker);
