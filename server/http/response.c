/* Looking at an answer, and changing it on its way out. */
#include "server/http/etag.h"
#include "server/http/message.h"

/* The bytes of the first header line of that name from `at` on, with its end; empty: none. */
static struct slice find_line(const struct response *response, struct slice name, size_t at)
{
    struct slice rest = slice_of(response->headers.data + at, response->headers.len - at);
    while (rest.len > 0) {
        struct slice line = slice_of(rest.ptr, 0), value = slice_cut(&rest, '\n');
        line.len = value.len + 1;
        if (slice_eq_nocase(slice_cut(&value, ':'), name))
            return line;
    }
    return slice_of(NULL, 0);
}

struct slice response_header_value(const struct response *response, const char *name)
{
    struct slice line = find_line(response, slice_str(name), 0);
    slice_cut(&line, ':');
    return line.ptr ? slice_trim(slice_of(line.ptr, line.len - 2)) : line;
}

void response_header_remove(struct response *response, const char *name)
{
    struct buf *headers = &response->headers;
    size_t at = 0;
    for (struct slice line; (line = find_line(response, slice_str(name), at)).ptr;) {
        at = (size_t)(line.ptr - headers->data);
        headers->len -= line.len;
        memmove(headers->data + at, headers->data + at + line.len, headers->len - at);
    }
}

void response_revalidate(struct response *response, uint64_t hash, bool shared)
{
    static const char control[] = "Cache-Control: private, no-cache\r\nETag: ";
    static const char shared_control[] = "Cache-Control: no-cache\r\nETag: ";
    char tag[ETAG_SIZE + 2];
    etag_format(hash, tag);
    tag[ETAG_SIZE] = '\r';
    tag[ETAG_SIZE + 1] = '\n';
    if (shared)
        buf_append(&response->headers, shared_control, sizeof shared_control - 1);
    else
        buf_append(&response->headers, control, sizeof control - 1);
    buf_append(&response->headers, tag, sizeof tag);
}

struct slice response_bytes(const struct response *response)
{
    return response->borrowed.ptr ? response->borrowed : buf_slice(&response->body);
}
