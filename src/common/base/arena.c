/* The arena: memory handed out from a chain of blocks, all freed together. */
#include "common/base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4096
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) unsigned char data[];
};

static struct arena_block *new_block(size_t size) {
    struct arena_block *block = calloc(1, sizeof *block + size);
    if (block)
        block->size = size;
    return block;
}

/* A block with room for size bytes. A large piece gets a block of its own behind the first, so the room left
 * in the first is not lost. */
static struct arena_block *block_for(struct arena *a, size_t size) {
    struct arena_block *first = a->blocks;
    if (first && first->size - first->used >= size)
        return first;

    bool large = size > BLOCK_SIZE / 4;
    struct arena_block *block = new_block(large ? size : BLOCK_SIZE - sizeof *block);
    if (!block)
        return NULL;
    if (large && first) {
        block->next = first->next;
        first->next = block;
    } else {
        block->next = first;
        a->blocks = block;
    }
    return block;
}

static void *arena_refuse(struct arena *a) {
    a->failed = true;
    return NULL;
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > PTRDIFF_MAX / 2)
        return arena_refuse(a);
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct arena_block *block = block_for(a, rounded);
    if (!block)
        return arena_refuse(a);
    void *piece = block->data + block->used;
    block->used += rounded;
    return piece;
}

void *arena_array(struct arena *a, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return arena_refuse(a);
    return arena_alloc(a, total);
}

char *arena_memdup(struct arena *a, const char *text, size_t len) {
    if (len == SIZE_MAX)
        return arena_refuse(a);
    char *copy = arena_alloc(a, len + 1);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *text) {
    return arena_memdup(a, text, strlen(text));
}

void arena_free(struct arena *a) {
    struct arena_block *block = a->blocks;
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    *a = (struct arena){0};
}
