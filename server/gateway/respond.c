#include "server/gateway/respond.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

struct respond {
    int status;
    enum err err; /* whose body it has; ERR_OK: its own */
    struct buf body;
    char *content_type;
    char *location;
    bool page;
    uint64_t hash; /* of the body */
};

static const char *type_of(struct slice body)
{
    if (body.len > 0 && (body.ptr[0] == '{' || body.ptr[0] == '['))
        return "application/json";
    return body.len > 0 && body.ptr[0] == '<' ? "text/html; charset=utf-8"
                                              : "text/plain; charset=utf-8";
}

/* The error that has the status, for those without a body of their own. */
static enum err error_of(int status)
{
    for (enum err err = ERR_OK + 1; err < ERR_COUNT && status >= 400; err++) {
        if (err_status(err) == status)
            return err;
    }
    return ERR_OK;
}

struct respond *respond_create(const struct respond_options *options)
{
    struct respond *respond = mem_zalloc(sizeof *respond);
    const char *type = options->content_type;
    respond->status = options->status;
    respond->err = options->body.len == 0 ? error_of(options->status) : ERR_OK;
    respond->content_type = mem_strdup(type[0] ? type : type_of(options->body));
    respond->page = strncmp(respond->content_type, "text/html", 9) == 0;
    respond->location = mem_strdup(options->location);
    respond->hash = hash_keyed(options->body);
    buf_append_slice(&respond->body, options->body);
    return respond;
}

void respond_drop(void *arg)
{
    struct respond *respond = arg;
    buf_release(&respond->body);
    free(respond->content_type);
    free(respond->location);
    free(respond);
}

void respond_target(struct request *request, struct response *response, void *arg)
{
    const struct respond *respond = arg;
    if (respond->err)
        response_error(response, request, respond->err, NULL, NULL, NULL);
    else if (respond->body.len > 0)
        response_borrow(response, respond->status, respond->content_type, buf_slice(&respond->body),
                        NULL, NULL);
    response->status = respond->status;
    if (respond->page && !respond->err)
        response_header(response, "Content-Security-Policy", slice_str(PAGE_POLICY));
    if (respond->location[0])
        response_header(response, "Location", slice_str(respond->location));
    if (respond->status == 200 && respond->body.len > 0)
        response_revalidate(response, respond->hash, true);
}
