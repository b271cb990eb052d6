/* Which refused requests get an access line of their own. To be refused is cheap, and whoever sends
 * what is refused can send a hundred thousand a second: the log would be full of them, and its
 * disk. So of each kind of refusal, a status of a route, a hundred lines a second are written.
 * Those beyond are counted, and one sentence a second tells how many there were, with which status,
 * and from whom most of them came. Metrics count all.
 *
 * A refusal is what was answered without doing what was asked: 4xx, but not the answers of handlers
 * that have looked (409, 412, 422), and 503. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_LOG_SAMPLING_H
#define GALLEY_SERVER_GATEWAY_LOG_SAMPLING_H

#include "base/buf.h"

#include <stdint.h>

#define LOG_SAMPLING_LINES 100 /* a second, of each status and route */

struct log_sampling;

struct log_sampling *log_sampling_create(void);
void log_sampling_destroy(struct log_sampling **sampling);

/* True: write the line; it is no refusal, or there were few of the kind in this second. False: it
 * was counted. `route` stands for the route, or is NULL; it is not looked into. */
bool log_sampling_takes(struct log_sampling *sampling, int status, const void *route,
                        struct slice address, int64_t now_ns);

/* Appends a sentence about those that were left out since it was asked last; false if there were
 * none. */
bool log_sampling_tell(struct log_sampling *sampling, struct buf *out);

/* All that were left out, ever. */
uint64_t log_sampling_left_out(struct log_sampling *sampling);

#endif
