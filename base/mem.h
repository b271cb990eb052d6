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

#endif
