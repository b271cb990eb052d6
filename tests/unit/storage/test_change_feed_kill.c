/* Documents and their feed agree whatever happens: random transactions over two collections in a
 * child, which is killed again and again. The parent opens what it left and replays the feed from
 * where it had read to: then the copy that it keeps so is what is stored. */
#include "storage/change_feed.h"

#include "base/hash.h"
#include "tests/unit/storage/store_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KILLS       30
#define STEPS       200 /* between two kills, about */
#define IDS         40
#define COLLECTIONS 2
#define OPS_MAX     4

static const char *const names[COLLECTIONS] = {"people", "places"};

struct copy {
    uint64_t next; /* that was not read yet */
    struct {
        uint64_t version, hash; /* 0: there is none */
    } documents[COLLECTIONS][IDS];
};

struct run {
    struct fixture *f;
    struct change_feed *feed;
    struct collection *c[COLLECTIONS];
    uint64_t random;
    struct copy *copy;
};

static unsigned below(uint64_t *random, unsigned limit)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*random >> 33) % limit;
}

static bool open_run(struct run *r)
{
    static const struct index_spec by_size = {.fields = "size"};
    bool good =
        !try_open(r->f, MAP_BYTES, &r->f->store) && !change_feed_open(r->f->store, &r->feed);
    for (unsigned i = 0; good && i < COLLECTIONS; i++)
        good = !collection_open(r->f->store, names[i], &by_size, 1, &r->c[i]) &&
               !change_feed_cover(r->feed, r->c[i], i ? COVER_BEFORE : COVER_AFTER);
    return good;
}

static void close_run(struct run *r)
{
    for (unsigned i = 0; i < COLLECTIONS; i++)
        collection_close(&r->c[i]);
    change_feed_close(&r->feed);
    store_close(&r->f->store);
}

/* ---- The child. */

static enum err take_op(struct txn *txn, const struct collection *c, uint64_t *random)
{
    static char pad[3000];
    char id[8];
    memset(pad, 'p', sizeof pad);
    snprintf(id, sizeof id, "d%u", below(random, IDS));
    unsigned kind = below(random, 4);
    int64_t value;
    if (kind == 0)
        return doc_delete(txn, c, slice_str(id));
    if (kind == 1)
        return doc_add(txn, c, slice_str(id), "coins", 1, 0, &value, NULL);
    struct buf text = BUF_INIT;
    buf_printf(&text, "{\"id\":\"%s\",\"coins\":%u,\"size\":%u,\"pad\":\"%.*s\"}", id,
               below(random, 100), below(random, 9), (int)below(random, sizeof pad), pad);
    enum err err = kind == 2 ? doc_insert_text(txn, c, buf_slice(&text))
                             : doc_replace_text(txn, c, buf_slice(&text), 0);
    buf_release(&text);
    return err;
}

static enum err take_ops(struct txn *txn, void *arg)
{
    struct run *r = arg;
    uint64_t random = r->random; /* the same if it runs again */
    unsigned count = 1 + below(&random, OPS_MAX);
    for (unsigned i = 0; i < count; i++) {
        enum err err = take_op(txn, r->c[below(&random, COLLECTIONS)], &random);
        if (err && err != ERR_NOT_FOUND)
            return err; /* nothing of it was */
    }
    return ERR_OK;
}

static void run_child(struct run *r, _Atomic uint64_t *steps)
{
    if (!open_run(r))
        _exit(1);
    for (;;) {
        below(&r->random, 2);
        enum err err = store_write(r->f->store, take_ops, r);
        if (err && err != ERR_EXISTS)
            _exit(2);
        (*steps)++;
    }
}

static void kill_one(struct run *r, _Atomic uint64_t *steps)
{
    uint64_t until = *steps + 1 + below(&r->random, STEPS);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(r, steps);
    while (*steps < until && waitpid(child, NULL, WNOHANG) == 0)
        sched_yield();
    kill(child, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* ---- The parent. */

static unsigned number_of(struct slice json)
{
    struct slice id;
    assert_true(json_find(json, "id", &id) && id.len > 3);
    return (unsigned)strtoul(id.ptr + 2, NULL, 10);
}

static bool replay(const struct document_event *event, void *arg)
{
    struct copy *copy = arg;
    assert_int_equal(event->sequence, copy->next);
    copy->next++;
    unsigned c = slice_is(event->collection, names[1]), id = number_of(event->json);
    __typeof__(&copy->documents[0][0]) document = &copy->documents[c][id];
    bool begins = event->kind == DOCUMENT_CREATED, ends = event->kind == DOCUMENT_DELETED;
    assert_int_equal(event->version, begins ? 1 : document->version + !ends);
    if (c && event->kind == DOCUMENT_REPLACED)
        assert_int_equal(hash_bytes(event->before), document->hash);
    document->version = ends ? 0 : event->version;
    document->hash = ends ? 0 : hash_bytes(event->json);
    return true;
}

static enum err replay_all(struct txn *txn, void *arg)
{
    struct run *r = arg;
    return change_feed_read(txn, r->feed, r->copy->next, 0, replay, r->copy);
}

struct comparing {
    const struct copy *copy;
    unsigned collection, seen;
};

static bool compare(struct slice id, const struct doc *doc, void *arg)
{
    struct comparing *comparing = arg;
    unsigned number = (unsigned)strtoul(id.ptr + 1, NULL, 10);
    assert_int_equal(doc->version,
                     comparing->copy->documents[comparing->collection][number].version);
    assert_int_equal(hash_bytes(doc->json),
                     comparing->copy->documents[comparing->collection][number].hash);
    comparing->seen++;
    return true;
}

static enum err compare_all(struct txn *txn, void *arg)
{
    struct run *r = arg;
    for (unsigned i = 0; i < COLLECTIONS; i++) {
        struct comparing comparing = {r->copy, i, 0};
        struct doc_scan scan = {0};
        assert_int_equal(doc_walk(txn, r->c[i], &scan, compare, &comparing), ERR_OK);
        for (unsigned id = 0; id < IDS; id++)
            comparing.seen -= r->copy->documents[i][id].version > 0;
        assert_int_equal(comparing.seen, 0);
    }
    return ERR_OK;
}

static void assert_agreement(struct run *r)
{
    assert_true(open_run(r));
    assert_int_equal(store_read(r->f->store, replay_all, r), ERR_OK);
    assert_int_equal(store_read(r->f->store, compare_all, r), ERR_OK);
    struct journal_bounds few = {.count = 20};
    bool more = true;
    while (more)
        assert_int_equal(change_feed_sweep(r->feed, &few, &more), ERR_OK);
    close_run(r);
}

static void test_feed_and_documents_agree_after_each_kill(void **state)
{
    struct copy copy = {.next = 1};
    struct run run = {.f = *state, .random = 20261122, .copy = &copy};
    store_close(&run.f->store);
    _Atomic uint64_t *steps =
        mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(steps != MAP_FAILED);
    for (unsigned i = 0; i < KILLS; i++) {
        kill_one(&run, steps);
        assert_agreement(&run);
    }
    assert_true(copy.next > KILLS);
    munmap((void *)steps, sizeof *steps);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_feed_and_documents_agree_after_each_kill, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
