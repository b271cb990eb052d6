/* A power cut, at any moment: what was acknowledged is there, and all of it fits together.
 *
 * liblmdb finds the functions below before the C library's: each write to the file goes into a log,
 * and so does each fdatasync. The disk of the test keeps what was written before the last fdatasync
 * (and what went through O_DSYNC); of what came later each sector arrives or not, in any order.
 * From the log images are made, of random moments and random luck, and each is opened. The control
 * takes the same log without its fdatasyncs, and must lose. */
#include "tests/lib/recorder.h"
#include "tests/unit/storage/store_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define KEYS       40
#define COMMITS    400
#define CUTS       150
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum kind { DATA = SYNC + 1, META }; /* META: through O_DSYNC */

/* The writer thread adds to it while the main thread waits for it, so it needs no lock. */
static struct recorder journal;

static void note(int kind, off_t at, const void *bytes, size_t size)
{
    recorder_note(&journal, kind, 0, at, bytes, size);
}

static enum kind kind_of(int fd)
{
    return fcntl(fd, F_GETFL) & O_DSYNC ? META : DATA;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    note(kind_of(fd), offset, bytes, size);
    return REAL(pwrite)(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    for (int i = 0; i < count; i++) {
        note(kind_of(fd), at, parts[i].iov_base, parts[i].iov_len);
        at += (off_t)parts[i].iov_len;
    }
    return REAL(writev)(fd, parts, count);
}

int fdatasync(int fd)
{
    (void)fd; /* the test's disk is memory */
    note(SYNC, 0, NULL, 0);
    return 0;
}

/* ---- The life that is cut. Commit i writes its number, and a value of its own size to a key. */

static size_t size_of(unsigned i)
{
    return i % 7 == 0 ? 9000 + i : 10 + i * 37 % 1500;
}

static void fill(unsigned i, char *value)
{
    memset(value, 'a' + (int)(i % 26), size_of(i));
    snprintf(value, 12, "%u", i);
}

struct step {
    struct fixture *f;
    unsigned number;
};

static enum err write_step(struct txn *txn, void *arg)
{
    const struct step *step = arg;
    char key[16], number[16];
    snprintf(key, sizeof key, "key %u", step->number % KEYS);
    snprintf(number, sizeof number, "%u", step->number);
    char *value = txn_alloc(txn, size_of(step->number));
    fill(step->number, value);
    txn_put(txn, step->f->table, slice_str(key), slice_of(value, size_of(step->number)));
    return txn_put(txn, step->f->table, slice_str("last"), slice_of(number, strlen(number) + 1));
}

struct life {
    char *base; /* the file before */
    size_t base_size;
    size_t acknowledged[COMMITS + 1]; /* length of the journal when commit i was */
};

static char *read_whole(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    char *bytes = malloc(*size);
    assert_int_equal(read(fd, bytes, *size), *size);
    close(fd);
    return bytes;
}

static void live(struct fixture *f, struct life *life)
{
    struct step step = {f, 0};
    for (step.number = 1; step.number <= KEYS; step.number++)
        assert_int_equal(store_write(f->store, write_step, &step), ERR_OK);
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    life->base = read_whole(path, &life->base_size);
    journal.on = true;
    for (; step.number <= COMMITS; step.number++) {
        assert_int_equal(store_write(f->store, write_step, &step), ERR_OK);
        life->acknowledged[step.number] = journal.count;
    }
    journal.on = false;
}

/* ---- What the disk has after the cut. */

/* When the first `cut` events are over and the next is under way; all before `safe` have arrived.
 */
static struct image image_after(const struct life *life, size_t cut, size_t safe)
{
    struct image image = {malloc(life->base_size), life->base_size};
    memcpy(image.bytes, life->base, life->base_size);
    for (size_t i = 0; i <= cut && i < journal.count; i++) {
        const struct event *event = &journal.events[i];
        if (event->kind == SYNC)
            continue;
        if (i < safe || (event->kind == META && i < cut))
            image_put(&image, event->at, event->bytes, event->size);
        else
            image_gamble(&image, event);
    }
    return image;
}

/* ---- What is found in it. */

struct found {
    struct fixture *f;
    unsigned last;
};

static enum err check_all(struct txn *txn, void *arg)
{
    struct found *found = arg;
    struct slice value;
    enum err err = txn_get(txn, found->f->table, slice_str("last"), &value);
    if (err != ERR_OK)
        return err;
    found->last = (unsigned)strtoul(value.ptr, NULL, 10);
    char *expected = malloc(size_of(COMMITS) + 10000);
    for (unsigned i = found->last; err == ERR_OK && i > found->last - KEYS; i--) {
        char key[16];
        snprintf(key, sizeof key, "key %u", i % KEYS);
        fill(i, expected);
        err = txn_get(txn, found->f->table, slice_str(key), &value);
        if (err == ERR_OK && !slice_eq(value, slice_of(expected, size_of(i))))
            err = ERR_DAMAGED;
    }
    free(expected);
    return err;
}

/* In a process of its own, as a damaged file may end it. True if all is there from the last commit
 * that was acknowledged on. */
static bool survives(const struct image *image, unsigned acknowledged)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct fixture f = {0};
        close(STDERR_FILENO);
        static const int cmockas[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        for (size_t i = 0; i < sizeof cmockas / sizeof cmockas[0]; i++)
            signal(cmockas[i], SIG_DFL);
        alarm(20); /* nothing here takes long but what is damaged */
        snprintf(f.dir, sizeof f.dir, "%s/galley-cut-XXXXXX",
                 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
        char path[300];
        if (!mkdtemp(f.dir))
            _exit(2);
        snprintf(path, sizeof path, "%s/data.mdb", f.dir);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (write(fd, image->bytes, image->size) != (ssize_t)image->size)
            _exit(2);
        clock_fake_init(&f.clock, 1700000000000);
        struct found found = {.f = &f};
        bool good = try_open(&f, MAP_BYTES, &f.store) == ERR_OK &&
                    store_table(f.store, "test", &f.table) == ERR_OK &&
                    store_read(f.store, check_all, &found) == ERR_OK &&
                    found.last >= acknowledged && put(&f, "it", "goes on") == ERR_OK;
        nftw(f.dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned acknowledged_before(const struct life *life, size_t cut)
{
    unsigned i = COMMITS;
    while (i > KEYS && life->acknowledged[i] > cut)
        i--;
    return i;
}

/* Returns how many of the cuts it did not survive. */
static unsigned cut_often(const struct life *life, bool synced)
{
    unsigned lost = 0;
    srand(1);
    for (unsigned i = 0; i < CUTS; i++) {
        size_t cut = (size_t)rand() % (journal.count + 1);
        struct image image = image_after(life, cut, synced ? recorder_synced(&journal, cut, 0) : 0);
        lost += !survives(&image, acknowledged_before(life, cut));
        free(image.bytes);
    }
    return lost;
}

static void test_store_survives_power_cuts_and_the_control_does_not(void **state)
{
    struct fixture *f = *state;
    static struct life life;
    live(f, &life);
    assert_true(journal.count > 4 * (COMMITS - KEYS));
    assert_int_equal(cut_often(&life, true), 0);
    unsigned lost = cut_often(&life, false);
    print_message("%zu writes; of %d cuts 0 lost anything, and %u without fdatasync\n",
                  journal.count, CUTS, lost);
    assert_true(lost > CUTS / 2);
    free(life.base);
    recorder_release(&journal);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store_survives_power_cuts_and_the_control_does_not,
                                        setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
