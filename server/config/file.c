/* DESIGN. inih splits lines into names and values, but in Debian's build it does not tell line
 * numbers, says nothing of a section without keys, cuts section names and reports only the first
 * error. So it is given one line at a time, and section headers are read here. */
#include "server/config/config_private.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4000
#define FILE_MAX_BYTES (1 << 20)

struct reader {
    struct config_sink *sink;
    unsigned line;
};

/* Appends the file's bytes; EFBIG when there are more than FILE_MAX_BYTES. */
static bool append_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t limit = out->len + FILE_MAX_BYTES;
    size_t got;
    do {
        char *room = buf_reserve(out, 4096);
        got = fread(room, 1, 4096, file);
        out->len += got;
    } while (got > 0 && out->len <= limit);
    int failure = ferror(file) ? errno : out->len > limit ? EFBIG : 0;
    fclose(file);
    errno = failure;
    return failure == 0;
}

static int on_pair(void *arg, const char *section, const char *key, const char *value)
{
    (void)section;
    struct reader *reader = arg;
    reader->sink->pair(reader->sink, reader->line, key, value);
    return 1;
}

/* Without blanks around it; cuts in place. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t", text[len - 1]))
        text[--len] = '\0';
    return text;
}

/* "[queue mail]", perhaps with a comment behind it. */
static void read_header(struct reader *reader, char *line)
{
    char *end = strchr(line, ']');
    char *rest = end ? end + 1 + strspn(end + 1, " \t") : NULL;
    if (!end) {
        reader->sink->error(reader->sink, reader->line,
                            "the bracket ] that ends the name of the section is missing");
        return;
    }
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        reader->sink->error(reader->sink, reader->line,
                            "a section is written [NAME], with nothing behind it");
        return;
    }
    *end = '\0';
    char *save;
    char *kind = strtok_r(line + 1, " \t", &save);
    char *name = kind ? strtok_r(NULL, "", &save) : NULL;
    reader->sink->section(reader->sink, reader->line, kind ? kind : "", name ? trim(name) : "");
}

static void read_line(struct reader *reader, struct slice raw)
{
    struct config_sink *sink = reader->sink;
    struct slice trimmed = slice_trim(raw);
    if (raw.len > LINE_MAX_BYTES) {
        sink->error(sink, reader->line, "the line is longer than 4000 bytes");
        return;
    }
    if (memchr(raw.ptr, '\0', raw.len) || !slice_is_utf8(raw)) {
        sink->error(sink, reader->line, "the line is not UTF-8 text");
        return;
    }
    char line[LINE_MAX_BYTES + 1];
    memcpy(line, trimmed.ptr, trimmed.len);
    line[trimmed.len] = '\0';
    if (line[0] == '[')
        read_header(reader, line);
    else if (ini_parse_string(line, on_pair, reader) != 0)
        sink->error(sink, reader->line, "a line is [SECTION], KEY = VALUE or a comment");
}

/* Debian's inih has its options in variables: lines stand for themselves, whole, and a comment may
 * follow a value. */
static void set_up_inih(void)
{
    ini_allow_multiline = false;
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = LINE_MAX_BYTES + 8;
    static char comment_marks[] = ";#";
    ini_inline_comment_prefixes = comment_marks;
}

void config_file_read(const char *path, struct config_sink *sink)
{
    struct buf bytes = BUF_INIT;
    if (!append_file(path, &bytes)) {
        struct buf what = BUF_INIT;
        buf_printf(&what, "cannot be read: %s%s", strerror(errno),
                   errno == ENOENT ? "; name another with -c FILE" : "");
        buf_append_char(&what, '\0');
        sink->error(sink, 0, what.data);
        buf_release(&what);
        goto out;
    }
    set_up_inih();
    struct slice rest = buf_slice(&bytes);
    struct slice mark = slice_str("\xef\xbb\xbf");
    if (slice_starts(rest, mark))
        rest = slice_of(rest.ptr + mark.len, rest.len - mark.len);
    struct reader reader = {.sink = sink};
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        reader.line++;
        read_line(&reader, line);
    }
out:
    buf_release(&bytes);
}

static bool expand_file(const char *path, struct buf *out, struct buf *why)
{
    size_t start = out->len;
    if (!append_file(path, out)) {
        buf_printf(why, "the file %s cannot be read: %s", path, strerror(errno));
        return false;
    }
    if (memchr(out->data + start, '\0', out->len - start)) {
        buf_printf(why, "the file %s is not text", path);
        return false;
    }
    while (out->len > start && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    return true;
}

/* Copies `written`, replacing each ${NAME}. */
static bool expand_names(const char *written, struct buf *out, struct buf *why)
{
    for (const char *open; (open = strstr(written, "${"));) {
        const char *close = strchr(open, '}');
        if (!close) {
            buf_append_str(why, "${ is not closed with }");
            return false;
        }
        buf_append(out, written, (size_t)(open - written));
        char name[256];
        size_t len = (size_t)(close - open) - 2;
        const char *value = NULL;
        if (len < sizeof name) {
            memcpy(name, open + 2, len);
            name[len] = '\0';
            value = getenv(name);
        }
        if (!value) {
            buf_printf(why, "the environment has no variable %.*s", (int)len, open + 2);
            return false;
        }
        buf_append_str(out, value);
        written = close + 1;
    }
    buf_append_str(out, written);
    return true;
}

bool config_expand(const char *written, struct buf *out, struct buf *why)
{
    struct buf path = BUF_INIT;
    bool from_file = written[0] == '@'; /* as written: what the environment holds is never a path */
    bool ok;
    if (from_file) {
        ok = expand_names(written + 1, &path, why);
        buf_append_char(&path, '\0');
        ok = ok && expand_file(path.data, out, why);
    } else {
        ok = expand_names(written, out, why);
    }
    buf_append_char(out, '\0');
    buf_release(&path);
    return ok;
}
