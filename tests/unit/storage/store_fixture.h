/* A store in a temporary directory of its own, and writers that meet in one batch. */
#ifndef GALLEY_TESTS_STORE_FIXTURE_H
#define GALLEY_TESTS_STORE_FIXTURE_H

#include "base/log.h"
#include "storage/engine/engine_private.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_BYTES (UINT64_C(64) << 20)

struct fixture {
    char dir[256];
    char why[256]; /* of the last open */
    struct clock_fake clock;
    struct store *store;
    struct table table;
};

static inline enum err try_open(struct fixture *f, uint64_t map_bytes, struct store **out)
{
    const struct store_options options = {
        .dir = f->dir, .map_size_bytes = map_bytes, .clock = &f->clock.clock};
    return store_open(&options, out, f->why, sizeof f->why);
}

static inline void open_store(struct fixture *f, uint64_t map_bytes)
{
    assert_int_equal(try_open(f, map_bytes, &f->store), ERR_OK);
    assert_int_equal(store_table(f->store, "test", &f->table), ERR_OK);
}

static inline void reopen_store(struct fixture *f)
{
    store_close(&f->store);
    open_store(f, MAP_BYTES);
}

static inline int setup_with(void **state, uint64_t map_bytes)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-storage-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->clock, 1700000000000);
    open_store(f, map_bytes);
    *state = f;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, MAP_BYTES);
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* Damaged records and full disks are what some tests are about: their log lines would be noise. */
static inline void silence_log(void)
{
    const struct log_options options = {.level = LOG_OFF};
    assert_true(log_open(&options));
}

/* ---- One key. */

struct pair {
    struct fixture *f;
    const char *key;
    const char *value; /* NULL: delete */
    enum err result;   /* what the closure returns when the write worked */
};

static inline enum err write_pair(struct txn *txn, void *arg)
{
    const struct pair *pair = arg;
    struct slice key = slice_str(pair->key);
    enum err err = pair->value ? txn_put(txn, pair->f->table, key, slice_str(pair->value))
                               : txn_del(txn, pair->f->table, key);
    return err != ERR_OK ? err : pair->result;
}

static inline enum err put(struct fixture *f, const char *key, const char *value)
{
    struct pair pair = {f, key, value, ERR_OK};
    return store_write(f->store, write_pair, &pair);
}

static inline enum err del(struct fixture *f, const char *key)
{
    return put(f, key, NULL);
}

static inline enum err match_pair(struct txn *txn, void *arg)
{
    const struct pair *pair = arg;
    struct slice value;
    enum err err = txn_get(txn, pair->f->table, slice_str(pair->key), &value);
    if (err == ERR_OK && !slice_is(value, pair->value))
        return ERR_CONFLICT;
    return err;
}

static inline void assert_value(struct fixture *f, const char *key, const char *value)
{
    struct pair pair = {f, key, value, ERR_OK};
    assert_int_equal(store_read(f->store, match_pair, &pair), ERR_OK);
}

static inline void assert_absent(struct fixture *f, const char *key)
{
    struct pair pair = {f, key, "", ERR_OK};
    assert_int_equal(store_read(f->store, match_pair, &pair), ERR_NOT_FOUND);
}

static inline uint64_t commits(struct fixture *f)
{
    struct store_stats stats;
    store_stats(f->store, &stats);
    return stats.commits;
}

/* ---- Writers on threads of their own. */

struct call {
    struct store *store;
    store_fn fn;
    void *arg;
    bool last; /* store_write_last */
    enum err result;
    pthread_t thread;
};

static inline void *call_main(void *arg)
{
    struct call *call = arg;
    call->result = call->last ? store_write_last(call->store, call->fn, call->arg)
                              : store_write(call->store, call->fn, call->arg);
    return NULL;
}

static inline void call_start(struct call *call, struct store *store, store_fn fn, void *arg)
{
    *call = (struct call){.store = store, .fn = fn, .arg = arg};
    assert_int_equal(pthread_create(&call->thread, NULL, call_main, call), 0);
}

static inline enum err call_finish(struct call *call)
{
    pthread_join(call->thread, NULL);
    return call->result;
}

/* Holds the writer thread inside a transaction. */
struct gate {
    sem_t entered, open;
    struct call call;
};

static inline enum err pass_gate(struct txn *txn, void *arg)
{
    struct gate *gate = arg;
    (void)txn;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    return ERR_OK;
}

static inline void gate_close(struct gate *gate, struct store *store)
{
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->open, 0, 0);
    call_start(&gate->call, store, pass_gate, gate);
    sem_wait(&gate->entered);
}

static inline void gate_open(struct gate *gate)
{
    sem_post(&gate->open);
    assert_int_equal(call_finish(&gate->call), ERR_OK);
    sem_destroy(&gate->entered);
    sem_destroy(&gate->open);
}

static inline unsigned waiting(struct store *store)
{
    lock_acquire(&store->writer.lock);
    unsigned count = 0;
    const struct pending_write *w;
    STAILQ_FOREACH(w, &store->writer.waiting, link)
        count++;
    STAILQ_FOREACH(w, &store->writer.waiting_last, link)
        count++;
    lock_leave(&store->writer.lock);
    return count;
}

/* Starts the call and returns once it waits behind the closed gate. */
static inline void call_queue_as(struct call *call, struct call as)
{
    unsigned before = waiting(as.store);
    *call = as;
    assert_int_equal(pthread_create(&call->thread, NULL, call_main, call), 0);
    while (waiting(as.store) == before)
        sched_yield();
}

static inline void call_queue(struct call *call, struct store *store, store_fn fn, void *arg)
{
    call_queue_as(call, (struct call){.store = store, .fn = fn, .arg = arg});
}

/* Writes the pairs in one batch, in their order; results[i] is what each writer got. */
static inline void write_as_batch(struct fixture *f, struct pair *pairs, unsigned count,
                                  enum err *results)
{
    struct call *calls = calloc(count, sizeof *calls);
    struct gate gate;
    gate_close(&gate, f->store);
    for (unsigned i = 0; i < count; i++)
        call_queue(&calls[i], f->store, write_pair, &pairs[i]);
    gate_open(&gate);
    for (unsigned i = 0; i < count; i++)
        results[i] = call_finish(&calls[i]);
    free(calls);
}

static inline enum err put_megabyte(struct txn *txn, void *arg)
{
    struct pair *pair = arg;
    size_t size = 1 << 20;
    void *bytes = txn_alloc(txn, size);
    memset(bytes, 'x', size);
    return txn_put(txn, pair->f->table, slice_str(pair->key), slice_of(bytes, size));
}

#endif
