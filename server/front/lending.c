/* DESIGN. What serving a request takes (buffers, the parsed head, the response) is far more than
 * what a connection that waits needs. So it is lent to a connection for as long as it has a
 * request, by the worker that serves it, and comes back to the worker that has it then: as many are
 * there as are in use, and the next request finds them warm. */
#include "server/front/front_private.h"

#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MAX 65536 /* what a buffer holds on to between requests */

static struct service *create(void)
{
    struct service *service = mem_alloc(sizeof *service);
    memset(service, 0, offsetof(struct service, head.fields));
    return service;
}

static void destroy(struct service **service)
{
    if (!*service)
        return;
    buf_release(&(*service)->body);
    buf_release(&(*service)->out);
    buf_release(&(*service)->trailers);
    buf_release(&(*service)->interim);
    buf_release(&(*service)->response.headers);
    buf_release(&(*service)->response.body);
    free(*service);
    *service = NULL;
}

static void shrink(struct service *service)
{
    struct buf *bufs[] = {&service->body, &service->out, &service->response.headers,
                          &service->response.body};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        buf_shrink(bufs[i], KEEP_MAX);
}

void service_return(struct connection *c)
{
    struct service *service = c->service;
    struct lending *lending = c->worker ? &c->worker->lending : NULL;
    if (!service)
        return;
    c->service = NULL;
    service->head_parsed = service->classified = false;
    shrink(service);
    if (lending && lending->service_count < LENT_MAX)
        lending->services[lending->service_count++] = service;
    else
        destroy(&service);
}

/* The hub lends nothing: what it answers is rare. */
struct service *service_borrow(struct connection *c)
{
    struct lending *lending = c->worker ? &c->worker->lending : NULL;
    if (!c->service)
        c->service = lending && lending->service_count > 0
                         ? lending->services[--lending->service_count]
                         : create();
    c->service->c = c;
    return c->service;
}

/* A connection that holds no bytes needs no memory for them. */
void lending_give_in(struct connection *c)
{
    struct lending *lending = &c->worker->lending;
    if (!c->in.data && lending->in_count > 0)
        c->in = lending->ins[--lending->in_count];
}

void lending_take_in(struct connection *c)
{
    struct lending *lending = &c->worker->lending;
    if (!c->in.data || c->in.len > 0)
        return;
    if (lending->in_count < LENT_MAX && c->in.cap <= KEEP_MAX)
        lending->ins[lending->in_count++] = c->in;
    else
        buf_release(&c->in);
    c->in = (struct buf)BUF_INIT;
}

void lending_release(struct lending *lending)
{
    while (lending->service_count > 0)
        destroy(&lending->services[--lending->service_count]);
    while (lending->in_count > 0)
        buf_release(&lending->ins[--lending->in_count]);
}
