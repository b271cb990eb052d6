/* Memory that is given out piece by piece and taken back all at once. Keeps its first block over
 * arena_reset, so that small transactions do not call the allocator. Threads: owner. */
#ifndef GALLEY_ENGINE_ARENA_H
#define GALLEY_ENGINE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first; pieces are cut off the newest */
    size_t left;                /* bytes at the end of the newest block */
};

void arena_release(struct arena *arena);

/* `size` uninitialised bytes, aligned for anything, valid until arena_reset. */
void *arena_alloc(struct arena *arena, size_t size);
void arena_reset(struct arena *arena);

#endif
