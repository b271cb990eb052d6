/* DESIGN. All values are filled in before anything is changed: they speak of the request as its
 * client has sent it. A client that names a header of ours in Connection, or writes it with _ for
 * -, must not take it away or say it twice: what is for the next hop alone goes first, and names
 * are compared as servers do that make variables of them. */
#include "server/transform/transform_private.h"

#include "base/text.h"
#include "server/http/fields.h"

#include <stdio.h>

/* ---- Names */

static const char *const never_in_requests[] = {"Connection",
                                                "Content-Length",
                                                "Expect",
                                                "Forwarded",
                                                "Host",
                                                "Keep-Alive",
                                                "Proxy-Connection",
                                                "TE",
                                                "Trailer",
                                                "traceparent",
                                                "Transfer-Encoding",
                                                "Upgrade",
                                                "X-Credential-Id",
                                                "X-Forwarded-For",
                                                "X-Forwarded-Host",
                                                "X-Forwarded-Port",
                                                "X-Forwarded-Proto",
                                                "X-Real-IP",
                                                "X-Request-Id",
                                                "X-User-Id",
                                                "X-User-Roles",
                                                NULL};

static const char *const never_in_answers[] = {
    "Connection", "Content-Encoding",          "Content-Length",    "Date",    "Keep-Alive",
    "Trailer",    "Strict-Transport-Security", "Transfer-Encoding", "Upgrade", "X-Request-Id",
    NULL};

static const char *const security[] = {"X-Content-Type-Options", "X-Frame-Options",
                                       "Referrer-Policy", NULL};

static bool stands_in(const char *name, const char *const *names)
{
    while (*names && !header_name_stands_for(slice_str(name), *names))
        names++;
    return *names;
}

static bool is_token(const char *name)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    return name[0] && !name[strspn(name, token)];
}

static bool name_ok(const char *name, bool request, char *why, size_t why_size)
{
    if (!is_token(name)) {
        snprintf(why, why_size, "\"%.60s\" is no name of a header", name);
        return false;
    }
    if (!stands_in(name, request ? never_in_requests : never_in_answers))
        return true;
    snprintf(why, why_size, "%.60s is what the server itself says", name);
    return false;
}

bool headers_check(const struct rule *rule, bool request, char *why, size_t why_size)
{
    for (unsigned i = 0; i < rule->name_count; i++) {
        if (!name_ok(rule->names[i], request, why, why_size))
            return false;
    }
    return !rule->to || name_ok(rule->to, request, why, why_size);
}

bool headers_touch_security(const struct rules *rules)
{
    for (unsigned i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        for (unsigned at = 0; at < rule->name_count; at++) {
            if (stands_in(rule->names[at], security))
                return true;
        }
        if (rule->to && stands_in(rule->to, security))
            return true;
    }
    return false;
}

/* ---- Values */

/* Where the value of each rule lies in one text. */
struct filled {
    size_t begin[TRANSFORM_LINES_MAX + 1];
};

static void fill_values(const struct rules *rules, const struct request *request, struct buf *text,
                        struct filled *out)
{
    struct buf raw = BUF_INIT;
    for (unsigned i = 0; i < rules->count; i++) {
        out->begin[i] = text->len;
        if (!rules->list[i].value)
            continue;
        buf_clear(&raw);
        value_fill(rules->list[i].value, request, &raw);
        text_append_line(text, buf_slice(&raw)); /* whatever it is: one line */
    }
    out->begin[rules->count] = text->len;
    buf_release(&raw);
}

/* ---- Changing */

static void drop(struct fields *fields, const char *name)
{
    unsigned to = 0;
    for (unsigned i = 0; i < fields->count; i++) {
        if (!header_name_stands_for(fields->items[i].name, name))
            fields->items[to++] = fields->items[i];
    }
    fields->count = to;
}

/* What had the new name is not it. */
static void rename_field(struct fields *fields, const char *name, const char *to)
{
    if (fields_get(fields, name).ptr)
        drop(fields, to);
    for (unsigned i = 0; i < fields->count; i++) {
        if (header_name_stands_for(fields->items[i].name, name))
            fields->items[i].name = slice_str(to);
    }
}

/* False: there are too many. */
static bool change(struct fields *fields, const struct rule *rule, struct slice value)
{
    switch (rule->verb) {
    case VERB_REMOVE:
        for (unsigned i = 0; i < rule->name_count; i++)
            drop(fields, rule->names[i]);
        return true;
    case VERB_RENAME:
        rename_field(fields, rule->names[0], rule->to);
        return true;
    case VERB_SET:
        drop(fields, rule->names[0]);
        break;
    case VERB_ADD:
    case VERB_KEEP: /* is for JSON */
        break;
    }
    return value.len == 0 || fields_add(fields, rule->names[0], value);
}

static bool change_all(struct fields *fields, const struct rules *rules, const struct buf *text,
                       const struct filled *filled)
{
    for (unsigned i = 0; i < rules->count; i++) {
        size_t begin = filled->begin[i], len = filled->begin[i + 1] - begin;
        struct slice value = slice_of(len > 0 ? text->data + begin : NULL, len);
        if (!change(fields, &rules->list[i], value))
            return false;
    }
    return true;
}

/* ---- Requests */

static bool asks_to_upgrade(const struct request *request)
{
    bool asks = false;
    for (unsigned i = 0; i < request->header_count; i++) {
        struct slice value = request->headers[i].value;
        if (!slice_eq_nocase(request->headers[i].name, slice_str("Connection")))
            continue;
        while (value.len > 0)
            asks |= slice_eq_nocase(slice_trim(slice_cut(&value, ',')), slice_str("upgrade"));
    }
    return asks;
}

/* Whoever passes the request on looks at these two, and at no other of their kind. */
static bool keep_upgrade(struct fields *fields, const struct request *request)
{
    struct slice upgrade = request_header(request, "Upgrade");
    return !upgrade.ptr || !asks_to_upgrade(request) ||
           (fields_add(fields, "Connection", slice_str("upgrade")) &&
            fields_add(fields, "Upgrade", upgrade));
}

enum err headers_of_request(const struct rules *rules, const struct request *request,
                            struct transform_request *out)
{
    struct fields fields;
    struct filled filled;
    fields_init(&fields, request->headers, request->header_count);
    fill_values(rules, request, &out->text, &filled);
    bool done = fields_remove_hop_by_hop(&fields) && keep_upgrade(&fields, request) &&
                change_all(&fields, rules, &out->text, &filled) && fields.count <= HEADERS_MAX;
    if (!done)
        return ERR_HEADER_TOO_LARGE;
    memcpy(out->headers, fields.items, fields.count * sizeof *fields.items);
    out->header_count = fields.count;
    return ERR_OK;
}

/* ---- Answers */

/* One that has more than its room keeps the first of them. */
void headers_of_response(const struct rules *rules, const struct request *request,
                         struct response *response)
{
    struct fields fields;
    struct filled filled;
    struct buf text = BUF_INIT, before = response->headers;
    fill_values(rules, request, &text, &filled);
    fields_read(&fields, buf_slice(&before));
    change_all(&fields, rules, &text, &filled);
    response->headers = (struct buf)BUF_INIT;
    fields_write(&fields, &response->headers);
    buf_release(&before);
    buf_release(&text);
}
