#include "server/identity/turns.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct crowd {
    struct turn *at[TURNS_WAITING_MAX + 1]; /* in no order; for a moment one too many */
    unsigned count;
};

struct turns {
    struct turns_options options;
    struct lock lock;
    /* guarded by lock */
    struct crowd waiting, running;
    uint64_t came; /* ever */
    uint64_t ran;  /* likewise */
};

struct turns *turns_create(const struct turns_options *options)
{
    assert(options->at_once > 0 && options->at_once <= TURNS_AT_ONCE_MAX);
    assert(options->waiting > 0 && options->waiting <= TURNS_WAITING_MAX);
    struct turns *turns = mem_zalloc(sizeof *turns);
    turns->options = *options;
    lock_init(&turns->lock, LOCK_RANK_TURNS);
    return turns;
}

void turns_destroy(struct turns **turns)
{
    if (!*turns)
        return;
    assert((*turns)->waiting.count == 0 && (*turns)->running.count == 0);
    lock_release(&(*turns)->lock);
    free(*turns);
    *turns = NULL;
}

/* ---- Crowds */

static void join(struct crowd *crowd, struct turn *turn)
{
    crowd->at[crowd->count++] = turn;
}

static void leave(struct crowd *crowd, const struct turn *turn)
{
    unsigned i = 0;
    while (crowd->at[i] != turn)
        i++;
    crowd->at[i] = crowd->at[--crowd->count];
}

static unsigned count_of(const struct crowd *crowd, uint64_t network)
{
    unsigned count = 0;
    for (unsigned i = 0; i < crowd->count; i++)
        count += crowd->at[i]->network == network;
    return count;
}

/* ---- The order */

static uint64_t rank(const struct turns *turns, const struct turn *turn)
{
    unsigned own =
        count_of(&turns->running, turn->network) + count_of(&turns->waiting, turn->network);
    return turn->came_at + (uint64_t)turns->options.waiting * (turn->faults + own - 1);
}

static bool is_ahead(const struct turns *turns, const struct turn *a, const struct turn *b)
{
    uint64_t rank_a = rank(turns, a), rank_b = rank(turns, b);
    return rank_a != rank_b ? rank_a < rank_b : a->number < b->number;
}

static bool may_run(const struct turns *turns, const struct turn *turn)
{
    return (turn->trusted && turn->faults == 0) || count_of(&turns->running, turn->network) == 0;
}

static struct turn *find_first(const struct turns *turns)
{
    struct turn *first = NULL;
    for (unsigned i = 0; i < turns->waiting.count; i++) {
        struct turn *turn = turns->waiting.at[i];
        if (may_run(turns, turn) && (!first || is_ahead(turns, turn, first)))
            first = turn;
    }
    return first;
}

static struct turn *find_last(const struct turns *turns)
{
    struct turn *last = turns->waiting.at[0];
    for (unsigned i = 1; i < turns->waiting.count; i++) {
        if (is_ahead(turns, last, turns->waiting.at[i]))
            last = turns->waiting.at[i];
    }
    return last;
}

static void call(struct turns *turns, struct turn *turn, enum turn_state state)
{
    leave(&turns->waiting, turn);
    turn->state = state;
    lock_cond_signal(&turn->called);
}

static void fill_places(struct turns *turns)
{
    lock_assert_held(&turns->lock);
    struct turn *turn;
    while (turns->running.count < turns->options.at_once && (turn = find_first(turns))) {
        call(turns, turn, TURN_RUNS);
        join(&turns->running, turn);
        turns->ran++;
    }
}

/* ---- Waiting */

/* Those who can run at once need no place to wait in. */
static bool has_room(const struct turns *turns, const struct turn *turn)
{
    return (turns->running.count < turns->options.at_once && may_run(turns, turn)) ||
           count_of(&turns->waiting, turn->network) < turns->options.waiting_own;
}

static void come_in(struct turns *turns, struct turn *turn)
{
    lock_assert_held(&turns->lock);
    turn->came_at = turns->ran;
    turn->number = turns->came++;
    join(&turns->waiting, turn);
    fill_places(turns);
    if (turns->waiting.count > turns->options.waiting)
        call(turns, find_last(turns), TURN_DISPLACED);
}

static enum err wait_for_call(struct turns *turns, struct turn *turn)
{
    int64_t deadline_ns = clock_mono_ns(&clock_system) + turns->options.patience_ms * 1000000;
    bool in_time = true;
    while (turn->state == TURN_WAITING && in_time)
        in_time = lock_cond_wait_until(&turn->called, &turns->lock, deadline_ns);
    if (turn->state == TURN_WAITING)
        leave(&turns->waiting, turn);
    return turn->state == TURN_RUNS ? ERR_OK : ERR_OVERLOADED;
}

enum err turns_wait(struct turns *turns, const struct turn_asker *asker, struct turn *turn)
{
    *turn = (struct turn){
        .network = hash_keyed(asker->network), .faults = asker->faults, .trusted = asker->trusted};
    lock_cond_init(&turn->called);
    lock_acquire(&turns->lock);
    enum err err = ERR_LIMITED;
    if (has_room(turns, turn)) {
        come_in(turns, turn);
        err = wait_for_call(turns, turn);
    }
    lock_leave(&turns->lock);
    if (err)
        lock_cond_release(&turn->called);
    return err;
}

void turns_end(struct turns *turns, struct turn *turn, bool at_fault)
{
    lock_acquire(&turns->lock);
    leave(&turns->running, turn);
    for (unsigned i = 0; at_fault && i < turns->waiting.count; i++) {
        if (turns->waiting.at[i]->network == turn->network)
            turns->waiting.at[i]->faults++;
    }
    fill_places(turns);
    lock_leave(&turns->lock);
    lock_cond_release(&turn->called);
}

unsigned turns_waiting(struct turns *turns)
{
    lock_acquire(&turns->lock);
    unsigned waiting = turns->waiting.count;
    lock_leave(&turns->lock);
    return waiting;
}
