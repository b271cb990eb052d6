/* DESIGN. A target is cut into pieces once: text, and places. A place is filled in from the text of
 * an earlier part's answer, member by member, without a tree. */
#include "server/compose/compose_private.h"

#include "base/mem.h"
#include "server/http/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 16
#define OWN        UINT32_MAX /* instead of a part: the path of the composed request */

struct piece {
    struct slice text;   /* before the place */
    struct slice member; /* "shop.id", or the name of a parameter; NULL: there is no place */
    unsigned part;
    bool in_query;
};

struct template
{
    unsigned count;
    struct piece pieces[PIECES_MAX];
    char text[];
};

static bool find_part(struct slice name, const struct part *parts, unsigned count, unsigned *out)
{
    for (*out = 0; *out < count; ++*out) {
        if (slice_is(name, parts[*out].spec.name))
            return true;
    }
    return false;
}

/* What stands between the braces. */
static bool read_place(struct slice place, const struct part *parts, unsigned count,
                       struct piece *out)
{
    struct slice rest = place;
    struct slice first = slice_cut(&rest, '.');
    out->part = OWN;
    out->member = first;
    if (!rest.ptr)
        return first.len > 0;
    out->member = rest;
    return rest.len > 0 && find_part(first, parts, count, &out->part);
}

static bool read_pieces(struct template *t, const struct part *parts, unsigned count,
                        unsigned *after)
{
    struct slice rest = slice_str(t->text);
    bool in_query = false;
    while (rest.ptr) {
        struct piece *piece = &t->pieces[t->count++];
        piece->text = slice_cut(&rest, '{');
        in_query |= piece->text.len > 0 && memchr(piece->text.ptr, '?', piece->text.len);
        piece->in_query = in_query;
        if (!rest.ptr)
            return true;
        struct slice place = slice_cut(&rest, '}');
        if (!rest.ptr || t->count == PIECES_MAX || !read_place(place, parts, count, piece))
            return false;
        if (piece->part != OWN)
            *after |= 1u << piece->part;
    }
    return true;
}

struct template *template_read(const char *text, const struct part *parts, unsigned count,
                               unsigned *after, char *why, size_t why_size)
{
    size_t size = strlen(text) + 1;
    struct template *t = mem_zalloc(sizeof *t + size);
    memcpy(t->text, text, size);
    *after = 0;
    if (text[0] == '/' && read_pieces(t, parts, count, after))
        return t;
    template_free(t);
    snprintf(why, why_size,
             "%s is no target: a path such as /orders?limit=3, with places such as {id} for a "
             "parameter of the path, or {profile.id} for a member of a part above",
             text);
    return NULL;
}

void template_free(struct template *template)
{
    free(template);
}

/* ---- Filling in */

/* Of a string, number or boolean: its text. */
static bool member_of(struct slice object, struct slice path, struct buf *out)
{
    struct slice value = object;
    while (path.ptr) {
        struct slice name = slice_cut(&path, '.');
        char key[128];
        if (name.len >= sizeof key || value.len == 0 || value.ptr[0] != '{')
            return false;
        memcpy(key, name.ptr, name.len);
        key[name.len] = '\0';
        if (!json_find(value, key, &value))
            return false;
    }
    if (value.len > 0 && value.ptr[0] == '"')
        return json_append_unescaped(out, value);
    bool plain =
        value.len > 0 && value.ptr[0] != '{' && value.ptr[0] != '[' && !slice_is(value, "null");
    if (plain)
        buf_append_slice(out, value);
    return plain;
}

/* All but the characters that mean nothing anywhere in a URI (RFC 3986 section 2.3). */
static void append_escaped(struct slice value, struct buf *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c != '\0' && strchr(plain, c))
            buf_append(out, &value.ptr[i], 1);
        else
            buf_printf(out, "%%%02X", c);
    }
}

/* One segment of a path stays one; also to servers that take what is behind ; for a parameter. */
static bool fits(const struct piece *piece, struct slice value)
{
    if (piece->in_query)
        return true;
    return value.len > 0 && !slice_is(value, ".") && !slice_is(value, "..") &&
           !memchr(value.ptr, '/', value.len) && !memchr(value.ptr, ';', value.len);
}

static bool value_of(const struct piece *piece, const struct run *run, struct buf *out)
{
    if (piece->part != OWN)
        return run->parts[piece->part].err == ERR_OK &&
               member_of(buf_slice(&run->parts[piece->part].text), piece->member, out);
    for (unsigned i = 0; i < run->request->param_count; i++) {
        if (slice_eq(run->request->params[i].name, piece->member)) {
            buf_append_slice(out, run->request->params[i].value);
            return true;
        }
    }
    return false;
}

bool template_fill(const struct template *template, const struct run *run, struct buf *out)
{
    struct buf value = BUF_INIT;
    bool good = true;
    for (unsigned i = 0; i < template->count && good; i++) {
        const struct piece *piece = &template->pieces[i];
        buf_append_slice(out, piece->text);
        if (!piece->member.ptr)
            continue;
        buf_clear(&value);
        good = value_of(piece, run, &value) && fits(piece, buf_slice(&value));
        append_escaped(buf_slice(&value), out);
    }
    buf_release(&value);
    return good;
}
