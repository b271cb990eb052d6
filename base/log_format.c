#include "base/log_private.h"

#include "base/json.h"

#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *padded;
    const char *colour;
} levels[] = {
    [LOG_DEBUG] = {"debug", "DEBUG ", "\033[2m"},
    [LOG_INFO] = {"info", "INFO  ", "\033[32m"},
    [LOG_WARN] = {"warn", "WARN  ", "\033[33m"},
    [LOG_ERROR] = {"error", "ERROR ", "\033[31m"},
};

void log_style_init(struct log_style *style, enum log_format format, const char *access_format,
                    struct log_template *template, int fd)
{
    bool terminal = isatty(fd) == 1;
    bool text = format == LOG_TEXT || (format == LOG_AUTO && terminal);
    const char *no_colour = getenv("NO_COLOR"); /* no-color.org */
    *style = (struct log_style){
        .text = text,
        .access_text =
            strcmp(access_format, "auto") == 0 ? text : strcmp(access_format, "text") == 0,
        .template = template,
        .colour = terminal && !(no_colour && no_colour[0]),
        .second_ms = INT64_MIN,
    };
}

bool log_style_is_json(const struct log_style *style)
{
    return !style->text && !style->access_text && !style->template;
}

struct slice log_style_stamp(struct log_style *style, int64_t wall_ms)
{
    int64_t ms = wall_ms % 1000;
    if (wall_ms - ms != style->second_ms) {
        clock_rfc3339(wall_ms, style->stamp);
        style->second_ms = wall_ms - ms;
    }
    style->stamp[20] = (char)('0' + ms / 100);
    style->stamp[21] = (char)('0' + ms / 10 % 10);
    style->stamp[22] = (char)('0' + ms % 10);
    return slice_of(style->stamp, CLOCK_RFC3339_SIZE - 1);
}

void log_append_ms(struct buf *out, uint64_t duration_ns)
{
    unsigned us = (unsigned)(duration_ns / 1000 % 1000);
    char decimals[] = {'.', (char)('0' + us / 100), (char)('0' + us / 10 % 10),
                       (char)('0' + us % 10)};
    buf_append_u64(out, duration_ns / 1000000);
    buf_append(out, decimals, sizeof decimals);
}

/* What no client can choose, and holds nothing that needs escaping. */
static void append_own(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    buf_append_slice(out, text);
    buf_append_char(out, '"');
}

/* Of a request that was passed on. */
static void json_upstream(struct buf *out, const struct log_line *line)
{
    buf_append_str(out, ",\"target\":");
    append_own(out, line->texts[LOG_TARGET]);
    buf_append_str(out, ",\"tries\":");
    buf_append_u64(out, line->facts.tries);
    if (line->facts.first_byte_ns > 0) {
        buf_append_str(out, ",\"firstByteMs\":");
        log_append_ms(out, line->facts.first_byte_ns);
    }
}

static void json_access(struct buf *out, const struct log_line *line)
{
    const struct log_facts *facts = &line->facts;
    buf_append_str(out, ",\"requestId\":");
    append_own(out, line->texts[LOG_REQUEST_ID]);
    buf_append_str(out, ",\"method\":");
    json_append_string(out, line->texts[LOG_METHOD]);
    buf_append_str(out, ",\"path\":");
    json_append_string(out, line->texts[LOG_PATH]);
    buf_append_str(out, ",\"route\":");
    append_own(out, line->texts[LOG_ROUTE]);
    buf_append_str(out, ",\"status\":");
    buf_append_i64(out, facts->status);
    buf_append_str(out, ",\"durationMs\":");
    log_append_ms(out, facts->duration_ns);
    buf_append_str(out, ",\"bytes\":");
    buf_append_u64(out, facts->bytes_out);
    buf_append_str(out, ",\"user\":");
    json_append_string(out, line->texts[LOG_USER]);
    buf_append_str(out, ",\"address\":");
    append_own(out, line->texts[LOG_ADDRESS]);
    if (line->texts[LOG_TRIED].len > 0) {
        buf_append_str(out, ",\"upstream\":");
        append_own(out, line->texts[LOG_TRIED]);
        json_upstream(out, line);
    }
    if (facts->cache[0] != '\0') {
        buf_append_str(out, ",\"cache\":");
        append_own(out, slice_str(facts->cache));
    }
    if (facts->outcome[0] != '\0') {
        buf_append_str(out, ",\"outcome\":");
        append_own(out, slice_str(facts->outcome));
    }
}

static void format_json(struct buf *out, struct log_style *style, const struct log_line *line)
{
    buf_append_str(out, "{\"time\":\"");
    buf_append_slice(out, log_style_stamp(style, line->facts.wall_ms));
    buf_append_str(out, "\",\"level\":\"");
    buf_append_str(out, levels[line->facts.level].name);
    buf_append_str(out, "\",\"component\":");
    append_own(out, slice_str(line->facts.component));
    if (line->facts.outcome) {
        json_access(out, line);
    } else {
        buf_append_str(out, ",\"message\":");
        json_append_string(out, line->texts[LOG_MESSAGE]);
    }
    buf_append_char(out, '}');
}

size_t log_visible_length(struct slice text)
{
    size_t len = slice_utf8_length(text);
    bool c0 = len == 1 && ((unsigned char)text.ptr[0] < 0x20 || text.ptr[0] == 0x7F);
    bool c1 = len == 2 && memcmp(text.ptr, "\xC2\xA0", 2) < 0;
    return c0 || c1 ? 0 : len;
}

/* What would move the reader's cursor or break the line becomes question marks. */
static void append_visible(struct buf *out, struct slice s)
{
    while (s.len > 0) {
        size_t visible = log_visible_length(s), utf8 = slice_utf8_length(s);
        size_t len = utf8 == 0 ? 1 : utf8;
        if (visible > 0)
            buf_append(out, s.ptr, len);
        else
            buf_append_char(out, '?');
        s = slice_of(s.ptr + len, s.len - len);
    }
}

static void append_column(struct buf *out, struct slice value, size_t width)
{
    append_visible(out, value);
    for (size_t i = value.len; i < width; i++)
        buf_append_char(out, ' ');
    buf_append_char(out, ' ');
}

static void text_access(struct buf *out, const struct log_line *line)
{
    append_column(out, line->texts[LOG_METHOD], 6);
    append_column(out, line->texts[LOG_PATH], 28);
    buf_append_i64(out, line->facts.status);
    buf_append_char(out, ' ');
    log_append_ms(out, line->facts.duration_ns);
    buf_append_str(out, " ms ");
    buf_append_u64(out, line->facts.bytes_out);
    buf_append_str(out, " B ");
    append_visible(out, line->texts[LOG_USER].len > 0 ? line->texts[LOG_USER] : slice_str("-"));
    buf_append_char(out, ' ');
    append_column(out, line->texts[LOG_ADDRESS], 0);
    append_visible(out, line->texts[LOG_REQUEST_ID]);
    if (line->texts[LOG_TRIED].len > 0) {
        buf_append_str(out, " via ");
        append_visible(out, line->texts[LOG_TRIED]);
    }
    if (line->facts.cache[0] != '\0')
        buf_printf(out, " cache %s", line->facts.cache);
    if (line->facts.outcome[0] != '\0')
        buf_printf(out, " (%s)", line->facts.outcome);
}

static void format_text(struct buf *out, struct log_style *style, const struct log_line *line)
{
    enum log_level level = line->facts.level;
    buf_append_slice(out, log_style_stamp(style, line->facts.wall_ms));
    buf_append_char(out, ' ');
    if (style->colour)
        buf_append_str(out, levels[level].colour);
    buf_append_str(out, levels[level].padded);
    if (style->colour)
        buf_append_str(out, "\033[0m");
    append_column(out, slice_str(line->facts.component), 8);
    if (line->facts.outcome)
        text_access(out, line);
    else
        append_visible(out, line->texts[LOG_MESSAGE]);
}

void log_format_line(struct buf *out, struct log_style *style, const struct log_line *line)
{
    bool access = line->facts.outcome;
    if (access && style->template)
        log_template_line(out, style, line);
    else if (access ? style->access_text : style->text)
        format_text(out, style, line);
    else
        format_json(out, style, line);
    buf_append_char(out, '\n');
}
