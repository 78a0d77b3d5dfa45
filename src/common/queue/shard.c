/* The shards of a queue: their names, and whose messages they have. */
#include "common/base/siphash.h"
#include "private.h"

#include <stdio.h>
#include <string.h>

unsigned queue_shard_count(const struct queue *q) {
    return q->options.shards ? q->options.shards : 1;
}

/* Whoever wants all messages in one shard gains nothing, so the hash needs no secret. */
unsigned queue_shard_of(const struct queue *q, const char *group_id) {
    static const uint8_t known[SIPHASH_SECRET_SIZE];
    return (unsigned)(siphash(known, group_id, strlen(group_id)) % queue_shard_count(q));
}

/* The first one has the name itself: a queue that is spread over more shards keeps what it has. */
void queue_shard_name(const struct queue *q, unsigned shard, char out[static QUEUE_NAME_SIZE]) {
    static const char suffix[] = ".fifo";
    const char *name = q->options.name;
    if (shard == 0)
        snprintf(out, QUEUE_NAME_SIZE, "%s", name);
    else
        snprintf(out, QUEUE_NAME_SIZE, "%.*s-%u%s", (int)(strlen(name) - strlen(suffix)), name, shard,
                 suffix);
}
