#include "server/http/message.h"
#include "server/http/status.h"

#include "base/clock.h"

#define PROBLEM_JSON "application/problem+json"

static bool wants_problem(const struct request *request)
{
    struct slice accept = request_header(request, "Accept");
    return accept.len > 0 && memmem(accept.ptr, accept.len, PROBLEM_JSON, strlen(PROBLEM_JSON));
}

static void write_str(struct json_writer *w, const char *key, const char *value)
{
    jw_key(w, key);
    jw_str(w, slice_str(value));
}

static void write_details(struct json_writer *w, const json_t *details)
{
    if (!details)
        return;
    jw_key(w, "details");
    w->comma = true;
    json_append(w->out, details);
}

static void write_timestamp(struct json_writer *w, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, text);
    text[19] = 'Z'; /* whole seconds */
    text[20] = '\0';
    write_str(w, "timestamp", text);
}

static void write_error(struct json_writer *w, const struct request *request, const char *code,
                        const char *message, const json_t *details)
{
    jw_begin(w, '{');
    jw_key(w, "error");
    jw_begin(w, '{');
    write_str(w, "code", code);
    write_str(w, "message", message);
    write_details(w, details);
    write_str(w, "requestId", request->id);
    write_timestamp(w, request->received_ms);
    jw_end(w, '}');
    jw_end(w, '}');
}

/* RFC 9457. */
static void write_problem(struct json_writer *w, const struct request *request, int status,
                          const char *code, const char *message, const json_t *details)
{
    jw_begin(w, '{');
    write_str(w, "type", "about:blank");
    write_str(w, "title", status_reason(status));
    jw_key(w, "status");
    jw_i64(w, status);
    write_str(w, "detail", message);
    write_str(w, "code", code);
    write_details(w, details);
    write_str(w, "requestId", request->id);
    jw_end(w, '}');
}

void response_error(struct response *response, const struct request *request, enum err err,
                    const char *code, const char *message, const json_t *details)
{
    struct json_writer w = {.out = &response->body};
    bool problem = wants_problem(request);
    code = code ? code : err_code(err);
    message = message ? message : err_text(err);
    response_reset(response);
    response->status = err_status(err);
    response->err = err;
    response_header(response, "Content-Type",
                    slice_str(problem ? PROBLEM_JSON : "application/json"));
    if (problem)
        write_problem(&w, request, response->status, code, message, details);
    else
        write_error(&w, request, code, message, details);
}
