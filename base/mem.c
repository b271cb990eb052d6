#include "base/mem.h"

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
