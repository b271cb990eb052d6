#include "tests/unit/storage/store_fixture.h"

#include "storage/key.h"

#include <fcntl.h>
#include <sys/stat.h>

/* ---- Reading and writing. */

static void test_store_reads_back_what_was_written(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "a", "1"), ERR_OK);
    assert_value(f, "a", "1");
    assert_int_equal(put(f, "a", "2"), ERR_OK);
    assert_value(f, "a", "2");
    assert_absent(f, "b");
}

static void test_store_keeps_values_over_a_reopening(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    reopen_store(f);
    assert_value(f, "a", "1");
}

static void test_store_deletes(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    assert_int_equal(del(f, "a"), ERR_OK);
    assert_absent(f, "a");
    assert_int_equal(del(f, "a"), ERR_NOT_FOUND);
}

struct snapshot {
    struct fixture *f;
    sem_t began, changed;
    enum err before, after;
};

static enum err read_twice(struct txn *txn, void *arg)
{
    struct snapshot *s = arg;
    struct pair pair = {s->f, "a", "old", ERR_OK};
    s->before = match_pair(txn, &pair);
    sem_post(&s->began);
    sem_wait(&s->changed);
    s->after = match_pair(txn, &pair);
    return ERR_OK;
}

static void *read_main(void *arg)
{
    struct snapshot *s = arg;
    store_read(s->f->store, read_twice, s);
    return NULL;
}

static void test_store_read_sees_one_snapshot(void **state)
{
    struct fixture *f = *state;
    struct snapshot s = {.f = f};
    sem_init(&s.began, 0, 0);
    sem_init(&s.changed, 0, 0);
    put(f, "a", "old");
    pthread_t thread;
    pthread_create(&thread, NULL, read_main, &s);
    sem_wait(&s.began);
    put(f, "a", "new");
    sem_post(&s.changed);
    pthread_join(thread, NULL);
    assert_int_equal(s.before, ERR_OK);
    assert_int_equal(s.after, ERR_OK);
    assert_value(f, "a", "new");
}

struct crowd {
    struct store *store;
    _Atomic unsigned inside;
    sem_t leave;
};

static enum err stay(struct txn *txn, void *arg)
{
    struct crowd *crowd = arg;
    (void)txn;
    crowd->inside++;
    sem_wait(&crowd->leave);
    return ERR_OK;
}

static void *stay_main(void *arg)
{
    struct crowd *crowd = arg;
    return store_read(crowd->store, stay, crowd) == ERR_OK ? arg : NULL;
}

static void test_store_readers_beyond_the_pool_wait_their_turn(void **state)
{
    struct fixture *f = *state;
    enum { THREADS = READERS_MAX + 8 };
    struct crowd crowd = {.store = f->store};
    sem_init(&crowd.leave, 0, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, stay_main, &crowd);
    while (crowd.inside < READERS_MAX || f->store->readers.waiting < THREADS - READERS_MAX)
        sched_yield();
    assert_int_equal(crowd.inside, READERS_MAX);
    for (int i = 0; i < THREADS; i++)
        sem_post(&crowd.leave);
    for (int i = 0; i < THREADS; i++) {
        void *done;
        pthread_join(threads[i], &done);
        assert_non_null(done);
    }
    assert_int_equal(crowd.inside, THREADS);
}

/* ---- Opening and closing. */

static void test_store_second_open_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct store *second;
    assert_int_equal(try_open(f, MAP_BYTES, &second), ERR_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(f->why, "in use by another process"));
    assert_int_equal(put(f, "a", "1"), ERR_OK);
}

static void test_store_directory_is_private(void **state)
{
    struct fixture *f = *state;
    char dir[sizeof f->dir];
    snprintf(dir, sizeof dir, "%s", f->dir);
    store_close(&f->store);
    strncat(f->dir, "/new", sizeof f->dir - strlen(f->dir) - 1);
    open_store(f, MAP_BYTES);
    struct stat st;
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(f->dir, sizeof f->dir, "%s", dir);
}

static void spoil_file(struct fixture *f, off_t size, const char *head)
{
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDWR);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, head, strlen(head), 0), strlen(head));
    close(fd);
}

static void test_store_refuses_a_file_that_is_no_database(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    spoil_file(f, 0, "This is a letter to the editor and has nothing to do with it. ");
    struct store *store;
    assert_int_equal(try_open(f, MAP_BYTES, &store), ERR_DAMAGED);
    assert_non_null(strstr(f->why, "data.mdb is damaged or not a database"));
}

static void test_store_truncated_file_is_an_error_and_not_a_crash(void **state)
{
    struct fixture *f = *state;
    char key[16];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%d", i);
        struct pair pair = {.f = f, .key = key};
        if (i % 10 == 0)
            assert_int_equal(store_write(f->store, put_megabyte, &pair), ERR_OK);
        put(f, key, "small");
    }
    store_close(&f->store);
    spoil_file(f, 2 * 4096, "");
    struct store *store;
    assert_int_equal(try_open(f, MAP_BYTES, &store), ERR_DAMAGED);
}

static enum err put_format_99(struct txn *txn, void *arg)
{
    (void)arg;
    struct table meta;
    store_table(txn_store(txn), "meta", &meta);
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str("format"));
    return record_put(txn, meta, key_slice(&key), 1, slice_str("{\"format\":99}"));
}

static void test_store_refuses_a_newer_format(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_write(f->store, put_format_99, NULL), ERR_OK);
    store_close(&f->store);
    struct store *store;
    assert_int_equal(try_open(f, MAP_BYTES, &store), ERR_DAMAGED);
    assert_non_null(strstr(f->why, "has format 99, this program knows 2"));
}

static void *close_main(void *arg)
{
    struct fixture *f = arg;
    struct store *store = f->store;
    store_close(&store);
    return NULL;
}

static bool is_closing(struct store *store)
{
    lock_acquire(&store->writer.lock);
    bool closing = store->writer.closing;
    lock_leave(&store->writer.lock);
    return closing;
}

static void test_store_close_commits_what_waits_and_refuses_what_comes(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[2] = {{f, "a", "1", ERR_OK}, {f, "b", "2", ERR_OK}};
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[2];
    for (int i = 0; i < 2; i++)
        call_queue(&calls[i], f->store, write_pair, &pairs[i]);
    pthread_t closer;
    pthread_create(&closer, NULL, close_main, f);
    while (!is_closing(f->store))
        sched_yield();
    assert_int_equal(put(f, "c", "3"), ERR_DRAINING);
    gate_open(&gate);
    for (int i = 0; i < 2; i++)
        assert_int_equal(call_finish(&calls[i]), ERR_OK);
    pthread_join(closer, NULL);
    open_store(f, MAP_BYTES);
    assert_value(f, "a", "1");
    assert_value(f, "b", "2");
    assert_absent(f, "c");
}

struct submitted {
    struct pending_write write;
    struct pair pair;
    sem_t *done;
};

static void note_done(struct pending_write *write)
{
    sem_post(((struct submitted *)write)->done);
}

static struct submitted submitted(struct fixture *f, const char *key, enum err result, sem_t *done)
{
    return (struct submitted){.write = {.fn = write_pair, .done = note_done},
                              .pair = {f, key, "1", result},
                              .done = done};
}

static void test_store_submitted_writes_are_told_their_results(void **state)
{
    struct fixture *f = *state;
    sem_t done;
    sem_init(&done, 0, 0);
    struct submitted good = submitted(f, "a", ERR_OK, &done);
    struct submitted bad = submitted(f, "b", ERR_CONFLICT, &done);
    struct submitted *both[] = {&good, &bad};
    for (int i = 0; i < 2; i++) {
        both[i]->write.arg = &both[i]->pair;
        assert_int_equal(store_submit(f->store, &both[i]->write), ERR_OK);
    }
    for (int i = 0; i < 2; i++)
        sem_wait(&done);
    assert_int_equal(good.write.result, ERR_OK);
    assert_int_equal(bad.write.result, ERR_CONFLICT);
    assert_value(f, "a", "1");
    assert_absent(f, "b");
    sem_destroy(&done);
}

static void test_store_submitting_does_not_wait_and_closing_does(void **state)
{
    struct fixture *f = *state;
    sem_t done;
    sem_init(&done, 0, 0);
    struct submitted one = submitted(f, "a", ERR_OK, &done);
    struct gate gate;
    gate_close(&gate, f->store);
    one.write.arg = &one.pair;
    assert_int_equal(store_submit(f->store, &one.write), ERR_OK);
    assert_int_not_equal(sem_trywait(&done), 0); /* the writer stands at the gate */
    pthread_t closer;
    pthread_create(&closer, NULL, close_main, f);
    while (!is_closing(f->store))
        sched_yield();
    struct submitted late = submitted(f, "b", ERR_OK, &done);
    late.write.arg = &late.pair;
    assert_int_equal(store_submit(f->store, &late.write), ERR_DRAINING);
    gate_open(&gate);
    pthread_join(closer, NULL);
    assert_int_equal(sem_trywait(&done), 0);
    assert_int_not_equal(sem_trywait(&done), 0); /* the late one was not taken */
    open_store(f, MAP_BYTES);
    assert_value(f, "a", "1");
    sem_destroy(&done);
}

static void test_store_stats_count(void **state)
{
    struct fixture *f = *state;
    struct pair failing = {f, "b", "1", ERR_CONFLICT};
    struct store_stats before;
    store_stats(f->store, &before);
    struct pair pair = {.f = f, .key = "a"};
    store_write(f->store, put_megabyte, &pair);
    store_write(f->store, write_pair, &failing);
    struct store_stats after;
    store_stats(f->store, &after);
    assert_int_equal(after.commits - before.commits, 1);
    assert_int_equal(after.writes - before.writes, 1);
    assert_int_equal(after.writes_failed - before.writes_failed, 1);
    assert_in_range(after.used_bytes - before.used_bytes, 1 << 20, (1 << 20) + (64 << 10));
    assert_int_equal(after.map_bytes, MAP_BYTES);
    assert_false(after.read_only);
    assert_string_equal(after.cause, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_reads_back_what_was_written),
        TEST(test_store_keeps_values_over_a_reopening),
        TEST(test_store_deletes),
        TEST(test_store_read_sees_one_snapshot),
        TEST(test_store_readers_beyond_the_pool_wait_their_turn),
        TEST(test_store_second_open_is_a_conflict),
        TEST(test_store_directory_is_private),
        TEST(test_store_refuses_a_file_that_is_no_database),
        TEST(test_store_truncated_file_is_an_error_and_not_a_crash),
        TEST(test_store_refuses_a_newer_format),
        TEST(test_store_close_commits_what_waits_and_refuses_what_comes),
        TEST(test_store_submitted_writes_are_told_their_results),
        TEST(test_store_submitting_does_not_wait_and_closing_does),
        TEST(test_store_stats_count),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
