#include "tests/unit/storage/store_fixture.h"

#include "storage/key.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAYLOAD "{\"id\":\"a-record-that-is-easy-to-find\"}"

struct access {
    struct fixture *f;
    struct slice payload;
    uint64_t version;
    void (*spoil)(uint8_t *value, size_t len, size_t where);
    size_t where;
    bool other_key;
};

static struct key key_of(const char *text)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str(text));
    return key;
}

static enum err put_record(struct txn *txn, void *arg)
{
    struct access *a = arg;
    struct key key = key_of("k");
    return record_put(txn, a->f->table, key_slice(&key), a->version, a->payload);
}

static enum err get_record(struct txn *txn, void *arg)
{
    struct access *a = arg;
    struct key key = key_of("k");
    struct record record;
    enum err err = record_get(txn, a->f->table, key_slice(&key), &record);
    if (err != ERR_OK) {
        assert_int_equal(record.payload.len, 0);
        return err;
    }
    bool same = record.version == a->version && slice_eq(record.payload, a->payload);
    return same ? ERR_OK : ERR_CONFLICT;
}

static void put_payload(struct fixture *f, struct slice payload, uint64_t version)
{
    struct access access = {.f = f, .payload = payload, .version = version};
    assert_int_equal(store_write(f->store, put_record, &access), ERR_OK);
    assert_int_equal(store_read(f->store, get_record, &access), ERR_OK);
}

static void test_record_comes_back_with_its_version(void **state)
{
    struct fixture *f = *state;
    static char large[100000];
    put_payload(f, slice_str(PAYLOAD), 1);
    put_payload(f, slice_str(""), 2);
    put_payload(f, slice_of(large, sizeof large), UINT64_MAX);
}

static void test_record_that_is_missing_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct access access = {.f = f};
    assert_int_equal(store_read(f->store, get_record, &access), ERR_NOT_FOUND);
}

static void test_record_above_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    char *large = calloc(1, STORE_VALUE_MAX + 1);
    struct access access = {.f = f, .payload = slice_of(large, STORE_VALUE_MAX + 1)};
    assert_int_equal(store_write(f->store, put_record, &access), ERR_BODY_TOO_LARGE);
    put_payload(f, slice_of(large, STORE_VALUE_MAX), 1);
    free(large);
}

/* ---- Damage. */

static void flip_bit(uint8_t *value, size_t len, size_t where)
{
    assert_true(where / 8 < len);
    value[where / 8] ^= (uint8_t)(1 << where % 8);
}

/* Reads the record from a copy that was spoiled, under its own key or another. */
static enum err decode_spoiled(struct txn *txn, void *arg)
{
    struct access *a = arg;
    struct key key = key_of("k"), other = key_of("l");
    struct slice value;
    assert_int_equal(txn_get(txn, a->f->table, key_slice(&key), &value), ERR_OK);
    uint8_t *copy = txn_alloc(txn, value.len);
    memcpy(copy, value.ptr, value.len);
    if (a->spoil)
        a->spoil(copy, value.len, a->where);
    struct record record;
    enum err err = record_decode(txn, a->f->table, key_slice(a->other_key ? &other : &key),
                                 slice_of(copy, value.len), &record);
    assert_null(record.payload.ptr);
    assert_int_equal(txn_error(txn), err);
    return err;
}

static enum err try_spoiled(struct txn *txn, void *arg)
{
    struct access *a = arg;
    struct key key = key_of("k");
    assert_int_equal(txn_put(txn, a->f->table, key_slice(&key), slice_str("no record")), ERR_OK);
    struct record record;
    assert_int_equal(record_try(txn, a->f->table, key_slice(&key), &record), ERR_DAMAGED);
    assert_null(record.payload.ptr);
    assert_int_equal(txn_error(txn), ERR_OK);
    return record_put(txn, a->f->table, key_slice(&key), a->version, a->payload);
}

static void test_damage_that_was_tried_does_not_end_the_transaction(void **state)
{
    struct fixture *f = *state;
    struct access access = {.f = f, .payload = slice_str(PAYLOAD), .version = 1};
    assert_int_equal(store_write(f->store, try_spoiled, &access), ERR_OK);
    assert_int_equal(store_read(f->store, get_record, &access), ERR_OK);
}

enum { MANY = 150 };

static void many_key(char text[8], unsigned i)
{
    snprintf(text, 8, "k%03u", i);
}

/* Each third is missing, and one is no record. */
static enum err put_many(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    for (unsigned i = 0; i < MANY; i++) {
        char text[8];
        many_key(text, i);
        if (i % 3 != 0)
            record_put(txn, f->table, slice_str(text), i, slice_str(text));
    }
    return txn_put(txn, f->table, slice_str("k100"), slice_str("no record"));
}

struct many {
    struct fixture *f;
    struct record records[MANY];
    enum err errs[MANY];
    bool same[MANY];
};

static enum err get_many(struct txn *txn, void *arg)
{
    struct many *many = arg;
    char texts[MANY][8];
    struct slice keys[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        many_key(texts[i], i);
        keys[i] = slice_str(texts[i]);
    }
    enum err err = record_try_many(txn, many->f->table, keys, MANY, many->records, many->errs);
    for (unsigned i = 0; i < MANY; i++)
        many->same[i] = !many->errs[i] && many->records[i].version == i &&
                        slice_eq(many->records[i].payload, keys[i]);
    return err;
}

static void test_each_of_many_records_has_its_own_result(void **state)
{
    struct fixture *f = *state;
    struct many many = {.f = f};
    assert_int_equal(store_write(f->store, put_many, f), ERR_OK);
    assert_int_equal(store_read(f->store, get_many, &many), ERR_OK);
    for (unsigned i = 0; i < MANY; i++) {
        enum err expected = i == 100 ? ERR_DAMAGED : i % 3 == 0 ? ERR_NOT_FOUND : ERR_OK;
        assert_int_equal(many.errs[i], expected);
        assert_int_equal(many.same[i], expected == ERR_OK);
    }
}

static void test_record_with_any_bit_flipped_is_corrupt(void **state)
{
    struct fixture *f = *state;
    size_t bits = 8 * (20 + strlen(PAYLOAD));
    put_payload(f, slice_str(PAYLOAD), 1);
    for (size_t i = 0; i < bits; i++) {
        struct access access = {.f = f, .spoil = flip_bit, .where = i};
        assert_int_equal(store_read(f->store, decode_spoiled, &access), ERR_DAMAGED);
    }
}

static void test_record_under_another_key_is_corrupt(void **state)
{
    struct fixture *f = *state;
    put_payload(f, slice_str(PAYLOAD), 1);
    struct access access = {.f = f, .other_key = true};
    assert_int_equal(store_read(f->store, decode_spoiled, &access), ERR_DAMAGED);
}

static enum err decode_short(struct txn *txn, void *arg)
{
    struct fixture *f = arg;
    struct key key = key_of("k");
    struct slice value;
    assert_int_equal(txn_get(txn, f->table, key_slice(&key), &value), ERR_OK);
    struct record record;
    return record_decode(txn, f->table, key_slice(&key), slice_of(value.ptr, 19), &record);
}

static void test_damage_is_counted_and_named(void **state)
{
    struct fixture *f = *state;
    struct access access = {.f = f, .spoil = flip_bit, .where = 200};
    struct store_stats stats;
    put_payload(f, slice_str(PAYLOAD), 1);
    store_stats(f->store, &stats);
    assert_int_equal(stats.damaged, 0);
    assert_string_equal(stats.damage, "");
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_read(f->store, decode_spoiled, &access), ERR_DAMAGED);
    store_stats(f->store, &stats);
    assert_int_equal(stats.damaged, 2);
    assert_string_equal(stats.damage, "the record k of the table test, its checksum is wrong");
}

static void test_record_shorter_than_its_header_is_corrupt(void **state)
{
    struct fixture *f = *state;
    put_payload(f, slice_str(PAYLOAD), 1);
    assert_int_equal(store_read(f->store, decode_short, f), ERR_DAMAGED);
}

static void flip_in_file(struct fixture *f, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    char *found = bytes;
    unsigned count = 0;
    while ((found = memmem(found, (size_t)(bytes + st.st_size - found), text, strlen(text)))) {
        *found ^= 1;
        count++;
    }
    assert_true(count > 0);
    munmap(bytes, (size_t)st.st_size);
    close(fd);
}

static void test_record_flipped_on_disk_is_corrupt_and_its_neighbours_are_not(void **state)
{
    struct fixture *f = *state;
    struct access access = {.f = f, .payload = slice_str(PAYLOAD), .version = 1};
    put_payload(f, slice_str(PAYLOAD), 1);
    put(f, "z", "untouched");
    store_close(&f->store);
    flip_in_file(f, "easy-to-find");
    open_store(f, MAP_BYTES);
    assert_int_equal(store_read(f->store, get_record, &access), ERR_DAMAGED);
    assert_value(f, "z", "untouched");
    put_payload(f, slice_str("mended"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    silence_log();
    const struct CMUnitTest tests[] = {
        TEST(test_record_comes_back_with_its_version),
        TEST(test_record_that_is_missing_is_not_found),
        TEST(test_record_above_the_limit_is_refused),
        TEST(test_each_of_many_records_has_its_own_result),
        TEST(test_record_with_any_bit_flipped_is_corrupt),
        TEST(test_damage_that_was_tried_does_not_end_the_transaction),
        TEST(test_record_under_another_key_is_corrupt),
        TEST(test_damage_is_counted_and_named),
        TEST(test_record_shorter_than_its_header_is_corrupt),
        TEST(test_record_flipped_on_disk_is_corrupt_and_its_neighbours_are_not),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
