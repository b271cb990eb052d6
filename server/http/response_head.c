#include "server/http/response_head.h"

#include <stddef.h>

enum err response_head_find_end(struct head_scan *scan, struct slice bytes)
{
    enum err err = head_find_end(scan, bytes);
    if (err == ERR_URI_TOO_LONG) /* of the status line */
        return ERR_HEADER_TOO_LARGE;
    return !err && scan->start > 0 ? ERR_MALFORMED : err;
}

/* ---- The status line */

static bool read_status(struct slice text, int *out)
{
    int64_t value;
    if (text.len != 3 || !slice_to_i64(text, &value) || value < 100 || value > 599)
        return false;
    *out = (int)value;
    return true;
}

/* The space before an empty reason is missing in what many servers send. */
static enum err parse_status_line(struct slice line, struct response_head *out)
{
    struct slice version = slice_cut(&line, ' ');
    struct slice status = slice_cut(&line, ' ');
    out->http10 = slice_is(version, "HTTP/1.0");
    if (!out->http10 && !slice_is(version, "HTTP/1.1"))
        return ERR_MALFORMED;
    out->reason = line;
    return read_status(status, &out->status) && head_is_value(line) ? ERR_OK : ERR_MALFORMED;
}

/* ---- Fields */

/* What the fields say of the framing. */
struct said {
    bool chunked, close, keep_alive;
};

static enum err take_length(struct response_head *head, struct said *said, struct slice value)
{
    (void)said;
    bool again = head->content_length >= 0;
    return !again && head_read_length(value, &head->content_length) ? ERR_OK : ERR_MALFORMED;
}

static enum err take_coding(struct response_head *head, struct said *said, struct slice value)
{
    (void)head;
    if (said->chunked || !slice_eq_nocase(value, slice_str("chunked")))
        return ERR_MALFORMED;
    said->chunked = true;
    return ERR_OK;
}

static enum err take_connection(struct response_head *head, struct said *said, struct slice value)
{
    (void)head;
    head_read_connection(value, &said->close, &said->keep_alive);
    return ERR_OK;
}

static const struct {
    const char *name;
    enum err (*take)(struct response_head *head, struct said *said, struct slice value);
} framing_fields[] = {
    {"Connection", take_connection},
    {"Content-Length", take_length},
    {"Transfer-Encoding", take_coding},
};

static enum err take_field(struct response_head *head, struct said *said,
                           const struct header *field)
{
    for (size_t i = 0; i < sizeof framing_fields / sizeof *framing_fields; i++) {
        if (slice_eq_nocase(field->name, slice_str(framing_fields[i].name)))
            return framing_fields[i].take(head, said, field->value);
    }
    return ERR_OK;
}

static enum err parse_fields(struct slice lines, struct response_head *out, struct said *said)
{
    while (lines.len > 0) {
        struct header *field = &out->fields[out->field_count];
        if (out->field_count == HEADERS_MAX)
            return ERR_HEADER_TOO_LARGE;
        enum err err = head_take_field(&lines, field);
        if (!err)
            err = take_field(out, said, field);
        if (err)
            return err;
        out->field_count++;
    }
    return ERR_OK;
}

/* ---- Framing, RFC 9112 section 6.3 */

/* These must not announce a body at all: who does may send one, whatever the standard says. */
static bool announces_in_vain(const struct response_head *head, const struct said *said)
{
    bool never = head->status < 200 || head->status == 204;
    return never && (said->chunked || head->content_length > 0);
}

static enum framing framing_of(const struct response_head *head, const struct said *said,
                               enum method asked)
{
    if (asked == METHOD_HEAD || head->status < 200 || head->status == 204 || head->status == 304)
        return FRAMING_NONE;
    if (said->chunked)
        return FRAMING_CHUNKED;
    if (head->content_length < 0)
        return FRAMING_UNTIL_CLOSE;
    return head->content_length > 0 ? FRAMING_LENGTH : FRAMING_NONE;
}

static enum err decide_framing(struct response_head *head, const struct said *said,
                               enum method asked)
{
    if (said->chunked && (head->content_length >= 0 || head->http10))
        return ERR_MALFORMED;
    if (announces_in_vain(head, said))
        return ERR_MALFORMED;
    head->framing = framing_of(head, said, asked);
    head->close =
        said->close || (head->http10 && !said->keep_alive) || head->framing == FRAMING_UNTIL_CLOSE;
    return ERR_OK;
}

enum err response_head_parse(struct slice bytes, enum method asked, struct response_head *out)
{
    struct slice lines = slice_of(bytes.ptr, bytes.len - 2); /* without the empty line */
    struct slice line = slice_cut(&lines, '\n');
    struct said said = {0};
    memset(out, 0, offsetof(struct response_head, fields));
    out->content_length = -1;
    enum err err = parse_status_line(slice_of(line.ptr, line.len - 1), out);
    if (!err)
        err = parse_fields(lines, out, &said);
    return err ? err : decide_framing(out, &said, asked);
}
