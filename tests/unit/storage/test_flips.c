/* One bit of the data file is not as it was written: what the store then answers is right, or an
 * error that names the damage, and never "there is none" or a list that ends early.
 *
 * Each case runs in a child, as damage of a page's structure may end the process (with a line: see
 * test_store_damage.c). GALLEY_FLIPS=N tries N bits instead of some hundred. */
#include "storage/collection.h"

#include "tests/unit/storage/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE        4096
#define META_SIZE   160
#define DOCUMENTS   1200
#define FLIPS       400 /* where no number is given */
#define SECONDS_MAX 60

static const struct index_spec indexes[] = {
    {.fields = "mail", .unique = true}, {.fields = "age"}, {.fields = "tags[]", .sparse = true}};

/* ---- The documents: some thousand, in no order, with long ids, so that there are branches above
 * branches. */

static unsigned spread(unsigned i)
{
    return i * 2654435761u;
}

static void id_of(unsigned i, char out[128])
{
    snprintf(out, 128, "%08x-a-long-id-so-that-few-of-them-stand-in-a-page-and-the-tree-is-high-%u",
             spread(i), i);
}

static size_t text_of(unsigned i, char *out, size_t size)
{
    char id[128];
    id_of(i, id);
    return (size_t)snprintf(
        out, size, "{\"id\":\"%s\",\"mail\":\"%x@x\",\"age\":%u,\"tags\":[\"t%u\",\"all\"]%s%*s}",
        id, spread(i + DOCUMENTS), i % 10, i % 100, i % 50 ? "" : ",\"long\":1", i % 50 ? 0 : 2000,
        "");
}

struct step {
    struct collection *c;
    unsigned from, to;
    enum err (*write)(struct txn *txn, const struct collection *c, struct slice json);
};

static enum err replace(struct txn *txn, const struct collection *c, struct slice json)
{
    return doc_replace_text(txn, c, json, 0);
}

static enum err write_some(struct txn *txn, void *arg)
{
    const struct step *step = arg;
    char text[4096];
    for (unsigned i = step->from; i < step->to; i++) {
        enum err err = step->write(txn, step->c, slice_of(text, text_of(i, text, sizeof text)));
        if (err)
            return err;
    }
    return ERR_OK;
}

/* In several transactions, so that there are pages of older states in the file. */
static void fill(struct fixture *f)
{
    struct step step = {.write = doc_insert_text};
    assert_int_equal(collection_open(f->store, "things", indexes, 3, &step.c), ERR_OK);
    for (step.from = 0; step.from < DOCUMENTS; step.from = step.to) {
        step.to = step.from + DOCUMENTS / 4;
        assert_int_equal(store_write(f->store, write_some, &step), ERR_OK);
    }
    step = (struct step){step.c, 0, 40, replace};
    assert_int_equal(store_write(f->store, write_some, &step), ERR_OK);
    collection_close(&step.c);
}

/* ---- What is asked of a damaged store. */

enum verdict { RIGHT, NAMED, WRONG };

struct inquiry {
    struct collection *c;
    enum verdict verdict;
    unsigned count, expected;
    const char *what;
    unsigned which;
};

static void judge(struct inquiry *q, bool right, enum err err)
{
    enum verdict verdict = err == ERR_DAMAGED || err == ERR_READ_ONLY ? NAMED
                           : right                                    ? RIGHT
                                                                      : WRONG;
    if (verdict > q->verdict)
        q->verdict = verdict;
}

static enum err get_one(struct txn *txn, void *arg)
{
    struct inquiry *q = arg;
    char id[128], text[4096];
    id_of(q->which, id);
    struct doc doc;
    enum err err = doc_get(txn, q->c, slice_str(id), &doc);
    size_t len = text_of(q->which, text, sizeof text);
    judge(q, !err && slice_eq(doc.json, slice_of(text, len)) && doc.version == (q->which < 40) + 1u,
          err);
    return ERR_OK;
}

static enum err get_none(struct txn *txn, void *arg)
{
    struct inquiry *q = arg;
    char id[128];
    id_of(q->which, id);
    id[8] = '.';
    struct doc doc;
    enum err err = doc_get(txn, q->c, slice_str(id), &doc);
    judge(q, err == ERR_NOT_FOUND, err);
    return ERR_OK;
}

static bool count_one(struct slice id, const struct doc *doc, void *arg)
{
    (void)id, (void)doc;
    struct inquiry *q = arg;
    q->count++;
    return true;
}

static enum err walk(struct txn *txn, void *arg)
{
    struct inquiry *q = arg;
    static const char *const by[] = {NULL, "mail", "age", "tags[]"};
    struct doc_scan scan = {.index = by[q->which / 2], .descending = q->which % 2};
    q->count = 0;
    enum err err = doc_walk(txn, q->c, &scan, count_one, q);
    judge(q, !err && q->count == (q->which / 2 == 3 ? 2 * DOCUMENTS : DOCUMENTS), err);
    return ERR_OK;
}

static enum err walk_value(struct txn *txn, void *arg)
{
    struct inquiry *q = arg;
    char tag[16];
    snprintf(tag, sizeof tag, "t%u", q->which);
    json_t *value = json_string(tag);
    struct doc_scan scan = {.index = "tags[]", .equal = value};
    q->count = 0;
    enum err err = doc_walk(txn, q->c, &scan, count_one, q);
    judge(q, !err && q->count == DOCUMENTS / 100, err);
    json_decref(value);
    return ERR_OK;
}

/* A document that is there, under its id or with another id and its mail. */
static enum err insert_again(struct txn *txn, void *arg)
{
    struct inquiry *q = arg;
    char text[4096];
    size_t len = text_of(q->which, text, sizeof text);
    if (q->which % 2)
        text[7] = 'x';
    enum err err = doc_insert_text(txn, q->c, slice_of(text, len));
    judge(q, err == ERR_EXISTS, err);
    return ERR_CONFLICT; /* nothing is to be committed */
}

static void ask(struct inquiry *q, struct store *store, store_fn fn, const char *what,
                unsigned count, unsigned pace)
{
    for (q->which = 0; q->which < count && q->verdict != WRONG; q->which += pace) {
        enum err err = fn == insert_again ? store_write(store, fn, q) : store_read(store, fn, q);
        if (err == ERR_DAMAGED || err == ERR_READ_ONLY)
            judge(q, false, err);
        q->what = what;
    }
}

static enum verdict inquire(struct fixture *f, const char **what)
{
    struct inquiry q = {0};
    if (try_open(f, MAP_BYTES, &f->store) != ERR_OK)
        return f->why[0] ? NAMED : WRONG;
    enum err err = collection_open(f->store, "things", indexes, 3, &q.c);
    if (err)
        return err == ERR_DAMAGED || err == ERR_READ_ONLY ? NAMED : WRONG;
    ask(&q, f->store, get_one, "a document", DOCUMENTS, 1);
    ask(&q, f->store, get_none, "no document", DOCUMENTS, 7);
    ask(&q, f->store, walk, "a walk", 8, 1);
    ask(&q, f->store, walk_value, "the documents of a value", 100, 3);
    ask(&q, f->store, insert_again, "a second insertion", DOCUMENTS, 61);
    struct store_stats stats;
    store_stats(f->store, &stats);
    bool named = stats.damage[0] || stats.cause[0];
    *what = q.what;
    return q.verdict == NAMED && !named ? WRONG : q.verdict;
}

/* ---- The flips. */

struct tally {
    unsigned right, named, died, wrong;
};

static void flip(int fd, uint64_t bit)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
}

static void run_child(struct fixture *f, uint64_t bit)
{
    alarm(SECONDS_MAX); /* endless is wrong, too */
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    const char *what = "opening";
    enum verdict verdict = inquire(f, &what);
    if (verdict == WRONG)
        printf("page %llu, byte %llu, bit %llu: %s\n", (unsigned long long)(bit / 8 / PAGE),
               (unsigned long long)(bit / 8 % PAGE), (unsigned long long)(bit % 8), what);
    fflush(stdout);
    _exit((int)verdict);
}

/* The file as it was written. */
struct original {
    int fd;
    size_t size;
    char *bytes, *now;
};

/* A store may write to a damaged file; the next case is not to see it. */
static void restore(struct original *file)
{
    assert_int_equal(pread(file->fd, file->now, file->size, 0), file->size);
    if (memcmp(file->now, file->bytes, file->size) != 0)
        assert_int_equal(pwrite(file->fd, file->bytes, file->size, 0), file->size);
}

static void try_flip(struct fixture *f, struct original *file, uint64_t bit, struct tally *tally)
{
    flip(file->fd, bit);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_child(f, bit);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    flip(file->fd, bit);
    restore(file);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM)
        tally->died++;
    else if (!WIFEXITED(status) || WEXITSTATUS(status) >= WRONG)
        tally->wrong++;
    else
        *(WEXITSTATUS(status) == RIGHT ? &tally->right : &tally->named) += 1;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 20;
}

/* Every third in the page's head and the offsets behind it, where its structure is. Every 20th is
 * of a meta page. */
static uint64_t next_bit(uint64_t pages, uint64_t *random)
{
    bool meta = next_random(random) % 20 == 0;
    uint64_t page = meta ? next_random(random) % 2 : 2 + next_random(random) % (pages - 2);
    uint64_t range = meta ? META_SIZE : next_random(random) % 3 ? PAGE : 64;
    return page * PAGE * 8 + next_random(random) % (range * 8);
}

static void test_no_flipped_bit_is_answered_in_silence(void **state)
{
    struct fixture *f = *state;
    fill(f);
    store_close(&f->store);
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    struct original file = {.fd = open(path, O_RDWR | O_CLOEXEC)};
    struct stat st;
    assert_int_equal(fstat(file.fd, &st), 0);
    file.size = (size_t)st.st_size;
    file.bytes = malloc(file.size);
    file.now = malloc(file.size);
    assert_int_equal(pread(file.fd, file.bytes, file.size, 0), file.size);
    uint64_t pages = file.size / PAGE, random = 7;
    const char *wish = getenv("GALLEY_FLIPS");
    uint64_t count = wish ? strtoull(wish, NULL, 10) : FLIPS;
    struct tally tally = {0};
    for (uint64_t i = 0; i < count; i++)
        try_flip(f, &file, next_bit(pages, &random), &tally);
    close(file.fd);
    free(file.bytes);
    free(file.now);
    printf("%llu pages: %u right, %u named, %u ended the process, %u in silence\n",
           (unsigned long long)pages, tally.right, tally.named, tally.died, tally.wrong);
    assert_int_equal(tally.wrong, 0);
    assert_true(tally.right > 0 && tally.named > 0);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_flipped_bit_is_answered_in_silence, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
