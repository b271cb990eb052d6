/* DESIGN. Two queues: at the door for one of requests_max, and of those that are in for a server
 * that is not full. Whenever a place gets free its first is called: it leaves the queue, looks by
 * itself, and joins again, at its old place by its number, if somebody was quicker. Who is called
 * and does not look any more (its client has gone) calls the next instead, so that no place stays
 * free while somebody waits. */
#include "server/balance/balancer_private.h"

static struct balancer_queue *queue_at(struct balancer *balancer, int at)
{
    return at == BALANCER_AT_DOOR ? &balancer->door : &balancer->at_servers;
}

bool queue_is_before(const struct balancer *balancer, const struct balancer_request *request,
                     int at)
{
    const struct balancer_waiter *first =
        TAILQ_FIRST(at == BALANCER_AT_DOOR ? &balancer->door : &balancer->at_servers);
    return first && (request->waiter.number == 0 || first->number < request->waiter.number);
}

static void insert(struct balancer_queue *queue, struct balancer_waiter *waiter)
{
    struct balancer_waiter *next;
    TAILQ_FOREACH(next, queue, link) {
        if (next->number > waiter->number)
            break;
    }
    if (next)
        TAILQ_INSERT_BEFORE(next, waiter, link);
    else
        TAILQ_INSERT_TAIL(queue, waiter, link);
}

enum balancer_verdict queue_join(struct balancer *balancer, struct balancer_request *request,
                                 int at)
{
    struct balancer_waiter *waiter = &request->waiter;
    bool known = waiter->number > 0; /* and keeps its place */
    if (!known && balancer->queued >= balancer->settings.queue_max)
        return BALANCER_FULL;
    if (!waiter->wake)
        return BALANCER_WAIT;
    if (!known) {
        waiter->number = ++balancer->waited;
        share_add(&balancer->shares, request);
    }
    waiter->called = false;
    waiter->at = at;
    balancer->queued++;
    insert(queue_at(balancer, at), waiter);
    return BALANCER_WAIT;
}

static void leave_queue(struct balancer *balancer, struct balancer_waiter *waiter)
{
    TAILQ_REMOVE(queue_at(balancer, waiter->at), waiter, link);
    waiter->at = BALANCER_NOWHERE;
    balancer->queued--;
}

void queue_pass(struct balancer_request *request)
{
    request->waiter.called = false;
}

void queue_call(struct balancer *balancer, int at)
{
    struct balancer_waiter *first = TAILQ_FIRST(queue_at(balancer, at));
    if (!first)
        return;
    leave_queue(balancer, first);
    first->called = true;
    first->wake(first);
}

void queue_call_all(struct balancer *balancer)
{
    for (unsigned left = balancer->queued; left > 0; left--)
        queue_call(balancer, TAILQ_EMPTY(&balancer->door) ? BALANCER_AT_SERVERS : BALANCER_AT_DOOR);
}

void balancer_unwait(struct balancer *balancer, struct balancer_request *request, bool late)
{
    struct balancer_waiter *waiter = &request->waiter;
    lock_acquire(&balancer->lock);
    if (waiter->at != BALANCER_NOWHERE)
        leave_queue(balancer, waiter);
    if (waiter->called) {
        queue_call(balancer, BALANCER_AT_DOOR);
        queue_call(balancer, BALANCER_AT_SERVERS);
    }
    waiter->called = false;
    if (!request->in)
        share_remove(&balancer->shares, request);
    balancer->waited_late += late;
    lock_leave(&balancer->lock);
}
