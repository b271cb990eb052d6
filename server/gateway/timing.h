/* How long each stage of a request took, for who develops: the header Server-Timing. Threads: that
 * of the exchange. */
#ifndef GALLEY_SERVER_GATEWAY_TIMING_H
#define GALLEY_SERVER_GATEWAY_TIMING_H

#include "server/gateway/exchange.h"

#define TIMING_STAGES_MAX 16

/* For exchange->timing, which free() ends. */
struct timing *timing_begin(const struct exchange *exchange);

/* The present stage is over; the next one begins. */
void timing_stage_ends(struct exchange *exchange);

/* Adds the header: queue, the stages that took a microsecond, upstream, total. */
void timing_tell(struct exchange *exchange, const char *const names[], unsigned count);

#endif
