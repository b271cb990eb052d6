/* What a process has of the machine's memory. */
#ifndef GALLEY_TESTS_MEMORY_H
#define GALLEY_TESTS_MEMORY_H

#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_OURS 0 /* a sanitizer keeps what is freed */
#else
#define MEMORY_IS_OURS 1
#endif

#define MIB (1 << 20)

/* In bytes, without what is mapped of files. */
static inline long anonymous_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long kib = -1;
    while (file && kib < 0 && fgets(line, sizeof line, file))
        sscanf(line, "RssAnon: %ld kB", &kib);
    if (file)
        fclose(file);
    return kib * 1024;
}

#endif
