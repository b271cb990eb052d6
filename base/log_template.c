/* DESIGN. A template is read once into pieces: a field, and the text that follows it. Of a field
 * what a client has chosen can neither end the line nor the field: what has no picture, quotes and
 * backslashes, the character that follows the field and, outside quotes, blanks are escaped. */
#include "base/log_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <time.h>

static const char combined[] = "{address} - {user} [{apache_time}] \"{method} {path} {protocol}\" "
                               "{status} {bytes} \"{referer}\" \"{user_agent}\"";

/* ---- Fields */

/* "22/Nov/2026:00:32:59 +0000" */
static void append_apache_time(struct buf *out, struct log_style *style,
                               const struct log_line *line)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    (void)style;
    time_t seconds = (time_t)(line->facts.wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(out, "%02d/%s/%d:%02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void append_time(struct buf *out, struct log_style *style, const struct log_line *line)
{
    buf_append_slice(out, log_style_stamp(style, line->facts.wall_ms));
}

static void append_status(struct buf *out, struct log_style *style, const struct log_line *line)
{
    (void)style;
    buf_append_i64(out, line->facts.status);
}

static void append_bytes(struct buf *out, struct log_style *style, const struct log_line *line)
{
    (void)style;
    buf_append_u64(out, line->facts.bytes_out);
}

static void append_tries(struct buf *out, struct log_style *style, const struct log_line *line)
{
    (void)style;
    buf_append_u64(out, line->facts.tries);
}

static void append_duration(struct buf *out, struct log_style *style, const struct log_line *line)
{
    (void)style;
    log_append_ms(out, line->facts.duration_ns);
}

static void append_first_byte(struct buf *out, struct log_style *style, const struct log_line *line)
{
    (void)style;
    if (line->facts.first_byte_ns > 0)
        log_append_ms(out, line->facts.first_byte_ns);
    else
        buf_append_char(out, '-');
}

static struct slice protocol_of(const struct log_line *line)
{
    return slice_str(line->facts.http10 ? "HTTP/1.0" : "HTTP/1.1");
}

static struct slice outcome_of(const struct log_line *line)
{
    return slice_str(line->facts.outcome);
}

static struct slice cache_of(const struct log_line *line)
{
    return slice_str(line->facts.cache);
}

/* What of "10.0.0.1:80 unreachable, 10.0.0.2:80 200" was asked last. */
static struct slice server_of(const struct log_line *line)
{
    struct slice tried = line->texts[LOG_TRIED], last = tried;
    while (tried.len > 0)
        last = slice_trim(slice_cut(&tried, ','));
    return slice_cut(&last, ' ');
}

struct log_field {
    const char *name;
    /* One of these, or else the text of the line. */
    void (*append)(struct buf *out, struct log_style *style, const struct log_line *line);
    struct slice (*get)(const struct log_line *line);
    unsigned text;
};

static const struct log_field fields[] = {
    {.name = "time", .append = append_time},
    {.name = "apache_time", .append = append_apache_time},
    {.name = "request_id", .text = LOG_REQUEST_ID},
    {.name = "address", .text = LOG_ADDRESS},
    {.name = "user", .text = LOG_USER},
    {.name = "method", .text = LOG_METHOD},
    {.name = "path", .text = LOG_PATH},
    {.name = "protocol", .get = protocol_of},
    {.name = "route", .text = LOG_ROUTE},
    {.name = "status", .append = append_status},
    {.name = "bytes", .append = append_bytes},
    {.name = "duration_ms", .append = append_duration},
    {.name = "outcome", .get = outcome_of},
    {.name = "cache", .get = cache_of},
    {.name = "target", .text = LOG_TARGET},
    {.name = "upstream", .text = LOG_TRIED},
    {.name = "server", .get = server_of},
    {.name = "tries", .append = append_tries},
    {.name = "first_byte_ms", .append = append_first_byte},
    {.name = "referer", .text = LOG_REFERER},
    {.name = "user_agent", .text = LOG_USER_AGENT},
};

#define FIELDS (sizeof fields / sizeof fields[0])

/* ---- Reading a template */

static const struct log_field *field_of(struct slice name)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (slice_eq(name, slice_str(fields[i].name)))
            return &fields[i];
    }
    return NULL;
}

void log_append_fields(struct buf *out)
{
    for (size_t i = 0; i < FIELDS; i++)
        buf_printf(out, "%s{%s}", i > 0 ? " " : "", fields[i].name);
}

static unsigned quotes_in(struct slice text)
{
    unsigned count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '"';
    return count;
}

/* Of "{name} and what follows up to the next one"; false with why. */
static bool read_piece(struct slice *rest, struct log_piece *piece, struct buf *why)
{
    struct slice inner = slice_of(rest->ptr + 1, rest->len - 1);
    const char *end = memchr(inner.ptr, '}', inner.len);
    struct slice name = slice_of(inner.ptr, end ? (size_t)(end - inner.ptr) : inner.len);
    piece->field = end ? field_of(name) : NULL;
    if (!piece->field) {
        buf_printf(why, "\"%.*s%s\" is none of ", (int)(name.len < 40 ? name.len : 40) + 1,
                   rest->ptr, end ? "}" : "");
        log_append_fields(why);
        return false;
    }
    *rest = slice_of(end + 1, inner.len - name.len - 1);
    const char *next = memchr(rest->ptr, '{', rest->len);
    piece->after = slice_of(rest->ptr, next ? (size_t)(next - rest->ptr) : rest->len);
    *rest = slice_of(rest->ptr + piece->after.len, rest->len - piece->after.len);
    return true;
}

static bool read_pieces(struct slice text, struct log_template *out, struct buf *why)
{
    const char *first = memchr(text.ptr, '{', text.len);
    if (!first) {
        buf_append_str(why, "it has no field; ");
        log_append_fields(why);
        return false;
    }
    out->count = 0;
    out->before = slice_of(text.ptr, (size_t)(first - text.ptr));
    unsigned quotes = quotes_in(out->before);
    struct slice rest = slice_of(first, text.len - out->before.len);
    while (rest.len > 0) {
        struct log_piece *piece = &out->pieces[out->count];
        if (out->count == LOG_PIECES_MAX) {
            buf_printf(why, "it has more than %d fields", LOG_PIECES_MAX);
            return false;
        }
        if (!read_piece(&rest, piece, why))
            return false;
        piece->quoted = quotes % 2 == 1;
        quotes += quotes_in(piece->after);
        out->count++;
    }
    return true;
}

struct log_template *log_template_create(const char *text, struct buf *why)
{
    if (strcmp(text, "combined") == 0)
        text = combined;
    size_t len = strlen(text);
    struct log_template *template = mem_zalloc(sizeof *template + len);
    memcpy(template->text, text, len);
    if (read_pieces(slice_of(template->text, len), template, why))
        return template;
    free(template);
    return NULL;
}

bool log_access_format_check(const char *text, struct buf *why)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "json") == 0 || strcmp(text, "text") == 0)
        return true;
    struct log_template *template = log_template_create(text, why);
    bool good = template;
    free(template);
    return good;
}

bool log_template_asks_client(const struct log_template *template)
{
    for (unsigned i = 0; i < template->count; i++) {
        unsigned text = template->pieces[i].field->text;
        if (text == LOG_REFERER || text == LOG_USER_AGENT)
            return true;
    }
    return false;
}

/* ---- Writing a line */

static void append_hex(struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(out, "\\x%02X", (unsigned char)bytes.ptr[i]);
}

static void append_text(struct buf *out, const struct log_piece *piece, struct slice s)
{
    char until = '\0'; /* what ends the field */
    if (piece->after.len > 0)
        until = piece->after.ptr[0];
    if (s.len == 0)
        buf_append_char(out, '-');
    while (s.len > 0) {
        size_t len = log_visible_length(s);
        char c = s.ptr[0];
        struct slice one = slice_of(s.ptr, len == 0 ? 1 : len);
        if (c == '"' || c == '\\')
            buf_append_char(out, '\\');
        bool ends = c == until || (c == ' ' && !piece->quoted);
        if (len == 0 || (ends && c != '"' && c != '\\'))
            append_hex(out, one);
        else
            buf_append_slice(out, one);
        s = slice_of(s.ptr + one.len, s.len - one.len);
    }
}

void log_template_line(struct buf *out, struct log_style *style, const struct log_line *line)
{
    const struct log_template *template = style->template;
    buf_append_slice(out, template->before);
    for (unsigned i = 0; i < template->count; i++) {
        const struct log_piece *piece = &template->pieces[i];
        const struct log_field *field = piece->field;
        if (field->append)
            field->append(out, style, line);
        else
            append_text(out, piece, field->get ? field->get(line) : line->texts[field->text]);
        buf_append_slice(out, piece->after);
    }
}
