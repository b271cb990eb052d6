/* Pages that would lead LMDB astray are found before it believes them, and the file is written anew
 * of the rest. */
#include "storage/store.h"

#include "base/mem.h"
#include "tests/unit/storage/store_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE   4096
#define KEYS   400
#define ROUNDS 40
#define FLIPS  600
#define GROWTH 300

/* ---- A file with some history: keys of 4 bytes, values of one byte, again and again. */

struct round {
    struct fixture *f;
    unsigned seed;
};

static enum err change_some(struct txn *txn, void *arg)
{
    struct round *round = arg;
    char bytes[9000];
    for (int i = 0; i < 40; i++) {
        uint32_t number = (uint32_t)rand_r(&round->seed) % KEYS;
        struct slice key = slice_of(&number, sizeof number);
        memset(bytes, (int)number, sizeof bytes);
        size_t len = rand_r(&round->seed) % 10 ? 100 : (size_t)number * 20;
        if (rand_r(&round->seed) % 4 == 0)
            txn_del(txn, round->f->table, key);
        else
            txn_put(txn, round->f->table, key, slice_of(bytes, len));
    }
    return txn_error(txn);
}

static void make_history(struct fixture *f)
{
    struct round round = {f, 1};
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(store_write(f->store, change_some, &round), ERR_OK);
}

/* ---- What is in it. */

struct content {
    struct fixture *f;
    bool has[KEYS];
    unsigned count, unknown;
};

static enum err read_all(struct txn *txn, void *arg)
{
    struct content *content = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, content->f->table);
    enum err err = cursor_seek(&cursor, slice_of("", 0));
    for (; !err; err = cursor_next(&cursor)) {
        uint32_t number = KEYS;
        if (cursor.key.len == sizeof number)
            memcpy(&number, cursor.key.ptr, sizeof number);
        content->count++;
        if (number < KEYS)
            content->has[number] = true;
        else
            content->unknown++;
    }
    cursor_close(&cursor);
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

static struct content content_of(struct fixture *f)
{
    struct content content = {.f = f};
    assert_int_equal(store_read(f->store, read_all, &content), ERR_OK);
    return content;
}

/* ---- Damaging it. */

struct told {
    unsigned count;
    bool tables; /* what tables there are is not known */
    char what[STORE_DAMAGE_SIZE];
};

static void note(const char *what, void *arg)
{
    struct told *told = arg;
    told->count++;
    told->tables |= strncmp(what, "the table of tables: ", 21) == 0;
    snprintf(told->what, sizeof told->what, "%s", what);
}

/* A store with history that is closed, and its bytes. */
struct patient {
    struct fixture *f;
    char path[300], kept[300];
    uint8_t *bytes;
    size_t len;
    struct content before;
};

static void admit(struct patient *p, struct fixture *f)
{
    *p = (struct patient){.f = f};
    make_history(f);
    p->before = content_of(f);
    store_close(&f->store);
    snprintf(p->path, sizeof p->path, "%s/data.mdb", f->dir);
    snprintf(p->kept, sizeof p->kept, "%s/kept.mdb", f->dir);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    p->len = (size_t)st.st_size;
    p->bytes = mem_alloc(p->len);
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, p->bytes, p->len), (ssize_t)p->len);
    close(fd);
}

static void release(struct patient *p)
{
    free(p->bytes);
}

/* The file as it was, with `len` bytes of it others. */
static void write_damaged(const struct patient *p, size_t at, const void *bytes, size_t len)
{
    unlink(p->path);
    unlink(p->kept);
    int fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, p->bytes, p->len), (ssize_t)p->len);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
    close(fd);
}

static enum err open_with(const struct patient *p, const char *keep, struct told *told)
{
    struct fixture *f = p->f;
    *told = (struct told){0};
    const struct store_options options = {.dir = f->dir,
                                          .map_size_bytes = MAP_BYTES,
                                          .clock = &f->clock.clock,
                                          .damaged = note,
                                          .arg = told,
                                          .keep_damaged = keep};
    enum err err = store_open(&options, &f->store, f->why, sizeof f->why);
    if (!err)
        assert_int_equal(store_table(f->store, "test", &f->table), ERR_OK);
    return err;
}

/* What is damaged is told of and not opened, and then written anew. Returns what is in it then. */
static struct content heal(const struct patient *p, struct told *told)
{
    struct content content = p->before;
    enum err err = open_with(p, NULL, told);
    if (told->count > 0) {
        struct told again;
        assert_int_equal(err, ERR_DAMAGED);
        assert_null(p->f->store);
        err = open_with(p, p->kept, &again);
        assert_true(again.count >= told->count);
        assert_int_equal(access(p->kept, F_OK), told->tables ? -1 : 0);
        assert_true(err || !told->tables); /* all would be lost, and a new store begun */
    }
    if (!err)
        content = content_of(p->f);
    else
        assert_int_equal(err, ERR_DAMAGED); /* what makes it a store was lost */
    store_close(&p->f->store);
    return content;
}

/* ---- Tests. */

static bool all_tables(const char *table, void *arg)
{
    (void)table, (void)arg;
    return true;
}

static enum err check_all(struct txn *txn, void *arg)
{
    struct pages_place place = {0};
    bool end = false;
    while (!end && !txn_check_shape(txn, &place, &end, all_tables, note, arg)) {
    }
    return txn_error(txn);
}

struct growth {
    struct fixture *f;
    struct table other;
    unsigned seed, deletes; /* of ten */
};

/* Keys and values of all lengths. */
static enum err grow_some(struct txn *txn, void *arg)
{
    struct growth *g = arg;
    static char bytes[70000], text[STORE_KEY_MAX];
    for (int i = 0; i < 30; i++) {
        unsigned number = (unsigned)rand_r(&g->seed) % 3000;
        size_t key_len = number % 3 ? 4 + number % 40 : 4 + number % (STORE_KEY_MAX - 4);
        size_t len = (unsigned)rand_r(&g->seed) % 3000;
        memset(text, (int)number, sizeof text);
        memcpy(text, &number, sizeof number);
        struct table table = number % 2 ? g->f->table : g->other;
        if ((unsigned)rand_r(&g->seed) % 10 < g->deletes)
            txn_del(txn, table, slice_of(text, key_len));
        else
            txn_put(txn, table, slice_of(text, key_len),
                    slice_of(bytes, len % 50 ? len : len * 20));
    }
    return txn_error(txn);
}

/* Whatever LMDB does with its pages is no damage: a store would take no more writes. */
static void test_a_history_of_any_kind_is_no_damage(void **state)
{
    struct growth g = {.f = *state, .seed = 3};
    assert_int_equal(store_table(g.f->store, "other", &g.other), ERR_OK);
    for (unsigned round = 0; round < GROWTH; round++) {
        struct told told = {0};
        g.deletes = round % 100 < 50 ? 2 : 8;
        assert_int_equal(store_write(g.f->store, grow_some, &g), ERR_OK);
        assert_int_equal(store_read(g.f->store, check_all, &told), ERR_OK);
        assert_string_equal(told.what, "");
    }
}

static void test_the_pages_of_a_sound_store_are_whole(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    struct patient p;
    assert_int_equal(store_read(f->store, check_all, &told), ERR_OK);
    make_history(f);
    assert_int_equal(store_read(f->store, check_all, &told), ERR_OK);
    assert_string_equal(told.what, "");
    admit(&p, f);
    write_damaged(&p, 0, p.bytes, 1);
    struct content content = heal(&p, &told);
    assert_string_equal(told.what, "");
    assert_int_equal(content.count, p.before.count);
    release(&p);
}

/* Nothing but what was on the page is lost, and nobody hears of a page that is free. */
static void test_a_page_that_is_lost_costs_what_was_on_it(void **state)
{
    struct patient p;
    admit(&p, *state);
    static const uint8_t nothing[PAGE];
    unsigned damaged = 0;
    for (size_t at = 2 * PAGE; at < p.len; at += PAGE) {
        struct told told;
        write_damaged(&p, at, nothing, PAGE);
        struct content content = heal(&p, &told);
        damaged += told.count > 0;
        if (told.count == 0)
            assert_int_equal(content.count, p.before.count);
        assert_int_equal(content.unknown, 0);
        for (unsigned i = 0; i < KEYS; i++)
            assert_true(p.before.has[i] || !content.has[i]);
    }
    assert_true(damaged > 10);
    release(&p);
}

/* What a lost page has led to is found without it. */
static void test_a_page_that_only_leads_to_others_costs_nothing(void **state)
{
    struct patient p;
    static const uint8_t nothing[PAGE];
    unsigned lost = 0;
    admit(&p, *state);
    for (size_t at = 2 * PAGE; at < p.len; at += PAGE) {
        struct told told;
        if (p.bytes[at + 10] != 1) /* a branch */
            continue;
        write_damaged(&p, at, nothing, PAGE);
        struct content content = heal(&p, &told);
        if (strncmp(told.what, "the table test: ", 16) != 0)
            continue;
        assert_int_equal(content.count, p.before.count);
        assert_memory_equal(content.has, p.before.has, sizeof content.has);
        lost++;
    }
    assert_int_equal(lost, 1); /* it has one such page */
    release(&p);
}

static void test_a_page_with_another_ones_content_is_found(void **state)
{
    struct patient p;
    unsigned seed = 7, damaged = 0;
    admit(&p, *state);
    for (int i = 0; i < 200; i++) {
        struct told told;
        size_t pages = p.len / PAGE;
        size_t to = 2 + (size_t)rand_r(&seed) % (pages - 2);
        size_t from = 2 + (size_t)rand_r(&seed) % (pages - 2);
        if (i % 2) /* its number is right */
            write_damaged(&p, to * PAGE + 8, p.bytes + from * PAGE + 8, PAGE - 8);
        else
            write_damaged(&p, to * PAGE, p.bytes + from * PAGE, PAGE);
        heal(&p, &told);
        damaged += told.count > 0;
    }
    assert_true(damaged > 10);
    release(&p);
}

/* In the head of a page or among its nodes: whatever it is, nobody is led astray. */
static void test_no_bit_that_is_wrong_leads_out_of_the_file(void **state)
{
    struct patient p;
    unsigned seed = 11, damaged = 0;
    admit(&p, *state);
    for (int i = 0; i < FLIPS; i++) {
        struct told told;
        size_t page = 2 + (size_t)rand_r(&seed) % (p.len / PAGE - 2);
        size_t at = page * PAGE + (size_t)rand_r(&seed) % (i % 3 ? 100 : PAGE);
        uint8_t byte = (uint8_t)(p.bytes[at] ^ 1u << rand_r(&seed) % 8);
        write_damaged(&p, at, &byte, 1);
        heal(&p, &told);
        damaged += told.count > 0;
    }
    assert_true(damaged > 10);
    release(&p);
}

static void test_a_store_that_serves_takes_no_more_writes(void **state)
{
    struct fixture *f = *state;
    struct patient p;
    struct told told;
    static const uint8_t nothing[PAGE];
    admit(&p, f);
    size_t at = PAGE;
    do {
        at += PAGE;
        write_damaged(&p, at, nothing, PAGE);
        heal(&p, &told);
    } while (strncmp(told.what, "the table test", 14) != 0);
    write_damaged(&p, at, nothing, PAGE);
    open_store(f, MAP_BYTES);
    struct told again = {0};
    assert_int_equal(store_read(f->store, check_all, &again), ERR_OK);
    assert_string_equal(again.what, told.what);
    assert_int_equal(put(f, "a", "b"), ERR_READ_ONLY);
    release(&p);
}

int main(void)
{
    if (access("/dev/shm", W_OK) == 0) /* nothing here is about power cuts */
        setenv("TMPDIR", "/dev/shm", 1);
    silence_log();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_history_of_any_kind_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pages_of_a_sound_store_are_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_page_that_is_lost_costs_what_was_on_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_page_that_only_leads_to_others_costs_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_page_with_another_ones_content_is_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_bit_that_is_wrong_leads_out_of_the_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_store_that_serves_takes_no_more_writes, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
