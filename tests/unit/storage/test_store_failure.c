/* What the disk can do to us. liblmdb and the store call these functions through the dynamic
 * linker, and find ours first. */
#include "tests/unit/storage/store_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#define META_WRITE_MAX 512 /* LMDB writes less than this only to a meta page */

static _Atomic int fail_sync, fail_data_write, fail_meta_write, fail_allocate; /* errno, 0: none */
static _Atomic bool cut_data_write;

static void heal_disk(void)
{
    fail_sync = fail_data_write = fail_meta_write = fail_allocate = 0;
    cut_data_write = false;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int failure(int code)
{
    errno = code;
    return -1;
}

int fdatasync(int fd)
{
    return fail_sync ? failure(fail_sync) : REAL(fdatasync)(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    int code = size < META_WRITE_MAX ? fail_meta_write : fail_data_write;
    if (code != 0)
        return failure(code);
    if (cut_data_write && size >= META_WRITE_MAX)
        size /= 2;
    return REAL(pwrite)(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (fail_data_write)
        return failure(fail_data_write);
    return REAL(writev)(fd, parts, cut_data_write ? count / 2 : count);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return fail_allocate ? fail_allocate : REAL(posix_fallocate)(fd, offset, len);
}

static int setup_small(void **state)
{
    return setup_with(state, 64 * 4096);
}

static int teardown_healed(void **state)
{
    heal_disk();
    return teardown(state);
}

static struct store_stats stats_of(struct fixture *f)
{
    struct store_stats stats;
    store_stats(f->store, &stats);
    return stats;
}

static void assert_latched(struct fixture *f)
{
    assert_true(stats_of(f).read_only);
    assert_non_null(strstr(stats_of(f).cause, "failed: "));
    assert_int_equal(put(f, "later", "1"), ERR_READ_ONLY);
    assert_value(f, "a", "old");
    assert_int_equal(stats_of(f).map_bytes, MAP_BYTES);
}

static void assert_writable(struct fixture *f)
{
    assert_false(stats_of(f).read_only);
    assert_int_equal(put(f, "later", "1"), ERR_OK);
    assert_value(f, "later", "1");
    reopen_store(f);
    assert_value(f, "later", "1");
}

/* ---- The latch. */

static void test_store_failed_sync_is_no_success_and_latches(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    fail_sync = EIO;
    assert_int_equal(put(f, "a", "new"), ERR_READ_ONLY);
    heal_disk();
    assert_latched(f);
    reopen_store(f);
    assert_value(f, "a", "old");
    assert_absent(f, "later");
    assert_writable(f);
}

static void test_store_failed_write_latches(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    fail_data_write = EIO;
    assert_int_equal(put(f, "a", "new"), ERR_READ_ONLY);
    heal_disk();
    assert_latched(f);
    reopen_store(f);
    assert_value(f, "a", "old");
    assert_writable(f);
}

static void test_store_failed_meta_write_latches(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    fail_meta_write = EIO;
    assert_int_equal(put(f, "a", "new"), ERR_READ_ONLY);
    heal_disk();
    assert_latched(f);
    reopen_store(f);
    assert_value(f, "a", "old");
    assert_writable(f);
}

/* A file system that copies on write needs room for that as well. */
static void test_store_full_disk_under_a_meta_write_latches_and_keeps_reading(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    fail_meta_write = ENOSPC;
    assert_int_equal(put(f, "a", "new"), ERR_READ_ONLY);
    heal_disk();
    assert_value(f, "a", "old");
    assert_latched(f);
    reopen_store(f);
    assert_value(f, "a", "old");
    assert_writable(f);
}

static void test_store_failed_sync_reaches_all_of_the_batch_and_all_that_wait(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[3] = {
        {f, "a", "1", ERR_OK}, {f, "b", "2", ERR_EXISTS}, {f, "c", "3", ERR_OK}};
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[3];
    for (int i = 0; i < 3; i++)
        call_queue(&calls[i], f->store, write_pair, &pairs[i]);
    fail_sync = EIO; /* the gate writes nothing: theirs is the first sync */
    gate_open(&gate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_finish(&calls[i]), ERR_READ_ONLY);
    heal_disk();
    reopen_store(f);
    assert_absent(f, "a");
    assert_absent(f, "c");
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void forget(void *arg)
{
    (void)arg;
}

struct block {
    struct fixture *f;
    char key[16];
    size_t size;
    bool shrinking;
    int runs, committed, dropped;
};

static enum err put_block(struct txn *txn, void *arg)
{
    struct block *block = arg;
    block->runs++;
    txn_on_commit(txn, count_up, NULL, &block->committed);
    txn_on_commit(txn, forget, count_up, &block->dropped);
    if (block->shrinking)
        txn_shrinking(txn);
    void *bytes = txn_alloc(txn, block->size);
    memset(bytes, 'x', block->size);
    return txn_put(txn, block->f->table, slice_str(block->key), slice_of(bytes, block->size));
}

static void test_store_failed_commit_drops_its_actions(void **state)
{
    struct fixture *f = *state;
    struct block block = {.f = f, .key = "a", .size = 10};
    fail_sync = EIO;
    assert_int_equal(store_write(f->store, put_block, &block), ERR_READ_ONLY);
    assert_int_equal(block.committed, 0);
    assert_int_equal(block.dropped, 1);
}

/* ---- A full disk. */

static void test_store_full_disk_fails_the_write_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static const int codes[] = {ENOSPC, EDQUOT, EFBIG};
    put(f, "a", "old");
    for (int i = 0; i < 3; i++) {
        fail_data_write = codes[i];
        assert_int_equal(put(f, "a", "new"), ERR_STORE_FULL);
        assert_int_equal(put(f, "b", "new"), ERR_STORE_FULL);
        assert_value(f, "a", "old");
        heal_disk();
        assert_int_equal(put(f, "c", "after"), ERR_OK);
    }
    assert_value(f, "a", "old");
    assert_absent(f, "b");
    assert_writable(f);
    assert_value(f, "c", "after");
}

static void test_store_write_cut_short_by_a_full_disk_is_a_full_disk(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    cut_data_write = true;
    fail_allocate = ENOSPC;
    assert_int_equal(put(f, "a", "new"), ERR_STORE_FULL);
    heal_disk();
    assert_value(f, "a", "old");
    assert_writable(f);
}

static void test_store_write_cut_short_for_no_reason_latches(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "old");
    cut_data_write = true;
    assert_int_equal(put(f, "a", "new"), ERR_READ_ONLY);
    heal_disk();
    assert_latched(f);
    reopen_store(f);
    assert_value(f, "a", "old");
}

static void test_store_disk_that_fills_and_empties_loses_nothing_acknowledged(void **state)
{
    struct fixture *f = *state;
    char key[16], value[16];
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "%d", i % 20);
        snprintf(value, sizeof value, "%d", i);
        fail_data_write = i % 3 == 1 ? ENOSPC : 0;
        assert_int_equal(put(f, key, value), i % 3 == 1 ? ERR_STORE_FULL : ERR_OK);
    }
    heal_disk();
    reopen_store(f);
    for (int i = 0; i < 20; i++) {
        int last = 40 + i;
        while (last % 3 == 1)
            last -= 20;
        snprintf(key, sizeof key, "%d", i);
        snprintf(value, sizeof value, "%d", last);
        assert_value(f, key, value);
    }
}

/* ---- A full map: 64 pages. */

static enum err put_bytes(struct fixture *f, int key, size_t size)
{
    struct block block = {.f = f, .size = size};
    snprintf(block.key, sizeof block.key, "%d", key);
    return store_write(f->store, put_block, &block);
}

static void test_store_write_that_does_not_fit_the_map_fails_alone(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    assert_int_equal(put_bytes(f, 1, 64 * 4096), ERR_STORE_FULL);
    assert_value(f, "a", "1");
    assert_int_equal(put(f, "b", "2"), ERR_OK);
    assert_int_equal(del(f, "a"), ERR_OK);
    assert_value(f, "b", "2");
    assert_false(stats_of(f).read_only);
}

static void test_store_full_map_is_readable_and_deleting_makes_room(void **state)
{
    struct fixture *f = *state;
    int count = 0;
    while (put_bytes(f, count, 3000) == ERR_OK)
        count++;
    assert_in_range(count, 20, 64);
    assert_int_equal(put_bytes(f, count, 3000), ERR_STORE_FULL);
    char key[16];
    for (int i = 0; i < count; i++) {
        struct pair pair = {f, key, "", ERR_OK};
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(store_read(f->store, match_pair, &pair), ERR_CONFLICT); /* it is there */
    }
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(del(f, key), ERR_OK);
    }
    assert_int_equal(put_bytes(f, 0, 10 * 3000), ERR_OK);
}

static void queue_blocks(struct fixture *f, struct call *calls, struct block *blocks, int count)
{
    for (int i = 0; i < count; i++) {
        blocks[i].f = f;
        snprintf(blocks[i].key, sizeof blocks[i].key, "%d", i);
        call_queue(&calls[i], f->store, put_block, &blocks[i]);
    }
}

static void test_store_full_map_fails_only_the_large_one_of_a_batch(void **state)
{
    struct fixture *f = *state;
    struct block blocks[3] = {{.size = 10}, {.size = 64 * 4096}, {.size = 10}};
    struct gate gate;
    gate_close(&gate, f->store);
    struct call calls[3];
    queue_blocks(f, calls, blocks, 3);
    gate_open(&gate);
    assert_int_equal(call_finish(&calls[0]), ERR_OK);
    assert_int_equal(call_finish(&calls[1]), ERR_STORE_FULL);
    assert_int_equal(call_finish(&calls[2]), ERR_OK);
    struct pair pair = {f, "2", "xxxxxxxxxx", ERR_OK};
    assert_int_equal(store_read(f->store, match_pair, &pair), ERR_OK);
}

/* Fills the map until a batch of two cannot be committed, as a whole. */
static void test_store_batch_that_fits_only_in_parts_commits_those(void **state)
{
    struct fixture *f = *state;
    bool seen = false;
    for (int fill = 44; fill < 64 && !seen; fill++) {
        teardown(state);
        setup_small(state);
        f = *state;
        struct block full = {.f = f, .key = "99", .size = (size_t)fill * 4096, .shrinking = true};
        if (store_write(f->store, put_block, &full) != ERR_OK)
            break;
        struct block blocks[2] = {{.size = 3000, .shrinking = true},
                                  {.size = 3000, .shrinking = true}};
        struct gate gate;
        gate_close(&gate, f->store);
        struct call calls[2];
        queue_blocks(f, calls, blocks, 2);
        gate_open(&gate);
        enum err first = call_finish(&calls[0]), second = call_finish(&calls[1]);
        seen = first == ERR_OK && second == ERR_STORE_FULL;
        if (seen) {
            assert_int_equal(blocks[0].committed, 1);
            assert_int_equal(blocks[0].dropped, blocks[0].runs - 1);
            assert_int_equal(blocks[1].committed, 0);
            assert_int_equal(blocks[1].dropped, blocks[1].runs);
        }
    }
    assert_true(seen);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown_healed)
#define TEST_SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown_healed)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_store_failed_sync_is_no_success_and_latches),
        TEST(test_store_failed_write_latches),
        TEST(test_store_failed_meta_write_latches),
        TEST(test_store_full_disk_under_a_meta_write_latches_and_keeps_reading),
        TEST(test_store_failed_sync_reaches_all_of_the_batch_and_all_that_wait),
        TEST(test_store_failed_commit_drops_its_actions),
        TEST(test_store_full_disk_fails_the_write_and_nothing_else),
        TEST(test_store_write_cut_short_by_a_full_disk_is_a_full_disk),
        TEST(test_store_write_cut_short_for_no_reason_latches),
        TEST(test_store_disk_that_fills_and_empties_loses_nothing_acknowledged),
        TEST_SMALL(test_store_write_that_does_not_fit_the_map_fails_alone),
        TEST_SMALL(test_store_full_map_is_readable_and_deleting_makes_room),
        TEST_SMALL(test_store_full_map_fails_only_the_large_one_of_a_batch),
        TEST_SMALL(test_store_batch_that_fits_only_in_parts_commits_those),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
