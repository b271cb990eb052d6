/* Stored answers for whoever looks after them: purging, looking up. */
#include "server/gateway/cache_visit.h"

#include "server/http/path.h"

#include <ctype.h>

/* A URL taken apart, in the form of keys. */
struct url {
    bool secure;
    struct slice host; /* empty: none is said */
    struct buf text;   /* "host/path?query" */
};

static void append_lower(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        buf_append_char(out, (char)tolower((unsigned char)text.ptr[i]));
}

/* Cuts scheme and host off. False: it begins with neither a scheme nor a slash. */
static bool cut_origin(struct slice *text, bool *secure, struct slice *host)
{
    *secure = slice_starts(*text, slice_str("https://"));
    *host = slice_of(NULL, 0);
    if (!*secure && !slice_starts(*text, slice_str("http://")))
        return slice_starts(*text, slice_str("/"));
    size_t scheme = *secure ? 8 : 7;
    struct slice rest = slice_of(text->ptr + scheme, text->len - scheme);
    const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
    *host = slice_of(rest.ptr, len);
    *text = slash ? slice_of(slash, rest.len - len) : slice_str("/");
    return len > 0;
}

/* False for a text that is no URL. */
static bool url_read(struct slice text, struct url *out)
{
    struct buf raw = BUF_INIT;
    struct slice host, path;
    *out = (struct url){.text = BUF_INIT};
    if (!cut_origin(&text, &out->secure, &host))
        return false;
    struct slice query = text;
    buf_append_slice(&raw, slice_cut(&query, '?'));
    bool good = path_normalise(raw.data, raw.len, &path);
    if (good) {
        append_lower(host, &out->text);
        size_t host_len = out->text.len;
        path_encode(path, &out->text);
        if (query.len > 0)
            buf_append_char(&out->text, '?');
        buf_append_slice(&out->text, query);
        out->host = slice_of(out->text.data, host_len);
    }
    buf_release(&raw);
    return good;
}

static void url_release(struct url *url)
{
    buf_release(&url->text);
}

/* "/a/" of "/a/" and of that with a star behind it. */
static struct slice without_star(struct slice prefix)
{
    bool star = prefix.len > 0 && prefix.ptr[prefix.len - 1] == '*';
    return slice_of(prefix.ptr, prefix.len - star);
}

enum err gateway_purge(struct gateway *gateway, enum purge_kind kind, struct slice text)
{
    struct url url = {0};
    if (kind == PURGE_TAG)
        return response_cache_purge(gateway->responses, kind, text) ? ERR_OK : ERR_VALIDATION;
    bool good = url_read(kind == PURGE_PREFIX ? without_star(text) : text, &url) &&
                response_cache_purge(gateway->responses, kind, buf_slice(&url.text));
    url_release(&url);
    return good ? ERR_OK : ERR_VALIDATION;
}

uint64_t gateway_purges(const struct gateway *gateway)
{
    return gateway->responses ? response_cache_purges(gateway->responses) : 0;
}

static void show(const struct stored *stored, int64_t now_ms, struct gateway_stored *out)
{
    out->value = stored->value;
    out->passes = stored->kind == STORED_PASS;
    out->varies_by = stored->names;
    if (stored->kind != STORED_ANSWER)
        return;
    out->status = stored->status;
    out->age_s = caching_age_s(&stored->caching, now_ms);
    out->ttl_s = caching_ttl_s(&stored->caching, now_ms);
    out->body_bytes = stored->body.len;
    out->headers = stored->fields;
}

bool gateway_look_up(struct gateway *gateway, struct slice text, struct gateway_stored *out)
{
    struct url url;
    struct stored stored;
    int64_t now_ms = clock_mono_ns(gateway->clock) / 1000000;
    bool found = false;
    *out = (struct gateway_stored){0};
    if (gateway->responses && url_read(text, &url)) {
        struct buf key = BUF_INIT;
        buf_append_str(&key, url.secure ? "https://" : "http://");
        buf_append_slice(&key, buf_slice(&url.text));
        found = response_cache_find(gateway->responses, buf_slice(&key), now_ms, &stored);
        buf_release(&key);
        url_release(&url);
    }
    if (found)
        show(&stored, now_ms, out);
    return found;
}
