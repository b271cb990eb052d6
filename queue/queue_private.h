/* What the queue's files share.
 *
 * DESIGN. Three tables. `jobs` holds what never changes of a job, payload included, and is written
 * once (struct job_body); a job that is completed loses it; and under a queue's name the number of
 * its jobs in each state. `job_states` holds the small rest (struct job_status): the state of each
 * job that is no longer as it was enqueued (no record: ready, never run). `job_index` has exactly
 * one entry for each job, (queue, state, order, id), with order the priority of a ready job and for
 * all others the time when the state ends or was reached. So all of a job's life is one operation,
 * job_move(), and all that happens by itself (a lease expires, a delay is over, a finished job is
 * forgotten) is found at the front of an index prefix.
 *
 * Ids are in the order of enqueuing: they are made of the queues' time, which never goes back, not
 * even over a restart with another wall clock (queues_now_ms).
 *
 * The counts are in the store, committed with the jobs that move, because counting a million index
 * entries at start takes longer than a start may; once for all transactions of a commit. Memory
 * holds a copy that the on-commit action renews: it decides who is woken, and the next transaction
 * goes on from it.
 *
 * Nothing polls: a commit that leaves ready jobs wakes idle workers, and one timer wakes a
 * worker of the queue whose next due time has come. The worker does the due work inside its leasing
 * transaction (change_do_due), in bounded steps. A second timer, of the maintenance thread, looks
 * after batches that take long (keeper.c).
 *
 * Damage is met where something is read, and ends there (damage.c): no transaction fails of it. */
#ifndef GALLEY_QUEUE_QUEUE_PRIVATE_H
#define GALLEY_QUEUE_QUEUE_PRIVATE_H

#include "base/lock.h"
#include "base/metrics.h"
#include "queue/queue.h"
#include "storage/key.h"

#define HANDLERS_MAX    64
#define REASON_MAX      200
#define PRIORITY_MAX    9
#define ATTEMPTS_LIMIT  1000 /* keeps attempt^4 seconds far below an int64 of ms */
#define DELAY_MAX_MS    (10LL * 365 * 86400000)
#define LEASE_MAX_MS    (7LL * 86400000)
#define LEASE_BYTES_MAX (4u << 20) /* of payloads in one lease, but for its last job */
#define DUE_STEP        512        /* jobs that move by themselves in one transaction */
#define ENTRIES_AT_ONCE 64         /* read from the index before anything is written */
#define WRITES_AT_ONCE  64         /* jobs that have moved, written table by table */
#define NEVER_MS        INT64_MAX
#define ID_KEY_SIZE     17 /* an id as the last part of a key */
#define BATCH_UNKNOWN   INT64_MAX

/* What the index says of a job. */
struct index_entry {
    enum job_state state;
    int64_t order;
    struct id id;
};

/* What a walk over the index has counted so far. Transactions that change what lies behind it
 * change this as well, so that the walk may take as many of them as it likes. */
struct tally {
    bool on;
    struct index_entry last; /* all up to this one has been counted */
    uint64_t jobs[JOB_STATES];
    uint64_t bytes[JOB_STATES];
};

struct counts {
    uint64_t jobs[JOB_STATES];
    uint64_t bytes[JOB_STATES]; /* of payloads that finished jobs keep */
    int64_t time_ms;            /* the queues' time when they last changed */
    struct tally tally;         /* in memory alone */
};

struct queue {
    struct queues *queues;
    char name[QUEUE_NAME_MAX + 1];
    struct key prefix; /* what its entries in the index begin with; those of a state */
    struct key state_prefixes[JOB_STATES + 1];
    unsigned concurrency, batch, attempts_max;
    int64_t lease_ms;
    bool keep_payload;
    struct worker *workers; /* concurrency of them, while started */

    /* The writer thread's: with the changes of the transactions that are to be committed together,
     * and which those are (txn_attempt). */
    struct counts pending;
    uint64_t pending_attempt;
    bool published;    /* `counts` have been: they need not be read again */
    bool counts_moved; /* there are none where an older program left them */

    /* Guarded by queues->lock. */
    struct counts counts; /* as of the last commit */
    int64_t due_ms;       /* the queues' time of the next due work, never later than the truth */
    unsigned idle;        /* workers that sleep, those among them that were woken included */
    unsigned woken;
    unsigned busy;    /* workers that run a batch */
    int64_t batch_ns; /* what a batch takes, as late ones have; BATCH_UNKNOWN before the first */
    uint64_t completed, failed, died, damaged;
    struct lock_cond wake; /* woken > 0, or stopping */
};

struct queues {
    struct store *store;
    struct ticker *ticker, *maintenance;
    const struct clock *clock;
    int64_t completed_keep_ms, dead_keep_ms;
    unsigned finished_max;
    uint64_t finished_bytes_max;
    struct table jobs, states, index;
    struct histogram *run_ns;

    /* Fixed before the start. */
    int64_t origin_ms; /* the queues' time at the monotonic clock's zero */
    struct queue *queues[QUEUES_MAX];
    unsigned count;
    struct job_handler handlers[HANDLERS_MAX];
    unsigned handlers_count;
    void (*on_damage)(void *arg); /* or NULL */
    void *on_damage_arg;
    bool started;

    _Atomic bool stopping; /* written under the lock */
    struct timer *keeper;  /* while started, if there is a maintenance thread */
    struct queue **former; /* not configured, but named by records; the verifier's */
    unsigned former_count;
    struct lock lock;
    /* Guarded by lock. */
    struct timer *timer;   /* NULL unless running */
    int64_t timer_ms;      /* the queues' time when it runs next */
    unsigned threads;      /* workers that have not ended */
    struct lock_cond news; /* a queue ran empty, a worker ended, stopping began */
};

/* NULL when there is none of that name. */
struct queue *queue_find(const struct queues *queues, const char *name);
struct queue *queue_find_slice(const struct queues *queues, struct slice name);

/* With no limits or workers yet, in nobody's list. */
struct queue *queue_create(struct queues *queues, const char *name);
void queue_destroy(struct queue *queue);

/* The queues' time: never before that of any change on the disk, and even while it runs. */
int64_t queues_now_ms(const struct queues *queues);

/* ---- record.c: what lies in the tables. */

/* A job as enqueued. Pointers are borrowed from the transaction. */
struct job_body {
    const char *queue, *type;
    struct slice payload;
    unsigned priority, attempts_max;
    int64_t enqueued_ms;
};

/* The numbers are on the disk: never change one. What has no use yet is kept as it is. */
enum job_field {
    FIELD_QUEUE = 1,
    FIELD_REASON,  /* of the last failure, UTF-8 */
    FIELD_TYPE,    /* from the first lease on */
    FIELD_DAMAGED, /* the bytes of the state that this one replaces because they were damaged */
    FIELD_GROUP,
    FIELD_UNIQUE,
    FIELD_PARENT,
    FIELD_PROGRESS,
    FIELD_RESULT,
    FIELD_HOLDER,
    JOB_FIELDS
};

/* What changes in a job's life. */
struct job_status {
    enum job_state state;
    bool lost;    /* the last attempt ended without a word: killed, or the lease ran out */
    bool stored;  /* it was read: there is a record of it */
    bool by_hand; /* leased by a worker outside: it lives on when this process ends */
    unsigned priority, attempt, attempts_max;
    uint32_t payload_len; /* of the payload that the job still has; from the first lease on */
    uint64_t token;       /* of the present lease */
    int64_t when_ms; /* when the state ends (scheduled, running, retrying) or began (finished) */
    int64_t enqueued_ms; /* from the first lease on */
    /* Empty: none. Borrowed from the transaction, valid until its next write. */
    struct slice fields[JOB_FIELDS];
    struct slice other_fields; /* of a newer program, encoded */
};

static inline bool state_is_finished(enum job_state state)
{
    return state == JOB_COMPLETED || state == JOB_DEAD || state == JOB_CANCELLED;
}

/* Errors of the two _get: ERR_NOT_FOUND; ERR_DAMAGED, which does not stick and is the caller's to
 * tell; every other one is the transaction's. */
void body_put(struct queues *queues, struct txn *txn, const struct id *id,
              const struct job_body *body);
enum err body_get(struct queues *queues, struct txn *txn, const struct id *id,
                  struct job_body *out);
enum err status_get(struct queues *queues, struct txn *txn, const struct id *id,
                    struct job_status *out);

/* The record's payload, in the transaction's memory; to be put when what `status` borrows may be
 * overwritten. */
struct slice status_encode(struct txn *txn, const struct job_status *status);
void status_put(struct queues *queues, struct txn *txn, const struct id *id, struct slice encoded);

/* queue.c: as queue_job, but ERR_DAMAGED does not stick and is the caller's to tell. */
enum err job_describe(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_info *out);

/* Ready, never run. */
void status_init(struct job_status *status, const struct job_body *body);

/* Both; a job without a status is as status_init makes it. With `body` NULL only the status, which
 * then has to be there. */
enum err job_get(struct queues *queues, struct txn *txn, const struct id *id, struct job_body *body,
                 struct job_status *status);

/* job_get of those that entries stand for, 1 to ENTRIES_AT_ONCE, read together. */
struct job_records {
    struct job_body body;
    struct job_status status;
    enum err err;
};
void jobs_get(struct queues *queues, struct txn *txn, const struct index_entry *entries,
              unsigned count, struct job_records *out);

void body_del(struct queues *queues, struct txn *txn, const struct id *id);
void job_del(struct queues *queues, struct txn *txn, const struct id *id);

struct key id_key(const struct id *id);
int64_t id_time_ms(const struct id *id); /* the queues' time of its making */

struct change;

/* ERR_DAMAGED, not sticky: there is none though the queue has jobs, or none that can be read. Those
 * that an older program has left are the latest: whoever writes them takes them from there. */
enum err counts_get(struct queue *queue, struct txn *txn, struct counts *out);
void counts_put(struct queue *queue, struct txn *txn, const struct counts *counts);
/* From the index and the records of finished jobs. To mend, in a write transaction only: entries
 * that are not in order are sorted in. */
void counts_make(struct queue *queue, struct txn *txn, struct counts *out, bool mend);
/* As without mending; false if it takes longer than a read may. */
bool counts_sum(struct queue *queue, struct txn *txn, struct counts *out);
/* Counts the next entries of the tally, at most `max`, or the first if it is not on. True: it has
 * come to the end. */
bool counts_tally(struct change *change, unsigned max);
/* Takes over what a tally has come to and ends it; false if it has not come to the end. */
bool counts_believe_tally(struct counts *counts);
/* Of states: neither the time nor the tally. */
bool counts_eq(const struct counts *a, const struct counts *b);

/* ---- index.c */

struct index_entry index_entry_of(const struct job_status *status, const struct id *id);
bool index_entry_eq(const struct index_entry *a, const struct index_entry *b);
/* As their keys: below 0 if a is before b. */
int index_entry_order(const struct index_entry *a, const struct index_entry *b);

/* As the store orders keys: below 0 if a is before b. */
int key_order(struct slice a, struct slice b);

/* Empty if the bytes cannot be a key: the length may be what is damaged. */
struct key key_copy(struct slice bytes);

/* Makes the prefixes of a queue's entries, once it has its name. */
void job_index_init(struct queue *queue);
/* What the entries of a state begin with; of JOB_STATES, all behind them. */
static inline const struct key *job_index_state(const struct queue *queue, enum job_state state)
{
    return &queue->state_prefixes[state];
}
struct key job_index_key(const struct queue *queue, const struct index_entry *entry);

void index_put(struct queue *queue, struct txn *txn, const struct index_entry *entry);
/* False if it is not found. */
bool index_del(struct queue *queue, struct txn *txn, const struct index_entry *entry);
bool index_has(struct queue *queue, struct txn *txn, const struct index_entry *entry);

/* Reads what follows (queue) in a key; false if it is not of our making. */
bool index_take_entry(struct slice rest, struct index_entry *out);
/* The same of a key of the queue. */
bool index_take_key(const struct queue *queue, struct slice key, struct index_entry *out);

/* ---- change.c: one queue's change by one transaction. */

/* A job's move that is counted and not yet written. */
struct job_write {
    struct id id;
    struct index_entry from, to;
    struct slice status; /* encoded */
    bool is_new;         /* there was no record of its status */
    bool drops_body;
    bool is_claimed; /* its entry is no more in the index */
};

struct change {
    struct queue *queue;
    struct txn *txn;
    int64_t now_ms; /* the queues' time */
    struct counts before, counts;
    bool recount;   /* the counts cannot be trusted any more */
    bool counted;   /* they are written with this commit */
    bool all_due;   /* due_ms replaces the queue's; else it only brings it forward */
    int64_t due_ms; /* the earliest time at which this change has something due */
    unsigned completed, failed, died, damaged;
    struct damage_note *notes; /* newest first */
    struct job_write *writes;  /* room for WRITES_AT_ONCE */
    unsigned write_count;
};

/* Between the two, nothing else changes the queue. What is changed becomes visible, and wakes whom
 * it concerns, when the transaction has committed. */
struct change *change_begin(struct queue *queue, struct txn *txn);
void change_end(struct change *change);

/* Takes in a new job. */
void change_add(struct change *change, const struct id *id, const struct job_status *status);

/* Moves a job from the state that its index entry is in to the one that `status` says now. It is
 * written with the next ones, each table in the order of its keys: until change_write the tables
 * have the job as it was. What the status borrows may have been overwritten then. */
void job_move(struct change *change, const struct id *id, const struct index_entry *from,
              const struct job_status *status);

/* job_move to the end of a job that needs its body no longer. */
void job_move_dropping_body(struct change *change, const struct id *id,
                            const struct index_entry *from, const struct job_status *status);

/* job_move of one that change_claim has given. */
void job_move_claimed(struct change *change, const struct id *id, const struct index_entry *from,
                      const struct job_status *status);

/* Writes what has moved, before the tables are looked at again. */
void change_write(struct change *change);

/* Takes a job out that is not running, and all that is known of it. */
void change_forget(struct change *change, const struct index_entry *entry);

/* Takes the entries of the first ready jobs out of the index, 1 to ENTRIES_AT_ONCE; how many. Each
 * of these jobs is then moved, or its entry put back. */
unsigned change_claim(struct change *change, struct index_entry *out, unsigned max);
void change_unclaim(struct change *change, const struct index_entry *entry);

/* Does what is due, at most `budget` jobs of it. */
void change_do_due(struct change *change, unsigned budget);

/* More than a turn can finish, so that retention keeps up with any load. */
static inline unsigned due_most(const struct queue *queue)
{
    return queue->batch + DUE_STEP;
}

/* The first entries of a state, behind `after` if it is not NULL, in order; how many. Nothing is
 * borrowed. Keys that are damaged are mended on the way. */
unsigned change_entries(struct change *change, enum job_state state,
                        const struct index_entry *after, struct index_entry *out, unsigned max);

/* ---- damage.c */

/* What an index entry stands for; `body` may be NULL if its state is not ready. ERR_DAMAGED, which
 * does not stick: job or entry were damaged, and are mended: the job has no such entry now. */
enum err entry_job(struct change *change, const struct index_entry *entry, struct job_body *body,
                   struct job_status *status);

/* index_del of what should be there, found by a search or not. */
void entry_del(struct change *change, const struct index_entry *entry);

/* What keeps the job from being run, NULL if nothing does. *err is ERR_NOT_FOUND if there is no
 * such job; ERR_OK: *status is filled in. */
const char *job_fault(struct queues *queues, struct txn *txn, const struct id *id,
                      struct job_status *status, enum err *err);

/* Puts what a walk sees near `near` but no search finds to where it belongs. */
void table_sort_in(struct txn *txn, struct table table, struct slice near);

/* The writes, which have been done, once more: a search has missed a record that one of them should
 * have replaced, and who reads next might find either. */
void statuses_mend(struct change *change, const struct job_write *writes, unsigned count);

/* Makes a job's one entry the right one, or the job dead if it cannot be read. */
void job_mend(struct change *change, const struct id *id);

/* A key of the index that cannot be read is taken out, and its job, if it can be guessed, mended.
 */
void index_key_mend(struct change *change, struct slice key);

/* A status that should be there and is not found. */
enum err status_find(struct change *change, const struct id *id, struct job_status *out);

/* Counts it, and names it in the log when the transaction has committed. */
void damage_note(struct change *change, const struct id *id, const char *what);
void damage_log(const struct change *change);

/* ---- lease.c */

enum job_outcome {
    OUTCOME_DONE,
    OUTCOME_FAILED,   /* again later */
    OUTCOME_HOPELESS, /* never again */
    OUTCOME_UNSTARTED,
};

struct lease_terms {
    unsigned max;
    int64_t lease_ms;
    bool by_hand;
    job_lease_fn each;
    void *arg;
};

/* Leases ready jobs; returns how many. */
unsigned lease_take(struct change *change, const struct lease_terms *terms);

/* Ends a lease with its outcome, if it is still the job's: else ERR_STALE, and nothing changes. */
enum err lease_end(struct change *change, const struct job_lease *lease, enum job_outcome outcome,
                   struct slice reason);
enum err lease_renew(struct change *change, const struct job_lease *lease, int64_t lease_ms);

/* Ends the lease of a job whose holder is gone: its time is over, and no worker has it. */
void lease_lose(struct change *change, const struct index_entry *entry);

/* Loses leases of workers of a former process, some of those behind `position` (NULL: from the
 * first on), which becomes the last one seen. False when there are no more. */
bool lease_recover(struct change *change, const struct index_entry *after,
                   struct index_entry *position);

int64_t job_backoff_ms(unsigned attempt);

/* ---- batch.c: what a worker has leased. */

struct leased_job {
    struct job_lease lease;
    struct job job; /* its type and payload lie in the batch's bytes */
    size_t bytes_at, payload_len;
    const struct job_handler *handler; /* that ran it; NULL if none did */
    enum job_outcome outcome;
    char *why; /* of a failed one; owned */
};

/* Jobs from `reported` to `end` are the worker's: it runs them in order and reports their outcomes
 * with its next turn. What the keeper takes away from it while it runs, at either end, is the
 * keeper's. */
struct batch {
    struct leased_job *jobs; /* room for queue->batch */
    unsigned count;
    struct buf bytes;
    unsigned reported, end;
    unsigned begun; /* jobs[begun - 1] runs, or was the last to */
};

void batch_init(struct batch *batch, unsigned room);
void batch_release(struct batch *batch);
void batch_clear(struct batch *batch);
/* A job_lease_fn with the batch as its argument. */
void batch_add(const struct job *job, const struct job_lease *lease, void *batch);
/* Once all are added. */
void batch_seal(struct batch *batch, const struct queue *queue);
/* Runs sync of each handler that jobs in [from, to) had; whose fails, fails. */
void batch_sync(struct queues *queues, struct batch *batch, unsigned from, unsigned to);
void batch_end_leases(const struct batch *batch, struct change *change, unsigned from, unsigned to);
void leased_job_run(struct queues *queues, struct leased_job *leased);

/* ---- worker.c */

struct worker {
    struct queue *queue;
    pthread_t thread;
    struct batch batches[2];
    struct batch *running; /* whose outcomes the next turn reports */
    struct batch *next;    /* the one to lease into */
    unsigned due_max;      /* jobs that may move by themselves in a turn */
    bool more_due;         /* after the last turn */
    bool no_room;          /* for leases, in the last turn */
    bool met_damage;       /* in the last turn */
    bool outcomes_only;    /* the last turn failed: the leasing may have been the cause */

    struct lock lock;
    /* Guarded by lock: which batch is which, the running batch's reported, end and begun, and */
    bool busy;            /* runs the batch */
    bool kept;            /* the keeper writes: the worker begins no job */
    int64_t job_began_ns; /* monotonic */
    int64_t renew_ns;     /* when the batch's leases are half over */
    struct lock_cond unkept;
};

void worker_init(struct worker *worker, struct queue *queue);
void worker_release(struct worker *worker);
void *worker_main(void *worker);

/* Whether a worker of this process has this lease: it runs the job, is about to, or reports it with
 * its next turn. Threads: the store's writer. */
bool queue_works_on(const struct queue *queue, const struct id *job, uint64_t token);

/* After which a batch gives back what it has not begun. */
int64_t worker_slow_ns(const struct queue *queue);
/* After which a worker that was expected to be quick is waited for no longer. */
int64_t worker_late_ns(const struct queue *queue);

/* Wakes at most so many idle workers; as many as the ready jobs are worth. Threads: holds
 * queues->lock. */
void queue_wake(struct queue *queue, uint64_t workers);
void queue_wake_for_ready(struct queue *queue);

/* A batch has taken so long, or is known to take so long at least. */
void queue_note_batch(struct queue *queue, int64_t took_ns);

/* Wakes a worker of each queue whose due time has come, as the timer does; tests call it after they
 * have moved their clock. Returns the milliseconds until it wants to be called again; 0: when
 * something is due. */
int64_t queues_wake(struct queues *queues);

/* ---- keeper.c */

/* Looks after batches that take long: their leases are renewed, what has ended is reported, what
 * has not begun is given back. The timer does it; tests call it after they have moved their clock.
 * Returns the milliseconds until it wants to be called again; 0: when a batch begins.
 * Threads: maintenance. */
int64_t queues_keep(struct queues *queues);

#endif
