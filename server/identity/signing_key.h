/* The key that signs tokens: made at the first start, unless the configuration names one. */
#ifndef GALLEY_SERVER_IDENTITY_SIGNING_KEY_H
#define GALLEY_SERVER_IDENTITY_SIGNING_KEY_H

#include "base/buf.h"
#include "base/err.h"

#define SIGNING_KEY_SIZE 64 /* bytes of a key that we make */

/* Appends the key in DATA_DIR/signing.key (mode 0600), made with the kernel's randomness and synced
 * if it is not there. A file that others may read is refused. Threads: main. */
enum err signing_key_load(const char *data_dir, struct buf *out, char *why, size_t why_size);

#endif
