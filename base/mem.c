/* DESIGN. glibc gives each thread an arena, up to eight for each processor, and each keeps the most
 * that its threads ever held: after a crowd of bodies hundreds of MiB. Two arenas are as fast for
 * us, small pieces come from the threads' own caches. A piece of 128 KiB and more is mapped and
 * unmapped by itself; the default is to stop that as soon as one was freed. What is left in the
 * arenas is looked at now and then and given back if it is worth it. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *ptr, size_t size)
{
    if (!ptr) {
        fprintf(stderr, "galley: out of memory (%zu bytes wanted)\n", size);
        abort();
    }
    return ptr;
}

/* The C library may answer NULL for zero bytes, which is not a failure. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *mem_alloc(size_t size)
{
    return checked(malloc(at_least_one(size)), size);
}

void *mem_zalloc(size_t size)
{
    return checked(calloc(1, at_least_one(size)), size);
}

void *mem_realloc(void *ptr, size_t size)
{
    return checked(realloc(ptr, at_least_one(size)), size);
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

void *mem_dup(const void *bytes, size_t len)
{
    void *copy = mem_alloc(len);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* ---- Giving back. */

#define ARENAS      2
#define LARGE_BYTES (128 << 10)
#define WORTH_BYTES (4u << 20)

void mem_tune(void)
{
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

/* The pieces stay free when their pages have been given back, so only an increase matters. */
void mem_trim(void)
{
    static size_t given_back;
    size_t free_bytes = mallinfo2().fordblks;
    if (free_bytes < given_back)
        given_back = free_bytes;
    if (free_bytes - given_back < WORTH_BYTES)
        return;
    malloc_trim(0);
    given_back = mallinfo2().fordblks;
}
