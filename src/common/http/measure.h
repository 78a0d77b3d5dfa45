/* What the HTTP server counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_item;
struct http_exchange;
struct http_options;
struct http_measures;

enum http_refusal {
    HTTP_REFUSED_LIMIT,
    HTTP_REFUSED_LANE,
    HTTP_REFUSED_MEMORY,
    HTTP_REFUSED_LATE,
    HTTP_REFUSALS
};

/* The method, static, when it is a known one, else "_OTHER": an unknown one could be anything. */
const char *http_known_method(const char *method);

/* NULL when out of memory, or when the options say that nothing is counted: all functions take it. */
struct http_measures *http_measures_new(const struct http_options *options);
void http_measures_free(struct http_measures *measures);

/* Counts what waits at the listening socket, whenever metrics are read; until the second is called, which comes before
 * the socket is closed. */
void http_measure_listening(struct http_measures *measures, int socket);
void http_measure_deaf(struct http_measures *measures);

void http_measure_connection(struct http_measures *measures, int change);
void http_measure_refusal(struct http_measures *measures, enum http_refusal why);

/* The head of a request has arrived; its reply is about to be sent; it was sent, or the client is gone. */
void http_measure_begin(struct http_exchange *x);
void http_measure_reply(struct http_exchange *x);
void http_measure_end(struct http_exchange *x);

/* A request enters its lane. A worker takes requests out of it, and is done with them. */
void http_measure_queued(struct http_measures *measures, size_t lane);
void http_measure_taken(struct http_measures *measures, size_t lane, const struct batch_item *first,
                        size_t n);
void http_measure_done(struct http_measures *measures);
