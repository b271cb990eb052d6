/* DESIGN. A value is cut into pieces once: text, and places. What a place stands for is a row of a
 * table; some have a name behind their dot. */
#include "server/transform/transform_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECES_MAX 16

enum source {
    SOURCE_METHOD,
    SOURCE_PATH,
    SOURCE_HOST,
    SOURCE_CLIENT,
    SOURCE_ID,
    SOURCE_USER_ID,
    SOURCE_USER_ROLES,
    SOURCE_QUERY,
    SOURCE_HEADER,
    SOURCE_PARAM,
    SOURCE_SETTING,
    SOURCE_NONE,
};

static const struct {
    const char *name;
    bool named;       /* "query." and a name */
    bool varies;      /* is not told by the URL */
    const char *vary; /* the header that tells it */
} sources[] = {
    [SOURCE_METHOD] = {"method", false, false, NULL},
    [SOURCE_PATH] = {"path", false, false, NULL},
    [SOURCE_HOST] = {"host", false, false, NULL},
    [SOURCE_CLIENT] = {"client", false, true, NULL},
    [SOURCE_ID] = {"id", false, false, NULL}, /* each request's own: nothing is told apart by it */
    [SOURCE_USER_ID] = {"user.id", false, true, "Authorization"},
    [SOURCE_USER_ROLES] = {"user.roles", false, true, "Authorization"},
    [SOURCE_QUERY] = {"query.", true, false, NULL},
    [SOURCE_HEADER] = {"header.", true, true, NULL},
    [SOURCE_PARAM] = {"param.", true, false, NULL},
    [SOURCE_SETTING] = {"config.", true, false, NULL},
};

struct piece {
    struct slice text; /* before the place */
    enum source source;
    const char *name;   /* behind its dot */
    struct buf setting; /* of SOURCE_SETTING */
};

struct value {
    unsigned count;
    struct piece pieces[PIECES_MAX];
    char text[];
};

/* ---- Reading */

static enum source source_of(const char *place, const char **name)
{
    for (enum source source = 0; source < SOURCE_NONE; source++) {
        size_t len = strlen(sources[source].name);
        bool named = sources[source].named;
        if (strncmp(place, sources[source].name, len) != 0 || (place[len] != '\0') != named)
            continue;
        *name = place + len;
        return source;
    }
    return SOURCE_NONE;
}

static bool look_up(struct piece *piece, const struct transform_settings *settings, char *why,
                    size_t why_size)
{
    if (piece->source != SOURCE_SETTING || !settings)
        return true;
    snprintf(why, why_size, "{config.%.80s}: there is no such key, or it is secret", piece->name);
    return settings->find(settings->arg, piece->name, &piece->setting);
}

/* Cuts the text at its braces in place: a place's name ends with a NUL. */
static bool read_pieces(struct value *value, const struct transform_settings *settings, char *why,
                        size_t why_size)
{
    char *rest = value->text;
    while (rest) {
        if (value->count == PIECES_MAX) {
            snprintf(why, why_size, "at most %d places", PIECES_MAX - 1);
            return false;
        }
        struct piece *piece = &value->pieces[value->count++];
        char *open = strchr(rest, '{'), *end = open ? strchr(open, '}') : NULL;
        piece->source = SOURCE_NONE;
        piece->text = slice_of(rest, open ? (size_t)(open - rest) : strlen(rest));
        if (!open)
            return true;
        if (end)
            *end = '\0';
        piece->source = end ? source_of(open + 1, &piece->name) : SOURCE_NONE;
        if (piece->source == SOURCE_NONE) {
            snprintf(why, why_size, "there is no place {%.60s}", open + 1);
            return false;
        }
        if (!look_up(piece, settings, why, why_size))
            return false;
        rest = end + 1;
    }
    return true;
}

struct value *value_read(struct slice text, const struct transform_settings *settings, char *why,
                         size_t why_size)
{
    struct value *value = mem_zalloc(sizeof *value + text.len + 1);
    memcpy(value->text, text.ptr, text.len);
    if (read_pieces(value, settings, why, why_size))
        return value;
    value_free(value);
    return NULL;
}

void value_free(struct value *value)
{
    for (unsigned i = 0; value && i < value->count; i++)
        buf_release(&value->pieces[i].setting);
    free(value);
}

/* ---- Filling in */

static void append_roles(const struct principal *user, struct buf *out)
{
    for (unsigned i = 0; i < user->role_count; i++) {
        buf_append_str(out, i > 0 ? "," : "");
        buf_append_str(out, user->roles[i]);
    }
}

static void append_query(const struct request *request, const char *name, struct buf *out)
{
    struct buf scratch = BUF_INIT;
    buf_append_slice(out, request_query(request, name, &scratch));
    buf_release(&scratch);
}

static void append_place(const struct piece *piece, const struct request *request, struct buf *out)
{
    switch (piece->source) {
    case SOURCE_METHOD:
        buf_append_str(out, method_name(request->method));
        break;
    case SOURCE_PATH:
        buf_append_slice(out, request->path);
        break;
    case SOURCE_HOST:
        buf_append_slice(out, request_host(request));
        break;
    case SOURCE_CLIENT:
        buf_append_slice(out, request->address);
        break;
    case SOURCE_ID:
        buf_append_str(out, request->id);
        break;
    case SOURCE_USER_ID:
        buf_append_str(out, request->user.id);
        break;
    case SOURCE_USER_ROLES:
        append_roles(&request->user, out);
        break;
    case SOURCE_QUERY:
        append_query(request, piece->name, out);
        break;
    case SOURCE_HEADER:
        buf_append_slice(out, request_header(request, piece->name));
        break;
    case SOURCE_PARAM:
        buf_append_slice(out, request_param(request, piece->name));
        break;
    case SOURCE_SETTING:
        buf_append_slice(out, buf_slice(&piece->setting));
        break;
    case SOURCE_NONE:
        break;
    }
}

void value_fill(const struct value *value, const struct request *request, struct buf *out)
{
    for (unsigned i = 0; i < value->count; i++) {
        buf_append_slice(out, value->pieces[i].text);
        append_place(&value->pieces[i], request, out);
    }
}

bool value_varies(const struct value *value)
{
    for (unsigned i = 0; i < value->count; i++) {
        enum source source = value->pieces[i].source;
        if (source != SOURCE_NONE && sources[source].varies)
            return true;
    }
    return false;
}

void value_write_vary(const struct value *value, struct buf *out)
{
    for (unsigned i = 0; i < value->count; i++) {
        const struct piece *piece = &value->pieces[i];
        if (piece->source == SOURCE_HEADER)
            buf_printf(out, "%s, ", piece->name);
        else if (piece->source != SOURCE_NONE && sources[piece->source].vary)
            buf_printf(out, "%s, ", sources[piece->source].vary);
    }
}
