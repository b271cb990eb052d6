#include "server/http/cache_control.h"

#include <ctype.h>
#include <stddef.h>

/* ---- What the directives are, in both forms */

static const struct flag {
    const char *name;
    size_t at;
} flags[] = {
    {"no-store", offsetof(struct cache_control, no_store)},
    {"no-cache", offsetof(struct cache_control, no_cache)},
    {"private", offsetof(struct cache_control, is_private)},
    {"public", offsetof(struct cache_control, is_public)},
    {"must-revalidate", offsetof(struct cache_control, must_revalidate)},
    {"proxy-revalidate", offsetof(struct cache_control, proxy_revalidate)},
    {"must-understand", offsetof(struct cache_control, must_understand)},
    {"only-if-cached", offsetof(struct cache_control, only_if_cached)},
};

static const struct flag numbers[] = {
    {"max-age", offsetof(struct cache_control, max_age_s)},
    {"s-maxage", offsetof(struct cache_control, s_maxage_s)},
    {"min-fresh", offsetof(struct cache_control, min_fresh_s)},
    {"max-stale", offsetof(struct cache_control, max_stale_s)},
    {"stale-while-revalidate", offsetof(struct cache_control, stale_while_revalidate_s)},
    {"stale-if-error", offsetof(struct cache_control, stale_if_error_s)},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool *find_flag(struct cache_control *control, struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (slice_eq_nocase(name, slice_str(flags[i].name)))
            return (bool *)((char *)control + flags[i].at);
    }
    return NULL;
}

static int64_t *find_number(struct cache_control *control, struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (slice_eq_nocase(name, slice_str(numbers[i].name)))
            return (int64_t *)((char *)control + numbers[i].at);
    }
    return NULL;
}

static void clear(struct cache_control *control)
{
    *control = (struct cache_control){0};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        *(int64_t *)((char *)control + numbers[i].at) = SECONDS_NONE;
}

/* 0 for what is no number, SECONDS_MAX for what is too large. */
static int64_t read_seconds(struct slice text)
{
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        value = value * 10 + (text.ptr[i] - '0');
        if (value > SECONDS_MAX)
            value = SECONDS_MAX;
    }
    return value;
}

static void set_number(int64_t *number, int64_t seconds)
{
    *number = *number == SECONDS_NONE || *number == seconds ? seconds : 0;
}

/* ---- Cache-Control: a list with commas, in which quoted strings may hold more of them */

/* The bytes of the quoted string that `text` begins with, with its quotes; all of it if it does not
 * end. */
static size_t quoted_length(struct slice text)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '"')
            return i + 1;
        i += text.ptr[i] == '\\';
    }
    return text.len;
}

/* Cuts the next element and the comma behind it off *list. */
static struct slice cut_element(struct slice *list)
{
    size_t at = 0;
    while (at < list->len && list->ptr[at] != ',') {
        if (list->ptr[at] == '"')
            at += quoted_length(slice_of(list->ptr + at, list->len - at));
        else
            at++;
    }
    struct slice element = slice_of(list->ptr, at);
    size_t used = at < list->len ? at + 1 : at;
    *list = slice_of(list->ptr + used, list->len - used);
    return slice_trim(element);
}

/* Cuts an element at its first '='; *value is without quotes, NULL if there is none. */
static struct slice cut_name(struct slice element, struct slice *value)
{
    struct slice name = slice_cut(&element, '=');
    *value = element;
    if (element.len >= 2 && element.ptr[0] == '"' && element.ptr[element.len - 1] == '"' &&
        quoted_length(element) == element.len)
        *value = slice_of(element.ptr + 1, element.len - 2);
    return name;
}

/* True if no-cache and private have names of fields behind them. */
static bool is_qualified(struct slice name, struct slice value)
{
    return value.len > 0 && (slice_eq_nocase(name, slice_str("no-cache")) ||
                             slice_eq_nocase(name, slice_str("private")));
}

static void read_element(struct slice element, struct cache_control *out)
{
    struct slice value;
    struct slice name = cut_name(element, &value);
    int64_t *number = find_number(out, slice_trim(name));
    if (number == &out->max_stale_s && !value.ptr)
        *number = SECONDS_MAX;
    else if (number) /* a space before '=' makes it no number */
        set_number(number, name.len == slice_trim(name).len ? read_seconds(value) : 0);
    bool *flag = find_flag(out, slice_trim(name));
    if (flag && !is_qualified(name, value))
        *flag = true;
}

void cache_control_read(const struct header *headers, unsigned count, struct cache_control *out)
{
    clear(out);
    for (unsigned i = 0; i < count; i++) {
        if (!slice_eq_nocase(headers[i].name, slice_str("Cache-Control")))
            continue;
        struct slice list = headers[i].value;
        out->present = true;
        while (list.len > 0)
            read_element(cut_element(&list), out);
    }
}

static bool lists(struct slice names, struct slice field)
{
    while (names.len > 0) {
        if (slice_eq_nocase(slice_trim(slice_cut(&names, ',')), field))
            return true;
    }
    return false;
}

bool cache_control_withholds(const struct header *headers, unsigned count, struct slice field)
{
    for (unsigned i = 0; i < count; i++) {
        if (!slice_eq_nocase(headers[i].name, slice_str("Cache-Control")))
            continue;
        struct slice list = headers[i].value;
        while (list.len > 0) {
            struct slice value;
            struct slice name = cut_name(cut_element(&list), &value);
            if (is_qualified(name, value) && lists(value, field))
                return true;
        }
    }
    return false;
}

/* ---- CDN-Cache-Control: a dictionary of RFC 8941 section 3.2 */

enum item_kind { ITEM_TRUE, ITEM_FALSE, ITEM_INTEGER, ITEM_OTHER };

struct item {
    enum item_kind kind;
    int64_t integer;
};

/* What is still to be read; `bad` sticks. */
struct reader {
    struct slice rest;
    bool bad;
};

static char peek(const struct reader *reader)
{
    if (reader->rest.len == 0)
        return '\0';
    return reader->rest.ptr[0];
}

static char next(struct reader *reader)
{
    char c = peek(reader);
    if (reader->rest.len == 0)
        reader->bad = true;
    else
        reader->rest = slice_of(reader->rest.ptr + 1, reader->rest.len - 1);
    return c;
}

static void skip(struct reader *reader, const char *any_of)
{
    while (reader->rest.len > 0 && strchr(any_of, peek(reader)))
        next(reader);
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || isdigit((unsigned char)c) || (c != '\0' && strchr("_-.*", c));
}

static struct slice read_key(struct reader *reader)
{
    const char *begin = reader->rest.ptr;
    char first = peek(reader);
    reader->bad |= !((first >= 'a' && first <= 'z') || first == '*');
    while (is_key_char(peek(reader)))
        next(reader);
    return slice_of(begin, (size_t)(reader->rest.ptr - begin));
}

static void read_number(struct reader *reader, struct item *out)
{
    bool negative = peek(reader) == '-';
    if (negative)
        next(reader);
    unsigned digits = 0, decimals = 0;
    for (; isdigit((unsigned char)peek(reader)); digits++) {
        int64_t value = out->integer * 10 + (next(reader) - '0');
        out->integer = value > SECONDS_MAX ? SECONDS_MAX : value;
    }
    out->kind = negative ? ITEM_OTHER : ITEM_INTEGER;
    if (peek(reader) == '.') {
        out->kind = ITEM_OTHER;
        for (next(reader); isdigit((unsigned char)peek(reader)); decimals++)
            next(reader);
        reader->bad |= decimals == 0 || decimals > 3 || digits > 12;
    }
    reader->bad |= digits == 0 || digits > 15;
}

static void read_string(struct reader *reader)
{
    next(reader);
    while (!reader->bad && peek(reader) != '"') {
        char c = next(reader);
        reader->bad |= c < 0x20 || c > 0x7e;
        if (c == '\\') {
            char escaped = next(reader);
            reader->bad |= escaped != '"' && escaped != '\\';
        }
    }
    next(reader);
}

static void read_token(struct reader *reader)
{
    while (peek(reader) != '\0' &&
           (isalnum((unsigned char)peek(reader)) || strchr("!#$%&'*+-.^_`|~:/", peek(reader))))
        next(reader);
}

static void read_bytes(struct reader *reader)
{
    next(reader);
    while (isalnum((unsigned char)peek(reader)) ||
           (peek(reader) != '\0' && strchr("+/=", peek(reader))))
        next(reader);
    reader->bad |= next(reader) != ':';
}

static void read_bare_item(struct reader *reader, struct item *out)
{
    char first = peek(reader);
    *out = (struct item){.kind = ITEM_OTHER};
    if (first == '-' || isdigit((unsigned char)first)) {
        read_number(reader, out);
    } else if (first == '"') {
        read_string(reader);
    } else if (first == '*' || isalpha((unsigned char)first)) {
        read_token(reader);
    } else if (first == ':') {
        read_bytes(reader);
    } else if (first == '?') {
        next(reader);
        char value = next(reader);
        out->kind = value == '1' ? ITEM_TRUE : ITEM_FALSE;
        reader->bad |= value != '0' && value != '1';
    } else {
        reader->bad = true;
    }
}

static void read_parameters(struct reader *reader)
{
    struct item ignored;
    while (!reader->bad && peek(reader) == ';') {
        next(reader);
        skip(reader, " ");
        read_key(reader);
        if (peek(reader) == '=') {
            next(reader);
            read_bare_item(reader, &ignored);
        }
    }
}

static void read_inner_list(struct reader *reader, struct item *out)
{
    struct item ignored;
    next(reader);
    skip(reader, " ");
    while (!reader->bad && peek(reader) != ')') {
        read_bare_item(reader, &ignored);
        read_parameters(reader);
        reader->bad |= peek(reader) != ' ' && peek(reader) != ')';
        skip(reader, " ");
    }
    next(reader);
    *out = (struct item){.kind = ITEM_OTHER};
}

static void read_value(struct reader *reader, struct item *out)
{
    *out = (struct item){.kind = ITEM_TRUE};
    if (peek(reader) == '=') {
        next(reader);
        if (peek(reader) == '(')
            read_inner_list(reader, out);
        else
            read_bare_item(reader, out);
    }
    read_parameters(reader);
}

/* The last member of a name is the one that counts. */
static void take_member(struct slice key, const struct item *item, struct cache_control *out)
{
    int64_t *number = find_number(out, key);
    if (number)
        *number = item->kind == ITEM_INTEGER ? item->integer : 0;
    bool *flag = find_flag(out, key);
    if (flag)
        *flag = item->kind != ITEM_FALSE;
}

/* Members follow each other over lines as over commas. */
static void read_dictionary(struct reader *reader, struct cache_control *out)
{
    while (!reader->bad && reader->rest.len > 0) {
        struct item item;
        struct slice key = read_key(reader);
        read_value(reader, &item);
        if (!reader->bad)
            take_member(key, &item, out);
        skip(reader, " \t");
        if (reader->rest.len == 0)
            return;
        reader->bad |= next(reader) != ',';
        skip(reader, " \t");
        reader->bad |= reader->rest.len == 0; /* nothing behind the comma */
    }
}

bool cache_control_read_targeted(const struct header *headers, unsigned count,
                                 struct cache_control *out)
{
    bool bad = false;
    clear(out);
    for (unsigned i = 0; i < count; i++) {
        if (!slice_eq_nocase(headers[i].name, slice_str("CDN-Cache-Control")))
            continue;
        struct reader reader = {.rest = slice_trim(headers[i].value)};
        read_dictionary(&reader, out);
        out->present |= headers[i].value.len > 0;
        bad |= reader.bad;
    }
    return out->present && !bad;
}
