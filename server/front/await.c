/* DESIGN. A handler whose answer comes later (after a commit) holds no worker: the connection is
 * then with nobody, and comes back through the queue. The worker that leaves it and the thread that
 * resumes it may meet: who comes second to `await` pushes it. Between the two the connection counts
 * as serving, for deadlines, for its client's limit and for a stop, which waits for it. */
#include "server/front/front_private.h"

#include <assert.h>
#include <stddef.h>

enum { AWAIT_BEGUN, AWAIT_PARKED, AWAIT_RESUMED };

static struct service *service_of(struct request *request)
{
    return (struct service *)((char *)request - offsetof(struct service, request));
}

static void resume(struct request *request)
{
    struct service *service = service_of(request);
    if (atomic_exchange(&service->await, AWAIT_RESUMED) == AWAIT_PARKED)
        ready_push_resumed(service->c);
}

void await_begin(struct connection *c)
{
    struct service *service = c->service;
    service->request.awaiting = false;
    service->request.resume = resume;
    atomic_store_explicit(&service->await, AWAIT_BEGUN, memory_order_relaxed);
}

void await_park(struct connection *c)
{
    struct front *front = c->front;
    atomic_fetch_add(&front->queue.awaited, 1);
    if (atomic_exchange(&c->service->await, AWAIT_PARKED) == AWAIT_RESUMED)
        ready_push_resumed(c);
}
