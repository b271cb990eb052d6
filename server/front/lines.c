/* DESIGN. Those who want a worker stand in lines, by what they wait for. In each line a client has
 * a list of its own and the clients take turns, so that a thousand connections of one address delay
 * another's by one request each, not by a thousand. Who has too many requests running waits in a
 * line that nobody is taken from until one of them ends. */
#include "server/front/front_private.h"

#include <assert.h>

/* What a handler counts of its client's: less while it awaits its answer, as it then takes neither
 * worker nor processor, and others of the client need not wait for the same. */
#define RUNS   4
#define AWAITS 1

void lines_init(struct run_queue *queue)
{
    for (enum line line = 0; line < LINES; line++)
        TAILQ_INIT(&queue->turns[line]);
}

/* ---- In and out */

void lines_put(struct run_queue *queue, enum line line, struct peer *peer, struct connection *c)
{
    lock_assert_held(&queue->lock);
    c->worker = NULL;
    if (TAILQ_EMPTY(&peer->waiting[line]))
        TAILQ_INSERT_TAIL(&queue->turns[line], peer, turn[line]);
    TAILQ_INSERT_TAIL(&peer->waiting[line], c, in_queue);
    if (line >= LINE_HELD_BACK)
        queue->held_back++;
    else
        queue->waiting++;
}

/* What matters little waits behind the rest, in a line of its own: those who have waited too long
 * stand in front there too. */
void lines_put_classified(struct run_queue *queue, enum line line, struct peer *peer,
                          struct connection *c)
{
    assert(line == LINE_CLASSIFIED || line == LINE_HELD_BACK);
    lines_put(queue, line + (c->service->priority == PRIORITY_LOW), peer, c);
}

/* The first of this peer, which has one. */
static struct connection *take_of(struct run_queue *queue, enum line line, struct peer *peer)
{
    lock_assert_held(&queue->lock);
    struct connection *c = TAILQ_FIRST(&peer->waiting[line]);
    TAILQ_REMOVE(&peer->waiting[line], c, in_queue);
    if (TAILQ_EMPTY(&peer->waiting[line]))
        TAILQ_REMOVE(&queue->turns[line], peer, turn[line]);
    if (line >= LINE_HELD_BACK)
        queue->held_back--;
    else
        queue->waiting--;
    queue->taken++;
    return c;
}

/* Of the peer whose turn it is, which then is the last. */
struct connection *lines_take(struct run_queue *queue, enum line line)
{
    struct peer *peer = TAILQ_FIRST(&queue->turns[line]);
    struct connection *c = take_of(queue, line, peer);
    if (!TAILQ_EMPTY(&peer->waiting[line])) {
        TAILQ_REMOVE(&queue->turns[line], peer, turn[line]);
        TAILQ_INSERT_TAIL(&queue->turns[line], peer, turn[line]);
    }
    return c;
}

/* ---- Handlers of one peer */

struct peer *connection_client(const struct connection *c)
{
    return c->service && c->service->client ? c->service->client : c->peer;
}

/* For one more. */
static bool has_room(const struct front *front, unsigned load)
{
    return load / RUNS < front->options.requests_per_address;
}

/* Counts first and looks again after saying that it waits, as who leaves looks for those who wait
 * after counting itself out: neither can miss the other. */
bool handler_enter(struct connection *c)
{
    struct front *front = c->front;
    struct peer *peer = connection_client(c);
    if (has_room(front, atomic_fetch_add(&peer->load, RUNS)) || serve_is_critical(c))
        return true;
    lock_acquire(&front->queue.lock);
    atomic_fetch_add(&peer->held_back, 1);
    bool room = has_room(front, atomic_fetch_sub(&peer->load, RUNS) - RUNS);
    if (room) {
        atomic_fetch_add(&peer->load, RUNS);
        atomic_fetch_sub(&peer->held_back, 1);
    } else {
        connection_enter(c, PHASE_QUEUED, front_now_ns(front));
        lines_put_classified(&front->queue, LINE_HELD_BACK, peer, c);
    }
    lock_leave(&front->queue.lock);
    if (!room)
        hub_attend(front->hub); /* it looks after those that wait */
    return room;
}

static struct connection *let_go(struct run_queue *queue, enum line line, struct peer *peer)
{
    atomic_fetch_sub(&peer->held_back, 1);
    return take_of(queue, line, peer);
}

static void let_next_go(struct front *front, struct peer *peer)
{
    if (atomic_load(&peer->held_back) == 0)
        return;
    lock_acquire(&front->queue.lock);
    bool low = TAILQ_EMPTY(&peer->waiting[LINE_HELD_BACK]);
    enum line line = low ? LINE_HELD_BACK_LOW : LINE_HELD_BACK;
    if (!TAILQ_EMPTY(&peer->waiting[line]) && has_room(front, peer->load)) {
        struct connection *next = let_go(&front->queue, line, peer);
        lines_put_classified(&front->queue, LINE_CLASSIFIED, next->peer, next);
    }
    ready_leave_lock(front);
}

static void lighten(struct connection *c, unsigned less)
{
    struct peer *peer = connection_client(c);
    atomic_fetch_sub(&peer->load, less);
    let_next_go(c->front, peer);
}

void handler_leave(struct connection *c)
{
    lighten(c, RUNS);
}

/* Another server may be silent for long, and is not what the client's other requests are about. */
static unsigned weight_lost(const struct connection *c)
{
    return c->service->request.wait.wanted ? RUNS : RUNS - AWAITS;
}

void handler_park(struct connection *c)
{
    lighten(c, weight_lost(c));
}

void handler_resume(struct connection *c)
{
    atomic_fetch_add(&connection_client(c)->load, weight_lost(c));
}

void handler_pass_on(struct connection *c)
{
    let_next_go(c->front, connection_client(c));
}

/* ---- Who has waited too long */

/* What matters little is refused after a quarter of the time, if it is known by then. */
static bool is_overdue(const struct connection *c, int64_t now_ns)
{
    if (!c || (c->service && c->service->in_handler))
        return false;
    int64_t limit_ns = c->front->options.queue_timeout_ms * 1000000;
    bool known = c->service && c->service->classified;
    bool low = known && c->service->priority == PRIORITY_LOW;
    if (known && c->service->priority == PRIORITY_CRITICAL)
        return false;
    return now_ns - c->queued_ns > (low ? limit_ns / 4 : limit_ns);
}

/* Of one line. Returns since when the first of the others waits. */
static int64_t take_overdue(struct run_queue *queue, enum line line, int64_t now_ns,
                            struct connections *out)
{
    struct peer *peer, *next;
    int64_t first_ns = INT64_MAX;
    for (peer = TAILQ_FIRST(&queue->turns[line]); peer; peer = next) {
        next = TAILQ_NEXT(peer, turn[line]);
        while (is_overdue(TAILQ_FIRST(&peer->waiting[line]), now_ns)) {
            struct connection *c =
                line < LINE_HELD_BACK ? take_of(queue, line, peer) : let_go(queue, line, peer);
            TAILQ_INSERT_TAIL(out, c, in_queue);
        }
        const struct connection *first = TAILQ_FIRST(&peer->waiting[line]);
        if (first && first->queued_ns < first_ns)
            first_ns = first->queued_ns;
    }
    return first_ns;
}

/* Lines are in the order of coming, but for those that came back: they are found a little later. */
int64_t lines_take_overdue(struct front *front, int64_t now_ns, struct connections *out)
{
    struct run_queue *queue = &front->queue;
    lock_acquire(&queue->lock);
    int64_t first_ns = INT64_MAX;
    for (enum line line = 0; line < LINE_HELD_BACK; line++) {
        int64_t since_ns = take_overdue(queue, line, now_ns, out);
        first_ns = since_ns < first_ns ? since_ns : first_ns;
    }
    take_overdue(queue, LINE_HELD_BACK, now_ns, out);
    take_overdue(queue, LINE_HELD_BACK_LOW, now_ns, out);
    lock_leave(&queue->lock);
    return first_ns;
}

void lines_empty(struct front *front)
{
    struct run_queue *queue = &front->queue;
    lock_acquire(&queue->lock);
    for (enum line line = 0; line < LINES; line++) {
        struct peer *peer;
        while ((peer = TAILQ_FIRST(&queue->turns[line])))
            take_of(queue, line, peer);
    }
    lock_leave(&queue->lock);
}
