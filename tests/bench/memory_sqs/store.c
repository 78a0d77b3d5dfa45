/* FIFO queues in memory. */
#include "store.h"

#include "common/base/siphash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_BUCKETS = 1 << 18 };

struct store {
    struct queue queues[STORE_QUEUES];
    struct group *groups[GROUP_BUCKETS];
    struct sent_ids *sent_ids;
    struct message *free; /* that were used before */
    size_t used;          /* slots of messages */
    size_t bytes;
    uint64_t last_id;
    struct message messages[STORE_MESSAGES];
};

struct store *store_open(void) {
    struct store *s = calloc(1, sizeof *s);
    if (s)
        s->sent_ids = sent_ids_open();
    if (s && s->sent_ids)
        return s;
    free(s);
    return NULL;
}

static struct group **find_group(struct store *s, const struct queue *queue, const char *id) {
    uint8_t secret[SIPHASH_SECRET_SIZE] = {0};
    memcpy(secret, &queue->serial, sizeof queue->serial);
    struct group **link = &s->groups[siphash(secret, id, strlen(id)) % GROUP_BUCKETS];
    while (*link && ((*link)->queue != queue || strcmp((*link)->id, id) != 0))
        link = &(*link)->next_of_hash;
    return link;
}

static void free_group_if_empty(struct store *s, struct group *group) {
    if (group->first)
        return;
    struct group **link = find_group(s, group->queue, group->id);
    *link = group->next_of_hash;
    free(group);
}

static void make_ready(struct group *group) {
    struct queue *queue = group->queue;
    group->ready = true;
    group->before = queue->last_ready;
    group->after = NULL;
    *(queue->last_ready ? &queue->last_ready->after : &queue->first_ready) = group;
    queue->last_ready = group;
}

static void leave_ready(struct group *group) {
    struct queue *queue = group->queue;
    group->ready = false;
    *(group->before ? &group->before->after : &queue->first_ready) = group->after;
    *(group->after ? &group->after->before : &queue->last_ready) = group->before;
}

/* Timeouts are nearly alike, so its place is near the end. */
static void hide(struct message *m, int64_t until_ms) {
    struct queue *queue = m->group->queue;
    struct message *before = queue->last_hidden;
    while (before && before->visible_ms > until_ms)
        before = before->sooner;
    m->hidden = true;
    m->visible_ms = until_ms;
    m->sooner = before;
    m->later = before ? before->later : queue->first_hidden;
    *(m->sooner ? &m->sooner->later : &queue->first_hidden) = m;
    *(m->later ? &m->later->sooner : &queue->last_hidden) = m;
    queue->hidden++;
}

static void show(struct message *m) {
    struct queue *queue = m->group->queue;
    m->hidden = false;
    *(m->sooner ? &m->sooner->later : &queue->first_hidden) = m->later;
    *(m->later ? &m->later->sooner : &queue->last_hidden) = m->sooner;
    queue->hidden--;
}

/* The last of a group to come, and the first one to go. */
static void join_group(struct group *group, struct message *m) {
    m->group = group;
    m->next = NULL;
    *(group->first ? &group->last->next : &group->first) = m;
    group->last = m;
    group->queue->count++;
    if (group->first == m)
        make_ready(group);
}

static void leave_group(struct store *s, struct message *m) {
    struct group *group = m->group;
    if (m->hidden)
        show(m);
    if (group->ready)
        leave_ready(group);
    group->queue->count--;
    group->first = m->next;
    if (group->first)
        make_ready(group);
    free_group_if_empty(s, group);
}

static struct group *open_group(struct store *s, struct queue *queue, const char *id) {
    struct group **link = find_group(s, queue, id);
    if (*link)
        return *link;
    struct group *group = calloc(1, sizeof *group);
    if (group) {
        group->queue = queue;
        snprintf(group->id, sizeof group->id, "%s", id);
        *link = group;
    }
    return group;
}

static struct message *open_message(struct store *s) {
    struct message *m = s->free;
    if (m)
        s->free = m->next;
    else if (s->used < STORE_MESSAGES)
        m = &s->messages[s->used++];
    return m;
}

static void free_message(struct store *s, struct message *m) {
    s->bytes -= m->size;
    free(m->body);
    free(m->attributes);
    free(m->deduplication_id);
    *m = (struct message){.next = s->free};
    s->free = m;
}

static struct message *write_message(struct store *s, const struct draft *draft) {
    size_t size = strlen(draft->body) + strlen(draft->attributes) + strlen(draft->deduplication_id);
    struct message *m = s->bytes + size > STORE_BYTES ? NULL : open_message(s);
    if (!m)
        return NULL;
    *m = (struct message){.body = strdup(draft->body),
                          .attributes = strdup(draft->attributes),
                          .deduplication_id = strdup(draft->deduplication_id),
                          .size = size};
    s->bytes += size;
    snprintf(m->md5, sizeof m->md5, "%s", draft->md5);
    if (m->body && m->attributes && m->deduplication_id)
        return m;
    free_message(s, m);
    return NULL;
}

uint64_t store_send(struct store *s, struct queue *queue, const struct draft *draft, int64_t now_ms) {
    struct message *m = write_message(s, draft);
    if (!m)
        return 0;
    uint64_t id = sent_ids_note(s->sent_ids, queue->serial, draft->deduplication_id, s->last_id + 1, now_ms);
    struct group *group = id == s->last_id + 1 ? open_group(s, queue, draft->group_id) : NULL;
    if (!group) {
        free_message(s, m);
        return id == s->last_id + 1 ? 0 : id;
    }
    m->id = ++s->last_id;
    m->sent_ms = now_ms;
    join_group(group, m);
    return id;
}

static bool bury(struct store *s, struct message *m) {
    char group_id[sizeof m->group->id];
    snprintf(group_id, sizeof group_id, "%s", m->group->id);
    struct queue *dead_letters = m->group->queue->dead_letters;
    struct group *group = open_group(s, dead_letters, group_id);
    if (!group)
        return false;
    leave_group(s, m);
    join_group(group, m);
    return true;
}

static bool is_dead(const struct queue *queue, const struct message *m) {
    return queue->dead_letters && queue->dead_letters != queue &&
           m->receives >= (unsigned)queue->max_receives;
}

size_t store_receive(struct store *s, struct queue *queue, int64_t visibility_ms, int64_t now_ms,
                     struct message *out[], size_t most) {
    size_t n = 0;
    while (n < most && queue->first_ready) {
        struct message *m = queue->first_ready->first;
        if (is_dead(queue, m)) {
            if (!bury(s, m))
                break;
            continue;
        }
        leave_ready(m->group);
        hide(m, now_ms + visibility_ms);
        if (m->receives++ == 0)
            m->first_ms = now_ms;
        out[n++] = m;
    }
    return n;
}

void store_receipt(const struct store *s, const struct message *m, char out[static STORE_RECEIPT_SIZE]) {
    snprintf(out, STORE_RECEIPT_SIZE, "%tx-%" PRIx64 "-%x", m - s->messages, m->id, m->receives);
}

/* NULL when the receipt is not, or no longer, that of a hidden message of the queue. */
static struct message *find_hidden(struct store *s, const struct queue *queue, const char *receipt) {
    size_t slot;
    uint64_t id;
    unsigned receives;
    if (sscanf(receipt, "%zx-%" SCNx64 "-%x", &slot, &id, &receives) != 3 || slot >= s->used)
        return NULL;
    struct message *m = &s->messages[slot];
    bool same = m->group && m->group->queue == queue && m->id == id && m->receives == receives && m->hidden;
    return same ? m : NULL;
}

bool store_delete(struct store *s, struct queue *queue, const char *receipt) {
    struct message *m = find_hidden(s, queue, receipt);
    if (!m)
        return false;
    leave_group(s, m);
    free_message(s, m);
    return true;
}

bool store_hide(struct store *s, struct queue *queue, const char *receipt, int64_t ms, int64_t now_ms) {
    struct message *m = find_hidden(s, queue, receipt);
    if (!m)
        return false;
    show(m);
    if (ms > 0)
        hide(m, now_ms + ms);
    else
        make_ready(m->group);
    return true;
}

static void return_due(struct queue *queue, int64_t now_ms) {
    struct message *m;
    while ((m = queue->first_hidden) && m->visible_ms <= now_ms) {
        show(m);
        make_ready(m->group);
    }
}

void store_tick(struct store *s, int64_t now_ms) {
    for (size_t i = 0; i < STORE_QUEUES; i++)
        return_due(&s->queues[i], now_ms);
}

struct queue *store_queue(struct store *s, size_t i) {
    return *s->queues[i].name ? &s->queues[i] : NULL;
}

struct queue *store_find(struct store *s, const char *name) {
    for (size_t i = 0; *name && i < STORE_QUEUES; i++)
        if (strcmp(s->queues[i].name, name) == 0)
            return &s->queues[i];
    return NULL;
}

struct queue *store_create(struct store *s, const char *name) {
    size_t i = 0;
    while (i < STORE_QUEUES && *s->queues[i].name)
        i++;
    if (i == STORE_QUEUES)
        return NULL;
    s->queues[i] = (struct queue){.serial = ++s->last_id, .visibility_s = 30};
    snprintf(s->queues[i].name, STORE_NAME_SIZE, "%s", name);
    return &s->queues[i];
}

void store_drop(struct store *s, struct queue *queue) {
    for (size_t i = 0; i < s->used && queue->count; i++)
        for (struct message *m;
             (m = s->messages[i].group ? s->messages[i].group->first : NULL) && m->group->queue == queue;) {
            leave_group(s, m);
            free_message(s, m);
        }
    for (size_t i = 0; i < STORE_QUEUES; i++)
        if (s->queues[i].dead_letters == queue)
            s->queues[i].dead_letters = NULL;
    *queue = (struct queue){.name = ""};
}

void store_close(struct store *s) {
    for (size_t i = 0; i < STORE_QUEUES; i++)
        if (*s->queues[i].name)
            store_drop(s, &s->queues[i]);
    sent_ids_close(s->sent_ids);
    free(s);
}
