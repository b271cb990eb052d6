#include "server/transform/transform_private.h"

#include "server/http/path.h"

/* ---- One parameter */

static bool is_named(struct slice key, const char *name)
{
    struct buf plain = BUF_INIT;
    bool same = path_decode(key, true, &plain) && slice_is(buf_slice(&plain), name);
    buf_release(&plain);
    return same || slice_is(key, name);
}

static bool is_among(struct slice key, const struct rule *rule)
{
    for (unsigned i = 0; i < rule->name_count; i++) {
        if (is_named(key, rule->names[i]))
            return true;
    }
    return false;
}

/* All but the characters that mean nothing anywhere in a URI (RFC 3986 section 2.3). */
static void append_escaped(struct slice text, struct buf *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c != '\0' && strchr(plain, c))
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void separate(struct buf *out)
{
    if (out->len > 0)
        buf_append_char(out, '&');
}

static void append_pair(const char *name, struct slice value, struct buf *out)
{
    separate(out);
    append_escaped(slice_str(name), out);
    buf_append_char(out, '=');
    append_escaped(value, out);
}

/* ---- One change */

/* The pairs that stay, as they were written, but for their new name. */
static void copy_pairs(const struct rule *rule, struct slice query, struct buf *out)
{
    while (query.len > 0) {
        struct slice pair = slice_cut(&query, '&'), value = pair;
        struct slice key = slice_cut(&value, '=');
        bool meant = rule->verb != VERB_ADD && is_among(key, rule);
        if (meant && rule->verb != VERB_RENAME)
            continue;
        separate(out);
        if (meant)
            append_escaped(slice_str(rule->to), out);
        else
            buf_append_slice(out, pair);
        if (!meant || !value.ptr)
            continue;
        buf_append_char(out, '=');
        buf_append_slice(out, value);
    }
}

static bool has_pair(struct slice query, const char *name)
{
    while (query.len > 0) {
        struct slice value = slice_cut(&query, '&');
        if (is_named(slice_cut(&value, '='), name))
            return true;
    }
    return false;
}

/* What had the new name is not it. */
static void drop_former(const struct rule *rule, struct buf *query)
{
    const struct rule former = {.verb = VERB_REMOVE, .names = {rule->to}, .name_count = 1};
    struct buf out = BUF_INIT;
    if (rule->verb != VERB_RENAME || !has_pair(buf_slice(query), rule->names[0]))
        return;
    copy_pairs(&former, buf_slice(query), &out);
    buf_release(query);
    *query = out;
}

static void change(const struct rule *rule, const struct request *request, struct buf *query)
{
    struct buf out = BUF_INIT, value = BUF_INIT;
    drop_former(rule, query);
    copy_pairs(rule, buf_slice(query), &out);
    if (rule->value)
        value_fill(rule->value, request, &value);
    if (value.len > 0)
        append_pair(rule->names[0], buf_slice(&value), &out);
    buf_release(&value);
    buf_release(query);
    *query = out;
}

void query_of_request(const struct rules *rules, const struct request *request,
                      struct transform_request *out)
{
    out->query = request->query;
    if (rules->count == 0)
        return;
    buf_append_slice(&out->query_text, request->query);
    for (unsigned i = 0; i < rules->count; i++)
        change(&rules->list[i], request, &out->query_text);
    out->query = buf_slice(&out->query_text);
}
