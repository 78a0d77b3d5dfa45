/* Waking those who help with a shard. */
#include "busy_shards.h"

void busy_shards_init(struct busy_shards *shards) {
    pthread_mutex_init(&shards->lock, NULL);
    pthread_cond_init(&shards->changed, NULL);
}

void busy_shards_destroy(struct busy_shards *shards) {
    pthread_cond_destroy(&shards->changed);
    pthread_mutex_destroy(&shards->lock);
}

void busy_shards_set(struct busy_shards *shards, unsigned shard, bool busy) {
    pthread_mutex_lock(&shards->lock);
    shards->busy[shard] = busy;
    if (busy)
        pthread_cond_broadcast(&shards->changed);
    pthread_mutex_unlock(&shards->lock);
}

bool busy_shards_await(struct busy_shards *shards, unsigned shard) {
    pthread_mutex_lock(&shards->lock);
    while (!shards->busy[shard] && !shards->ended)
        pthread_cond_wait(&shards->changed, &shards->lock);
    bool ended = shards->ended;
    pthread_mutex_unlock(&shards->lock);
    return !ended;
}

void busy_shards_end(struct busy_shards *shards) {
    pthread_mutex_lock(&shards->lock);
    shards->ended = true;
    pthread_cond_broadcast(&shards->changed);
    pthread_mutex_unlock(&shards->lock);
}
