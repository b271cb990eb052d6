/* Collections and indexes against a simple model: random steps, kill -9 between them, a map that is
 * full, a disk that is full and one that fails. Whatever a step returned, the store is then what
 * the model says.
 *
 * The steps run in a child, which the parent kills; the model is in memory that both share. A step
 * that was under way when the child was killed, or when the disk failed, has happened or not: the
 * store says which. */
#include "storage/collection.h"

#include "base/buf.h"
#include "tests/unit/storage/store_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define STEPS       100000
#define KILLS       40
#define IDS         200
#define MAILS       400
#define OPS_MAX     4 /* in a transaction */
#define CHECK_EVERY 1000
#define SMALL_MAP   (140 * 4096)

/* ---- The disk. A kill is no power cut: nothing has to reach it. */

static int fail_sync, fail_write;

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return ((__typeof__(&open))dlsym(RTLD_NEXT, "open"))(path, flags & ~O_DSYNC, mode);
}

int fdatasync(int fd)
{
    (void)fd;
    errno = fail_sync;
    return fail_sync ? -1 : 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    errno = fail_write;
    return fail_write ? -1
                      : ((__typeof__(&pwrite))dlsym(RTLD_NEXT, "pwrite"))(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    errno = fail_write;
    return fail_write ? -1 : ((__typeof__(&writev))dlsym(RTLD_NEXT, "writev"))(fd, parts, count);
}

/* ---- The model. */

struct item {
    uint64_t version; /* 0: none */
    int mail, age;    /* -1: none */
    unsigned tags;    /* bits */
    int64_t coins;
    unsigned pad; /* bytes of text beside */
};

struct model {
    struct item items[IDS];
};

enum kind { INSERT, REPLACE, DELETE, ADD, KINDS };

struct op {
    enum kind kind;
    unsigned id;
    struct item item; /* INSERT, REPLACE */
    uint64_t version; /* REPLACE: if_version */
    int64_t by;       /* ADD */
};

struct shared {
    _Atomic uint64_t steps;
    uint64_t random;
    struct model model;
    struct model next; /* after the step that is under way */
    bool under_way;
    uint64_t refused, full, latched, applied;
};

static bool is_uuid(unsigned id)
{
    return id % 3 == 0;
}

static void id_text(unsigned id, char out[128])
{
    if (is_uuid(id))
        snprintf(out, 128, "018f0000-0000-7000-8000-%012u", id);
    else
        snprintf(
            out, 128, "%c%u%.*s", 'a' + (int)(id % 7), id, id % 5 ? 0 : 90,
            "-----------------------------------------------------------------------------------"
            "-------");
}

/* As keys stand: strings, then UUIDs. */
static int compare_ids(unsigned a, unsigned b)
{
    char x[128], y[128];
    if (is_uuid(a) != is_uuid(b))
        return is_uuid(a) - is_uuid(b);
    id_text(a, x);
    id_text(b, y);
    return strcmp(x, y);
}

static void item_text(unsigned id, const struct item *item, struct buf *out)
{
    char name[128];
    id_text(id, name);
    buf_printf(out, "{\"id\":\"%s\",\"coins\":%" PRId64, name, item->coins);
    if (item->mail >= 0)
        buf_printf(out, ",\"mail\":\"m%d\"", item->mail);
    if (item->age >= 0)
        buf_printf(out, ",\"age\":%d", item->age);
    buf_append_str(out, ",\"tags\":[");
    for (int tag = 0; tag < 8; tag++) {
        if (item->tags >> tag & 1)
            buf_printf(out, "%s%d", out->data[out->len - 1] == '[' ? "" : ",", tag);
    }
    buf_append_str(out, "],\"pad\":\"");
    memset(buf_reserve(out, item->pad + 2), 'p', item->pad);
    out->len += item->pad;
    buf_append_str(out, "\"}");
}

static bool mail_is_taken(const struct model *m, int mail, unsigned but)
{
    for (unsigned i = 0; i < IDS; i++) {
        if (i != but && m->items[i].version > 0 && m->items[i].mail == mail)
            return true;
    }
    return false;
}

static enum err model_put(struct model *m, const struct op *op)
{
    struct item *item = &m->items[op->id];
    uint64_t version = item->version;
    if (op->item.mail >= 0 && mail_is_taken(m, op->item.mail, op->id))
        return ERR_EXISTS;
    *item = op->item;
    item->version = version + 1;
    return ERR_OK;
}

static enum err model_apply(struct model *m, const struct op *op)
{
    struct item *item = &m->items[op->id];
    bool there = item->version > 0;
    if (op->kind == INSERT)
        return there ? ERR_EXISTS : model_put(m, op);
    if (!there)
        return ERR_NOT_FOUND;
    if (op->kind == DELETE) {
        item->version = 0;
        return ERR_OK;
    }
    if (op->kind == REPLACE)
        return op->version && op->version != item->version ? ERR_PRECONDITION : model_put(m, op);
    if (item->coins + op->by < 0)
        return ERR_PRECONDITION;
    item->coins += op->by;
    item->version++;
    return ERR_OK;
}

/* ---- Random steps. */

static unsigned below(struct shared *s, unsigned limit)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->random >> 33) % limit;
}

static struct op random_op(struct shared *s)
{
    static const unsigned pads[] = {0, 10, 100, 1000, 1500, 1700, 5000, 30000};
    struct op op = {.kind = below(s, KINDS), .id = below(s, IDS)};
    if (below(s, 10)) /* what may succeed */
        op.kind = s->model.items[op.id].version == 0 ? INSERT : 1 + below(s, KINDS - 1);
    op.item = (struct item){
        .mail = (int)below(s, MAILS + 10) - 10,
        .age = (int)below(s, 12) - 2,
        .tags = below(s, 4) ? below(s, 256) : 0,
        .coins = below(s, 100),
        .pad = pads[below(s, 4) ? below(s, 4) : below(s, 8)],
    };
    if (op.item.mail < 0)
        op.item.mail = -1;
    if (op.item.age < 0)
        op.item.age = -1;
    if (below(s, 10) == 0)
        op.version = s->model.items[op.id].version + below(s, 2);
    op.by = (int)below(s, 100) - 30;
    return op;
}

/* ---- The child. */

struct run {
    struct fixture *f;
    struct shared *s;
    struct collection *c;
    struct op ops[OPS_MAX];
    unsigned op_count;
};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "step %llu, line %d: %s\n", (unsigned long long)r->s->steps, __LINE__, \
                    #condition);                                                                   \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static const struct index_spec indexes[] = {
    {.fields = "mail", .unique = true, .sparse = true},
    {.fields = "age"},
    {.fields = "tags[],age", .sparse = true},
};

static enum err apply(struct run *r, struct txn *txn, const struct op *op)
{
    char id[128];
    id_text(op->id, id);
    int64_t value;
    if (op->kind == DELETE)
        return doc_delete(txn, r->c, slice_str(id));
    if (op->kind == ADD)
        return doc_add(txn, r->c, slice_str(id), "coins", op->by, 0, &value, NULL);
    struct buf text = BUF_INIT;
    item_text(op->id, &op->item, &text);
    enum err err = op->kind == INSERT ? doc_insert_text(txn, r->c, buf_slice(&text))
                                      : doc_replace_text(txn, r->c, buf_slice(&text), op->version);
    buf_release(&text);
    return err;
}

static enum err apply_all(struct txn *txn, void *arg)
{
    struct run *r = arg;
    enum err err = ERR_OK;
    for (unsigned i = 0; !err && i < r->op_count; i++)
        err = apply(r, txn, &r->ops[i]);
    return err;
}

/* ---- Comparing all of it. */

struct walked {
    struct run *r;
    const struct model *m;
    unsigned ids[IDS * 8], count;
};

static bool note(struct slice id, const struct doc *doc, void *arg)
{
    struct walked *w = arg;
    struct run *r = w->r;
    char name[128];
    unsigned i = 0;
    for (id_text(i, name); i < IDS && !slice_is(id, name);)
        id_text(++i, name);
    CHECK(i < IDS && w->m->items[i].version == doc->version && w->count < IDS * 8);
    w->ids[w->count++] = i;
    return true;
}

/* The documents that have `tag` (8: any) and `age` (-2: any), in the order of age and id. */
static unsigned expect(const struct model *m, unsigned tag, int age, unsigned *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < IDS; i++) {
        const struct item *item = &m->items[i];
        if (item->version == 0 || (tag < 8 && !(item->tags >> tag & 1)) ||
            (age > -2 && item->age != age))
            continue;
        unsigned at = count++;
        for (; at > 0 &&
               (m->items[out[at - 1]].age > item->age ||
                (m->items[out[at - 1]].age == item->age && compare_ids(out[at - 1], i) > 0));
             at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return count;
}

static void compare(struct walked *w, struct txn *txn, struct doc_scan scan, const unsigned *wanted,
                    unsigned count)
{
    struct run *r = w->r;
    struct doc_place place = {0};
    scan.place = &place;
    w->count = 0;
    for (unsigned before = 1; w->count != before;) { /* until nothing comes any more */
        before = w->count;
        CHECK(doc_walk(txn, r->c, &scan, note, w) == ERR_OK);
    }
    CHECK(w->count == count);
    for (unsigned i = 0; i < count; i++)
        CHECK(w->ids[i] == wanted[scan.descending ? count - 1 - i : i]);
}

static void compare_order_by_id(struct walked *w, struct txn *txn)
{
    struct run *r = w->r;
    struct doc_scan scan = {.limit = 7};
    unsigned wanted[IDS], count = expect(w->m, 8, -2, wanted);
    for (unsigned i = 1; i < count; i++) {
        unsigned id = wanted[i], at = i;
        for (; at > 0 && compare_ids(wanted[at - 1], id) > 0; at--)
            wanted[at] = wanted[at - 1];
        wanted[at] = id;
    }
    compare(w, txn, scan, wanted, count);
    scan.descending = true;
    compare(w, txn, scan, wanted, count);
    CHECK(count <= IDS);
}

static void compare_mails(struct walked *w, struct txn *txn)
{
    struct run *r = w->r;
    for (int mail = 0; mail < MAILS; mail += 7) {
        char text[16];
        snprintf(text, sizeof text, "m%d", mail);
        json_t *value = json_string(text);
        struct doc_scan scan = {.index = "mail", .equal = value};
        w->count = 0;
        CHECK(doc_walk(txn, r->c, &scan, note, w) == ERR_OK);
        CHECK(w->count == (unsigned)mail_is_taken(w->m, mail, IDS));
        CHECK(w->count == 0 || w->m->items[w->ids[0]].mail == mail);
        json_decref(value);
    }
}

static void compare_texts(struct walked *w, struct txn *txn)
{
    struct run *r = w->r;
    struct buf text = BUF_INIT;
    struct doc_count size, wanted = {0};
    for (unsigned i = 0; i < IDS; i++) {
        char id[128];
        id_text(i, id);
        struct doc doc;
        enum err err = doc_get(txn, r->c, slice_str(id), &doc);
        CHECK(err == (w->m->items[i].version ? ERR_OK : ERR_NOT_FOUND));
        buf_clear(&text);
        item_text(i, &w->m->items[i], &text);
        CHECK(err || slice_eq(doc.json, buf_slice(&text)));
        wanted.documents += !err;
        wanted.bytes += err ? 0 : text.len;
    }
    buf_release(&text);
    CHECK(collection_count(txn, r->c, &size) == ERR_OK);
    CHECK(size.documents == wanted.documents && size.bytes == wanted.bytes);
}

static enum err compare_all(struct txn *txn, void *arg)
{
    struct run *r = arg;
    struct walked w = {.r = r, .m = &r->s->model};
    unsigned wanted[IDS];
    compare_texts(&w, txn);
    compare_order_by_id(&w, txn);
    compare_mails(&w, txn);
    for (int descending = 0; descending < 2; descending++) {
        struct doc_scan scan = {.index = "age", .descending = descending, .limit = 5};
        compare(&w, txn, scan, wanted, expect(w.m, 8, -2, wanted));
        json_t *equal = json_pack("[i]", 3);
        scan.equal = equal;
        compare(&w, txn, scan, wanted, expect(w.m, 8, 3, wanted));
        json_decref(equal);
    }
    for (unsigned tag = 0; tag < 8; tag++) {
        json_t *equal = json_pack("i", tag), *both = json_pack("[i,i]", tag, 5);
        struct doc_scan scan = {.index = "tags[],age", .equal = equal, .limit = 9};
        compare(&w, txn, scan, wanted, expect(w.m, tag, -2, wanted));
        scan.equal = both;
        compare(&w, txn, scan, wanted, expect(w.m, tag, 5, wanted));
        json_decref(equal);
        json_decref(both);
    }
    return ERR_OK;
}

/* Whether the document is as in the model. */
struct question {
    struct run *r;
    unsigned id;
    const struct item *item;
    bool same;
};

static enum err ask(struct txn *txn, void *arg)
{
    struct question *q = arg;
    char id[128];
    id_text(q->id, id);
    struct doc doc;
    enum err err = doc_get(txn, q->r->c, slice_str(id), &doc);
    q->same =
        err == ERR_NOT_FOUND ? q->item->version == 0 : !err && doc.version == q->item->version;
    return ERR_OK;
}

static bool happened(struct run *r)
{
    for (unsigned i = 0; i < IDS; i++) {
        const struct item *before = &r->s->model.items[i], *after = &r->s->next.items[i];
        if (memcmp(before, after, sizeof *before) == 0)
            continue;
        struct question q = {r, i, after, false};
        CHECK(store_read(r->f->store, ask, &q) == ERR_OK);
        if (!q.same || before->version != after->version)
            return q.same;
    }
    return false;
}

static void open_run(struct run *r)
{
    CHECK(try_open(r->f, SMALL_MAP, &r->f->store) == ERR_OK);
    CHECK(collection_open(r->f->store, "people", indexes, 3, &r->c) == ERR_OK);
    if (r->s->under_way && happened(r))
        r->s->model = r->s->next;
    r->s->under_way = false;
    CHECK(store_read(r->f->store, compare_all, r) == ERR_OK);
}

static void reopen(struct run *r)
{
    collection_close(&r->c);
    store_close(&r->f->store);
    open_run(r);
}

static void arm_failure(struct shared *s)
{
    static const int failures[] = {EIO, ENOSPC};
    if (below(s, 50))
        return;
    *(below(s, 2) ? &fail_sync : &fail_write) = failures[below(s, 2)];
}

static void take_step(struct run *r)
{
    struct shared *s = r->s;
    struct model next = s->model;
    enum err expected = ERR_OK;
    r->op_count = below(s, 4) ? 1 : 1 + below(s, OPS_MAX);
    for (unsigned i = 0; i < r->op_count; i++) {
        r->ops[i] = random_op(s);
        expected = expected ? expected : model_apply(&next, &r->ops[i]);
    }
    s->next = next;
    s->under_way = expected == ERR_OK;
    arm_failure(s);
    enum err err = store_write(r->f->store, apply_all, r);
    fail_sync = fail_write = 0;
    if (err == ERR_READ_ONLY) {
        s->latched++;
        reopen(r);
    } else if (err == ERR_STORE_FULL) { /* before or instead of what was expected */
        s->full++;
    } else {
        CHECK(err == expected);
        *(err ? &s->refused : &s->applied) += 1;
        if (!err)
            s->model = next;
    }
    s->under_way = false;
}

static void run_child(struct fixture *f, struct shared *s)
{
    struct run run = {.f = f, .s = s}, *r = &run;
    open_run(r);
    while (s->steps < STEPS) {
        take_step(r);
        if (++s->steps % CHECK_EVERY == 0)
            CHECK(store_read(f->store, compare_all, r) == ERR_OK);
    }
    collection_close(&r->c);
    store_close(&f->store);
    _exit(0);
}

/* ---- The parent. */

static bool run_until(struct fixture *f, struct shared *s, uint64_t step)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(f, s);
    int status = 0;
    pid_t ended = 0;
    while (s->steps < step && (ended = waitpid(child, &status, WNOHANG)) == 0)
        sched_yield();
    if (ended == 0) {
        if (step < STEPS)
            kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

static void test_collections_are_what_the_model_says_whatever_fails(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    s->random = 20261121;
    for (uint64_t kills = 1; kills <= KILLS; kills++)
        run_until(f, s, kills * STEPS / (KILLS + 1));
    assert_true(run_until(f, s, STEPS));
    printf("%" PRIu64 " applied, %" PRIu64 " refused, %" PRIu64 " on a full store, %" PRIu64
           " on a failing disk\n",
           s->applied, s->refused, s->full, s->latched);
    assert_true(s->applied > STEPS / 2 && s->refused > STEPS / 10);
    assert_true(s->full > 0 && s->latched > 0);
    munmap(s, sizeof *s);
}

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_collections_are_what_the_model_says_whatever_fails,
                                        setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
