#include "server/http/head.h"

#include "server/http/host.h"
#include "server/http/path.h"

/* DESIGN. RFC 9112, read strictly: whatever two parsers could take in two ways is refused, because
 * a proxy in front of us may have taken it the other way, and then one request hides in another.
 * Lines end with CRLF, fields are not folded, a length is said once and in plain digits, and a
 * length and a transfer coding exclude each other. */

/* ---- Which bytes may stand where */

enum {
    IN_TOKEN = 1,
    IN_VALUE = 2,
    IN_TARGET = 4,
    IN_PATH = 8, /* of a target, and there is nothing to decode and no segment to remove */
    NAME = IN_TOKEN | IN_VALUE | IN_TARGET | IN_PATH,
    MARK = IN_VALUE | IN_TARGET | IN_PATH,
};

/* RFC 9110 sections 5.5 and 5.6.2. In targets we take every visible character but '#': clients are
 * careless with some of them, and none is ambiguous. */
static const unsigned char allowed[256] = {
    ['\t'] = IN_VALUE,
    [' '] = IN_VALUE,
    ['!'] = NAME,
    ['"'] = MARK,
    ['#'] = IN_TOKEN | IN_VALUE,
    ['$'] = NAME,
    ['%'] = NAME & ~IN_PATH,
    ['&' ... '\''] = NAME,
    ['(' ... ')'] = MARK,
    ['*' ... '+'] = NAME,
    [','] = MARK,
    ['-'] = NAME,
    ['.'] = NAME & ~IN_PATH,
    ['/'] = MARK,
    ['0' ... '9'] = NAME,
    [':' ... '>'] = MARK,
    ['?'] = MARK & ~IN_PATH,
    ['@'] = MARK,
    ['A' ... 'Z'] = NAME,
    ['['] = MARK,
    ['\\'] = MARK & ~IN_PATH,
    [']'] = MARK,
    ['^' ... 'z'] = NAME,
    ['{'] = MARK,
    ['|'] = NAME,
    ['}'] = MARK,
    ['~'] = NAME,
    [0x80 ... 0xFF] = IN_VALUE,
};

/* Behind the bytes of that kind that `at` begins with. */
static const char *skip(const char *at, const char *end, unsigned char kind)
{
    while (at < end && allowed[(unsigned char)*at] & kind)
        at++;
    return at;
}

static bool all(struct slice s, unsigned char kind)
{
    return skip(s.ptr, s.ptr + s.len, kind) == s.ptr + s.len;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* False if one of eight bytes is a control character or beyond ASCII: adding 1 sets the highest bit
 * of 0x7F and of what has it set, taking 0x20 away that of what is smaller. A carry only ever makes
 * the answer false. */
static bool is_plain_text(uint64_t bytes)
{
    return (((bytes + EACH_BYTE(1)) | (bytes - EACH_BYTE(0x20))) & EACH_BYTE(0x80)) == 0;
}

/* skip(IN_VALUE): values are most of a head. */
static const char *skip_value(const char *at, const char *end)
{
    uint64_t bytes;
    for (size_t words = (size_t)(end - at) / sizeof bytes; words > 0; words--) {
        memcpy(&bytes, at, sizeof bytes);
        if (!is_plain_text(bytes))
            break;
        at += sizeof bytes;
    }
    return skip(at, end, IN_VALUE);
}

/* ---- The end of the head */

#define REQUEST_LINE_MAX (TARGET_MAX + 64)

/* The empty lines in front count too, or a client could fill the memory with them. */
static enum err check_size(const struct head_scan *scan, size_t len)
{
    size_t size = scan->end > 0 ? scan->end : len;
    bool in_request_line = scan->end == 0 && scan->line == scan->start;
    if (in_request_line && len - scan->start > REQUEST_LINE_MAX)
        return ERR_URI_TOO_LONG;
    return size > HEAD_MAX ? ERR_HEADER_TOO_LARGE : ERR_OK;
}

/* A line ends at `lf`; whether it is empty decides. */
static enum err end_line(struct head_scan *scan, const char *bytes, size_t lf)
{
    size_t line = scan->line;
    if (lf == line || bytes[lf - 1] != '\r')
        return ERR_MALFORMED;
    scan->line = scan->at = lf + 1;
    if (line == scan->start && lf - line > REQUEST_LINE_MAX)
        return ERR_URI_TOO_LONG;
    if (lf - 1 > line)
        return ERR_OK;
    if (line == scan->start)
        scan->start = scan->line;
    else
        scan->end = scan->line;
    return ERR_OK;
}

enum err head_find_end(struct head_scan *scan, struct slice bytes)
{
    while (scan->end == 0 && scan->at < bytes.len) {
        const char *lf = memchr(bytes.ptr + scan->at, '\n', bytes.len - scan->at);
        enum err err = ERR_OK;
        if (!lf)
            scan->at = bytes.len;
        else
            err = end_line(scan, bytes.ptr, (size_t)(lf - bytes.ptr));
        if (err != ERR_OK)
            return err;
    }
    /* What is no request at all, a TLS hello say, need not contain a line end: look at it now. */
    if (scan->start < bytes.len && bytes.ptr[scan->start] != '\r' &&
        !all(slice_of(bytes.ptr + scan->start, 1), IN_TOKEN))
        return ERR_MALFORMED;
    return check_size(scan, bytes.len);
}

/* ---- The request line */

static size_t scheme_length(struct slice target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(schemes[i]);
        if (target.len > len && slice_eq_nocase(slice_of(target.ptr, len), slice_str(schemes[i])))
            return len;
    }
    return 0;
}

/* Cuts "http://authority" off the front of an absolute target. */
static bool take_authority(struct slice *target, struct head *out)
{
    size_t begin = scheme_length(*target), end = begin;
    if (begin == 0)
        return false;
    while (end < target->len && target->ptr[end] != '/' && target->ptr[end] != '?')
        end++;
    out->authority = slice_of(target->ptr + begin, end - begin);
    *target = slice_of(target->ptr + end, target->len - end);
    struct host host;
    return host_parse(out->authority, &host);
}

/* "/a/b?c" as most are: the path is normal as it stands. */
static bool take_plain_target(struct slice target, struct head *out)
{
    const char *end = target.ptr + target.len;
    const char *mark = skip(target.ptr, end, IN_PATH);
    if (target.ptr[0] != '/' || (mark < end && *mark != '?') || skip(mark, end, IN_TARGET) < end)
        return false;
    out->path = slice_cut(&target, '?');
    out->query = target;
    return true;
}

/* The four forms of RFC 9112 section 3.2, without the one that only CONNECT has. */
static enum err parse_target(struct slice target, char *head, struct head *out)
{
    if (target.len > TARGET_MAX)
        return ERR_URI_TOO_LONG;
    if (target.len == 0)
        return ERR_MALFORMED;
    if (take_plain_target(target, out))
        return ERR_OK;
    if (!all(target, IN_TARGET))
        return ERR_MALFORMED;
    if (slice_is(target, "*") && out->method == METHOD_OPTIONS) {
        out->asterisk = true;
        out->path = target;
        return ERR_OK;
    }
    if (target.ptr[0] != '/' && !take_authority(&target, out))
        return ERR_MALFORMED;
    struct slice path = slice_cut(&target, '?');
    out->query = target;
    if (path.len == 0)
        out->path = slice_str("/");
    else if (!path_normalise(head + (path.ptr - head), path.len, &out->path))
        return ERR_MALFORMED;
    return ERR_OK;
}

static enum err parse_request_line(struct slice line, char *head, struct head *out)
{
    struct slice method = slice_cut(&line, ' ');
    struct slice target = slice_cut(&line, ' ');
    if (method.len == 0 || !all(method, IN_TOKEN))
        return ERR_MALFORMED;
    out->http10 = slice_is(line, "HTTP/1.0");
    if (!out->http10 && !slice_is(line, "HTTP/1.1"))
        return ERR_MALFORMED;
    if (!method_parse(method, &out->method))
        return ERR_NOT_IMPLEMENTED;
    return parse_target(target, head, out);
}

/* ---- Fields */

bool head_is_value(struct slice text)
{
    return text.len == 0 || skip_value(text.ptr, text.ptr + text.len) == text.ptr + text.len;
}

/* Reads "name: value" up to the first byte that cannot belong to it and returns where that is, or
 * NULL if there is no name. */
static const char *read_field(const char *at, const char *end, struct header *out)
{
    const char *colon = skip(at, end, IN_TOKEN);
    if (colon == at || colon == end || *colon != ':')
        return NULL;
    out->name = slice_of(at, (size_t)(colon - at));
    const char *value = colon + 1;
    at = skip_value(value, end);
    out->value = slice_trim(slice_of(value, (size_t)(at - value)));
    return at;
}

enum err head_parse_field(struct slice line, struct header *out)
{
    const char *end = line.ptr + line.len;
    return read_field(line.ptr, end, out) == end ? ERR_OK : ERR_MALFORMED;
}

enum err head_take_field(struct slice *lines, struct header *out)
{
    const char *end = lines->ptr + lines->len;
    const char *at = read_field(lines->ptr, end, out);
    if (!at || end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return ERR_MALFORMED;
    *lines = slice_of(at + 2, (size_t)(end - at) - 2);
    return ERR_OK;
}

/* An empty one is allowed: the client asks for nobody in particular (RFC 9112 section 3.2). */
static enum err take_host(struct head *head, struct slice value)
{
    head->host_count++;
    struct host host;
    return value.len == 0 || host_parse(value, &host) ? ERR_OK : ERR_MALFORMED;
}

bool head_read_length(struct slice value, int64_t *out)
{
    *out = 0;
    if (value.len == 0 || value.len > 18) /* which cannot overflow; nobody sends more */
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        *out = *out * 10 + (value.ptr[i] - '0');
    }
    return true;
}

static enum err take_content_length(struct head *head, struct slice value)
{
    if (head->has_length || !head_read_length(value, &head->content_length))
        return ERR_MALFORMED;
    head->has_length = true;
    return ERR_OK;
}

static enum err take_transfer_encoding(struct head *head, struct slice value)
{
    if (head->chunked || !slice_eq_nocase(value, slice_str("chunked")))
        return ERR_MALFORMED;
    head->chunked = true;
    return ERR_OK;
}

void head_read_connection(struct slice value, bool *close, bool *keep_alive)
{
    while (value.len > 0) {
        struct slice option = slice_trim(slice_cut(&value, ','));
        *close = *close || slice_eq_nocase(option, slice_str("close"));
        *keep_alive = *keep_alive || slice_eq_nocase(option, slice_str("keep-alive"));
    }
}

static enum err take_connection(struct head *head, struct slice value)
{
    head_read_connection(value, &head->close, &head->keep_alive);
    return ERR_OK;
}

static enum err take_expect(struct head *head, struct slice value)
{
    head->expect_continue = slice_eq_nocase(value, slice_str("100-continue"));
    return head->expect_continue ? ERR_OK : ERR_EXPECTATION;
}

static bool named(const struct header *field, const char *name)
{
    return slice_eq_nocase(field->name, slice_str(name));
}

/* The fields that say how the message is framed differ in length. */
static enum err take_framing(struct head *head, const struct header *field)
{
    switch (field->name.len) {
    case sizeof "Host" - 1:
        return named(field, "Host") ? take_host(head, field->value) : ERR_OK;
    case sizeof "Expect" - 1:
        return named(field, "Expect") ? take_expect(head, field->value) : ERR_OK;
    case sizeof "Connection" - 1:
        return named(field, "Connection") ? take_connection(head, field->value) : ERR_OK;
    case sizeof "Content-Length" - 1:
        return named(field, "Content-Length") ? take_content_length(head, field->value) : ERR_OK;
    case sizeof "Transfer-Encoding" - 1:
        return named(field, "Transfer-Encoding") ? take_transfer_encoding(head, field->value)
                                                 : ERR_OK;
    default:
        return ERR_OK;
    }
}

static enum err parse_fields(struct slice lines, struct head *out)
{
    while (lines.len > 0) {
        struct header *field = &out->fields[out->field_count];
        if (out->field_count == HEADERS_MAX)
            return ERR_HEADER_TOO_LARGE;
        enum err err = head_take_field(&lines, field);
        if (!err)
            err = take_framing(out, field);
        if (err)
            return err;
        out->field_count++;
    }
    return ERR_OK;
}

static enum err check_framing(const struct head *head)
{
    if (head->host_count > 1 || (head->host_count == 0 && !head->http10))
        return ERR_MALFORMED;
    if (head->chunked && (head->has_length || head->http10))
        return ERR_MALFORMED;
    return ERR_OK;
}

/* RFC 9112 section 3.2.2: an absolute target's authority counts, whatever Host says. */
static void replace_host(struct head *head)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        if (slice_eq_nocase(head->fields[i].name, slice_str("Host")))
            head->fields[i].value = head->authority;
    }
}

enum err head_parse(char *bytes, size_t len, struct head *out)
{
    struct slice lines = slice_of(bytes, len - 2); /* without the empty line */
    struct slice line = slice_cut(&lines, '\n');
    memset(out, 0, offsetof(struct head, fields));
    enum err err = parse_request_line(slice_of(line.ptr, line.len - 1), bytes, out);
    if (err == ERR_OK)
        err = parse_fields(lines, out);
    if (err == ERR_OK)
        err = check_framing(out);
    if (err == ERR_OK && out->authority.len > 0)
        replace_host(out);
    return err;
}
