/* The development mail box: its latest messages, and one of them as text.
 *
 * DESIGN. The files, the present one and the one before it, belong to who writes them
 * (modules/mail/box.c) and to people, who may empty them or put anything into them. So they are
 * opened anew each time, only their ends are looked at, and what is in them is shown as text: bytes
 * that are no UTF-8 become question marks. A message is named by the offset of its first line,
 * which is checked to be one, with "old-" before it in the former file. */
#include "base/mem.h"
#include "server/admin/admin_private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_BYTES    (4 << 20) /* of the end of the file */
#define MESSAGES_MAX  100
#define SHOWN_BYTES   (256 << 10) /* of a message */
#define HEADERS_SHOWN 50
#define FORMER        "old-"

/* A part of a file. */
struct part {
    char *bytes; /* the owner's to free */
    size_t len;
    uint64_t begin, size; /* where it begins in the file, and how large that is */
};

/* A part of at most `max` bytes from `begin` on; UINT64_MAX: of the end. False if there is no such
 * place, or no file. */
static bool read_part(const struct admin *admin, bool former, uint64_t begin, size_t max,
                      struct part *out)
{
    char path[4200];
    struct stat st;
    *out = (struct part){0};
    snprintf(path, sizeof path, "%s/mail/outbox.%s", admin->options.data_dir,
             former ? "old.mbox" : "mbox");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    uint64_t size = good ? (uint64_t)st.st_size : 0;
    if (begin == UINT64_MAX)
        begin = size > max ? size - max : 0;
    good = good && begin <= size;
    if (good) {
        out->bytes = mem_alloc(max);
        ssize_t got = pread(fd, out->bytes, max, (off_t)begin);
        out->len = got > 0 ? (size_t)got : 0;
        out->begin = begin;
        out->size = size;
    }
    close(fd);
    return good;
}

/* ---- Reading messages */

/* "From " behind an empty line, or at the very beginning. */
static bool is_beginning(const struct part *part, size_t at)
{
    static const struct slice from = {"From ", 5};
    if (!slice_starts(slice_of(part->bytes + at, part->len - at), from))
        return false;
    if (part->begin + at == 0)
        return true;
    return at >= 2 && part->bytes[at - 1] == '\n' && part->bytes[at - 2] == '\n';
}

/* Behind `at`; the end of the part if there is none. */
static size_t next_beginning(const struct part *part, size_t at)
{
    for (at++; at < part->len; at++) {
        if (part->bytes[at] == 'F' && is_beginning(part, at))
            return at;
    }
    return part->len;
}

/* Without its "From " line. */
static void split(struct slice message, struct slice *head, struct slice *body)
{
    slice_cut(&message, '\n');
    const char *end = memmem(message.ptr, message.len, "\n\n", 2);
    size_t head_len = end ? (size_t)(end - message.ptr) : message.len;
    *head = slice_of(message.ptr, head_len);
    *body = end ? slice_of(end + 2, message.len - head_len - 2) : slice_of("", 0);
}

static void write_clean(struct json_writer *w, struct slice text)
{
    struct buf clean = BUF_INIT;
    buf_append_slice(&clean, text);
    bool good = slice_is_utf8(text);
    for (size_t i = 0; i < clean.len; i++) {
        unsigned char c = (unsigned char)clean.data[i];
        if (c == '\0' || (!good && c >= 0x80))
            clean.data[i] = '?';
    }
    jw_str(w, buf_slice(&clean));
    buf_release(&clean);
}

/* A header with the lines that go on with it; false at the end. */
static bool next_header(struct slice *head, struct slice *name, struct slice *value)
{
    if (head->len == 0)
        return false;
    struct slice whole = slice_cut(head, '\n');
    while (head->len > 0 && (head->ptr[0] == ' ' || head->ptr[0] == '\t')) {
        struct slice more = slice_cut(head, '\n');
        whole.len = (size_t)(more.ptr + more.len - whole.ptr);
    }
    *name = slice_cut(&whole, ':');
    *value = slice_trim(whole);
    return true;
}

static struct slice header(struct slice head, const char *wanted)
{
    struct slice name, value;
    while (next_header(&head, &name, &value)) {
        if (slice_eq_nocase(name, slice_str(wanted)))
            return value;
    }
    return slice_str("");
}

/* A line end before a space is none of the value. */
static void write_unfolded(struct json_writer *w, struct slice value)
{
    struct buf whole = BUF_INIT;
    while (value.len > 0)
        buf_append_slice(&whole, slice_cut(&value, '\n'));
    write_clean(w, buf_slice(&whole));
    buf_release(&whole);
}

/* ---- GET /_/api/mails */

static void write_row(struct json_writer *w, const struct part *part, bool former, size_t at,
                      size_t end)
{
    static const char *const names[][2] = {{"to", "To"}, {"subject", "Subject"}, {"date", "Date"}};
    struct slice head, body;
    split(slice_of(part->bytes + at, end - at), &head, &body);
    jw_begin(w, '{');
    char id[32];
    snprintf(id, sizeof id, "%s%" PRIu64, former ? FORMER : "", part->begin + at);
    jw_key(w, "id");
    jw_str(w, slice_str(id));
    jw_key(w, "bytes");
    jw_i64(w, (int64_t)(end - at));
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        jw_key(w, names[i][0]);
        write_unfolded(w, header(head, names[i][1]));
    }
    jw_end(w, '}');
}

/* The last messages that begin in the part: where, in their order; returns how many. */
static unsigned find_messages(const struct part *part, size_t at[MESSAGES_MAX])
{
    unsigned count = 0;
    bool first = part->len > 0 && is_beginning(part, 0);
    for (size_t i = first ? 0 : next_beginning(part, 0); i < part->len;
         i = next_beginning(part, i)) {
        if (count == MESSAGES_MAX)
            memmove(at, at + 1, --count * sizeof *at);
        at[count++] = i;
    }
    return count;
}

/* The latest first, at most `most`; returns how many. */
static unsigned write_rows(struct json_writer *w, const struct part *part, bool former,
                           unsigned most)
{
    size_t at[MESSAGES_MAX];
    unsigned count = find_messages(part, at);
    unsigned written = count < most ? count : most;
    for (unsigned i = count; i-- > count - written;)
        write_row(w, part, former, at[i], i + 1 < count ? at[i + 1] : part->len);
    return written;
}

void serve_mails(struct visit *visit)
{
    struct part present, former;
    read_part(visit->admin, false, UINT64_MAX, LOOK_BYTES, &present);
    read_part(visit->admin, true, UINT64_MAX, LOOK_BYTES, &former);
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    jw_key(&w, "boxBytes");
    jw_i64(&w, (int64_t)(present.size + former.size));
    jw_key(&w, "data");
    jw_begin(&w, '[');
    unsigned count = write_rows(&w, &present, false, MESSAGES_MAX);
    write_rows(&w, &former, true, MESSAGES_MAX - count);
    jw_end(&w, ']');
    jw_end(&w, '}');
    free(present.bytes);
    free(former.bytes);
    response_json(visit->response, 200);
}

/* ---- GET /_/api/mails/ID */

static void write_headers(struct json_writer *w, struct slice head)
{
    jw_key(w, "headers");
    jw_begin(w, '[');
    struct slice name, value;
    for (unsigned i = 0; i < HEADERS_SHOWN && next_header(&head, &name, &value); i++) {
        jw_begin(w, '{');
        jw_key(w, "name");
        write_clean(w, name);
        jw_key(w, "value");
        write_unfolded(w, value);
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

/* Takes back what mboxrd has put before lines that look like a message's first. */
static void unquote(struct slice body, struct buf *out)
{
    while (body.len > 0) {
        struct slice line = slice_cut(&body, '\n');
        size_t quotes = 0;
        while (quotes < line.len && line.ptr[quotes] == '>')
            quotes++;
        struct slice rest = slice_of(line.ptr + quotes, line.len - quotes);
        bool quoted = quotes > 0 && slice_starts(rest, slice_str("From "));
        buf_append(out, line.ptr + quoted, line.len - quoted);
        buf_append_char(out, '\n');
    }
}

static void write_message(struct json_writer *w, const struct part *part)
{
    size_t end = next_beginning(part, 0);
    bool cut = end == part->len && part->begin + part->len < part->size;
    struct slice head, body;
    struct buf text = BUF_INIT;
    split(slice_of(part->bytes, end), &head, &body);
    unquote(body, &text);
    jw_begin(w, '{');
    write_headers(w, head);
    jw_key(w, "text");
    write_clean(w, buf_slice(&text));
    jw_key(w, "cut");
    jw_bool(w, cut);
    jw_end(w, '}');
    buf_release(&text);
}

/* Whether a message begins there, which the two bytes before it say as well. */
static bool begins_at(const struct admin *admin, bool former, uint64_t offset)
{
    struct part part;
    uint64_t begin = offset < 2 ? 0 : offset - 2;
    bool good = read_part(admin, former, begin, 16, &part) && part.len > offset - begin &&
                is_beginning(&part, (size_t)(offset - begin));
    free(part.bytes);
    return good;
}

/* The message that the last part of the path names. */
static bool read_message(const struct visit *visit, struct part *out)
{
    struct slice id = visit->request->path, prefix = slice_str("/_/api/mails/");
    id = slice_of(id.ptr + prefix.len, id.len - prefix.len);
    prefix = slice_str(FORMER);
    bool former = slice_starts(id, prefix);
    if (former)
        id = slice_of(id.ptr + prefix.len, id.len - prefix.len);
    int64_t offset;
    return slice_to_i64(id, &offset) && offset >= 0 &&
           begins_at(visit->admin, former, (uint64_t)offset) &&
           read_part(visit->admin, former, (uint64_t)offset, SHOWN_BYTES, out);
}

void serve_mail(struct visit *visit)
{
    struct part part = {0};
    if (read_message(visit, &part)) {
        struct json_writer w = {.out = &visit->response->body};
        write_message(&w, &part);
        response_json(visit->response, 200);
    } else {
        response_error(visit->response, visit->request, ERR_NOT_FOUND, NULL,
                       "There is no such message, or no longer.", NULL);
    }
    free(part.bytes);
}
