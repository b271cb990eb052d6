/* What is noticed about a store that runs. */
#include "tests/unit/storage/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct store_stats watched(struct fixture *f)
{
    struct store_stats stats;
    store_watch(f->store);
    store_stats(f->store, &stats);
    return stats;
}

static void path_of(struct fixture *f, const char *name, char path[300])
{
    snprintf(path, 300, "%s/%s", f->dir, name);
}

static void assert_latches(struct fixture *f, const char *named)
{
    put(f, "a", "1");
    assert_true(watched(f).read_only);
    assert_non_null(strstr(watched(f).cause, named));
    assert_int_equal(put(f, "b", "1"), ERR_READ_ONLY);
    assert_value(f, "a", "1");
}

static void test_store_latches_when_its_file_is_deleted(void **state)
{
    struct fixture *f = *state;
    char path[300];
    assert_false(watched(f).read_only);
    path_of(f, "data.mdb", path);
    unlink(path);
    assert_latches(f, "/data.mdb was moved or deleted");
}

static void test_store_latches_when_another_file_takes_its_place(void **state)
{
    struct fixture *f = *state;
    char path[300], aside[300];
    path_of(f, "data.mdb", path);
    path_of(f, "aside", aside);
    rename(path, aside);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_latches(f, "/data.mdb was moved or deleted");
}

static void test_store_latches_when_its_lock_is_deleted(void **state)
{
    struct fixture *f = *state;
    char path[300];
    path_of(f, "process.lock", path);
    unlink(path);
    assert_latches(f, "/process.lock was moved or deleted");
}

static void test_store_latches_when_its_directory_is_moved(void **state)
{
    struct fixture *f = *state;
    char moved[300];
    snprintf(moved, sizeof moved, "%s-moved", f->dir);
    assert_int_equal(rename(f->dir, moved), 0);
    assert_latches(f, "/data.mdb was moved or deleted");
    assert_int_equal(rename(moved, f->dir), 0);
}

/* ---- Long reads. */

struct long_read {
    struct gate gate;
    struct store *store;
    pthread_t thread;
};

static void *read_long(void *arg)
{
    struct long_read *r = arg;
    store_read(r->store, pass_gate, &r->gate);
    return NULL;
}

static void test_store_knows_the_age_of_the_longest_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(watched(f).oldest_read_ms, 0);
    struct long_read r = {.store = f->store};
    sem_init(&r.gate.entered, 0, 0);
    sem_init(&r.gate.open, 0, 0);
    pthread_create(&r.thread, NULL, read_long, &r);
    sem_wait(&r.gate.entered);
    clock_fake_advance(&f->clock, 7000);
    assert_int_equal(watched(f).oldest_read_ms, 7000);
    sem_post(&r.gate.open);
    pthread_join(r.thread, NULL);
    assert_int_equal(watched(f).oldest_read_ms, 0);
    sem_destroy(&r.gate.entered);
    sem_destroy(&r.gate.open);
}

struct walk {
    struct fixture *f;
    bool patient; /* does not ask for the time */
    unsigned steps;
};

static enum err walk(struct txn *txn, void *arg)
{
    struct walk *w = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, w->f->table);
    enum err err = ERR_OK;
    for (w->steps = 0; err == ERR_OK && w->steps < 100000; w->steps++) {
        if (!w->patient && txn_out_of_time(txn))
            break;
        clock_fake_advance(&w->f->clock, 10);
        err = cursor_seek(&cursor, slice_str("a"));
    }
    cursor_close(&cursor);
    return err;
}

static void test_read_is_told_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    watched(f);
    struct walk w = {.f = f};
    assert_int_equal(store_read(f->store, walk, &w), ERR_OK);
    assert_in_range(w.steps, 45, 55);
}

static void test_read_that_does_not_ask_is_ended(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    watched(f);
    struct walk w = {.f = f, .patient = true};
    assert_int_equal(store_read(f->store, walk, &w), ERR_OVERLOADED);
    assert_in_range(w.steps, 1000, 2000);
}

/* ---- Other processes. */

/* Reads a snapshot in a process of its own until it is killed. */
static pid_t start_foreign_reader(struct fixture *f)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        MDB_env *env;
        MDB_txn *txn;
        mdb_env_create(&env);
        mdb_env_set_mapsize(env, MAP_BYTES);
        bool reads = mdb_env_open(env, f->dir, MDB_RDONLY | MDB_NOTLS, 0) == 0 &&
                     mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
        if (write(ends[1], reads ? "1" : "0", 1) == 1)
            pause();
        _exit(1);
    }
    char reads = 0;
    assert_int_equal(read(ends[0], &reads, 1), 1);
    assert_int_equal(reads, '1');
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void test_store_notices_and_lets_go_of_snapshots_of_other_processes(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    pid_t pid = start_foreign_reader(f);
    assert_int_equal(watched(f).oldest_read_ms, 0);
    clock_fake_advance(&f->clock, 9000);
    assert_int_equal(watched(f).oldest_read_ms, 9000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(watched(f).oldest_read_ms, 0);
}

static void test_store_knows_its_sizes(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    struct store_stats stats = watched(f);
    assert_true(stats.file_bytes >= stats.used_bytes);
    assert_true(stats.free_bytes < stats.file_bytes);
    assert_false(stats.nearly_full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_latches_when_its_file_is_deleted),
        TEST(test_store_latches_when_another_file_takes_its_place),
        TEST(test_store_latches_when_its_lock_is_deleted),
        TEST(test_store_latches_when_its_directory_is_moved),
        TEST(test_store_knows_the_age_of_the_longest_read),
        TEST(test_read_is_told_when_its_time_is_over),
        TEST(test_read_that_does_not_ask_is_ended),
        TEST(test_store_notices_and_lets_go_of_snapshots_of_other_processes),
        TEST(test_store_knows_its_sizes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
