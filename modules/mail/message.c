#include "modules/mail/message.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_CHARS   78  /* of a header, */
#define ENCODED_LINE_MAX 76  /* of one with an encoded word, which has 75 then, */
#define TEXT_LINE_MAX    998 /* of a text */
#define ENCODED_BEGIN    "=?utf-8?B?"
#define ENCODED_END      "?="

bool mail_address_parse(struct slice text, struct mail_address *out)
{
    text = slice_trim(text);
    const char *open = text.len ? memrchr(text.ptr, '<', text.len) : NULL;
    *out = (struct mail_address){.name = slice_of("", 0), .address = text};
    if (open && text.ptr[text.len - 1] == '>') {
        size_t before = (size_t)(open - text.ptr);
        out->name = slice_trim(slice_of(text.ptr, before));
        out->address = slice_of(open + 1, text.len - before - 2);
    }
    return text_is_email(out->address);
}

/* ---- Headers */

/* A header that is being written. */
struct header {
    struct buf *out;
    const char *line_end;
    size_t line; /* where the present line begins */
};

static size_t column(const struct header *header)
{
    return header->out->len - header->line;
}

static struct header begin_header(struct buf *out, const char *line_end, const char *name)
{
    struct header header = {out, line_end, out->len};
    buf_append_str(out, name);
    return header;
}

static void fold(struct header *header)
{
    buf_append_str(header->out, header->line_end);
    header->line = header->out->len;
    buf_append_char(header->out, ' ');
}

static void end_header(struct header *header)
{
    buf_append_str(header->out, header->line_end);
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

/* So many bytes of the text, whole characters, have room as Base64. */
static size_t bytes_that_fit(struct slice text, size_t chars)
{
    size_t room = chars / 4 * 3, taken = 0;
    while (taken < text.len) {
        size_t len = slice_utf8_length(slice_of(text.ptr + taken, text.len - taken));
        if (taken + len > room)
            break;
        taken += len;
    }
    return taken;
}

/* Encoded words, as many as it takes; the space between two of them is none of the text. */
static void append_encoded(struct header *header, struct slice text)
{
    const size_t frame = sizeof ENCODED_BEGIN + sizeof ENCODED_END - 2;
    while (text.len > 0) {
        size_t used = column(header);
        size_t room = used < ENCODED_LINE_MAX ? ENCODED_LINE_MAX - used : 0;
        size_t len = room > frame ? bytes_that_fit(text, room - frame) : 0;
        if (len > 0) {
            buf_append_str(header->out, ENCODED_BEGIN);
            base64_append(header->out, slice_of(text.ptr, len));
            buf_append_str(header->out, ENCODED_END);
        }
        text = slice_of(text.ptr + len, text.len - len);
        if (text.len > 0)
            fold(header);
    }
}

/* ASCII of short words: lines break between words. */
static void append_words(struct header *header, struct slice text)
{
    buf_append_slice(header->out, slice_cut(&text, ' '));
    while (text.len > 0) {
        struct slice word = slice_cut(&text, ' ');
        if (column(header) + 1 + word.len > LINE_MAX_CHARS)
            fold(header);
        else
            buf_append_char(header->out, ' ');
        buf_append_slice(header->out, word);
    }
}

static bool has_short_words(struct slice text)
{
    while (text.len > 0) {
        size_t len = slice_cut(&text, ' ').len;
        if (len == 0 || len > LINE_MAX_CHARS / 2)
            return false;
    }
    return true;
}

static void append_line(struct header *header, struct slice line)
{
    if (line.len == 0)
        return;
    bool plain = is_ascii(line) && !memmem(line.ptr, line.len, "=?", 2);
    if (plain && column(header) + line.len <= LINE_MAX_CHARS)
        buf_append_slice(header->out, line);
    else if (plain && has_short_words(line))
        append_words(header, line);
    else
        append_encoded(header, line);
}

/* The text, if need be as one line, in *room. */
static struct slice clean_line(struct slice text, struct buf *room)
{
    if (text_is_line(text))
        return text;
    text_append_line(room, text);
    return buf_slice(room);
}

static void append_text(struct header *header, struct slice text)
{
    struct buf clean = BUF_INIT;
    append_line(header, clean_line(text, &clean));
    buf_release(&clean);
}

/* What may stand in a name without quotes. */
static bool is_phrase(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || !strchr(" !#$%&'*+-/=?^_`{|}~", c)))
            return false;
    }
    return true;
}

/* One that needs quotes is encoded instead: there is nothing to escape then. */
static void append_name(struct header *header, struct slice name)
{
    struct buf clean = BUF_INIT;
    name = clean_line(name, &clean);
    if (is_phrase(name))
        append_line(header, name);
    else
        append_encoded(header, name);
    buf_release(&clean);
}

static void append_address(struct header *header, const struct mail_address *address)
{
    if (address->name.len == 0) {
        buf_append_slice(header->out, address->address);
        return;
    }
    append_name(header, address->name);
    if (column(header) + address->address.len + 3 > LINE_MAX_CHARS)
        fold(header);
    else
        buf_append_char(header->out, ' ');
    buf_append_char(header->out, '<');
    buf_append_slice(header->out, address->address);
    buf_append_char(header->out, '>');
}

static void append_field(struct buf *out, const char *line_end, const char *name,
                         struct slice value)
{
    buf_append_str(out, name);
    buf_append_slice(out, value);
    buf_append_str(out, line_end);
}

static void append_message_id(struct buf *out, const char *line_end, const struct message *message)
{
    char id[ID_TEXT_SIZE];
    struct slice host = message->from.address;
    slice_cut(&host, '@');
    id_format(message->id, id);
    buf_append_str(out, "Message-ID: <");
    buf_append(out, id, sizeof id - 1);
    buf_append_char(out, '@');
    buf_append_slice(out, host);
    buf_append_char(out, '>');
    buf_append_str(out, line_end);
}

/* `date` is of HTTP's form: "Sun, 06 Nov 1994 08:49:37 GMT". */
static void append_headers(struct buf *out, const char *line_end, const struct message *message,
                           const char *date)
{
    buf_append_str(out, "Date: ");
    buf_append(out, date, 26);
    buf_append_str(out, "+0000");
    buf_append_str(out, line_end);
    struct header header = begin_header(out, line_end, "From: ");
    append_address(&header, &message->from);
    end_header(&header);
    header = begin_header(out, line_end, "To: ");
    append_address(&header, &message->to);
    end_header(&header);
    header = begin_header(out, line_end, "Subject: ");
    append_text(&header, message->subject);
    end_header(&header);
    append_message_id(out, line_end, message);
    buf_append_str(out, "MIME-Version: 1.0");
    buf_append_str(out, line_end);
    buf_append_str(out, "Content-Type: text/plain; charset=utf-8");
    buf_append_str(out, line_end);
}

/* ---- The mail box */

static bool is_from_line(struct slice line)
{
    while (line.len && *line.ptr == '>')
        line = slice_of(line.ptr + 1, line.len - 1);
    return slice_starts(line, slice_str("From "));
}

/* A line that could be taken for the next message's first gets one more '>'. */
static void append_quoted(struct buf *out, struct slice text)
{
    while (text.len) {
        struct slice line = slice_cut(&text, '\n');
        if (is_from_line(line))
            buf_append_char(out, '>');
        buf_append_slice(out, line);
        buf_append_char(out, '\n');
    }
}

/* "From galley@localhost Sun Nov  6 08:49:37 1994". */
static void append_from_line(struct buf *out, const struct message *message, const char *date)
{
    buf_append_str(out, "From ");
    buf_append_slice(out, message->from.address);
    buf_append_char(out, ' ');
    buf_append(out, date, 3);
    buf_append_char(out, ' ');
    buf_append(out, date + 8, 4);
    buf_append_char(out, (char)(date[5] == '0' ? ' ' : date[5]));
    buf_append_char(out, date[6]);
    buf_append(out, date + 16, 10);
    buf_append(out, date + 12, 4);
    buf_append_char(out, '\n');
}

void message_append_mbox(struct buf *out, const struct message *message)
{
    char date[CLOCK_HTTP_SIZE];
    struct buf body = BUF_INIT;
    clock_http_date(message->now_ms, date);
    buf_reserve(&body, message->text.len + 64);
    append_quoted(&body, message->text);
    buf_reserve(out, body.len + message->subject.len + 512);
    append_from_line(out, message, date);
    append_headers(out, "\n", message, date);
    buf_append_str(out, "Content-Transfer-Encoding: 8bit\nContent-Length: ");
    buf_append_u64(out, body.len);
    buf_append_str(out, "\n\n");
    buf_append_slice(out, buf_slice(&body));
    buf_append_char(out, '\n');
    buf_release(&body);
}

/* ---- The wire */

/* The next line, whichever of \r\n, \n and \r ends it. */
static struct slice cut_line(struct slice *text)
{
    size_t len = 0;
    while (len < text->len && text->ptr[len] != '\n' && text->ptr[len] != '\r')
        len++;
    struct slice line = slice_of(text->ptr, len);
    size_t end = len < text->len;
    end += len + 1 < text->len && text->ptr[len] == '\r' && text->ptr[len + 1] == '\n';
    *text = slice_of(text->ptr + len + end, text->len - len - end);
    return line;
}

/* Appends the text with \r\n; returns its longest line. */
static size_t append_lines(struct buf *out, struct slice text)
{
    size_t longest = 0;
    while (text.len > 0) {
        struct slice line = cut_line(&text);
        buf_append_slice(out, line);
        buf_append_str(out, "\r\n");
        longest = line.len > longest ? line.len : longest;
    }
    return longest;
}

static void append_base64(struct buf *out, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < 57 ? bytes.len : 57; /* 76 characters */
        base64_append(out, slice_of(bytes.ptr, len));
        buf_append_str(out, "\r\n");
        bytes = slice_of(bytes.ptr + len, bytes.len - len);
    }
}

void message_append_wire(struct buf *out, const struct message *message)
{
    char date[CLOCK_HTTP_SIZE];
    struct buf body = BUF_INIT;
    clock_http_date(message->now_ms, date);
    size_t longest = append_lines(&body, message->text);
    struct slice text = buf_slice(&body);
    bool plain = longest <= TEXT_LINE_MAX && is_ascii(text) &&
                 (!text.len || !memchr(text.ptr, '\0', text.len));
    append_headers(out, "\r\n", message, date);
    append_field(out, "\r\n\r\n",
                 "Content-Transfer-Encoding: ", slice_str(plain ? "7bit" : "base64"));
    if (plain)
        buf_append_slice(out, text);
    else
        append_base64(out, text);
    buf_release(&body);
}
