#include "server/http/etag.h"

#include <stdio.h>

void etag_format(uint64_t hash, char out[ETAG_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = out[ETAG_SIZE - 1] = '"';
    for (int i = 1; i < ETAG_SIZE - 1; i++) {
        out[i] = digits[hash >> 60];
        hash <<= 4;
    }
}

struct slice etag_coded(struct slice etag, enum coding coding, char out[ETAG_MAX])
{
    if (coding == CODING_IDENTITY || etag.len < 2 || etag.ptr[0] != '"')
        return etag;
    int plain = etag.len < ETAG_MAX ? (int)etag.len - 1 : ETAG_MAX;
    int len = snprintf(out, ETAG_MAX, "%.*s-%s\"", plain, etag.ptr, coding_name(coding));
    return len < ETAG_MAX ? slice_of(out, (size_t)len) : etag;
}

static bool is_weak(struct slice etag)
{
    return slice_starts(etag, slice_str("W/"));
}

/* With its quotes, without W/. */
static struct slice opaque(struct slice etag)
{
    return is_weak(etag) ? slice_of(etag.ptr + 2, etag.len - 2) : etag;
}

/* The bytes of the tag that `text` begins with, 0 if it begins with none. A tag may have a comma.
 */
static size_t tag_length(struct slice text)
{
    size_t begin = is_weak(text) ? 2 : 0;
    if (text.len < begin + 2 || text.ptr[begin] != '"')
        return 0;
    const char *end = memchr(text.ptr + begin + 1, '"', text.len - begin - 1);
    return end ? (size_t)(end + 1 - text.ptr) : 0;
}

/* Cuts the next tag and the comma behind it off *list; empty: there is none, or no list. */
static struct slice cut_tag(struct slice *list)
{
    struct slice rest = slice_trim(*list);
    while (rest.len > 0 && rest.ptr[0] == ',')
        rest = slice_trim(slice_of(rest.ptr + 1, rest.len - 1));
    struct slice tag = slice_of(rest.ptr, tag_length(rest));
    rest = slice_trim(slice_of(rest.ptr + tag.len, rest.len - tag.len));
    *list = rest;
    return rest.len == 0 || rest.ptr[0] == ',' ? tag : slice_of(NULL, 0);
}

static bool same_weakly(struct slice a, struct slice b)
{
    return slice_eq(opaque(a), opaque(b));
}

/* What follows the plain tag's text: nothing, or the name of a coding, and the quote. */
static bool is_tag_end(struct slice text)
{
    return slice_is(text, "\"") || slice_is(text, "-gzip\"") || slice_is(text, "-br\"");
}

static bool same_strongly(struct slice tag, struct slice etag)
{
    struct slice plain = slice_of(etag.ptr, etag.len - 1);
    return !is_weak(tag) && !is_weak(etag) && slice_starts(tag, plain) &&
           is_tag_end(slice_of(tag.ptr + plain.len, tag.len - plain.len));
}

static bool list_has(struct slice list, struct slice etag,
                     bool (*same)(struct slice tag, struct slice etag))
{
    if (slice_is(list, "*"))
        return true;
    for (;;) {
        struct slice tag = cut_tag(&list);
        if (tag.len == 0)
            return false;
        if (same(tag, etag))
            return true;
    }
}

bool etag_list_has_weakly(struct slice list, struct slice etag)
{
    return list_has(list, etag, same_weakly);
}

bool etag_list_has_strongly(struct slice list, struct slice etag)
{
    return list_has(list, etag, same_strongly);
}

bool request_knows(const struct request *request, struct slice etag)
{
    if (request->method != METHOD_GET && request->method != METHOD_HEAD)
        return false;
    for (unsigned i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (slice_eq_nocase(header->name, slice_str("If-None-Match")) &&
            etag_list_has_weakly(header->value, etag))
            return true;
    }
    return false;
}
