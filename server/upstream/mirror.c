#include "server/upstream/mirror_private.h"

#include "base/mem.h"
#include "server/upstream/upstream_private.h"

#include <stdlib.h>

struct mirror {
    struct mirror_options options;
    _Atomic uint32_t turn;
};

enum err mirror_create(const struct mirror_options *options, struct mirror **out)
{
    *out = NULL;
    if (!copies_start(options->mirrors))
        return ERR_OVERLOADED;
    *out = mem_zalloc(sizeof **out);
    (*out)->options = *options;
    return ERR_OK;
}

void mirror_drop(void *arg)
{
    struct mirror *mirror = arg;
    if (mirror->options.drop)
        mirror->options.drop(mirror->options.arg);
    free(mirror);
}

/* ---- A copy */

static size_t text_size(const struct request *request)
{
    size_t size = request->path.len + request->inner.len + request->query.len + request->body.len +
                  request->forwarded_host.len + request->address.len + request->network.len;
    for (unsigned i = 0; i < request->header_count; i++)
        size += request->headers[i].name.len + request->headers[i].value.len;
    return size;
}

/* What is NULL stays so. */
static struct slice keep(char **room, struct slice text)
{
    if (text.len == 0)
        return text.ptr ? slice_of("", 0) : text;
    struct slice kept = slice_of(*room, text.len);
    memcpy(*room, text.ptr, text.len);
    *room += text.len;
    return kept;
}

static void resume_nobody(struct request *request)
{
    (void)request;
    abort(); /* a copy awaits descriptors alone */
}

static struct copy *copy_create(const struct request *from, struct upstream *upstream)
{
    struct copy *copy = mem_alloc(sizeof *copy + text_size(from));
    char *room = copy->text;
    memset(copy, 0, offsetof(struct copy, headers));
    copy->upstream = upstream;
    copy->fd = -1;
    copy->request = (struct request){.method = from->method,
                                     .path = keep(&room, from->path),
                                     .inner = keep(&room, from->inner),
                                     .query = keep(&room, from->query),
                                     .body = keep(&room, from->body),
                                     .body_max = from->body_max,
                                     .forwarded_host = keep(&room, from->forwarded_host),
                                     .address = keep(&room, from->address),
                                     .network = keep(&room, from->network),
                                     .headers = copy->headers,
                                     .header_count = from->header_count,
                                     .received_ms = from->received_ms,
                                     .started_ns = from->started_ns,
                                     .secure = from->secure,
                                     .local = from->local,
                                     .local_port = from->local_port,
                                     .user = from->user,
                                     .resume = resume_nobody};
    memcpy(copy->request.id, from->id, sizeof copy->request.id);
    for (unsigned i = 0; i < from->header_count; i++)
        copy->headers[i] = (struct header){keep(&room, from->headers[i].name),
                                           keep(&room, from->headers[i].value)};
    return copy;
}

/* ---- Whose copy is made */

/* A small body is gathered, as it goes to two. False: it is not all there, or the answer says what
 * is wrong with it. */
static bool gather(struct request *request, struct response *response)
{
    const struct body_source *source = request->body_source;
    bool whole;
    if (!source || source->length < 0 || (uint64_t)source->length > request->body_max ||
        source->length > MIRROR_BODY_MAX)
        return true;
    enum err err = request_body_gather(request, MIRROR_BODY_MAX, &whole);
    if (!err)
        return whole;
    response_error(response, request, err, NULL, NULL, NULL);
    response->close = true;
    response->err = err;
    return false;
}

/* So many of a hundred, evenly. */
static bool is_its_turn(struct mirror *mirror)
{
    unsigned percent = mirror->options.percent;
    uint32_t turn = atomic_fetch_add_explicit(&mirror->turn, 1, memory_order_relaxed) % 100;
    return (turn + 1) * percent / 100 > turn * percent / 100;
}

static void send_copy(struct mirror *mirror, const struct request *request)
{
    struct upstream *upstream = mirror->options.upstream;
    enum mirrored what = MIRRORED_SENT;
    if (request->body_source || request_header(request, "Upgrade").ptr)
        what = MIRRORED_UNFIT;
    else if (!copies_reserve(mirror->options.mirrors))
        what = MIRRORED_TOO_MANY;
    else
        copies_send(mirror->options.mirrors, copy_create(request, upstream));
    atomic_fetch_add_explicit(&upstream->mirrored[what], 1, memory_order_relaxed);
}

void mirror_target(struct request *request, struct response *response, void *arg)
{
    struct mirror *mirror = arg;
    if (!request->mirrored) {
        if (!gather(request, response))
            return;
        request->mirrored = true;
        if (is_its_turn(mirror))
            send_copy(mirror, request);
    }
    mirror->options.target(request, response, mirror->options.arg);
}
