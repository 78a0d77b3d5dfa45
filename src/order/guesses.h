/* Limits failed authentications of clients. Only failures count.
 *
 * There are three counts: of a client from one address, of an address with any client, and of a client from any
 * address. Anybody could exhaust the last one. It must not lock out the client itself, so only addresses with a
 * recent failure for this client must wait then. Unknown clients are counted like known ones, so nobody learns
 * which clients exist. Any thread. */
#pragma once

#include "common/http/address.h"
#include "common/http/limit.h"

struct guesses;

/* limit is the maximum of failures of a client from one address in ten minutes. The other limits are ten times as
 * high. 0: no limit. NULL when out of memory. */
struct guesses *guesses_new(int64_t limit);
void guesses_free(struct guesses *guesses); /* NULL is fine */

/* Whether the client's secret may be tried from this address. A failure counts only after the attempt, so each HTTP
 * thread may have one attempt more in progress. now_ms is from clock_mono_ms. */
struct limit_state guesses_look(struct guesses *guesses, const char *client_id, const struct address *from,
                                int64_t now_ms) MUST_CHECK;

/* Counts a failure. now_ms is from clock_mono_ms. */
void guesses_failed(struct guesses *guesses, const char *client_id, const struct address *from,
                    int64_t now_ms);
