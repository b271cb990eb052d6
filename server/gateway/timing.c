/* Server-Timing (W3C), in development: where the time of a request went. What a stage has waited,
 * for a body, another's answer or a server, is its own. */
#include "server/gateway/timing.h"

#include "server/gateway/gateway_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define LEAST_NS 1000 /* what took less is not worth a word */

struct timing {
    int64_t begun_ns, entered_ns; /* the first stage, the present one */
    int64_t spent_ns[TIMING_STAGES_MAX];
};

static int64_t now_ns(const struct exchange *exchange)
{
    return clock_mono_ns(exchange->gateway->clock);
}

struct timing *timing_begin(const struct exchange *exchange)
{
    struct timing *timing = mem_zalloc(sizeof *timing);
    timing->begun_ns = timing->entered_ns = now_ns(exchange);
    return timing;
}

void timing_stage_ends(struct exchange *exchange)
{
    struct timing *timing = exchange->timing;
    int64_t end_ns = now_ns(exchange);
    timing->spent_ns[exchange->stage] = end_ns - timing->entered_ns;
    timing->entered_ns = end_ns;
}

static void append(struct buf *out, const char *name, int64_t ns)
{
    int64_t us = ns > 0 ? ns / 1000 : 0;
    buf_printf(out, "%s%s;dur=%d.%03d", out->len > 0 ? ", " : "", name, (int)(us / 1000),
               (int)(us % 1000));
}

void timing_tell(struct exchange *exchange, const char *const names[], unsigned count)
{
    const struct timing *timing = exchange->timing;
    const struct request *request = exchange->request;
    struct buf text = BUF_INIT;
    append(&text, "queue", timing->begun_ns - request->started_ns);
    for (unsigned i = 0; i < count; i++) {
        if (timing->spent_ns[i] >= LEAST_NS)
            append(&text, names[i], timing->spent_ns[i]);
    }
    if (request->first_byte_ns > 0)
        append(&text, "upstream", request->first_byte_ns);
    append(&text, "total", now_ns(exchange) - request->started_ns);
    response_header(exchange->response, "Server-Timing", buf_slice(&text));
    buf_release(&text);
}
