/* Each page of the file is in a table or free, and none is both. */
#include "storage/store.h"

#include "tests/unit/storage/store_fixture.h"

#include <fcntl.h>
#include <string.h>

#define ROUNDS 60

/* Where LMDB 0.9 keeps what these tests damage, in 8 bytes each. */
#define PAGE           4096
#define META_FREE_ROOT 80 /* of a meta page: the root of the list of free pages */
#define META_TXN       144
#define HEAD           16 /* of any page; then the places of its nodes, 2 bytes each */
#define NODE_KEY       8  /* of a node: its key, of 8 bytes here, then the record */

/* ---- A file with some history. */

struct round {
    struct fixture *f;
    unsigned seed;
};

static enum err change_some(struct txn *txn, void *arg)
{
    struct round *round = arg;
    static const char bytes[30000];
    for (int i = 0; i < 40; i++) {
        uint32_t number = (uint32_t)rand_r(&round->seed) % 500;
        struct slice key = slice_of(&number, sizeof number);
        if (rand_r(&round->seed) % 3 == 0)
            txn_del(txn, round->f->table, key);
        else
            txn_put(txn, round->f->table, key,
                    slice_of(bytes, rand_r(&round->seed) % 10 ? 100 : (size_t)number * 60));
    }
    return txn_error(txn);
}

static void make_history(struct fixture *f)
{
    struct round round = {f, 1};
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(store_write(f->store, change_some, &round), ERR_OK);
}

/* ---- Checking. */

struct told {
    unsigned count;
    char what[2000];
};

static void note(const char *what, void *arg)
{
    struct told *told = arg;
    size_t len = strlen(told->what);
    told->count++;
    snprintf(told->what + len, sizeof told->what - len, "%s\n", what);
}

static enum err check(struct txn *txn, void *arg)
{
    return txn_check_pages(txn, note, arg);
}

static struct told told_of(struct fixture *f)
{
    struct told told = {0};
    assert_int_equal(store_read(f->store, check, &told), ERR_OK);
    return told;
}

static void assert_told(const struct told *told, const char *what)
{
    if (!strstr(told->what, what))
        fail_msg("not \"%s\" but:\n%s", what, told->what);
}

/* ---- The list of free pages, by hand. */

static uint64_t word_at(int fd, off_t at)
{
    uint64_t word;
    assert_int_equal(pread(fd, &word, sizeof word, at), sizeof word);
    return word;
}

static void set_word(int fd, off_t at, uint64_t word)
{
    assert_int_equal(pwrite(fd, &word, sizeof word, at), sizeof word);
}

/* The first record of the list: a count, then the numbers. The list is one page here. */
struct free_list {
    int fd;
    off_t record;
    uint64_t page; /* that it lies in */
};

static void open_free_list(struct fixture *f, struct free_list *out)
{
    char path[300];
    uint16_t node;
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    store_close(&f->store);
    out->fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(out->fd >= 0);
    off_t meta = word_at(out->fd, META_TXN) > word_at(out->fd, PAGE + META_TXN) ? 0 : PAGE;
    out->page = word_at(out->fd, meta + META_FREE_ROOT);
    off_t page = (off_t)out->page * PAGE;
    assert_int_equal(pread(out->fd, &node, sizeof node, page + HEAD), sizeof node);
    out->record = page + node + NODE_KEY + (off_t)sizeof(uint64_t);
    assert_true(word_at(out->fd, out->record) > 2);
}

/* Without writing, which might take pages from the list. */
static struct told reopen_and_check(struct fixture *f, struct free_list *list)
{
    close(list->fd);
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    return told_of(f);
}

/* ---- Tests. */

static void test_all_pages_of_a_store_are_in_one_place(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(told_of(f).count, 0);
    make_history(f);
    struct told told = told_of(f);
    assert_string_equal(told.what, "");
    reopen_store(f);
    told = told_of(f);
    assert_string_equal(told.what, "");
}

static void test_a_page_that_is_nowhere_is_missed(void **state)
{
    struct fixture *f = *state;
    struct free_list list;
    make_history(f);
    open_free_list(f, &list);
    set_word(list.fd, list.record, word_at(list.fd, list.record) - 1);
    struct told told = reopen_and_check(f, &list);
    assert_told(&told, " free: 1 are nowhere\n");
    assert_int_equal(told.count, 1);
}

static void test_a_page_that_is_free_and_in_a_table_is_named(void **state)
{
    struct fixture *f = *state;
    struct free_list list;
    make_history(f);
    open_free_list(f, &list);
    set_word(list.fd, list.record + 8, list.page);
    struct told told = reopen_and_check(f, &list);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "page %lu is free and in a table\n", (unsigned long)list.page);
    assert_told(&told, wanted);
}

static void test_a_page_that_is_free_twice_or_beyond_the_end_is_named(void **state)
{
    struct fixture *f = *state;
    struct free_list list;
    make_history(f);
    open_free_list(f, &list);
    set_word(list.fd, list.record + 8, word_at(list.fd, list.record + 16));
    struct told told = reopen_and_check(f, &list);
    assert_told(&told, "the list of free pages has page ");
    assert_told(&told, " twice\n");
    open_free_list(f, &list);
    set_word(list.fd, list.record + 8, 1000000);
    told = reopen_and_check(f, &list);
    assert_told(&told, "has page 1000000, which is not in the file\n");
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_pages_of_a_store_are_in_one_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_page_that_is_nowhere_is_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_page_that_is_free_and_in_a_table_is_named, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_page_that_is_free_twice_or_beyond_the_end_is_named,
                                        setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
