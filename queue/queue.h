/* The job queue: persistent, in the same store and the same transactions as the data.
 *
 * A job is enqueued inside the caller's transaction: it exists if and only if that commits. Worker
 * threads lease jobs in batches, durably counting the attempt before the job runs, so that a job
 * which kills the process cannot do so for ever; run them; and acknowledge a batch and lease the
 * next in one transaction. Delivery is at least once. Every acknowledgement is fenced by
 * (job, attempt, lease token): who lost the lease changes nothing. Workers sleep until a commit or
 * a due time wakes them.
 *
 * States in this form: ready, running, retrying (waits for its next attempt), scheduled (waits for
 * its first), completed, dead (attempts used up); `waiting` (for other jobs) and `cancelled` have
 * their numbers. Backoff after attempt n: n^4 + 15 + rand(10 (n + 1)) seconds.
 *
 * Time: delays, leases and retries go by a time of the queues' own, which begins at the wall clock
 * but not before the last change on the disk, and runs on with the monotonic clock. Setting the
 * wall clock changes neither how long a job waits nor the order of those that are ready.
 *
 * Damage: a job whose record, state or index entry cannot be read costs no other job anything. It
 * is dead, with the reason, or gets its entry again; each is counted and logged.
 *
 * Lifetime: create after the store, add queues and handlers, start, stop, destroy, and only then
 * close the store. */
#ifndef GALLEY_QUEUE_QUEUE_H
#define GALLEY_QUEUE_QUEUE_H

#include "base/clock.h"
#include "base/id.h"
#include "base/metrics.h"
#include "base/ticker.h"
#include "storage/store.h"

#define QUEUE_NAME_MAX    64
#define QUEUE_PAYLOAD_MAX (1u << 20)
#define QUEUES_MAX        32

struct queues;

struct queues_options {
    struct store *store;
    struct ticker *ticker;      /* wakes workers */
    struct ticker *maintenance; /* renews leases; NULL: nobody does */
    const struct clock *clock;
    int64_t completed_keep_ms; /* 0: 24 h; cancelled jobs likewise */
    int64_t dead_keep_ms;      /* 0: 7 d */
    /* What each queue keeps of completed, of cancelled and of dead jobs; the oldest go first. */
    unsigned finished_max;       /* jobs; 0: 100 000 */
    uint64_t finished_bytes_max; /* of payloads; 0: 256 MiB */
};

enum err queues_create(const struct queues_options *options, struct queues **out);
void queues_destroy(struct queues **queues); /* stopped first */

struct queue_options {
    const char *name;      /* [a-z0-9-]{1,64} */
    unsigned concurrency;  /* worker threads; 0: 2 */
    unsigned batch;        /* jobs leased at once by a worker; 0: 256 */
    unsigned attempts_max; /* of a job that does not say; 0: 25 */
    int64_t lease_ms;      /* how soon the job of a worker that vanished is another's; 0: 5 min */
    bool keep_payload;     /* of completed jobs; else it is dropped. Dead ones keep theirs */
};

/* ERR_VALIDATION: name or numbers out of bounds; ERR_EXISTS. Before the start. */
enum err queue_add(struct queues *queues, const struct queue_options *options);

struct job {
    struct id id;
    const char *queue;
    const char *type;
    struct slice payload; /* JSON, as enqueued; valid while run() runs */
    unsigned attempt;     /* 1 at the first run */
    unsigned attempts_max;
    int64_t enqueued_ms;
};

/* What does a type of job. run() returns ERR_OK when the work is done; ERR_MALFORMED when this job
 * can never be done: it is dead; ERR_DRAINING when it has given up because the queues stop: the
 * attempt does not count; any other error means again later. The reason is kept in the record. It
 * may block, and then looks at queues_stopping; it must be idempotent by job id. Its lease is
 * renewed while it runs, and those of its batch that have ended do not wait for it. sync(), if
 * given, runs after some jobs and before they are acknowledged, and makes their effects durable; if
 * it fails, so have all of them. Threads: the queue's workers and maintenance, several at once. */
struct job_handler {
    const char *type;
    enum err (*run)(const struct job *job, void *arg, char *why, size_t why_size);
    enum err (*sync)(void *arg);
    void *arg;
};

enum err queue_handle(struct queues *queues, const struct job_handler *handler);

/* Gives the jobs that the workers of a former process had leased back (dead if their attempts are
 * used up), or leaves them until their leases run out if the store is full, then starts the
 * workers. Leases by hand go on. A job whose type has no handler fails its attempt. */
enum err queues_start(struct queues *queues);

/* Stops leasing, lets running jobs finish until deadline_ms from now, then returns: true if all
 * workers have ended, false if some still run a job. They cannot be ended from outside: the caller
 * then neither destroys the queues nor closes the store, but leaves the process; what was not
 * acknowledged runs again after the next start. */
bool queues_stop(struct queues *queues, int64_t deadline_ms);

/* Whether a job that takes long should give up. Threads: any. */
bool queues_stopping(const struct queues *queues);

struct job_spec {
    const char *queue;
    const char *type;
    struct slice payload;  /* JSON, copied */
    unsigned priority;     /* 0 (first) to 9; jobs of one priority run in order of enqueuing */
    int64_t delay_ms;      /* 0: at once */
    unsigned attempts_max; /* 0: the queue's */
};

/* Whether there is a queue of that name. Threads: any, once all were added. */
bool queues_have(const struct queues *queues, const char *name);

/* Adds a job in the caller's write transaction and wakes a worker once that is durable.
 * ERR_NOT_FOUND: no such queue; ERR_BODY_TOO_LARGE, ERR_VALIDATION: the spec. All of them stick to
 * the transaction: data does not commit without its job. `out` may be NULL. */
enum err queue_enqueue(struct queues *queues, struct txn *txn, const struct job_spec *spec,
                       struct id *out);

/* ---- Leases by hand, for workers outside. Inside write transactions. */

struct job_lease {
    struct id job;
    unsigned attempt;
    uint64_t token;
};

/* Leases up to max ready jobs: attempt counted, lease recorded. `each` sees every job inside the
 * transaction. Returns the number through *count; fewer than there are when payloads are large. A
 * job whose last attempt was lost (its worker vanished) comes alone. ERR_NOT_FOUND: no such queue;
 * ERR_VALIDATION: lease_ms is not within 1 ms and 7 days. */
typedef void (*job_lease_fn)(const struct job *job, const struct job_lease *lease, void *arg);
enum err queue_lease(struct queues *queues, struct txn *txn, const char *queue, unsigned max,
                     int64_t lease_ms, job_lease_fn each, void *arg, unsigned *count);

/* ERR_STALE when the lease is not the job's present one: nothing changes, and it does not stick. */
enum err queue_ack(struct queues *queues, struct txn *txn, const struct job_lease *lease);
enum err queue_fail(struct queues *queues, struct txn *txn, const struct job_lease *lease,
                    struct slice reason);

/* ---- Looking. */

/* The numbers are on the disk: never change one. */
enum job_state {
    JOB_READY,
    JOB_SCHEDULED,
    JOB_RUNNING,
    JOB_RETRYING,
    JOB_COMPLETED,
    JOB_DEAD,
    JOB_WAITING,
    JOB_CANCELLED,
    JOB_STATES
};
const char *job_state_name(enum job_state state);

struct job_info {
    struct id id;
    char queue[QUEUE_NAME_MAX + 1];
    char type[QUEUE_NAME_MAX + 1];
    enum job_state state;
    unsigned priority, attempt, attempts_max;
    int64_t enqueued_ms, due_ms, finished_ms; /* wall time; 0: not so */
    struct slice payload; /* borrowed from the transaction; empty when it was dropped */
    struct slice reason;  /* of the last failure; borrowed */
};

/* ERR_NOT_FOUND when there is no such job (or no longer); ERR_DAMAGED, sticky and logged, when it
 * cannot be read and is not dead of that yet. In any transaction. */
enum err queue_job(struct queues *queues, struct txn *txn, const struct id *id,
                   struct job_info *out);

/* A page of the jobs in one state: those that have finished by the time of it, the latest first,
 * all others in the order in which something happens to them. */
struct queue_page {
    const char *queue;
    enum job_state state;
    unsigned max;
    struct job_place { /* where the page before ended; all zero to begin */
        int64_t order;
        struct id id;
    } after;
};

/* Shows each (valid during the call; of one that cannot be read only the id, with that as reason)
 * and moves page->after; *more: there are others behind. ERR_NOT_FOUND: no such queue. */
typedef void (*job_info_fn)(const struct job_info *info, void *arg);
enum err queue_list(struct queues *queues, struct txn *txn, struct queue_page *page,
                    job_info_fn each, void *arg, bool *more);

/* Lets a job run now that is dead, cancelled, scheduled or retrying, with all its attempts before
 * it; ERR_CONFLICT in any other state. In a write transaction; the errors do not stick. */
enum err queue_retry(struct queues *queues, struct txn *txn, const struct id *id);

/* Forgets a job that is not running; ERR_CONFLICT if it is. As queue_retry. */
enum err queue_delete(struct queues *queues, struct txn *txn, const struct id *id);

/* ERR_NOT_FOUND if it is the name of none. */
enum err job_state_parse(struct slice name, enum job_state *out);

struct queue_stats {
    const char *name;
    uint64_t jobs[JOB_STATES];        /* now; exact as of the last commit */
    uint64_t finished_bytes;          /* of payloads that finished jobs keep */
    uint64_t completed, failed, died; /* since start */
    uint64_t damaged;                 /* records and index entries met since start */
    unsigned workers, workers_busy;
};

/* How many queues there are, and the i-th one's numbers. Threads: any. */
unsigned queue_count(const struct queues *queues);
void queue_stats(struct queues *queues, unsigned i, struct queue_stats *out);

/* Nanoseconds of each job's run. */
const struct histogram *queue_run_histogram(const struct queues *queues);

/* ---- Verifying (storage/verify.h). */

struct verifier;

/* Adds the queues' tables: each record and index entry against the others, in both directions, and
 * the counts, also of queues that are not configured. On a running server the counts of a queue
 * with more jobs than a read may look at (millions) are left out. Threads: a verifier that uses the
 * queues runs in one thread. */
void queues_verify(struct queues *queues, struct verifier *v);

/* fn is called when damage was met, and ended: there may be more beside it. Before the start.
 * Threads: of fn, the store's writer; it must not block. */
void queues_on_damage(struct queues *queues, void (*fn)(void *arg), void *arg);

/* Blocks until no job is ready or running, at most deadline_ms; true if so. For tests and tools. */
bool queues_wait_idle(struct queues *queues, int64_t deadline_ms);

#endif
