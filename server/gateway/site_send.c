/* DESIGN. What goes out is a list of pieces: bytes of the file, and between those of several ranges
 * the heads of a multipart body. Their sum is known before the first is read, so the answer has its
 * length. A file that becomes shorter meanwhile ends the connection: what was promised cannot be
 * kept, and no other answer may be taken for its rest. Reading may wait for the disk, as reading a
 * page of the store may. */
#include "server/gateway/site_private.h"

#include "base/id.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct piece {
    uint64_t begin, length; /* in the file */
    struct buf head;        /* in front of it */
};

struct sending {
    int fd;
    struct piece *pieces;
    unsigned count, at;
    uint64_t done; /* of the present piece */
    bool headed;   /* its head is out */
};

static void release(void *arg)
{
    struct sending *sending = arg;
    close(sending->fd);
    for (unsigned i = 0; i < sending->count; i++)
        buf_release(&sending->pieces[i].head);
    free(sending->pieces);
    free(sending);
}

/* Appends up to `room` bytes of the present piece. False: they are not there any more. */
static bool read_some(struct sending *sending, struct buf *out, size_t room)
{
    const struct piece *piece = &sending->pieces[sending->at];
    uint64_t left = piece->length - sending->done;
    size_t wanted = left < room ? (size_t)left : room;
    if (wanted == 0)
        return true;
    ssize_t got =
        pread(sending->fd, buf_reserve(out, wanted), wanted, (off_t)(piece->begin + sending->done));
    if (got <= 0)
        return false;
    out->len += (size_t)got;
    sending->done += (uint64_t)got;
    return true;
}

static bool is_over(const struct sending *sending)
{
    return sending->at == sending->count;
}

/* Appends what comes next, about as much as there is room. False: as above. */
static bool step(struct sending *sending, struct buf *out, size_t room)
{
    const struct piece *piece = &sending->pieces[sending->at];
    if (!sending->headed)
        buf_append_slice(out, buf_slice(&piece->head));
    sending->headed = true;
    if (!read_some(sending, out, room))
        return false;
    if (sending->done == piece->length) {
        sending->at++;
        sending->done = 0;
        sending->headed = false;
    }
    return true;
}

static int64_t fill(void *arg, struct buf *out, int64_t now_ns)
{
    (void)now_ns;
    struct sending *sending = arg;
    size_t begin = out->len;
    while (!is_over(sending) && out->len - begin < FEED_ROOM) {
        if (!step(sending, out, FEED_ROOM - (out->len - begin)))
            return FEED_END;
    }
    return is_over(sending) ? FEED_END : FEED_AGAIN;
}

/* ---- Several ranges */

static void write_heads(struct sending *sending, uint64_t size, const char *content_type,
                        const char *boundary)
{
    for (unsigned i = 0; i < sending->count; i++) {
        struct piece *piece = &sending->pieces[i];
        char range[CONTENT_RANGE_SIZE];
        if (i + 1 == sending->count) {
            buf_printf(&piece->head, "\r\n--%s--\r\n", boundary);
            continue;
        }
        content_range_format(&(struct byte_range){piece->begin, piece->length}, size, range);
        buf_printf(&piece->head, "%s--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
                   i ? "\r\n" : "", boundary, content_type, range);
    }
}

static void add_multipart(struct sending *sending, const struct site_file *file,
                          const char *content_type, int64_t now_ms, struct response *response)
{
    char boundary[ID_TEXT_SIZE], type[ID_TEXT_SIZE + 40];
    struct id id = id_make(now_ms);
    id_format(&id, boundary);
    write_heads(sending, (uint64_t)file->stat.st_size, content_type, boundary);
    snprintf(type, sizeof type, "multipart/byteranges; boundary=%s", boundary);
    response_header(response, "Content-Type", slice_str(type));
}

/* ---- All */

static uint64_t total(const struct sending *sending)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < sending->count; i++)
        sum += sending->pieces[i].head.len + sending->pieces[i].length;
    return sum;
}

static void add_range_headers(const struct byte_range *range, const struct site_file *file,
                              const char *content_type, struct response *response)
{
    char text[CONTENT_RANGE_SIZE];
    response_header(response, "Content-Type", slice_str(content_type));
    if (!range)
        return;
    size_t len = content_range_format(range, (uint64_t)file->stat.st_size, text);
    response_header(response, "Content-Range", slice_of(text, len));
}

static struct sending *begin(struct site_file *file, const struct byte_range *ranges,
                             unsigned count)
{
    struct sending *sending = mem_zalloc(sizeof *sending);
    sending->fd = file->fd;
    file->fd = -1;
    sending->count = count > 1 ? count + 1 : 1; /* the last boundary is a piece without bytes */
    sending->pieces = mem_zalloc(sending->count * sizeof *sending->pieces);
    for (unsigned i = 0; i < count; i++)
        sending->pieces[i] = (struct piece){.begin = ranges[i].begin, .length = ranges[i].length};
    if (count == 0)
        sending->pieces[0].length = (uint64_t)file->stat.st_size;
    return sending;
}

/* Reads all of it now. */
static bool gather(struct sending *sending, struct buf *out)
{
    while (!is_over(sending)) {
        if (!step(sending, out, FEED_ROOM))
            return false;
    }
    return true;
}

void site_send(struct site_file *file, const struct byte_range *ranges, unsigned count,
               const char *content_type, int64_t now_ms, struct response *response)
{
    struct sending *sending = begin(file, ranges, count);
    if (count > 1)
        add_multipart(sending, file, content_type, now_ms, response);
    else
        add_range_headers(count ? ranges : NULL, file, content_type, response);
    uint64_t size = total(sending);
    if (size > FEED_ROOM) {
        response->feed = (struct feed){.fill = fill, .arg = sending, .sized = true, .length = size};
        response->release = release;
        response->release_arg = sending;
        return;
    }
    if (!gather(sending, &response->body))
        response->close = true;
    release(sending);
}
