/* The parser of heads beside one that is written to be read, not to be fast: byte by byte, straight
 * from RFC 9112 and our own rules. Heads that are right are changed at random; both must say the
 * same of each. */
#include "server/http/head.h"
#include "server/http/host.h"
#include "server/http/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 300000
#define ROOM   2048

/* ---- The reference */

static bool is_letter_or_digit(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter_or_digit((unsigned char)s.ptr[i]) &&
            (!s.ptr[i] || !strchr("!#$%&'*+-.^_`|~", s.ptr[i])))
            return false;
    return s.len > 0;
}

static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

static bool is_target(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '!' || s.ptr[i] > '~' || s.ptr[i] == '#')
            return false;
    return s.len > 0;
}

enum end { END_REFUSED, END_FOUND, END_TO_COME };

/* Where the head begins and how far it goes. */
static enum end reference_find_end(struct slice bytes, size_t *start, size_t *end)
{
    size_t line = 0;
    *start = *end = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != '\n')
            continue;
        if (i == line || bytes.ptr[i - 1] != '\r')
            return END_REFUSED;
        bool empty = i == line + 1;
        line = i + 1;
        if (empty && *start != line - 2) {
            *end = line;
            return END_FOUND;
        }
        if (empty)
            *start = line;
    }
    return END_TO_COME;
}

static struct slice behind(struct slice s, size_t len)
{
    return slice_of(s.ptr + len, s.len - len);
}

static enum err reference_path(struct slice path, char *copy, struct head *out)
{
    memcpy(copy, path.ptr, path.len);
    return path_normalise(copy, path.len, &out->path) ? ERR_OK : ERR_MALFORMED;
}

/* `copy` is where the path is decoded. */
static enum err reference_target(struct slice target, char *copy, struct head *out)
{
    if (!is_target(target))
        return ERR_MALFORMED;
    if (out->method == METHOD_OPTIONS && slice_is(target, "*")) {
        out->asterisk = true;
        out->path = target;
        return ERR_OK;
    }
    if (target.ptr[0] != '/') {
        size_t scheme = slice_eq_nocase(slice_of(target.ptr, target.len < 7 ? target.len : 7),
                                        slice_str("http://"))
                            ? 7
                            : 8;
        if (scheme == 8 && !slice_eq_nocase(slice_of(target.ptr, target.len < 8 ? target.len : 8),
                                            slice_str("https://")))
            return ERR_MALFORMED;
        target = behind(target, scheme);
        size_t len = 0;
        while (len < target.len && !strchr("/?", target.ptr[len]))
            len++;
        struct host host;
        out->authority = slice_of(target.ptr, len);
        if (!host_parse(out->authority, &host))
            return ERR_MALFORMED;
        target = behind(target, len);
    }
    struct slice path = slice_cut(&target, '?');
    out->query = target;
    out->path = slice_str("/");
    return path.len > 0 ? reference_path(path, copy, out) : ERR_OK;
}

static enum err reference_request_line(struct slice line, char *copy, struct head *out)
{
    struct slice method = slice_cut(&line, ' '), target = slice_cut(&line, ' ');
    out->http10 = slice_is(line, "HTTP/1.0");
    if (!is_token(method) || (!out->http10 && !slice_is(line, "HTTP/1.1")))
        return ERR_MALFORMED;
    if (!method_parse(method, &out->method))
        return ERR_NOT_IMPLEMENTED;
    return reference_target(target, copy, out);
}

static bool reference_length(struct slice value, int64_t *out)
{
    *out = 0;
    if (value.len == 0 || value.len > 18)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        *out = *out * 10 + value.ptr[i] - '0';
    }
    return true;
}

static void reference_connection(struct slice value, struct head *out)
{
    while (value.ptr) {
        struct slice option = slice_trim(slice_cut(&value, ','));
        out->close |= slice_eq_nocase(option, slice_str("close"));
        out->keep_alive |= slice_eq_nocase(option, slice_str("keep-alive"));
    }
}

static bool named(const struct header *field, const char *name)
{
    return slice_eq_nocase(field->name, slice_str(name));
}

static enum err reference_framing(const struct header *field, struct head *out)
{
    struct slice value = field->value;
    struct host host;
    if (named(field, "Host")) {
        out->host_count++;
        return value.len == 0 || host_parse(value, &host) ? ERR_OK : ERR_MALFORMED;
    }
    if (named(field, "Expect")) {
        out->expect_continue = slice_eq_nocase(value, slice_str("100-continue"));
        return out->expect_continue ? ERR_OK : ERR_EXPECTATION;
    }
    if (named(field, "Connection"))
        reference_connection(value, out);
    if (named(field, "Content-Length")) {
        bool again = out->has_length;
        out->has_length = true;
        return !again && reference_length(value, &out->content_length) ? ERR_OK : ERR_MALFORMED;
    }
    if (named(field, "Transfer-Encoding")) {
        bool again = out->chunked;
        out->chunked = true;
        return !again && slice_eq_nocase(value, slice_str("chunked")) ? ERR_OK : ERR_MALFORMED;
    }
    return ERR_OK;
}

static enum err reference_field(struct slice line, struct head *out)
{
    if (out->field_count == HEADERS_MAX)
        return ERR_HEADER_TOO_LARGE;
    struct header *field = &out->fields[out->field_count++];
    field->name = slice_cut(&line, ':');
    field->value = slice_trim(line);
    if (!line.ptr || !is_token(field->name) || !is_value(field->value))
        return ERR_MALFORMED;
    return reference_framing(field, out);
}

static enum err reference_parse(struct slice text, char *copy, struct head *out)
{
    memset(out, 0, sizeof *out);
    struct slice line = slice_cut(&text, '\n');
    enum err err = reference_request_line(slice_of(line.ptr, line.len - 1), copy, out);
    while (!err && text.len > 2) {
        line = slice_cut(&text, '\n');
        err = reference_field(slice_of(line.ptr, line.len - 1), out);
    }
    if (err)
        return err;
    if (out->host_count > 1 || (out->host_count == 0 && !out->http10))
        return ERR_MALFORMED;
    if (out->chunked && (out->has_length || out->http10))
        return ERR_MALFORMED;
    for (unsigned i = 0; out->authority.len > 0 && i < out->field_count; i++)
        if (named(&out->fields[i], "Host"))
            out->fields[i].value = out->authority;
    return ERR_OK;
}

/* ---- Heads to change */

static const char *const heads[] = {
    "GET /products/17 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer "
    "abc.def.ghi\r\n\r\n",
    "POST /place-order HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n"
    "Content-Length: 23\r\nIdempotency-Key: 01a1fdf6-0df8-7029-80a5-f4aed46fb6a4\r\n\r\n",
    "GET /a%2Fb/../c.d/./e?x=%41&y HTTP/1.1\r\nHost: [::1]:80\r\nConnection: keep-alive, Close\r\n"
    "Accept:\ttext/html, */*;q=0.5 \t\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: h\r\nX-Long: caf\xC3\xA9 \xFF a value of more than sixteen "
    "bytes\r\n"
    "\r\n",
    "\r\n\r\nPUT HTTP://shop.example:8080/a?b HTTP/1.1\r\nHost: other\r\nTransfer-Encoding: chunked"
    "\r\nExpect: 100-continue\r\n\r\n",
    "HEAD https://shop.example HTTP/1.0\r\nConnection: "
    "x\r\nConnection:close\r\nUser-Agent:\r\n\r\n",
    "DELETE /caf%C3%A9/%7e HTTP/1.1\r\nHost: h\r\nA:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n\r\n",
};

static const char *const pieces[] = {
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\t",
    " ",
    "\0",
    "\x7F",
    "\xC3",
    "\x80",
    ":",
    "/",
    "//",
    "/.",
    "/..",
    "%",
    "%2",
    "%2e",
    "%2F",
    "%00",
    "%C3%A9",
    "%ff",
    "\\",
    "?",
    "#",
    ",",
    "*",
    "HTTP/1.1",
    "HTTP/1.0",
    "Host: b\r\n",
    "host:\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: +3\r\n",
    "content-length:000000000000000001\r\n",
    "Content-Length: 1234567890123456789\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Expect: 100-Continue\r\n",
    "Expect: x\r\n",
    "Connection: close,keep-alive\r\n",
    "Accept: a\r\n",
    "Transfer-Encodinh: x\r\n",
    " folded\r\n",
    "X : 1\r\n",
    "http://",
    "user@",
    ":80",
    ":080",
    "GET ",
    "BREW ",
    "get ",
};

static uint64_t random_state;

static size_t random_below(size_t n) /* xorshift64, the same in each run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static size_t replace(char *text, size_t len, size_t at, size_t old, struct slice now)
{
    if (len - old + now.len > ROOM)
        return len;
    memmove(text + at + now.len, text + at + old, len - at - old);
    memcpy(text + at, now.ptr, now.len);
    return len - old + now.len;
}

static size_t change(char *text, size_t len)
{
    char byte = (char)random_below(256), copy[64];
    size_t at = random_below(len + 1), rest = len - at;
    size_t some = rest < sizeof copy ? rest : sizeof copy;
    const char *piece = pieces[random_below(sizeof pieces / sizeof *pieces)];
    some = some > 0 ? random_below(some) + 1 : 0;
    switch (random_below(5)) {
    case 0: /* another byte */
        return replace(text, len, at, rest > 0, slice_of(&byte, 1));
    case 1: /* one of the pieces, '\0' too, between or instead */
        return replace(text, len, at, random_below(2) ? some : 0,
                       slice_of(piece, *piece ? strlen(piece) : 1));
    case 2: /* less */
        return replace(text, len, at, some, slice_of("", 0));
    case 3: /* another case */
        if (rest > 0)
            text[at] ^= 0x20;
        return len;
    default: /* the same twice */
        memcpy(copy, text + at, some);
        return replace(text, len, at, 0, slice_of(copy, some));
    }
}

static size_t make_head(char *text)
{
    const char *head = heads[random_below(sizeof heads / sizeof *heads)];
    size_t len = strlen(head);
    memcpy(text, head, len);
    for (size_t changes = random_below(4); changes > 0; changes--)
        len = change(text, len);
    if (random_below(50) == 0) /* many fields */
        for (size_t i = random_below(2 * HEADERS_MAX); i > 0 && len > 2; i--)
            len = replace(text, len, len - 2, 0, slice_str("A: 1\r\n"));
    return len;
}

/* ---- Comparing */

static void assert_same_slice(struct slice a, struct slice b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr ? a.ptr : "", b.ptr ? b.ptr : "", a.len);
}

static void assert_same_head(const struct head *a, const struct head *b)
{
    assert_int_equal(a->method, b->method);
    assert_int_equal(a->http10, b->http10);
    assert_int_equal(a->asterisk, b->asterisk);
    assert_same_slice(a->path, b->path);
    assert_same_slice(a->query, b->query);
    assert_same_slice(a->authority, b->authority);
    assert_int_equal(a->has_length, b->has_length);
    assert_int_equal(a->chunked, b->chunked);
    assert_int_equal(a->close, b->close);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_int_equal(a->expect_continue, b->expect_continue);
    assert_int_equal(a->content_length, b->content_length);
    assert_int_equal(a->field_count, b->field_count);
    for (unsigned i = 0; i < a->field_count; i++) {
        assert_same_slice(a->fields[i].name, b->fields[i].name);
        assert_same_slice(a->fields[i].value, b->fields[i].value);
    }
}

/* In memory that ends where the head does, so that a sanitizer sees who reads on. */
static enum err parse_copy(struct slice text, struct head *head, char **copy)
{
    *copy = malloc(text.len);
    memcpy(*copy, text.ptr, text.len);
    return head_parse(*copy, text.len, head);
}

static bool compare_heads(struct slice text)
{
    static struct head head, expected;
    char path[ROOM], *copy;
    enum err wanted = reference_parse(text, path, &expected);
    enum err err = parse_copy(text, &head, &copy);
    if (err != wanted)
        print_message("%.*s\n", SLICE_ARG(text));
    assert_int_equal(err, wanted);
    if (!err)
        assert_same_head(&head, &expected);
    free(copy);
    return !err;
}

/* The bytes come as they like. */
static enum err find_end(struct slice text, struct head_scan *scan)
{
    enum err err = ERR_OK;
    *scan = (struct head_scan){0};
    for (size_t len = 0; !err && scan->end == 0 && len < text.len;) {
        len += random_below(text.len - len) + 1;
        err = head_find_end(scan, slice_of(text.ptr, len));
    }
    return err;
}

/* What begins with no request is refused before its end is seen. */
static bool can_begin(struct slice text, size_t start)
{
    return start >= text.len || text.ptr[start] == '\r' || is_token(slice_of(text.ptr + start, 1));
}

static bool compare(struct slice text)
{
    struct head_scan scan;
    size_t start, end;
    enum err err = find_end(text, &scan);
    enum end found = reference_find_end(text, &start, &end);
    if (err) {
        assert_true(found == END_REFUSED || !can_begin(text, start));
        return false;
    }
    assert_int_equal(found, scan.end > 0 ? END_FOUND : END_TO_COME);
    assert_int_equal(scan.end, end);
    if (found == END_TO_COME)
        return false;
    assert_int_equal(scan.start, start);
    return compare_heads(slice_of(text.ptr + start, end - start));
}

static void test_head_is_read_as_the_reference_reads_it(void **state)
{
    (void)state;
    char text[ROOM];
    unsigned taken = 0;
    random_state = 0x9E3779B97F4A7C15;
    for (unsigned i = 0; i < ROUNDS; i++)
        taken += compare(slice_of(text, make_head(text)));
    assert_in_range(taken, ROUNDS / 10, ROUNDS * 9 / 10); /* of both kinds there are many */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_is_read_as_the_reference_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
