/* Memory. A process that has run out of memory cannot keep its promises: these functions print one
 * line and abort, and the restart recovers from the store, as after any kill. Sizes that a client
 * chooses are bounded before they get here. Threads: any. */
#ifndef GALLEY_BASE_MEM_H
#define GALLEY_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);              /* uninitialised */
void *mem_zalloc(size_t size);             /* zeroed */
void *mem_realloc(void *ptr, size_t size); /* as realloc */
char *mem_strdup(const char *text);
void *mem_dup(const void *bytes, size_t len);

/* Sets the allocator up so that what is freed can be given back: two arenas however many threads
 * there are, and large pieces apart. Threads: main, before others start. */
void mem_tune(void);

/* Gives free memory back to the system if much of it has gathered since the last time, as it does
 * when a crowd has left. To be called every few seconds. Threads: one at a time. */
void mem_trim(void);

#endif
