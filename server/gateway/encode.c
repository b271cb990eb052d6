/* DESIGN. In which form an answer goes out: not at all, because the client has it (304),
 * compressed, or as it is. Handlers give the plain bytes, and the ETag of those if they have one;
 * this stage knows the rest, so that 200 and 304, GET and HEAD agree by themselves. Compressed
 * bytes are other bytes: their strong tag is the plain one with the coding's name behind it.
 *
 * BREACH. Who sees the size of compressed answers can guess a secret in them if he also chooses
 * what stands next to it: he makes the victim's browser ask again and again. He cannot add an
 * Authorization header to what he makes it ask, but cookies the browser adds by itself. So a
 * request with a cookie gets compressed answers only if the browser says that one of our own pages
 * sent it, or the user's hand; and what /auth/ answers, which is tokens, is never compressed. */
#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"

#include "server/http/compress.h"
#include "server/http/etag.h"

#define OFFERED (1U << CODING_GZIP | 1U << CODING_BR)

/* ---- Whether it would be worth it */

static const char *const text_types[] = {
    "application/json",     "application/javascript", "application/xml",
    "application/x-ndjson", "application/yaml",
};

static bool ends_nocase(struct slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len &&
           slice_eq_nocase(slice_of(text.ptr + text.len - len, len), slice_of(end, len));
}

static bool is_text(struct slice content_type)
{
    struct slice type = slice_trim(slice_cut(&content_type, ';'));
    if (type.len > 5 && slice_eq_nocase(slice_of(type.ptr, 5), slice_str("text/")))
        return true;
    for (size_t i = 0; i < sizeof text_types / sizeof *text_types; i++) {
        if (slice_eq_nocase(type, slice_str(text_types[i])))
            return true;
    }
    return ends_nocase(type, "+json") || ends_nocase(type, "+xml");
}

/* A status whose body is the whole of something. */
static bool has_whole_body(int status)
{
    return status >= 200 && status != 204 && status != 206 && status != 304;
}

static bool may_transform(const struct response *response)
{
    struct slice control = response_header_value(response, "Cache-Control");
    return control.len == 0 || !memmem(control.ptr, control.len, "no-transform", 12);
}

/* Who varies by Accept-Encoding has looked at it: the form that it chose is the form. */
static bool was_chosen(const struct response *response)
{
    struct slice vary = response_header_value(response, "Vary");
    return response_header_value(response, "Content-Encoding").ptr ||
           slice_eq_nocase(vary, slice_str("Accept-Encoding"));
}

static bool is_worth_coding(const struct exchange *exchange)
{
    const struct plan *plan = exchange->request->plan;
    const struct response *response = exchange->response;
    if (response_bytes(response).len < plan->compress_min_bytes || !plan->compress)
        return false;
    return has_whole_body(response->status) &&
           !slice_starts(exchange->request->path, slice_str("/auth/")) && !was_chosen(response) &&
           is_text(response_header_value(response, "Content-Type")) && may_transform(response);
}

static bool could_be_anothers_page(const struct request *request)
{
    struct slice site = request_header(request, "Sec-Fetch-Site");
    return request_header(request, "Cookie").ptr && !slice_is(site, "same-origin") &&
           !slice_is(site, "none");
}

static enum coding choose_coding(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    struct accept_encoding accept;
    if (!is_worth_coding(exchange))
        return CODING_IDENTITY;
    response_header(exchange->response, "Vary", slice_str("Accept-Encoding"));
    if (could_be_anothers_page(request))
        return CODING_IDENTITY;
    accept_encoding_read(request->headers, request->header_count, &accept);
    return accept_encoding_choose(&accept, OFFERED);
}

/* ---- Tags */

static void replace_tag(struct response *response, struct slice tag)
{
    response_header_remove(response, "ETag");
    response_header(response, "ETag", tag);
}

static void answer_not_modified(struct response *response, struct slice tag)
{
    char copy[ETAG_MAX];
    memcpy(copy, tag.ptr, tag.len);
    response_drop_bytes(response);
    response_header_remove(response, "Content-Type");
    replace_tag(response, slice_of(copy, tag.len));
    response->status = 304;
}

/* Answers 304 if the client has what would go out now, or the plain form of it. */
static bool answer_if_known(struct exchange *exchange, enum coding coding)
{
    char coded[ETAG_MAX];
    struct response *response = exchange->response;
    if (response->status != 200 || !request_header(exchange->request, "If-None-Match").ptr)
        return false;
    struct slice tag = response_header_value(response, "ETag");
    if (tag.len == 0 || tag.len > ETAG_MAX)
        return false;
    if (!request_knows(exchange->request, tag))
        tag = etag_coded(tag, coding, coded);
    if (!request_knows(exchange->request, tag))
        return false;
    answer_not_modified(response, tag);
    return true;
}

/* ---- The stage */

static void encode(struct response *response, enum coding coding)
{
    char coded[ETAG_MAX];
    struct buf bytes = BUF_INIT;
    if (compress_bytes(coding, response_bytes(response), &bytes)) {
        response_drop_bytes(response);
        buf_release(&response->body);
        response->body = bytes;
        response_header(response, "Content-Encoding", slice_str(coding_name(coding)));
        struct slice tag = response_header_value(response, "ETag");
        struct slice now = etag_coded(tag, coding, coded);
        if (now.ptr != tag.ptr)
            replace_tag(response, now);
    } else {
        buf_release(&bytes);
    }
}

void stage_encode_end(struct exchange *exchange)
{
    enum coding coding = choose_coding(exchange);
    if (!answer_if_known(exchange, coding) && coding != CODING_IDENTITY)
        encode(exchange->response, coding);
}
