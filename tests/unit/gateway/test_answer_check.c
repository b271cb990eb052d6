/* Verifying the answers that are kept for idempotency keys. */
#include "server/gateway/idempotency_private.h"
#include "storage/verify.h"

#include "gateway_fixture.h"

#define ANSWERS 20
#define KEEP_MS HOUR_MS

struct scene {
    struct fixture *f;
    struct answer_records records;
    struct answer_parts *parts;
    unsigned found, mended;
    char what[4000];
};

static void keyed_for(struct keyed_request *out, unsigned i)
{
    *out = (struct keyed_request){0};
    memset(out->scope, (int)(i + 1), sizeof out->scope);
    memset(out->print, (int)(i + 1), sizeof out->print);
}

struct put {
    struct scene *s;
    unsigned i;
};

static enum err put_answer(struct txn *txn, void *arg)
{
    const struct put *put = arg;
    struct keyed_request keyed;
    keyed_for(&keyed, put->i);
    struct response response = {.status = 201, .borrowed = slice_str("{\"order\":1}")};
    return answer_records_put(txn, &put->s->records, &keyed, &response);
}

/* Over three shelves. */
static int setup(void **state)
{
    struct scene *s = mem_zalloc(sizeof *s);
    s->f = fixture_create();
    struct answer_limits limits = {.keep_ms = KEEP_MS, .bytes_max = 1u << 30};
    assert_int_equal(answer_records_open(s->f->store, &limits, &s->records), ERR_OK);
    assert_int_equal(answer_parts_create(s->f->store, &s->parts), ERR_OK);
    for (unsigned i = 0; i < ANSWERS; i++) {
        struct put put = {s, i};
        assert_int_equal(store_write(s->f->store, put_answer, &put), ERR_OK);
        clock_fake_advance(&s->f->time, KEEP_MS / ANSWERS);
    }
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    answer_parts_destroy(&s->parts);
    fixture_destroy(s->f);
    free(s);
    return 0;
}

static void note_finding(const char *what, bool mended, void *arg)
{
    struct scene *s = arg;
    size_t len = strlen(s->what);
    s->found++;
    s->mended += mended;
    snprintf(s->what + len, sizeof s->what - len, "%s\n", what);
}

static bool keep(const char *table, struct slice key, struct slice value, void *arg)
{
    (void)table, (void)key, (void)value, (void)arg;
    return true;
}

static void pass(struct scene *s, bool repair)
{
    struct verify_options options = {.store = s->f->store,
                                     .repair = repair,
                                     .mend = true,
                                     .found = note_finding,
                                     .salvage = repair ? keep : NULL,
                                     .arg = s};
    struct verifier *v = verifier_create(&options);
    answer_parts_add(s->parts, v);
    s->found = s->mended = 0;
    s->what[0] = '\0';
    for (bool end = false; !end;)
        assert_int_equal(verifier_step(v, &end), ERR_OK);
    verifier_destroy(&v);
}

/* The so-many-eth entry of a table: a byte of its value is changed, or it is taken out. */
struct damage {
    struct table table;
    unsigned entry, byte;
    bool take;
};

static enum err do_damage(struct txn *txn, void *arg)
{
    const struct damage *d = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, d->table);
    enum err err = cursor_seek(&cursor, slice_of("", 0));
    for (unsigned i = 0; !err && i < d->entry; i++)
        err = cursor_next(&cursor);
    if (!err && d->take) {
        err = cursor_del(&cursor);
    } else if (!err) {
        size_t len = cursor.value.len;
        char *copy = txn_alloc(txn, len);
        memcpy(copy, cursor.value.ptr, len);
        copy[d->byte % len] ^= 1;
        err = cursor_put(&cursor, slice_of(copy, len));
    }
    cursor_close(&cursor);
    return err;
}

static void damage(struct scene *s, struct damage d)
{
    assert_int_equal(store_write(s->f->store, do_damage, &d), ERR_OK);
}

static enum err replay(struct scene *s, unsigned i)
{
    struct keyed_request keyed;
    keyed_for(&keyed, i);
    struct response response = {0};
    enum err err =
        answer_records_replay(&s->records, &keyed, s->f->time.wall_ms - KEEP_MS / 2, &response);
    buf_release(&response.headers);
    buf_release(&response.body);
    return err;
}

static void test_answers_that_are_whole_are_no_finding(void **state)
{
    struct scene *s = *state;
    pass(s, false);
    assert_string_equal(s->what, "");
    bool more;
    clock_fake_advance(&s->f->time, KEEP_MS / 2);
    assert_int_equal(answer_records_sweep(&s->records, s->f->time.wall_ms, &more), ERR_OK);
    pass(s, false); /* keys of swept answers are left on their shelf */
    assert_string_equal(s->what, "");
}

static void test_a_lost_key_is_made_anew_so_that_no_request_runs_twice(void **state)
{
    struct scene *s = *state;
    damage(s, (struct damage){.table = s->records.keys, .entry = 15, .take = true});
    assert_int_equal(replay(s, 15), ERR_NOT_FOUND);
    pass(s, false);
    assert_non_null(strstr(s->what, "no key leads to it"));
    assert_int_equal(s->found, 1);
    assert_int_equal(s->mended, 1);
    assert_int_equal(replay(s, 15), ERR_OK);
    pass(s, false);
    assert_int_equal(s->found, 0);
}

static void test_a_key_that_leads_astray_is_put_right(void **state)
{
    struct scene *s = *state;
    for (unsigned byte = 0; byte < 8; byte++) {
        damage(s, (struct damage){.table = s->records.keys, .entry = 16, .byte = byte});
        pass(s, false);
        assert_true(s->found > 0);
        assert_int_equal(s->mended, s->found);
        for (unsigned i = 0; i < ANSWERS; i++)
            assert_int_equal(replay(s, i), ERR_OK);
        pass(s, false);
        assert_int_equal(s->found, 0);
    }
}

static void test_a_damaged_answer_is_named_and_moved_out_by_a_repair(void **state)
{
    struct scene *s = *state;
    damage(s, (struct damage){.table = s->records.answers, .entry = 12, .byte = 30});
    assert_int_equal(replay(s, 12), ERR_DAMAGED);
    pass(s, false);
    assert_non_null(strstr(s->what, "it is damaged, and its request, repeated, is refused"));
    assert_int_equal(s->found, 1);
    assert_int_equal(s->mended, 0);
    pass(s, true);
    assert_int_equal(s->mended, 1);
    assert_int_equal(replay(s, 11), ERR_OK);
    for (int i = 0; i < 2; i++)
        pass(s, false); /* its key goes with the next pass */
    assert_int_equal(s->found, 0);
    assert_int_equal(replay(s, 12), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_answers_that_are_whole_are_no_finding),
        CLAIM(test_a_lost_key_is_made_anew_so_that_no_request_runs_twice),
        CLAIM(test_a_key_that_leads_astray_is_put_right),
        CLAIM(test_a_damaged_answer_is_named_and_moved_out_by_a_repair),
    };
    return cmocka_run_group_tests_name("answer check", tests, NULL, NULL);
}
