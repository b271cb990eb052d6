#include "server/http/fields.h"

#include <assert.h>

void fields_init(struct fields *fields, const struct header *headers, unsigned count)
{
    assert(count <= HEADERS_MAX);
    fields->count = count;
    memcpy(fields->items, headers, count * sizeof *headers);
}

/* The place of the first field of that name from `at` on; count: there is none. */
static unsigned find(const struct fields *fields, struct slice name, unsigned at)
{
    while (at < fields->count && !slice_eq_nocase(fields->items[at].name, name))
        at++;
    return at;
}

struct slice fields_get(const struct fields *fields, const char *name)
{
    unsigned at = find(fields, slice_str(name), 0);
    return at < fields->count ? fields->items[at].value : slice_of(NULL, 0);
}

bool fields_add(struct fields *fields, const char *name, struct slice value)
{
    if (fields->count == FIELDS_MAX)
        return false;
    fields->items[fields->count++] = (struct header){slice_str(name), value};
    return true;
}

/* Removes those of that name from `at` on. */
static unsigned remove_from(struct fields *fields, struct slice name, unsigned at)
{
    unsigned to = at;
    for (; at < fields->count; at++) {
        if (!slice_eq_nocase(fields->items[at].name, name))
            fields->items[to++] = fields->items[at];
    }
    unsigned removed = fields->count - to;
    fields->count = to;
    return removed;
}

bool fields_set(struct fields *fields, const char *name, struct slice value)
{
    unsigned at = find(fields, slice_str(name), 0);
    if (at == fields->count)
        return fields_add(fields, name, value);
    fields->items[at].value = value;
    remove_from(fields, slice_str(name), at + 1);
    return true;
}

unsigned fields_remove(struct fields *fields, const char *name)
{
    return remove_from(fields, slice_str(name), 0);
}

/* ---- Hop by hop */

static const char *const hop_by_hop[] = {
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
};

static const char *const end_to_end[] = {"Host", "Content-Length", "Content-Type"};

static bool stands_in(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    }
    return false;
}

#define STANDS_IN(name, names) stands_in(name, names, sizeof(names) / sizeof *(names))

/* The names in all Connection fields. */
struct options {
    unsigned count;
    struct slice names[CONNECTION_OPTIONS_MAX];
};

static bool add_options(struct options *options, struct slice value)
{
    while (value.len > 0) {
        struct slice name = slice_trim(slice_cut(&value, ','));
        if (name.len == 0)
            continue;
        if (options->count == CONNECTION_OPTIONS_MAX)
            return false;
        options->names[options->count++] = name;
    }
    return true;
}

static bool collect_options(struct options *options, const struct fields *fields)
{
    const struct slice connection = slice_str("Connection");
    options->count = 0;
    for (unsigned at = 0; (at = find(fields, connection, at)) < fields->count; at++) {
        if (!add_options(options, fields->items[at].value))
            return false;
    }
    return true;
}

static bool is_option(const struct options *options, struct slice name)
{
    for (unsigned i = 0; i < options->count; i++) {
        if (slice_eq_nocase(name, options->names[i]))
            return true;
    }
    return false;
}

bool fields_remove_hop_by_hop(struct fields *fields)
{
    struct options options;
    unsigned kept = 0;
    if (!collect_options(&options, fields))
        return false;
    for (unsigned i = 0; i < fields->count; i++) {
        struct slice name = fields->items[i].name;
        if (STANDS_IN(name, end_to_end) ||
            (!STANDS_IN(name, hop_by_hop) && !is_option(&options, name)))
            fields->items[kept++] = fields->items[i];
    }
    fields->count = kept;
    return true;
}

static bool hides(struct slice names, const struct header *headers, unsigned count)
{
    while (names.len > 0) {
        struct slice name = slice_trim(slice_cut(&names, ','));
        if (STANDS_IN(name, hop_by_hop) || STANDS_IN(name, end_to_end))
            continue;
        for (unsigned i = 0; i < count; i++) {
            if (slice_eq_nocase(headers[i].name, name))
                return true;
        }
    }
    return false;
}

bool fields_connection_hides(const struct header *headers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (slice_eq_nocase(headers[i].name, slice_str("Connection")) &&
            hides(headers[i].value, headers, count))
            return true;
    }
    return false;
}

void fields_write(const struct fields *fields, struct buf *out)
{
    for (unsigned i = 0; i < fields->count; i++) {
        buf_append_slice(out, fields->items[i].name);
        buf_append(out, ": ", 2);
        buf_append_slice(out, fields->items[i].value);
        buf_append(out, "\r\n", 2);
    }
}

bool fields_read(struct fields *fields, struct slice lines)
{
    fields->count = 0;
    while (lines.len > 0) {
        struct slice value = slice_cut(&lines, '\n');
        struct slice name = slice_cut(&value, ':');
        if (fields->count == FIELDS_MAX)
            return false;
        if (value.len > 0 && value.ptr[value.len - 1] == '\r')
            value.len--;
        fields->items[fields->count++] = (struct header){name, slice_trim(value)};
    }
    return true;
}
