/* What the queue's files share.
 *
 * DESIGN. Three tables. `jobs` holds what never changes of a job, payload included, and is written
 * once. `job_states` holds the small rest: the state of each job that is no longer as it was
 * enqueued (no record: ready, never run), and under a queue's name the number of its jobs in each
 * state. `job_index` has exactly one entry for each job, (queue, state, order, id), with order the
 * priority of a ready job and for all others the time when the state ends or was reached. So all of
 * a job's life is one operation, job_move(), and all that happens by itself (a lease expires, a
 * delay is over, a finished job is forgotten) is found at the front of an index prefix.
 *
 * The counts are in the store, changed in the transaction that moves the job, because counting a
 * million index entries at start takes longer than a start may; memory holds a copy that the
 * on-commit action renews, and that copy decides who is woken.
 *
 * Nothing polls: a commit that leaves ready jobs wakes idle workers, and one timer wakes a
 * worker of the queue whose next due time has come. The worker does the due work inside its leasing
 * transaction (change_run_due), in bounded steps. */
#ifndef GALLEY_QUEUE_QUEUE_PRIVATE_H
#define GALLEY_QUEUE_QUEUE_PRIVATE_H

#include "base/lock.h"
#include "base/metrics.h"
#include "queue/queue.h"

#define HANDLERS_MAX    64
#define REASON_MAX      200
#define ATTEMPTS_LIMIT  1000 /* keeps attempt^4 seconds far below an int64 of ms */
#define DELAY_MAX_MS    (10LL * 365 * 86400000)
#define LEASE_MAX_MS    (7LL * 86400000)
#define LEASE_BYTES_MAX (4u << 20) /* of payloads in one lease, but for its last job */
#define DUE_STEP        512        /* jobs that move by themselves in one transaction */
#define NEVER_MS        INT64_MAX

struct counts {
    uint64_t jobs[JOB_STATES];
};

struct queue {
    struct queues *queues;
    char name[QUEUE_NAME_MAX + 1];
    unsigned concurrency, batch, attempts_max;
    int64_t lease_ms;
    struct worker *workers; /* concurrency of them, while started */

    /* Guarded by queues->lock. */
    struct counts counts; /* as of the last commit */
    int64_t due_ms;       /* wall time of the next due work, never later than the truth */
    unsigned idle;        /* workers that sleep, those among them that were woken included */
    unsigned woken;
    unsigned busy; /* workers that run a batch */
    uint64_t completed, failed, died;
    struct lock_cond wake; /* woken > 0, or stopping */
};

struct queues {
    struct store *store;
    struct ticker *ticker;
    const struct clock *clock;
    int64_t completed_keep_ms, dead_keep_ms;
    unsigned finished_max;
    struct table jobs, states, index;
    struct histogram *run_ns;

    /* Fixed before the start. */
    struct queue *queues[QUEUES_MAX];
    unsigned count;
    struct job_handler handlers[HANDLERS_MAX];
    unsigned handlers_count;
    bool started;

    _Atomic bool stopping; /* written under the lock */
    struct lock lock;
    /* Guarded by lock. */
    struct timer *timer;   /* NULL unless running */
    int64_t timer_ms;      /* wall time when it runs next */
    unsigned threads;      /* workers that have not ended */
    struct lock_cond news; /* a queue ran empty, a worker ended, stopping began */
};

/* NULL when there is none of that name. */
struct queue *queue_find(const struct queues *queues, const char *name);

/* ---- record.c: what lies in the tables. */

/* A job as enqueued. Pointers are borrowed from the transaction. */
struct job_record {
    const char *queue, *type;
    struct slice payload;
    unsigned priority, attempts_max;
    int64_t enqueued_ms;
};

/* What changes in a job's life. A copy: it outlives writes to the transaction. */
struct job_progress {
    char queue[QUEUE_NAME_MAX + 1];
    char reason[REASON_MAX + 1]; /* of the last failure, UTF-8 */
    enum job_state state;
    bool lost; /* the last attempt ended without a word: killed, or the lease ran out */
    unsigned priority, attempt, attempts_max;
    uint64_t token;  /* of the present lease */
    int64_t when_ms; /* when the state ends (scheduled, running, retrying) or began (finished) */
};

void job_put(struct queues *queues, struct txn *txn, const struct id *id,
             const struct job_record *job);
/* ERR_NOT_FOUND when there is none; every other error is the transaction's. */
enum err job_get(struct queues *queues, struct txn *txn, const struct id *id,
                 struct job_record *out);

void progress_put(struct queues *queues, struct txn *txn, const struct id *id,
                  const struct job_progress *progress);
enum err progress_get(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_progress *out);
/* Ready, never run. */
void progress_init(struct job_progress *progress, const struct job_record *job);
/* As progress_get; what has no record is as progress_init makes it. */
enum err progress_load(struct queues *queues, struct txn *txn, const struct id *id,
                       const struct job_record *job, struct job_progress *out);

void job_erase(struct queues *queues, struct txn *txn, const struct id *id);

void counts_get(struct queue *queue, struct txn *txn, struct counts *out);
void counts_put(struct queue *queue, struct txn *txn, const struct counts *counts);

struct index_entry {
    enum job_state state;
    int64_t order;
    struct id id;
};

struct index_entry index_entry_of(const struct job_progress *progress, const struct id *id);
void index_put(struct queue *queue, struct txn *txn, const struct index_entry *entry);
void index_del(struct queue *queue, struct txn *txn, const struct index_entry *entry);
bool index_has(struct queue *queue, struct txn *txn, const struct index_entry *entry);
/* The first entry of a state that has one; the transaction fails if it has none. */
enum err index_first(struct queue *queue, struct txn *txn, enum job_state state,
                     struct index_entry *out);

/* ---- change.c: one queue's change by one transaction. */

/* A job whose records cannot be read, if one was met. */
struct damage {
    bool found;
    struct index_entry entry;
};

struct change {
    struct queue *queue;
    struct txn *txn;
    struct counts before, counts;
    bool ran_due;   /* due_ms replaces the queue's; else it only brings it forward */
    int64_t due_ms; /* the earliest time at which this change has something due */
    unsigned completed, failed, died;
    struct damage damage; /* why the transaction failed */
};

/* Between the two, nothing else changes the queue. What is changed becomes visible, and wakes whom
 * it concerns, when the transaction has committed. */
struct change *change_begin(struct queue *queue, struct txn *txn);
void change_end(struct change *change);

/* Takes in a new job. */
void change_add(struct change *change, const struct id *id, const struct job_progress *progress);

/* Moves a job from the state that its index entry is in to the one that `progress` says now. */
void job_move(struct change *change, const struct id *id, const struct index_entry *from,
              const struct job_progress *progress);

/* Fails the transaction because of a job that cannot be read; the next one is to end it, as dead,
 * so that it does not stand in the way of the others. */
void change_damaged(struct change *change, const struct index_entry *entry);
void change_end_damaged(struct change *change, const struct damage *damage);

/* Does what is due, of at most so many jobs. */
void change_run_due(struct change *change, unsigned budget);

/* More than a turn can finish, so that retention keeps up with any load. */
static inline unsigned due_most(const struct queue *queue)
{
    return queue->batch + DUE_STEP;
}

/* Every lease's job gets ready again or dies, at most DUE_STEP of them. */
void change_recover(struct change *change);

/* ---- lease.c */

enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_UNSTARTED };

/* Fills in the leased job, or ERR_STALE. */
enum err lease_check(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                     struct job_progress *out);
/* Ends a lease that lease_check has passed. */
void lease_settle(struct change *change, const struct job_lease *lease,
                  struct job_progress *progress, enum outcome outcome, struct slice reason);
/* Ends the lease of a job whose holder is gone. */
void lease_lose(struct change *change, const struct index_entry *entry);
unsigned lease_take(struct change *change, unsigned max, int64_t lease_ms, job_lease_fn each,
                    void *arg);
int64_t job_backoff_ms(unsigned attempt);

/* ---- worker.c */

/* Wakes at most so many idle workers. Threads: holds queues->lock. */
void queue_wake(struct queue *queue, uint64_t workers);

/* Wakes a worker of each queue whose due time has come, as the timer does; tests call it after they
 * have moved their clock. Returns the milliseconds until it wants to be called again. */
int64_t queues_wake(struct queues *queues);

#endif
