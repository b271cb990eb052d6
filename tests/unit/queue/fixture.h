/* A store in its own directory, a clock moved by hand, and the queue operations as one-liners. */
#ifndef GALLEY_TESTS_QUEUE_FIXTURE_H
#define GALLEY_TESTS_QUEUE_FIXTURE_H

#include "base/buf.h"
#include "queue/queue_private.h"
#include "storage/key.h"
#include "storage/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define T0         1800000000000LL
#define PATIENCE_S 60 /* before a test that waits for something is called broken */
#define LEASE_MS_T 60000
#define LEASES     600

struct fixture {
    char dir[256];
    size_t map_bytes; /* 0: 256 MiB */
    struct clock_fake clock;
    struct store *store;
    struct ticker *ticker;
    struct queues *queues;
    struct table jobs, states, index;
    struct queues_options options; /* for the next open */
    struct queue_options queue;
};

static inline void fixture_open(struct fixture *f)
{
    struct store_options store = {.dir = f->dir,
                                  .map_size_bytes = f->map_bytes ? f->map_bytes : 256u << 20,
                                  .clock = &f->clock.clock};
    char why[200];
    assert_int_equal(store_open(&store, &f->store, why, sizeof why), ERR_OK);
    assert_int_equal(store_table(f->store, "jobs", &f->jobs), ERR_OK);
    assert_int_equal(store_table(f->store, "job_states", &f->states), ERR_OK);
    assert_int_equal(store_table(f->store, "job_index", &f->index), ERR_OK);
    f->ticker = ticker_create("ticker");
    f->options.store = f->store;
    f->options.ticker = f->ticker;
    f->options.clock = &f->clock.clock;
    assert_int_equal(queues_create(&f->options, &f->queues), ERR_OK);
    assert_int_equal(queue_add(f->queues, &f->queue), ERR_OK);
}

static inline void fixture_close(struct fixture *f)
{
    assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
    queues_destroy(&f->queues);
    ticker_destroy(&f->ticker);
    store_close(&f->store);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-queue-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->clock, T0);
    f->queue = (struct queue_options){.name = "mail", .attempts_max = 3};
    *state = f;
    fixture_open(f);
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* What a queue counts in a state. */
static inline uint64_t counted(struct fixture *f, enum job_state state)
{
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    return stats.jobs[state];
}

/* ---- Enqueuing. */

struct enqueue {
    struct fixture *f;
    struct job_spec spec;
    enum err end; /* what the transaction's function returns */
    struct id id;
};

static inline enum err enqueue_fn(struct txn *txn, void *arg)
{
    struct enqueue *e = arg;
    enum err err = queue_enqueue(e->f->queues, txn, &e->spec, &e->id);
    return err != ERR_OK ? err : e->end;
}

static inline struct job_spec spec_of(const char *type, const char *payload)
{
    return (struct job_spec){.queue = "mail", .type = type, .payload = slice_str(payload)};
}

static inline struct id enqueue(struct fixture *f, struct job_spec spec)
{
    struct enqueue e = {.f = f, .spec = spec};
    assert_int_equal(store_write(f->store, enqueue_fn, &e), ERR_OK);
    return e.id;
}

/* ---- Leases. */

struct hand {
    struct fixture *f;
    unsigned max, count, seen;
    bool by_worker; /* as a worker thread leases, not by hand */
    int64_t lease_ms;
    struct job_lease leases[LEASES];
    char payloads[LEASES][32];
    /* to settle */
    const struct job_lease *lease;
    bool ack;
    const char *reason;
};

static inline void hand_each(const struct job *job, const struct job_lease *lease, void *arg)
{
    struct hand *hand = arg;
    snprintf(hand->payloads[hand->seen], sizeof hand->payloads[0], "%.*s", SLICE_ARG(job->payload));
    hand->leases[hand->seen++] = *lease;
}

static inline enum err lease_fn(struct txn *txn, void *arg)
{
    struct hand *hand = arg;
    hand->seen = 0;
    if (hand->by_worker) {
        struct lease_terms terms = {
            .max = hand->max, .lease_ms = hand->lease_ms, .each = hand_each, .arg = hand};
        struct change *change = change_begin(hand->f->queues->queues[0], txn);
        hand->count = lease_take(change, &terms);
        change_end(change);
        return txn_error(txn);
    }
    return queue_lease(hand->f->queues, txn, "mail", hand->max, hand->lease_ms, hand_each, hand,
                       &hand->count);
}

static inline unsigned lease_as(struct hand *hand, struct fixture *f, unsigned max, bool by_worker)
{
    hand->f = f;
    hand->by_worker = by_worker;
    hand->max = max;
    hand->lease_ms = LEASE_MS_T;
    assert_int_equal(store_write(f->store, lease_fn, hand), ERR_OK);
    assert_int_equal(hand->count, hand->seen);
    return hand->count;
}

static inline unsigned lease(struct hand *hand, struct fixture *f, unsigned max)
{
    return lease_as(hand, f, max, false);
}

static inline enum err settle_fn(struct txn *txn, void *arg)
{
    struct hand *hand = arg;
    return hand->ack ? queue_ack(hand->f->queues, txn, hand->lease)
                     : queue_fail(hand->f->queues, txn, hand->lease, slice_str(hand->reason));
}

static inline enum err ack(struct fixture *f, const struct job_lease *lease)
{
    struct hand hand = {.f = f, .lease = lease, .ack = true};
    return store_write(f->store, settle_fn, &hand);
}

static inline enum err fail_job(struct fixture *f, const struct job_lease *lease,
                                const char *reason)
{
    struct hand hand = {.f = f, .lease = lease, .reason = reason};
    return store_write(f->store, settle_fn, &hand);
}

/* ---- Looking. */

struct look {
    struct fixture *f;
    struct id id;
    struct job_info info;
    char reason[REASON_MAX + 1];
};

static inline enum err look_fn(struct txn *txn, void *arg)
{
    struct look *look = arg;
    enum err err = queue_job(look->f->queues, txn, &look->id, &look->info);
    if (err == ERR_OK)
        snprintf(look->reason, sizeof look->reason, "%.*s", SLICE_ARG(look->info.reason));
    return err;
}

static inline enum err look_at(struct look *look, struct fixture *f, struct id id)
{
    look->f = f;
    look->id = id;
    return store_read(f->store, look_fn, look);
}

static inline enum job_state state_of(struct fixture *f, struct id id)
{
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_OK);
    return look.info.state;
}

/* ---- Verifying. */

static inline bool take_salvaged(const char *table, struct slice key, struct slice value, void *arg)
{
    (void)table, (void)key, (void)value, (void)arg;
    return true;
}

enum verify_how { VERIFY_LOOK, VERIFY_MEND, VERIFY_REPAIR };

/* As `galley verify` does, as the scrub does, as `galley verify --repair` does. found() is told. */
static inline uint64_t verify_with(struct fixture *f, enum verify_how how,
                                   void (*found)(const char *what, bool mended, void *arg),
                                   void *arg)
{
    struct verify_options options = {.store = f->store,
                                     .repair = how == VERIFY_REPAIR,
                                     .mend = how == VERIFY_MEND,
                                     .found = found,
                                     .salvage = how == VERIFY_REPAIR ? take_salvaged : NULL,
                                     .arg = arg};
    struct verifier *v = verifier_create(&options);
    queues_verify(f->queues, v);
    bool end = false;
    while (!end)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    struct verify_figures figures;
    verifier_figures(v, &figures);
    verifier_destroy(&v);
    return figures.found;
}

/* Returns how many findings it has. */
static inline uint64_t verify(struct fixture *f, enum verify_how how)
{
    return verify_with(f, how, NULL, NULL);
}

/* ---- Workers. */

static inline void wait_for(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int rc;
    do {
        rc = sem_timedwait(sem, &until);
    } while (rc != 0 && errno == EINTR);
    assert_int_equal(rc, 0);
}

static inline void handle(struct fixture *f, const char *type,
                          enum err (*run)(const struct job *, void *, char *, size_t),
                          enum err (*sync)(void *), void *arg)
{
    struct job_handler handler = {.type = type, .run = run, .sync = sync, .arg = arg};
    assert_int_equal(queue_handle(f->queues, &handler), ERR_OK);
}

static inline void start(struct fixture *f)
{
    assert_int_equal(queues_start(f->queues), ERR_OK);
}

static inline void wait_idle(struct fixture *f)
{
    assert_true(queues_wait_idle(f->queues, PATIENCE_S * 1000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
