#include "server/http/condition.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- What a client is, by its own word */

static bool has(struct slice text, const char *word)
{
    return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word));
}

const char *request_device(const struct request *request)
{
    struct slice agent = request_header(request, "User-Agent");
    struct slice mobile = request_header(request, "Sec-CH-UA-Mobile");
    if (has(agent, "bot") || has(agent, "Bot") || has(agent, "crawler") || has(agent, "spider"))
        return "bot";
    bool android = has(agent, "Android"), small = has(agent, "Mobi");
    if (has(agent, "iPad") || has(agent, "Tablet") || (android && !small))
        return "tablet";
    return small || slice_is(mobile, "?1") ? "mobile" : "desktop";
}

static struct slice without_v(struct slice version)
{
    bool marked = version.len > 1 && (version.ptr[0] == 'v' || version.ptr[0] == 'V');
    return marked ? slice_of(version.ptr + 1, version.len - 1) : version;
}

/* "application/vnd.shop.v2+json" and "application/json;version=2" ask for version 2. */
static struct slice version_of_type(struct slice type)
{
    struct slice name = slice_cut(&type, ';');
    while (type.ptr) {
        struct slice value = slice_trim(slice_cut(&type, ';'));
        struct slice key = slice_trim(slice_cut(&value, '='));
        if (value.ptr && (slice_eq_nocase(key, slice_str("version")) || slice_is(key, "v")))
            return without_v(slice_trim(value));
    }
    name = slice_trim(slice_cut(&name, '+'));
    for (size_t i = name.len; i-- > 1;) {
        if (name.ptr[i] >= '0' && name.ptr[i] <= '9')
            continue;
        bool marked = name.ptr[i] == 'v' && name.ptr[i - 1] == '.' && i + 1 < name.len;
        return marked ? slice_of(name.ptr + i + 1, name.len - i - 1) : slice_of(NULL, 0);
    }
    return slice_of(NULL, 0);
}

struct slice request_version(const struct request *request, struct buf *scratch)
{
    struct slice version = request_header(request, "API-Version");
    if (version.len > 0)
        return without_v(version);
    struct slice accept = request_header(request, "Accept");
    while (accept.len > 0) {
        version = version_of_type(slice_cut(&accept, ','));
        if (version.len > 0)
            return version;
    }
    return without_v(request_query(request, "api-version", scratch));
}

/* ---- Reading */

static char *copy(struct slice text)
{
    char *copied = mem_alloc(text.len + 1);
    memcpy(copied, text.ptr ? text.ptr : "", text.len);
    copied[text.len] = '\0';
    return copied;
}

static bool is_token(struct slice name)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~[]";
    for (size_t i = 0; i < name.len; i++) {
        if (!name.ptr[i] || !strchr(token, name.ptr[i]))
            return false;
    }
    return name.len > 0;
}

static bool parse_pair(struct slice text, char sep, struct condition *out, char *why,
                       size_t why_size)
{
    out->absent = text.len > 0 && text.ptr[0] == '!';
    struct slice value = out->absent ? slice_of(text.ptr + 1, text.len - 1) : text;
    struct slice name = slice_trim(slice_cut(&value, sep));
    out->present = !value.ptr;
    value = slice_trim(value);
    if (value.len > 0 && value.ptr[value.len - 1] == '*') {
        value.len--;
        out->begins = true;
    }
    out->name = copy(name);
    out->value = copy(value);
    if (is_token(name) && !(out->absent && !out->present))
        return true;
    snprintf(why, why_size, "%s", out->absent ? "behind ! stands a name alone" : "it has no name");
    return false;
}

static bool is_device(struct slice word)
{
    return slice_is(word, "mobile") || slice_is(word, "tablet") || slice_is(word, "desktop") ||
           slice_is(word, "bot");
}

static bool parse_words(enum condition_kind kind, struct slice text, struct condition *out,
                        char *why, size_t why_size)
{
    out->value = copy(text);
    do {
        struct slice word = slice_trim(slice_cut(&text, ','));
        if (word.len > 0 && (kind == CONDITION_VERSION || is_device(word)))
            continue;
        snprintf(why, why_size, "\"%.*s\" is none", SLICE_ARG(word));
        return false;
    } while (text.ptr);
    return true;
}

bool condition_parse(enum condition_kind kind, struct slice text, struct condition *out, char *why,
                     size_t why_size)
{
    *out = (struct condition){.kind = kind};
    text = slice_trim(text);
    switch (kind) {
    case CONDITION_HEADER:
        return parse_pair(text, ':', out, why, why_size);
    case CONDITION_QUERY:
        return parse_pair(text, '=', out, why, why_size);
    case CONDITION_CLIENT:
        out->value = copy(text);
        return cidr_list_parse(&out->networks, text, why, why_size);
    default:
        return parse_words(kind, text, out, why, why_size);
    }
}

void condition_release(struct condition *condition)
{
    free(condition->name);
    free(condition->value);
    cidr_list_release(&condition->networks);
    *condition = (struct condition){0};
}

/* ---- Asking */

/* Whether a value that is there is the one asked for. */
static bool fits(const struct condition *condition, struct slice value)
{
    struct slice wanted = slice_str(condition->value);
    if (condition->present)
        return true;
    return condition->begins ? slice_starts(value, wanted) : slice_eq(value, wanted);
}

/* Of several fields of the name one has to fit. */
static bool header_fits(const struct condition *condition, const struct request *request)
{
    struct slice name = slice_str(condition->name);
    for (unsigned i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (slice_eq_nocase(header->name, name) && fits(condition, header->value))
            return !condition->absent;
    }
    return condition->absent;
}

static bool query_fits(const struct condition *condition, const struct request *request)
{
    struct buf scratch = BUF_INIT;
    struct slice value = request_query(request, condition->name, &scratch);
    bool fit = value.ptr ? !condition->absent && fits(condition, value) : condition->absent;
    buf_release(&scratch);
    return fit;
}

static bool is_among(const char *words, struct slice word)
{
    struct slice rest = slice_str(words);
    while (rest.ptr) {
        if (slice_eq(without_v(slice_trim(slice_cut(&rest, ','))), word))
            return true;
    }
    return false;
}

static bool version_fits(const struct condition *condition, const struct request *request)
{
    struct buf scratch = BUF_INIT;
    struct slice version = request_version(request, &scratch);
    bool fit = version.len > 0 && is_among(condition->value, version);
    buf_release(&scratch);
    return fit;
}

/* Whoever comes over a Unix socket is on this machine. */
static bool client_fits(const struct condition *condition, const struct request *request)
{
    struct in6_addr ip;
    if (!ip_parse(request->address, &ip))
        ip = in6addr_loopback;
    return cidr_list_has(&condition->networks, &ip);
}

bool condition_holds(const struct condition *condition, const struct request *request)
{
    switch (condition->kind) {
    case CONDITION_HEADER:
        return header_fits(condition, request);
    case CONDITION_QUERY:
        return query_fits(condition, request);
    case CONDITION_DEVICE:
        return is_among(condition->value, slice_str(request_device(request)));
    case CONDITION_VERSION:
        return version_fits(condition, request);
    default:
        return client_fits(condition, request);
    }
}

/* ---- Comparing, showing */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool condition_same(const struct condition *a, const struct condition *b)
{
    if (a->kind != b->kind || a->absent != b->absent || a->present != b->present ||
        a->begins != b->begins || !same_text(a->value, b->value))
        return false;
    return a->kind == CONDITION_HEADER ? strcasecmp(a->name, b->name) == 0
                                       : same_text(a->name, b->name);
}

void condition_write(const struct condition *condition, struct buf *out)
{
    static const char *const kinds[] = {"header", "query", "device", "version", "client"};
    bool pair = condition->kind <= CONDITION_QUERY;
    buf_printf(out, "%s %s%s", kinds[condition->kind], condition->absent ? "!" : "",
               pair ? condition->name : condition->value);
    if (pair && !condition->present)
        buf_printf(out, "%s%s%s", condition->kind == CONDITION_HEADER ? ": " : "=",
                   condition->value, condition->begins ? "*" : "");
}
