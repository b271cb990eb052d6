/* Content codings: gzip (zlib) and br (libbrotli). Threads: any.
 *
 * For text that is made once and sent once: the levels are those where a tenth of a millisecond
 * more would buy only a hundredth of the size. A thread works in memory of its own; there is such
 * memory for COMPRESS_THREADS at a time, which is kept. */
#ifndef GALLEY_SERVER_HTTP_COMPRESS_H
#define GALLEY_SERVER_HTTP_COMPRESS_H

#include "base/buf.h"
#include "server/http/accept.h"

#define COMPRESS_THREADS 8
#define COMPRESS_MAX     (8 << 20) /* bytes; more would hold a thread too long */

/* Appends the coded bytes to *out. False, and nothing appended, when that would not make them
 * fewer, when they are more than COMPRESS_MAX, or when COMPRESS_THREADS are at work already: nobody
 * waits, the bytes then go as they are. `coding`: gzip or br. */
bool compress_bytes(enum coding coding, struct slice bytes, struct buf *out);

#endif
