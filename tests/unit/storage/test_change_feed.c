#include "storage/change_feed.h"

#include "tests/unit/storage/people.h"

struct told {
    struct people *p;
    struct change_feed *feed;
    int woken;
};

/* The n-th time it is told of the n-th event. */
static void wake(void *arg, const char *collection, uint64_t sequence)
{
    struct told *told = arg;
    if (strcmp(collection, "people") == 0 && sequence == (uint64_t)told->woken + 1)
        told->woken++;
}

static void open_told(struct told *told, enum cover cover)
{
    assert_int_equal(change_feed_open(told->p->f->store, &told->feed), ERR_OK);
    change_feed_watch(told->feed, wake, told);
    assert_int_equal(change_feed_cover(told->feed, told->p->c, cover), ERR_OK);
}

static int setup_told(void **state)
{
    struct told *told = calloc(1, sizeof *told);
    setup_people((void **)&told->p);
    open_told(told, COVER_BEFORE);
    *state = told;
    return 0;
}

static int teardown_told(void **state)
{
    struct told *told = *state;
    void *p = told->p;
    teardown_people(&p);
    change_feed_close(&told->feed);
    free(told);
    return 0;
}

/* ---- Steps. */

static enum err step(struct told *told, enum step kind, const char *text)
{
    struct change change = {told->p, kind, text, 0};
    return store_write(told->p->f->store, apply, &change);
}

static void must(struct told *told, enum step kind, const char *text)
{
    assert_int_equal(step(told, kind, text), ERR_OK);
}

struct reading {
    struct told *told;
    uint64_t from;
    unsigned limit;
    struct buf text;
};

static bool note_event(const struct document_event *event, void *arg)
{
    static const char kinds[] = "?crd";
    struct reading *reading = arg;
    buf_printf(&reading->text, "%llu %c %.*s v%llu %.*s", (unsigned long long)event->sequence,
               kinds[event->kind], SLICE_ARG(event->collection), (unsigned long long)event->version,
               SLICE_ARG(event->json));
    if (event->before.len > 0)
        buf_printf(&reading->text, " was %.*s", SLICE_ARG(event->before));
    buf_append_char(&reading->text, '\n');
    return true;
}

static enum err run_reading(struct txn *txn, void *arg)
{
    struct reading *reading = arg;
    return change_feed_read(txn, reading->told->feed, reading->from, reading->limit, note_event,
                            reading);
}

static enum err try_events(struct told *told, uint64_t from)
{
    struct reading reading = {told, from, 0, BUF_INIT};
    enum err err = store_read(told->p->f->store, run_reading, &reading);
    assert_true(!err || reading.text.len == 0);
    buf_release(&reading.text);
    return err;
}

static void assert_events(struct told *told, uint64_t from, unsigned limit, const char *text)
{
    struct reading reading = {told, from, limit, BUF_INIT};
    assert_int_equal(store_read(told->p->f->store, run_reading, &reading), ERR_OK);
    buf_append_char(&reading.text, '\0');
    assert_string_equal(reading.text.data, text);
    buf_release(&reading.text);
}

/* ---- What is told. */

static void test_feed_tells_of_each_document_written_in_order(void **state)
{
    struct told *told = *state;
    assert_events(told, 1, 0, "");
    must(told, INSERT, "{\"id\":\"a\",\"age\":1}");
    must(told, REPLACE, "{\"id\":\"a\",\"age\":2}");
    must(told, DELETE, "a");
    assert_events(told, 1, 0,
                  "1 c people v1 {\"id\":\"a\",\"age\":1}\n"
                  "2 r people v2 {\"id\":\"a\",\"age\":2} was {\"id\":\"a\",\"age\":1}\n"
                  "3 d people v2 {\"id\":\"a\",\"age\":2}\n");
    assert_events(told, 2, 1,
                  "2 r people v2 {\"id\":\"a\",\"age\":2} was {\"id\":\"a\",\"age\":1}\n");
    assert_events(told, 4, 0, "");
    assert_int_equal(told->woken, 3);
}

static enum err add_coins(struct txn *txn, void *arg)
{
    struct told *told = arg;
    int64_t value;
    struct doc doc;
    enum err err = doc_add(txn, told->p->c, slice_str("a"), "coins", 5, 0, &value, &doc);
    if (!err && !slice_is(doc.json, "{\"id\":\"a\",\"coins\":12}")) /* valid behind the event */
        return txn_fail(txn, ERR_CONFLICT);
    return err;
}

static void test_feed_tells_of_what_was_added(void **state)
{
    struct told *told = *state;
    must(told, INSERT, "{\"id\":\"a\",\"coins\":7}");
    assert_int_equal(store_write(told->p->f->store, add_coins, told), ERR_OK);
    assert_events(told, 2, 0,
                  "2 r people v2 {\"id\":\"a\",\"coins\":12} was {\"id\":\"a\",\"coins\":7}\n");
}

static void test_feed_tells_nothing_of_what_was_refused(void **state)
{
    struct told *told = *state;
    must(told, INSERT, "{\"id\":\"a\",\"mail\":\"m\"}");
    assert_int_equal(step(told, INSERT, "{\"id\":\"a\"}"), ERR_EXISTS);
    assert_int_equal(step(told, INSERT, "{\"id\":\"b\",\"mail\":\"m\"}"), ERR_EXISTS);
    assert_int_equal(step(told, REPLACE, "{\"id\":\"c\"}"), ERR_NOT_FOUND);
    assert_int_equal(step(told, DELETE, "c"), ERR_NOT_FOUND);
    must(told, INSERT, "{\"id\":\"b\"}");
    assert_events(told, 1, 0,
                  "1 c people v1 {\"id\":\"a\",\"mail\":\"m\"}\n2 c people v1 {\"id\":\"b\"}\n");
    assert_int_equal(told->woken, 2);
}

static void test_feed_leaves_out_the_document_before_if_nobody_wants_it(void **state)
{
    struct told *told = *state;
    assert_int_equal(change_feed_cover(told->feed, told->p->c, COVER_AFTER), ERR_OK);
    must(told, INSERT, "{\"id\":\"a\",\"age\":1}");
    must(told, REPLACE, "{\"id\":\"a\",\"age\":2}");
    assert_events(told, 2, 0, "2 r people v2 {\"id\":\"a\",\"age\":2}\n");
}

static void test_feed_tells_nothing_of_a_collection_that_it_does_not_cover(void **state)
{
    struct told *told = *state;
    must(told, INSERT, "{\"id\":\"a\"}");
    assert_int_equal(change_feed_cover(told->feed, told->p->c, COVER_NONE), ERR_OK);
    must(told, INSERT, "{\"id\":\"b\"}");
    assert_int_equal(change_feed_cover(told->feed, told->p->c, COVER_AFTER), ERR_OK);
    must(told, INSERT, "{\"id\":\"c\"}");
    assert_events(told, 1, 0, "1 c people v1 {\"id\":\"a\"}\n2 c people v1 {\"id\":\"c\"}\n");
}

/* ---- Sizes. */

static char *long_document(size_t size)
{
    char *text = malloc(size + 1);
    int begin = snprintf(text, size, "{\"id\":\"long\",\"pad\":\"");
    memset(text + begin, 'p', size - (size_t)begin);
    memcpy(text + size - 2, "\"}", 3);
    return text;
}

static enum err write_text(struct txn *txn, void *arg)
{
    const struct change *change = arg;
    struct slice text = slice_str(change->text);
    return change->step == INSERT ? doc_insert_text(txn, change->p->c, text)
                                  : doc_replace_text(txn, change->p->c, text, 0);
}

static enum err put_long(struct told *told, enum step kind, size_t size)
{
    char *text = long_document(size);
    struct change change = {told->p, kind, text, 0};
    enum err err = store_write(told->p->f->store, write_text, &change);
    free(text);
    return err;
}

static bool note_size(const struct document_event *event, void *arg)
{
    size_t *sizes = arg;
    sizes[0] = event->json.len;
    sizes[1] = event->before.len;
    return true;
}

struct sizing {
    struct told *told;
    uint64_t sequence;
    size_t sizes[2];
};

static enum err run_sizing(struct txn *txn, void *arg)
{
    struct sizing *sizing = arg;
    return change_feed_read(txn, sizing->told->feed, sizing->sequence, 1, note_size, sizing->sizes);
}

static void assert_sizes(struct told *told, uint64_t sequence, size_t json, size_t before)
{
    struct sizing sizing = {told, sequence, {0}};
    assert_int_equal(store_read(told->p->f->store, run_sizing, &sizing), ERR_OK);
    assert_int_equal(sizing.sizes[0], json);
    assert_int_equal(sizing.sizes[1], before);
}

static void test_feed_takes_documents_as_long_as_records_can_be(void **state)
{
    struct told *told = *state;
    const size_t most = STORE_VALUE_MAX - 80; /* its head, and the longest name */
    assert_int_equal(put_long(told, INSERT, most + 1), ERR_BODY_TOO_LARGE);
    assert_int_equal(put_long(told, INSERT, most), ERR_OK);
    assert_int_equal(put_long(told, REPLACE, most + 1), ERR_BODY_TOO_LARGE);
    assert_int_equal(put_long(told, REPLACE, 100), ERR_OK);
    assert_sizes(told, 1, most, 0);
    assert_sizes(told, 2, 100, 0); /* both together are too long */
    assert_int_equal(put_long(told, REPLACE, 1000), ERR_OK);
    assert_sizes(told, 3, 1000, 100);
}

static void test_feed_lets_a_document_go_that_is_too_long_for_it(void **state)
{
    struct told *told = *state;
    assert_int_equal(change_feed_cover(told->feed, told->p->c, COVER_NONE), ERR_OK);
    assert_int_equal(put_long(told, INSERT, STORE_VALUE_MAX), ERR_OK);
    assert_int_equal(change_feed_cover(told->feed, told->p->c, COVER_BEFORE), ERR_OK);
    must(told, DELETE, "long");
    assert_events(told, 1, 0, "1 d people v1 {\"id\":\"long\"}\n");
}

/* ---- Coming back. */

static void reopen_told(struct told *told)
{
    collection_close(&told->p->c);
    change_feed_close(&told->feed);
    reopen_store(told->p->f);
    assert_int_equal(open_people(told->p, 3), ERR_OK);
    open_told(told, COVER_BEFORE);
}

static void test_feed_goes_on_after_a_restart(void **state)
{
    struct told *told = *state;
    must(told, INSERT, "{\"id\":\"a\"}");
    reopen_told(told);
    must(told, INSERT, "{\"id\":\"b\"}");
    assert_events(told, 1, 0, "1 c people v1 {\"id\":\"a\"}\n2 c people v1 {\"id\":\"b\"}\n");
}

static void test_feed_says_that_a_number_is_gone_or_never_was(void **state)
{
    struct told *told = *state;
    assert_int_equal(try_events(told, 0), ERR_GONE);
    assert_int_equal(try_events(told, 2), ERR_GONE);
    must(told, INSERT, "{\"id\":\"a\"}");
    must(told, INSERT, "{\"id\":\"b\"}");
    struct journal_bounds one = {.count = 1};
    bool more;
    assert_int_equal(change_feed_sweep(told->feed, &one, &more), ERR_OK);
    assert_false(more);
    assert_int_equal(try_events(told, 1), ERR_GONE);
    assert_events(told, 2, 0, "2 c people v1 {\"id\":\"b\"}\n");
    assert_int_equal(try_events(told, 4), ERR_GONE);
}

static void test_feed_is_swept_by_age_and_bytes(void **state)
{
    struct told *told = *state;
    bool more;
    must(told, INSERT, "{\"id\":\"a\"}");
    clock_fake_advance(&told->p->f->clock, 1000);
    must(told, INSERT, "{\"id\":\"b\"}");
    uint64_t before = commits(told->p->f);
    struct journal_bounds age = {.age_ms = 1000}, bytes = {.bytes = 40};
    assert_int_equal(change_feed_sweep(told->feed, &age, &more), ERR_OK);
    assert_int_equal(commits(told->p->f), before); /* where there is nothing to do */
    clock_fake_advance(&told->p->f->clock, 1);
    assert_int_equal(change_feed_sweep(told->feed, &age, &more), ERR_OK);
    assert_int_equal(try_events(told, 1), ERR_GONE);
    assert_int_equal(change_feed_sweep(told->feed, &bytes, &more), ERR_OK);
    assert_events(told, 2, 0, "2 c people v1 {\"id\":\"b\"}\n");
    must(told, INSERT, "{\"id\":\"c\"}");
    assert_int_equal(change_feed_sweep(told->feed, &bytes, &more), ERR_OK);
    assert_int_equal(try_events(told, 2), ERR_GONE);
    assert_events(told, 3, 0, "3 c people v1 {\"id\":\"c\"}\n");
}

#define TOLD(name) cmocka_unit_test_setup_teardown(name, setup_told, teardown_told)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOLD(test_feed_tells_of_each_document_written_in_order),
        TOLD(test_feed_tells_of_what_was_added),
        TOLD(test_feed_tells_nothing_of_what_was_refused),
        TOLD(test_feed_leaves_out_the_document_before_if_nobody_wants_it),
        TOLD(test_feed_tells_nothing_of_a_collection_that_it_does_not_cover),
        TOLD(test_feed_takes_documents_as_long_as_records_can_be),
        TOLD(test_feed_lets_a_document_go_that_is_too_long_for_it),
        TOLD(test_feed_goes_on_after_a_restart),
        TOLD(test_feed_says_that_a_number_is_gone_or_never_was),
        TOLD(test_feed_is_swept_by_age_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
