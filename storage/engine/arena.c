#include "storage/engine/arena.h"

#include "base/mem.h"

#include <stdlib.h>

#define BLOCK_SIZE 8192
#define ALIGNMENT  _Alignof(max_align_t)

struct arena_block {
    struct arena_block *older;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

static void add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = mem_alloc(sizeof *block + size);
    block->older = arena->blocks;
    block->size = size;
    arena->blocks = block;
    arena->left = size;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (!arena->blocks)
        add_block(arena, BLOCK_SIZE);
    if (arena->left < size)
        add_block(arena, size > BLOCK_SIZE ? size : BLOCK_SIZE);
    void *piece = arena->blocks->bytes + (arena->blocks->size - arena->left);
    arena->left -= size;
    return piece;
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks && arena->blocks->older) {
        struct arena_block *older = arena->blocks->older;
        free(arena->blocks);
        arena->blocks = older;
    }
    arena->left = arena->blocks ? arena->blocks->size : 0;
}

void arena_release(struct arena *arena)
{
    arena_reset(arena);
    free(arena->blocks);
    *arena = (struct arena){0};
}
