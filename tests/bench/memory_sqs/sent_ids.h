/* The deduplication ids of the last five minutes: a hash of a ring. Each costs the same, however many there are. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SENT_IDS = 1 << 22 }; /* at most: 14,000 messages a second; all of them take 200 MB */

struct sent_ids;

struct sent_ids *sent_ids_open(void); /* NULL when out of memory */
void sent_ids_close(struct sent_ids *ids);

/* The message that was sent to the queue with this id within five minutes. Otherwise notes that message was, and
 * returns it. 0 when the ring is full. */
uint64_t sent_ids_note(struct sent_ids *ids, uint64_t queue, const char *id, uint64_t message,
                       int64_t now_ms);
