/* Which shards of a queue have more messages than one worker takes, for the workers that help then. Any thread. */
#pragma once

#include "common/queue/queue.h"

#include <pthread.h>
#include <stdbool.h>

struct busy_shards {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool busy[QUEUE_SHARDS], ended;
};

void busy_shards_init(struct busy_shards *shards);
void busy_shards_destroy(struct busy_shards *shards);

void busy_shards_set(struct busy_shards *shards, unsigned shard, bool busy);

/* Waits until the shard is busy. False when the end has come. */
bool busy_shards_await(struct busy_shards *shards, unsigned shard);

void busy_shards_end(struct busy_shards *shards);
