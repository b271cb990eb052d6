#include "server/upstream/forward.h"

#include "base/clock.h"
#include "base/hash.h"
#include "server/http/fields.h"
#include "server/http/path.h"

/* ---- Fields that do not go on */

/* What the front has understood and says itself, what only we may say, and what asks us. */
static const char *const ours_in_requests[] = {
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Expect",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Real-IP",
    "X-Request-Id",
    "X-User-Id",
    "X-User-Roles",
    "X-Credential-Id",
    "traceparent",
    NULL,
};

static const char *const ours_in_responses[] = {
    "Content-Length",
    "X-Request-Id",
    "Strict-Transport-Security",
    NULL,
};

static bool stands_in(struct slice name, const char *const *names)
{
    while (*names && !header_name_stands_for(name, *names))
        names++;
    return *names;
}

static void append_line(struct buf *out, const char *name, struct slice value)
{
    buf_append_str(out, name);
    buf_append(out, ": ", 2);
    buf_append_slice(out, value);
    buf_append(out, "\r\n", 2);
}

static void append_fields(const struct fields *fields, const char *const *left_out, struct buf *out)
{
    for (unsigned i = 0; i < fields->count; i++) {
        const struct header *field = &fields->items[i];
        if (stands_in(field->name, left_out))
            continue;
        buf_append_slice(out, field->name);
        buf_append(out, ": ", 2);
        buf_append_slice(out, field->value);
        buf_append(out, "\r\n", 2);
    }
}

/* ---- Where a request comes from */

/* A node of RFC 7239: IPv6 stands in brackets and quotes, and who has no address is unknown. */
static void append_node(struct buf *out, struct slice address)
{
    bool ipv6 = address.ptr && memchr(address.ptr, ':', address.len);
    bool ip = ipv6 || (address.ptr && memchr(address.ptr, '.', address.len));
    buf_append_str(out, ipv6 ? "\"[" : "");
    buf_append_slice(out, ip ? address : slice_str("unknown"));
    buf_append_str(out, ipv6 ? "]\"" : "");
}

/* What a host may consist of needs no escapes in quotes. */
static void append_forwarded(const struct request *request, struct buf *out)
{
    const char *proto = request->secure ? "https" : "http";
    struct slice host = request_host(request);
    append_line(out, "X-Forwarded-For", request->address);
    append_line(out, "X-Forwarded-Proto", slice_str(proto));
    buf_append_str(out, "Forwarded: for=");
    append_node(out, request->address);
    buf_append_str(out, ";proto=");
    buf_append_str(out, proto);
    if (host.len > 0) {
        buf_append_str(out, ";host=\"");
        buf_append_slice(out, host);
        buf_append_str(out, "\"\r\nX-Forwarded-Host: ");
        buf_append_slice(out, host);
    }
    buf_append(out, "\r\n", 2);
}

static void append_user(const struct principal *user, struct buf *out)
{
    if (user->id[0] == '\0' || !head_is_value(slice_str(user->id)))
        return;
    append_line(out, "X-User-Id", slice_str(user->id));
    buf_append_str(out, "X-User-Roles: ");
    for (unsigned i = 0; i < user->role_count; i++) {
        buf_append_str(out, i > 0 ? "," : "");
        buf_append_str(out, user->roles[i]);
    }
    char token[ID_TEXT_SIZE];
    id_format(&user->token, token);
    buf_append_str(out, "\r\nX-Credential-Id: ");
    buf_append_str(out, token);
    buf_append(out, "\r\n", 2);
}

/* ---- The trace that a request is part of */

#define TRACEPARENT_LEN 55 /* "00-" 32 "-" 16 "-" 2 */

static bool is_lower_hex(struct slice text, bool *zero)
{
    *zero = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *zero = *zero && c == '0';
    }
    return true;
}

/* Of version 00, or of a later one, whose beginning is the same. */
static bool is_traceparent(struct slice text)
{
    bool no_version, no_trace, no_span, no_flags;
    if (text.len < TRACEPARENT_LEN || text.ptr[2] != '-' || text.ptr[35] != '-' ||
        text.ptr[52] != '-')
        return false;
    if (!is_lower_hex(slice_of(text.ptr, 2), &no_version) ||
        !is_lower_hex(slice_of(text.ptr + 3, 32), &no_trace) ||
        !is_lower_hex(slice_of(text.ptr + 36, 16), &no_span) ||
        !is_lower_hex(slice_of(text.ptr + 53, 2), &no_flags))
        return false;
    return !no_trace && !no_span && text.ptr[0] != 'f' &&
           (text.len == TRACEPARENT_LEN || (!no_version && text.ptr[TRACEPARENT_LEN] == '-'));
}

static void append_hex(struct buf *out, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    char text[16];
    for (unsigned i = 0; i < 16; i++)
        text[i] = digits[value >> (60 - 4 * i) & 15];
    buf_append(out, text, sizeof text);
}

/* The id of a request is its alone, so are its hashes; 0 stands for none. */
static uint64_t own_number(const struct request *request, size_t part)
{
    uint64_t hash = hash_keyed(slice_of(request->id, strlen(request->id) + part));
    return hash ? hash : 1;
}

static void append_trace(const struct request *request, struct buf *out)
{
    struct slice trace = request_header(request, "traceparent");
    bool goes_on = is_traceparent(trace);
    buf_append_str(out, "traceparent: 00-");
    if (goes_on) {
        buf_append(out, trace.ptr + 3, 32);
    } else {
        append_hex(out, own_number(request, 0));
        append_hex(out, own_number(request, 1) ^ (uint64_t)request->received_ms);
    }
    buf_append_char(out, '-');
    append_hex(out, own_number(request, 0) ^ (uint64_t)request->started_ns);
    buf_append_char(out, '-');
    buf_append(out, goes_on ? trace.ptr + 53 : "01", 2);
    buf_append(out, "\r\n", 2);
}

/* ---- The request */

static void append_request_line(const struct request *request, struct buf *out)
{
    buf_append_str(out, method_name(request->method));
    buf_append_char(out, ' ');
    path_encode(request_inner_path(request), out);
    if (request->query.ptr && request->query.len > 0) {
        buf_append_char(out, '?');
        buf_append_slice(out, request->query);
    }
    buf_append_str(out, " HTTP/1.1\r\nHost: ");
    buf_append_slice(out, request_host(request));
    buf_append(out, "\r\n", 2);
}

static void append_announced(const struct request *request, struct buf *out)
{
    size_t before = out->len;
    buf_append_str(out, "Trailer: ");
    size_t begin = out->len;
    forward_announced(request->headers, request->header_count, out);
    if (out->len > begin)
        buf_append(out, "\r\n", 2);
    else
        out->len = before;
}

static void append_framing(const struct request *request, const struct forward *forward,
                           struct buf *out)
{
    if (forward->chunked) {
        buf_append_str(out, "Transfer-Encoding: chunked\r\n");
        append_announced(request, out);
    } else if (forward->body_length >= 0) {
        buf_append_str(out, "Content-Length: ");
        buf_append_u64(out, (uint64_t)forward->body_length);
        buf_append(out, "\r\n", 2);
    }
    if (forward->upgrade.len > 0) {
        append_line(out, "Upgrade", forward->upgrade);
        buf_append_str(out, "Connection: Upgrade\r\n");
    } else if (forward->close) {
        buf_append_str(out, "Connection: close\r\n");
    }
    if (forward->trailers)
        buf_append_str(out, "TE: trailers\r\nConnection: TE\r\n");
}

bool forward_request(const struct request *request, const struct forward *forward, struct buf *out)
{
    struct fields fields;
    fields_init(&fields, request->headers, request->header_count);
    if (!fields_remove_hop_by_hop(&fields))
        return false;
    append_request_line(request, out);
    append_fields(&fields, ours_in_requests, out);
    append_framing(request, forward, out);
    append_forwarded(request, out);
    append_line(out, "X-Request-Id", slice_str(request->id));
    append_trace(request, out);
    append_user(&request->user, out);
    buf_append_str(out, "Via: 1.1 galley\r\n\r\n");
    return true;
}

bool forward_interim(const struct response_head *head, struct buf *out)
{
    struct fields fields;
    fields_init(&fields, head->fields, head->field_count);
    if (!fields_remove_hop_by_hop(&fields))
        return false;
    buf_printf(out, "HTTP/1.1 %d %s\r\n", head->status, head->status == 103 ? "Early Hints" : "");
    append_fields(&fields, ours_in_responses, out);
    buf_append(out, "\r\n", 2);
    return true;
}

/* ---- Behind a body */

static const char *const never_behind[] = {
    "Age",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Type",
    "Content-Range",
    "Content-Length",
    "Content-Location",
    "Cookie",
    "Date",
    "Expect",
    "Expires",
    "Forwarded",
    "Host",
    "Keep-Alive",
    "Location",
    "Max-Forwards",
    "Pragma",
    "Proxy-Authenticate",
    "Range",
    "Retry-After",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Upgrade",
    "Transfer-Encoding",
    "Vary",
    "Via",
    "Warning",
    "WWW-Authenticate",
    NULL,
};

static bool is_announced(struct slice list, struct slice name)
{
    while (list.ptr) {
        if (slice_eq_nocase(slice_trim(slice_cut(&list, ',')), name))
            return true;
    }
    return false;
}

void forward_announced(const struct header *fields, unsigned count, struct buf *out)
{
    const char *between = "";
    for (unsigned i = 0; i < count; i++) {
        if (!slice_eq_nocase(fields[i].name, slice_str("Trailer")))
            continue;
        buf_append_str(out, between);
        buf_append_slice(out, fields[i].value);
        between = ", ";
    }
}

void forward_trailers(struct slice announced, struct slice lines, struct buf *out)
{
    while (lines.len > 0) {
        struct slice line = slice_cut(&lines, '\n'), rest = line;
        struct slice name = slice_cut(&rest, ':');
        if (stands_in(name, never_behind) || stands_in(name, ours_in_requests) ||
            stands_in(name, ours_in_responses) || !is_announced(announced, name))
            continue;
        buf_append_slice(out, line);
        buf_append_char(out, '\n');
    }
}

bool forward_is_repeatable(const struct request *request)
{
    switch (request->method) {
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
        return true;
    default:
        return request_header(request, "Idempotency-Key").len > 0;
    }
}

/* ---- The response */

static void add_unless_there(struct response *response, const struct fields *fields,
                             const char *name, const char *value)
{
    if (!fields_get(fields, name).ptr)
        append_line(&response->headers, name, slice_str(value));
}

static void add_date(struct response *response, const struct request *request)
{
    char date[CLOCK_HTTP_SIZE];
    clock_http_date(request->received_ms, date);
    append_line(&response->headers, "Date", slice_str(date));
}

bool forward_response(const struct response_head *head, const struct request *request,
                      struct response *response)
{
    struct fields fields;
    struct buf *out = &response->headers;
    fields_init(&fields, head->fields, head->field_count);
    if (!fields_remove_hop_by_hop(&fields))
        return false;
    response->status = head->status;
    response->passed_on = true;
    append_fields(&fields, ours_in_responses, out);
    if (!fields_get(&fields, "Date").ptr)
        add_date(response, request);
    add_unless_there(response, &fields, "X-Content-Type-Options", "nosniff");
    add_unless_there(response, &fields, "X-Frame-Options", "DENY");
    add_unless_there(response, &fields, "Referrer-Policy", "no-referrer");
    buf_append_str(out, "Via: 1.1 galley\r\n");
    return true;
}
