/* Failed authentications of clients, and who must wait after too many. Only failures count.
 *
 * Counted are those of a client from one address; those of an address, whichever clients it tries; and those
 * of a client from everywhere. The last must not lock out the client itself, whom anybody could attack: while
 * it is reached, only addresses that failed lately must wait. Of an unknown client as of a known one, so that
 * nobody learns which there are. Any thread. */
#pragma once

#include "common/http/address.h"
#include "common/http/limit.h"

struct guesses;

/* limit: failures of a client from one address in ten minutes, a tenth of what the others may be; 0: any
 * number. NULL when out of memory. */
struct guesses *guesses_new(int64_t limit);
void guesses_free(struct guesses *guesses); /* NULL is fine */

/* Whether the client's secret may be tried from this address. As many may be tried at the same moment as
 * there are HTTP threads before the failure of one counts. now_ms is clock_mono_ms's. */
struct limit_state guesses_look(struct guesses *guesses, const char *client_id, const struct address *from,
                                int64_t now_ms) MUST_CHECK;

void guesses_failed(struct guesses *guesses, const char *client_id, const struct address *from,
                    int64_t now_ms);
