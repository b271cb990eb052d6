#include "server/http/message.h"

#include "server/http/path.h"

#include <assert.h>

static const char *const method_names[METHOD_COUNT] = {
    [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS",
};

const char *method_name(enum method method)
{
    assert(method < METHOD_COUNT);
    return method_names[method];
}

bool method_parse(struct slice text, enum method *out)
{
    for (unsigned i = 0; i < METHOD_COUNT; i++) {
        if (slice_is(text, method_names[i])) {
            *out = (enum method)i;
            return true;
        }
    }
    return false;
}

bool principal_has_role(const struct principal *principal, const char *role)
{
    for (unsigned i = 0; i < principal->role_count; i++) {
        if (strcmp(principal->roles[i], role) == 0)
            return true;
    }
    return false;
}

/* ---- Request */

struct slice request_header(const struct request *request, const char *name)
{
    struct slice wanted = slice_str(name);
    for (unsigned i = 0; i < request->header_count; i++) {
        if (slice_eq_nocase(request->headers[i].name, wanted))
            return request->headers[i].value;
    }
    return slice_of(NULL, 0);
}

struct slice request_host(const struct request *request)
{
    return request->forwarded_host.ptr ? request->forwarded_host : request_header(request, "Host");
}

unsigned request_header_count(const struct request *request, const char *name)
{
    struct slice wanted = slice_str(name);
    unsigned count = 0;
    for (unsigned i = 0; i < request->header_count; i++)
        count += slice_eq_nocase(request->headers[i].name, wanted);
    return count;
}

struct slice request_cookie(const struct request *request, const char *name)
{
    struct slice rest = request_header(request, "Cookie");
    while (rest.len > 0) {
        struct slice value = slice_trim(slice_cut(&rest, ';'));
        struct slice key = slice_cut(&value, '=');
        if (slice_is(key, name))
            return value;
    }
    return slice_of(NULL, 0);
}

struct slice request_param(const struct request *request, const char *name)
{
    for (unsigned i = 0; i < request->param_count; i++) {
        if (slice_is(request->params[i].name, name))
            return request->params[i].value;
    }
    return slice_of(NULL, 0);
}

/* Decoded values must be text: one with NUL or invalid UTF-8, or with a broken escape, is empty. */
static struct slice decode_value(struct slice value, struct buf *scratch)
{
    size_t begin = scratch->len;
    buf_reserve(scratch,
                value.len + 1); /* never a NULL pointer, and does not move while decoding */
    if (!path_decode(value, true, scratch))
        return slice_str("");
    struct slice decoded = slice_of(scratch->data + begin, scratch->len - begin);
    if (!slice_is_utf8(decoded) || memchr(decoded.ptr, '\0', decoded.len))
        return slice_str("");
    return decoded;
}

struct slice request_query(const struct request *request, const char *name, struct buf *scratch)
{
    struct slice rest = request->query;
    while (rest.len > 0) {
        struct slice value = slice_cut(&rest, '&');
        struct slice key = slice_cut(&value, '=');
        if (slice_is(key, name))
            return decode_value(value, scratch);
    }
    return slice_of(NULL, 0);
}

/* ---- Body */

enum err request_body_read(struct request *request, void *out, size_t room, size_t *got)
{
    *got = 0;
    if (!request->body_source)
        return ERR_OK;
    return request->body_source->read(request->body_source, out, room, got);
}

enum err request_body_gather(struct request *request, size_t max, bool *whole)
{
    *whole = true;
    if (!request->body_source)
        return request->body.len > max ? ERR_BODY_TOO_LARGE : ERR_OK;
    enum err err = request->body_source->gather(request->body_source, max, &request->body, whole);
    if (!err && *whole)
        request->body_source = NULL;
    return err;
}

enum err request_body_some(struct request *request, void *out, size_t room, size_t *got,
                           bool *whole)
{
    *got = 0;
    *whole = true;
    if (!request->body_source)
        return ERR_OK;
    return request->body_source->some(request->body_source, out, room, got, whole);
}

static void await_fd(struct request *request, struct descriptor_wait wait)
{
    request_await(request);
    request->wait = wait;
    request->wait.wanted = true;
}

void request_await_fd(struct request *request, int fd, bool write, int64_t until_ns)
{
    await_fd(request,
             (struct descriptor_wait){.write = write, .fd = fd, .bell = -1, .until_ns = until_ns});
}

void request_await_set(struct request *request, int fd, int bell, int64_t until_ns)
{
    await_fd(request, (struct descriptor_wait){.fd = fd, .bell = bell, .until_ns = until_ns});
}

void request_await_body_or_fd(struct request *request, int fd)
{
    await_fd(request, (struct descriptor_wait){.body = true, .fd = fd, .bell = -1});
}

void request_await(struct request *request)
{
    assert(request->resume && !request->awaiting);
    request->awaiting = true;
}

void request_await_no_more(struct request *request)
{
    request->awaiting = false;
}

void request_resume(struct request *request)
{
    request->resume(request);
}

/* ---- Response */

static void release_borrowed(struct response *response)
{
    if (response->release)
        response->release(response->release_arg);
    response->release = NULL;
    response->release_arg = NULL;
    response->borrowed = slice_of(NULL, 0);
}

void response_drop_bytes(struct response *response)
{
    release_borrowed(response);
    response->feed = (struct feed){0};
    buf_clear(&response->body);
}

void response_reset(struct response *response)
{
    release_borrowed(response);
    struct buf headers;
    headers = response->headers;
    struct buf body;
    body = response->body;
    buf_clear(&headers);
    buf_clear(&body);
    *response = (struct response){.headers = headers, .body = body};
}

static bool one_line(struct slice text)
{
    static const bool ends[256] = {['\r'] = true, ['\n'] = true, ['\0'] = true};
    size_t i = 0;
    while (i < text.len && !ends[(unsigned char)text.ptr[i]])
        i++;
    return i == text.len;
}

void response_header(struct response *response, const char *name, struct slice value)
{
    assert(one_line(slice_str(name)) && one_line(value));
    buf_append_str(&response->headers, name);
    buf_append(&response->headers, ": ", 2);
    buf_append_slice(&response->headers, value);
    buf_append(&response->headers, "\r\n", 2);
}

void response_retry_after(struct response *response, uint32_t seconds)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", seconds);
    response_header(response, "Retry-After", slice_of(text, (size_t)len));
}

void response_json(struct response *response, int status)
{
    response->status = status;
    response_header(response, "Content-Type", slice_str("application/json"));
}

void response_borrow(struct response *response, int status, const char *content_type,
                     struct slice bytes, void (*release)(void *), void *arg)
{
    release_borrowed(response);
    response->status = status;
    response_header(response, "Content-Type", slice_str(content_type));
    response->borrowed = bytes;
    response->release = release;
    response->release_arg = arg;
}

static int fold(char c)
{
    if (c == '_')
        return '-';
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool header_name_stands_for(struct slice name, const char *other)
{
    size_t i = 0;
    while (i < name.len && other[i] && fold(name.ptr[i]) == fold(other[i]))
        i++;
    return i == name.len && other[i] == '\0';
}
