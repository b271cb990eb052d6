/* The access line: who asked for what, and what came of it. */
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/log.h"

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {
        [SENT_WHOLE] = "",
        [SENT_GONE] = "client gone",
        [SENT_TIMEOUT] = "timeout",
        [SENT_CUT] = "cut",
    };
    return names[outcome];
}

struct asked {
    struct slice method, path;
};

/* Of what could not be read it is what the request line looks like, without the query: that may
 * hold secrets, and is in no other line either. */
static struct asked what_was_asked(const struct request *request)
{
    if (!request->first_line.ptr)
        return (struct asked){slice_str(method_name(request->method)), request->path};
    struct asked asked = {.path = request->first_line};
    asked.method = slice_cut(&asked.path, ' ');
    asked.path = slice_cut(&asked.path, ' ');
    asked.path = slice_cut(&asked.path, '?');
    return asked;
}

void access_line_write(struct gateway *gateway, const struct request *request,
                       const struct response *response, const struct sent *sent)
{
    int64_t now_ns = request->started_ns + sent->duration_ns;
    if (!log_sampling_takes(gateway->sampling, response->status, request->route, request->address,
                            now_ns))
        return;
    struct asked asked = what_was_asked(request);
    bool client = log_wants_client();
    bool quiet = response->quiet && response->status < 400;
    log_access(&(struct log_access){
        .level = quiet ? LOG_DEBUG : LOG_INFO,
        .wall_ms = request->received_ms,
        .request_id = slice_str(request->id),
        .method = asked.method,
        .path = asked.path,
        .route = request->route ? request->route->spec.label : "",
        .user = slice_str(request->user.id),
        .address = request->address,
        .tried = slice_str(request->tried),
        .target = request->upstream,
        .tries = request->tries,
        .first_byte_ns = (uint64_t)request->first_byte_ns,
        .cache = request->cached,
        .referer = client ? request_header(request, "Referer") : slice_of(NULL, 0),
        .user_agent = client ? request_header(request, "User-Agent") : slice_of(NULL, 0),
        .http10 = request->http10,
        .status = response->status,
        .outcome = outcome_name(sent->outcome),
        .duration_ns = (uint64_t)sent->duration_ns,
        .bytes_out = sent->body_bytes,
    });
}

void gateway_tell_refused(struct gateway *gateway)
{
    struct buf text = BUF_INIT;
    if (log_sampling_tell(gateway->sampling, &text))
        log_write(LOG_WARN, "gateway", "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
}

uint64_t gateway_lines_left_out(struct gateway *gateway)
{
    return log_sampling_left_out(gateway->sampling);
}
