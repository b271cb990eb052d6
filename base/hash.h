/* Hashing: XXH3 (xxHash library). hash_bytes is for checksums on disk and never changes;
 * hash_keyed is for tables filled by strangers, with a secret of this process. Threads: any. */
#ifndef GALLEY_BASE_HASH_H
#define GALLEY_BASE_HASH_H

#include "base/slice.h"

/* XXH3_64bits with seed 0: part of the on-disk format. */
uint64_t hash_bytes(struct slice s);

/* As hash_bytes, over two runs of bytes in a row, without copying them together. */
uint64_t hash_bytes2(struct slice a, struct slice b);

/* Keyed with random bytes drawn once a process: not predictable from outside, not stable. */
uint64_t hash_keyed(struct slice s);

/* Fills with the kernel's randomness; aborts if there is none. */
void random_bytes(void *out, size_t len);

#endif
