/* Damage of the file's structure under a running store. */
#include "tests/unit/storage/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE        4096
#define FLAGS_AT    10 /* within a page of LMDB */
#define LOWER_AT    12 /* how far the list of its nodes reaches */
#define BRANCH      1  /* a flag */
#define PAGES_FIRST 2  /* behind the meta pages */

static int open_file(struct fixture *f)
{
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Takes the type from each page that holds the text; returns how many there were. */
static int damage_pages_with(struct fixture *f, const char *text)
{
    int fd = open_file(f), count = 0;
    char page[PAGE];
    for (off_t at = PAGES_FIRST * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        if (!memmem(page, PAGE, text, strlen(text)))
            continue;
        assert_int_equal(pwrite(fd, "\0", 1, at + FLAGS_AT), 1);
        count++;
    }
    close(fd);
    return count;
}

static void assert_latched(struct fixture *f)
{
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_true(stats.read_only);
    assert_non_null(strstr(stats.cause, "MDB_CORRUPTED"));
    struct table table = f->table;
    assert_int_equal(store_table(f->store, "sound", &f->table), ERR_OK);
    assert_int_equal(put(f, "later", "1"), ERR_READ_ONLY);
    f->table = table;
}

static enum err read_needle(struct fixture *f)
{
    struct pair pair = {f, "a", "the needle", ERR_OK};
    return store_read(f->store, match_pair, &pair);
}

static int setup_damaged(void **state)
{
    setup(state);
    struct fixture *f = *state;
    struct table sound;
    assert_int_equal(store_table(f->store, "sound", &sound), ERR_OK);
    put(f, "a", "the needle");
    assert_true(damage_pages_with(f, "the needle") > 0);
    return 0;
}

static void test_store_latches_when_a_read_meets_a_damaged_page(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_needle(f), ERR_DAMAGED);
    assert_latched(f);
}

static void test_store_latches_when_a_write_meets_a_damaged_page(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "b", "1"), ERR_READ_ONLY);
    assert_latched(f);
}

/* The first of the batch touches only sound pages; it must not be told that it is safe. */
static void test_store_acknowledges_nothing_beside_a_write_that_meets_damage(void **state)
{
    struct fixture *f = *state;
    struct fixture sound = *f;
    assert_int_equal(store_table(f->store, "sound", &sound.table), ERR_OK);
    struct pair pairs[] = {
        {&sound, "order", "1", ERR_OK}, {f, "b", "1", ERR_OK}, {&sound, "order 2", "1", ERR_OK}};
    enum err results[3];
    write_as_batch(f, pairs, 3, results);
    for (int i = 0; i < 3; i++)
        assert_int_equal(results[i], ERR_READ_ONLY);
    assert_absent(&sound, "order");
}

/* Somebody reads while a batch runs: what was not committed yet is not committed any more. */
static void *read_main(void *arg)
{
    struct fixture *f = arg;
    return (void *)(uintptr_t)read_needle(f);
}

static enum err write_while_read(struct txn *txn, void *arg)
{
    struct pair *pairs = arg; /* of the sound table; of the damaged one */
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, read_main, pairs[1].f);
    pthread_join(thread, &result);
    pairs[1].result = (enum err)(uintptr_t)result;
    return write_pair(txn, &pairs[0]);
}

static void test_store_commits_nothing_once_a_read_has_met_damage(void **state)
{
    struct fixture *f = *state;
    struct fixture sound = *f;
    assert_int_equal(store_table(f->store, "sound", &sound.table), ERR_OK);
    struct pair pairs[] = {{&sound, "order", "1", ERR_OK}, {.f = f}};
    assert_int_equal(store_write(f->store, write_while_read, pairs), ERR_READ_ONLY);
    assert_int_equal(pairs[1].result, ERR_DAMAGED);
    assert_absent(&sound, "order");
}

/* ---- What ends the process. */

struct child {
    int signal;
    bool failed;     /* ended otherwise, with a status: a sanitizer's way */
    char said[4096]; /* on standard error */
};

/* Opens the store in a process of its own, which then does `what`. */
static void run_child(struct fixture *f, void (*what)(struct fixture *f), struct child *out)
{
    store_close(&f->store);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGBUS, SIG_DFL); /* cmocka's */
        signal(SIGSEGV, SIG_DFL);
        if (try_open(f, MAP_BYTES, &f->store) == ERR_OK &&
            store_table(f->store, "test", &f->table) == ERR_OK)
            what(f);
        _exit(0);
    }
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    out->said[fread(out->said, 1, sizeof out->said - 1, said)] = '\0';
    fclose(said);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    out->failed = WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

static void assert_ended_by(const struct child *child, int signal)
{
    assert_true(child->signal == signal || child->failed);
}

static void cut_and_read(struct fixture *f)
{
    int fd = open_file(f);
    if (ftruncate(fd, PAGES_FIRST * PAGE) == 0)
        read_needle(f);
}

static void assert_said(const struct child *child, const char *path_end)
{
    const char *line = strstr(child->said, path_end);
    assert_non_null(line);
    assert_non_null(strstr(line, "galley verify"));
    assert_null(strstr(line + 1, path_end)); /* once */
}

/* The thread sanitizer does, for itself. */
static bool takes_signals(void)
{
#ifdef __SANITIZE_THREAD__
    return true;
#else
    return false;
#endif
}

static void test_store_that_is_cut_while_running_ends_with_a_line_that_names_it(void **state)
{
    struct fixture *f = *state;
    if (takes_signals())
        return;
    put(f, "a", "the needle");
    struct child child;
    run_child(f, cut_and_read, &child);
    assert_ended_by(&child, SIGBUS);
    assert_said(&child, "/data.mdb cannot be read");
}

static enum err put_many(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    static const char value[1000];
    for (uint32_t i = 0; i < 200; i++)
        txn_put(txn, f->table, slice_of(&i, sizeof i), slice_of(value, sizeof value));
    return txn_error(txn);
}

/* No branch page has but one node, as LMDB asserts. */
static void damage_branches_and_read(struct fixture *f)
{
    const uint16_t one_node = 18;
    unsigned char page[PAGE];
    int fd = open_file(f);
    for (off_t at = PAGES_FIRST * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE)
        if (page[FLAGS_AT] == BRANCH && page[FLAGS_AT + 1] == 0 &&
            pwrite(fd, &one_node, sizeof one_node, at + LOWER_AT) < 0)
            return;
    read_needle(f);
}

static void test_store_that_lmdb_cannot_go_on_with_ends_with_a_line_that_names_it(void **state)
{
    struct fixture *f = *state;
    if (takes_signals())
        return;
    assert_int_equal(store_write(f->store, put_many, f), ERR_OK);
    struct child child;
    run_child(f, damage_branches_and_read, &child);
    assert_ended_by(&child, SIGABRT);
    assert_said(&child, "/data.mdb is damaged: LMDB found ");
}

static enum err fault(struct txn *txn, void *arg)
{
    (void)txn, (void)arg;
    char *volatile nowhere = (char *)16; /* the compiler is not to know */
    return (enum err) * (volatile char *)nowhere;
}

static void fault_in_read(struct fixture *f)
{
    store_read(f->store, fault, NULL);
}

static void test_store_fault_within_a_transaction_names_the_file(void **state)
{
    struct fixture *f = *state;
    if (takes_signals())
        return;
    struct child child;
    run_child(f, fault_in_read, &child);
    assert_ended_by(&child, SIGSEGV);
    assert_said(&child, "/data.mdb may be damaged");
}

static void fault_outside(struct fixture *f)
{
    (void)f;
    fault(NULL, NULL);
}

static void test_store_fault_elsewhere_is_not_blamed_on_the_file(void **state)
{
    struct child child;
    run_child(*state, fault_outside, &child);
    assert_ended_by(&child, SIGSEGV);
    assert_null(strstr(child.said, "data.mdb"));
}

static void send_itself(struct fixture *f)
{
    (void)f;
    raise(SIGBUS);
}

static void test_store_signal_that_was_sent_is_not_blamed_on_the_file(void **state)
{
    struct child child;
    run_child(*state, send_itself, &child);
    assert_ended_by(&child, SIGBUS);
    assert_null(strstr(child.said, "data.mdb"));
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_DAMAGED(name) cmocka_unit_test_setup_teardown(name, setup_damaged, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST_DAMAGED(test_store_latches_when_a_read_meets_a_damaged_page),
        TEST_DAMAGED(test_store_latches_when_a_write_meets_a_damaged_page),
        TEST_DAMAGED(test_store_acknowledges_nothing_beside_a_write_that_meets_damage),
        TEST_DAMAGED(test_store_commits_nothing_once_a_read_has_met_damage),
        TEST(test_store_that_is_cut_while_running_ends_with_a_line_that_names_it),
        TEST(test_store_that_lmdb_cannot_go_on_with_ends_with_a_line_that_names_it),
        TEST(test_store_fault_within_a_transaction_names_the_file),
        TEST(test_store_fault_elsewhere_is_not_blamed_on_the_file),
        TEST(test_store_signal_that_was_sent_is_not_blamed_on_the_file),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
