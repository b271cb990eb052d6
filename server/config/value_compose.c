/* Values of [compose NAME]: its parts. */
#include "server/config/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_key timeout_word = {
    .name = "timeout", .type = CONFIG_DURATION, .fallback = "", .min = 10, .max = CONFIG_HOUR};

static bool read_timeout(const char *text, int64_t *out, struct buf *why)
{
    struct config_field field = {.key = &timeout_word};
    struct config_value value = {0};
    struct buf allowed = BUF_INIT;
    bool ok = text[0] && config_value_parse(&field, text, &value, &allowed);
    *out = value.number;
    if (!ok)
        buf_printf(why, " (timeout is %.*s)", SLICE_ARG(buf_slice(&allowed)));
    free(value.text);
    buf_release(&allowed);
    return ok;
}

/* The first word of *rest, which becomes what is behind it. */
static struct slice next_word(struct slice *rest)
{
    *rest = slice_trim(*rest);
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
        len++;
    struct slice word = slice_of(rest->ptr, len);
    *rest = slice_of(rest->ptr + len, rest->len - len);
    return word;
}

static bool copy(struct slice text, char *out, size_t size)
{
    bool fits = text.len > 0 && text.len < size;
    snprintf(out, size, "%.*s", fits ? (int)text.len : 0, fits ? text.ptr : "");
    return fits;
}

static bool read_name(struct slice word, struct config_part *out, struct buf *why)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    bool ok = copy(word, out->name, sizeof out->name) && strspn(out->name, plain) == word.len;
    if (!ok)
        buf_append_str(why, " (a name has 1 to 64 letters, digits, _ and -)");
    return ok;
}

/* "/orders?limit=3", "upstream:catalog/products". */
static bool read_target(struct slice word, struct config_part *out, struct buf *why)
{
    static const char upstream[] = "upstream:";
    bool ok = true;
    if (slice_starts(word, slice_str(upstream))) {
        word = slice_of(word.ptr + strlen(upstream), word.len - strlen(upstream));
        const char *slash = memchr(word.ptr, '/', word.len);
        size_t len = slash ? (size_t)(slash - word.ptr) : word.len;
        ok = copy(slice_of(word.ptr, len), out->upstream, sizeof out->upstream);
        word = slice_of(word.ptr + len, word.len - len);
    }
    ok = ok && copy(word, out->path, sizeof out->path) && out->path[0] == '/';
    if (!ok)
        buf_append_str(why, " (a path, or upstream:NAME and a path, is behind the name)");
    return ok;
}

static bool read_words(struct slice rest, struct config_part *out, struct buf *why)
{
    static const char timeout[] = "timeout=", fallback[] = "fallback=";
    struct slice word = next_word(&rest);
    for (; word.len > 0; word = next_word(&rest)) {
        char text[64];
        if (slice_is(word, "optional")) {
            out->optional = true;
        } else if (slice_starts(word, slice_str(timeout)) && copy(word, text, sizeof text)) {
            if (!read_timeout(text + strlen(timeout), &out->timeout_ms, why))
                return false;
        } else if (slice_starts(word, slice_str(fallback))) {
            const char *json = word.ptr + strlen(fallback);
            out->fallback = json;
            return *json != '\0';
        } else {
            buf_printf(why, " (\"%.*s\" is none of timeout=, optional, fallback=)",
                       word.len < 40 ? (int)word.len : 40, word.ptr);
            return false;
        }
    }
    return true;
}

static bool read_part(const char *text, struct config_part *out, struct buf *why)
{
    struct slice rest = slice_str(text);
    *out = (struct config_part){0};
    struct slice name = next_word(&rest);
    struct slice target = next_word(&rest);
    return read_name(name, out, why) && read_target(target, out, why) && read_words(rest, out, why);
}

bool config_parse_part(const char *text, struct config_part *out)
{
    struct buf why = BUF_INIT;
    bool ok = read_part(text, out, &why);
    buf_release(&why);
    return ok;
}

bool config_part_value(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)out;
    struct config_part part;
    return read_part(text, &part, why);
}

void config_part_describe(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "a part such as orders /orders?limit=3 timeout=200ms optional, or products "
                        "upstream:catalog/products fallback=[]");
}
