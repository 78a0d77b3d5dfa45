/* A bounded buffer of encoded spans. Each is stored behind its length, and may go over the end to the beginning. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

typedef uint32_t ring_length;

bool ring_init(struct span_ring *ring, size_t size) {
    *ring = (struct span_ring){.data = malloc(size), .size = size};
    return ring->data;
}

void ring_free(struct span_ring *ring) {
    free(ring->data);
    *ring = (struct span_ring){0};
}

static void put_bytes(struct span_ring *ring, const void *data, size_t len) {
    size_t tail = (ring->head + ring->used) % ring->size;
    size_t first = len < ring->size - tail ? len : ring->size - tail;
    memcpy(ring->data + tail, data, first);
    memcpy(ring->data, (const uint8_t *)data + first, len - first);
    ring->used += len;
}

/* Copies the bytes that begin at an offset from the oldest. */
static void copy_bytes(const struct span_ring *ring, size_t offset, void *out, size_t len) {
    size_t from = (ring->head + offset) % ring->size;
    size_t first = len < ring->size - from ? len : ring->size - from;
    memcpy(out, ring->data + from, first);
    memcpy((uint8_t *)out + first, ring->data, len - first);
}

bool ring_put(struct span_ring *ring, const void *span, size_t len) {
    ring_length length = (ring_length)len;
    if (len + sizeof length > ring->size - ring->used)
        return false;
    put_bytes(ring, &length, sizeof length);
    put_bytes(ring, span, len);
    ring->count++;
    return true;
}

size_t ring_take(struct span_ring *ring, uint8_t *out, size_t size, size_t *count) {
    size_t total = 0;
    *count = 0;
    while (ring->count > 0) {
        ring_length length;
        copy_bytes(ring, 0, &length, sizeof length);
        if (length > size - total)
            break;
        copy_bytes(ring, sizeof length, out + total, length);
        ring->head = (ring->head + sizeof length + length) % ring->size;
        ring->used -= sizeof length + length;
        ring->count--;
        ++*count;
        total += length;
    }
    return total;
}
