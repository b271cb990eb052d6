/* A directory of format 1 becomes one of today when it is opened, whatever interrupts it. */
#include "storage/collection.h"

#include "tests/unit/storage/format1.h"
#include "tests/unit/storage/store_fixture.h"

#include <dlfcn.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PEOPLE 2500 /* some chunks */

/* ---- The old directory. */

static void person(int i, char *id, char *mail, char *text, size_t size)
{
    snprintf(id, 64, i % 2 ? "018f0000-0000-7000-8000-%012d" : "p%05d", i);
    snprintf(mail, 64, "m%d@x", i);
    snprintf(text, size, "{\"id\":\"%s\",\"mail\":\"%s\",\"age\":%d}", id, mail, i % 50);
}

static void write_old(const char *dir, int damaged)
{
    static char text[4096];
    char id[64], mail[64];
    struct format1 f;
    format1_begin(&f, dir);
    format1_collection(&f, "people",
                       "{\"indexes\":[{\"member\":\"mail\",\"unique\":true},"
                       "{\"member\":\"age\",\"unique\":false}]}");
    format1_collection(&f, "things", "{\"indexes\":[]}");
    for (int i = 0; i < PEOPLE; i++) {
        person(i, id, mail, text, sizeof text);
        format1_document(&f, "people", id, (uint64_t)i + 1, text);
        format1_entry(&f, "people", "mail", mail, 0, id);
        format1_entry(&f, "people", "age", NULL, i % 50, id);
    }
    memset(text, ' ', 4000);
    memcpy(text, "{\"id\":\"long\"", 12);
    memcpy(text + 4000, "}", 2);
    format1_document(&f, "things", "long", 7, text);
    struct format1_key key = {.bytes = "kept", .len = 4};
    format1_put(&f, f.other, &key, "as it was", 9);
    if (damaged) {
        key.len = 0;
        format1_string(&key, "things");
        format1_string(&key, "bad");
        format1_put(&f, f.documents, &key, "no record at all", 16);
    }
    format1_end(&f);
}

static int setup_old_with(void **state, int damaged)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-convert-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->clock, 1700000000000);
    write_old(f->dir, damaged);
    *state = f;
    return 0;
}

static int setup_old(void **state)
{
    return setup_old_with(state, 0);
}

static int setup_old_damaged(void **state)
{
    return setup_old_with(state, 1);
}

/* ---- What is in it now. */

struct look {
    struct collection *people, *things;
    unsigned count;
};

static bool count_one(struct slice id, const struct doc *doc, void *arg)
{
    (void)id, (void)doc;
    ((struct look *)arg)->count++;
    return true;
}

static void assert_count(struct txn *txn, struct look *look, struct doc_scan scan, unsigned count)
{
    look->count = 0;
    assert_int_equal(doc_walk(txn, look->people, &scan, count_one, look), ERR_OK);
    assert_int_equal(look->count, count);
}

static enum err check_all(struct txn *txn, void *arg)
{
    struct look *look = arg;
    char id[64], mail[64], text[256];
    struct doc doc;
    for (int i = 0; i < PEOPLE; i++) {
        person(i, id, mail, text, sizeof text);
        assert_int_equal(doc_get(txn, look->people, slice_str(id), &doc), ERR_OK);
        assert_true(slice_is(doc.json, text));
        assert_int_equal(doc.version, i + 1);
        json_t *value = json_string(mail);
        assert_count(txn, look, (struct doc_scan){.index = "mail", .equal = value}, 1);
        json_decref(value);
    }
    json_t *age = json_integer(7);
    assert_count(txn, look, (struct doc_scan){.index = "age", .equal = age}, PEOPLE / 50);
    assert_count(txn, look, (struct doc_scan){.index = "age"}, PEOPLE);
    assert_count(txn, look, (struct doc_scan){0}, PEOPLE);
    json_decref(age);
    assert_int_equal(doc_get(txn, look->things, slice_str("long"), &doc), ERR_OK);
    assert_int_equal(doc.json.len, 4001);
    assert_int_equal(doc.version, 7);
    return ERR_OK;
}

static enum err check_other(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct slice value;
    assert_int_equal(txn_get(txn, f->table, slice_str("kept"), &value), ERR_OK);
    assert_true(slice_is(value, "as it was"));
    return ERR_OK;
}

static void assert_whole(struct fixture *f)
{
    static const struct index_spec indexes[] = {{.fields = "mail", .unique = true, .sparse = true},
                                                {.fields = "age", .sparse = true}};
    struct look look = {0};
    assert_int_equal(collection_open(f->store, "people", indexes, 2, &look.people), ERR_OK);
    assert_int_equal(collection_open(f->store, "things", NULL, 0, &look.things), ERR_OK);
    assert_int_equal(store_read(f->store, check_all, &look), ERR_OK);
    assert_int_equal(store_table(f->store, "jobs", &f->table), ERR_OK);
    assert_int_equal(store_read(f->store, check_other, f), ERR_OK);
    collection_close(&look.people);
    collection_close(&look.things);
}

static bool has_table(struct fixture *f, const char *name)
{
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        if (f->store->table_names[i] && strcmp(f->store->table_names[i], name) == 0)
            return true;
    }
    return false;
}

/* ---- The tests. */

static void test_convert_keeps_documents_versions_indexes_and_other_tables(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    assert_whole(f);
    assert_false(has_table(f, "documents"));
    assert_false(has_table(f, "indexes"));
    store_close(&f->store);
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    assert_whole(f);
    assert_int_equal(commits(f), 2); /* of the collections: nothing is converted again */
}

/* The process ends at each of its writes to the file, one after the other, until none is left. */
static int writes_left;
static bool counting;

static void count_write(void)
{
    if (counting && writes_left-- == 0)
        _exit(1);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    count_write();
    return ((__typeof__(&pwrite))dlsym(RTLD_NEXT, "pwrite"))(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    count_write();
    return ((__typeof__(&writev))dlsym(RTLD_NEXT, "writev"))(fd, parts, count);
}

static bool convert_in_child(struct fixture *f, int writes)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        writes_left = writes;
        counting = true;
        _exit(try_open(f, MAP_BYTES, &f->store) == ERR_OK ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

static void test_convert_goes_on_after_a_kill_at_any_write(void **state)
{
    struct fixture *f = *state;
    unsigned kills = 0;
    for (int writes = 0; !convert_in_child(f, writes); writes++)
        kills++;
    assert_true(kills > 5);
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    assert_whole(f);
}

static void test_convert_leaves_a_damaged_document_behind(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    assert_whole(f);
    assert_true(has_table(f, "documents"));
    store_close(&f->store);
    assert_int_equal(try_open(f, MAP_BYTES, &f->store), ERR_OK);
    assert_whole(f);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_convert_keeps_documents_versions_indexes_and_other_tables, setup_old),
        TEST(test_convert_goes_on_after_a_kill_at_any_write, setup_old),
        TEST(test_convert_leaves_a_damaged_document_behind, setup_old_damaged),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
