/* Turns at work that is dear and that strangers may ask for: so many run at once, some wait, and
 * the order is fair between networks.
 *
 * DESIGN. The order is that of coming, with handicaps: for each fault of one's network (a wrong
 * password a moment ago) and for each other one of it that waits or runs, one stands as if one had
 * come later, by as many turns as there are places to wait in. So who comes alone and does not
 * guess goes before all who ask for much or guess, and who has a handicap is overtaken for a while,
 * but not for ever. Within a network it is first come, first served.
 *
 * A network runs one at once, so that guessing from one address never takes all that may run; those
 * that are trusted and without faults run as many as there are. A network has few places to wait
 * in, as each holds a worker thread. When all are taken, who comes ahead of the last takes its
 * place.
 *
 * Threads: any. A waiting caller blocks its thread; no lock is held while a turn runs. */
#ifndef GALLEY_SERVER_IDENTITY_TURNS_H
#define GALLEY_SERVER_IDENTITY_TURNS_H

#include "base/err.h"
#include "base/lock.h"
#include "base/slice.h"

#define TURNS_AT_ONCE_MAX 16
#define TURNS_WAITING_MAX 64

struct turns;

struct turns_options {
    unsigned at_once;     /* that run; up to TURNS_AT_ONCE_MAX */
    unsigned waiting;     /* that may wait, of all networks; up to TURNS_WAITING_MAX */
    unsigned waiting_own; /* likewise, of each network */
    int64_t patience_ms;  /* that they wait at most */
};

struct turns *turns_create(const struct turns_options *options);
void turns_destroy(struct turns **turns); /* with nobody in it */

/* The caller's memory, which stays in place from turns_wait to turns_end. What is in it is
 * turns.c's and guarded by its lock. */
struct turn {
    uint64_t network; /* a keyed hash */
    uint64_t came_at; /* after so many turns */
    uint64_t number;  /* in the order of coming */
    unsigned faults;
    bool trusted;
    enum turn_state { TURN_WAITING, TURN_RUNS, TURN_DISPLACED } state;
    struct lock_cond called;
};

struct turn_asker {
    struct slice network; /* struct request's */
    unsigned faults;      /* how often it was at fault lately */
    bool trusted;         /* it was right lately */
};

/* Waits until it is this turn. ERR_OK: it is, until turns_end. ERR_LIMITED: its network has too
 * many that wait. ERR_OVERLOADED: too many wait, or it has waited too long. */
enum err turns_wait(struct turns *turns, const struct turn_asker *asker, struct turn *turn);

/* The work is done; `at_fault` puts those of its network that wait behind others. */
void turns_end(struct turns *turns, struct turn *turn, bool at_fault);

/* How many wait now. */
unsigned turns_waiting(struct turns *turns);

#endif
