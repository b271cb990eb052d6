/* A journal for tests of journals, and what is done with it. */
#ifndef GALLEY_TESTS_STORAGE_FEED_H
#define GALLEY_TESTS_STORAGE_FEED_H

#include "tests/unit/storage/store_fixture.h"

#include "storage/journal.h"

struct feed {
    struct fixture *f;
    struct journal *j;
};

static inline int setup_feed(void **state)
{
    struct feed *feed = calloc(1, sizeof *feed);
    setup((void **)state);
    feed->f = *state;
    assert_int_equal(journal_open(feed->f->store, "feed", &feed->j), ERR_OK);
    *state = feed;
    return 0;
}

static inline int teardown_feed(void **state)
{
    struct feed *feed = *state;
    void *f = feed->f;
    journal_close(&feed->j);
    teardown(&f);
    free(feed);
    return 0;
}

/* ---- Steps. */

struct append {
    struct feed *feed;
    const char *text;
    enum err after; /* what the closure returns when the write worked */
    uint64_t sequence;
};

static inline enum err run_append(struct txn *txn, void *arg)
{
    struct append *a = arg;
    enum err err = journal_append(txn, a->feed->j, slice_str(a->text), &a->sequence);
    return err ? err : a->after;
}

static inline uint64_t append(struct feed *feed, const char *text)
{
    struct append a = {feed, text, ERR_OK, 0};
    assert_int_equal(store_write(feed->f->store, run_append, &a), ERR_OK);
    return a.sequence;
}

struct read {
    struct feed *feed;
    uint64_t from;
    unsigned limit;
    char text[512]; /* "1:a 2:b " */
    struct journal_span span;
};

static inline bool note(const struct journal_entry *entry, void *arg)
{
    struct read *read = arg;
    size_t len = strlen(read->text);
    snprintf(read->text + len, sizeof read->text - len, "%llu:%.*s ",
             (unsigned long long)entry->sequence, SLICE_ARG(entry->payload));
    return true;
}

static inline enum err run_read(struct txn *txn, void *arg)
{
    struct read *read = arg;
    enum err err = journal_span(txn, read->feed->j, &read->span);
    return err ? err : journal_read(txn, read->feed->j, read->from, read->limit, note, read);
}

static inline void assert_read(struct feed *feed, uint64_t from, unsigned limit, const char *text)
{
    struct read read = {.feed = feed, .from = from, .limit = limit};
    assert_int_equal(store_read(feed->f->store, run_read, &read), ERR_OK);
    assert_string_equal(read.text, text);
}

static inline enum err try_read(struct feed *feed, uint64_t from)
{
    struct read read = {.feed = feed, .from = from};
    return store_read(feed->f->store, run_read, &read);
}

static inline void assert_span(struct feed *feed, uint64_t first, uint64_t next, uint64_t bytes)
{
    struct read read = {.feed = feed, .from = next};
    assert_int_equal(store_read(feed->f->store, run_read, &read), ERR_OK);
    assert_int_equal(read.span.first, first);
    assert_int_equal(read.span.next, next);
    assert_int_equal(read.span.bytes, bytes);
}

struct trim {
    struct feed *feed;
    struct journal_bounds bounds;
    unsigned limit;
    bool more;
};

static inline enum err run_trim(struct txn *txn, void *arg)
{
    struct trim *trim = arg;
    return journal_trim(txn, trim->feed->j, &trim->bounds, trim->limit, &trim->more);
}

static inline bool trim(struct feed *feed, struct journal_bounds bounds, unsigned limit)
{
    struct trim trim = {feed, bounds, limit, false};
    assert_int_equal(store_write(feed->f->store, run_trim, &trim), ERR_OK);
    return trim.more;
}

static inline void reopen(struct feed *feed)
{
    journal_close(&feed->j);
    reopen_store(feed->f);
    assert_int_equal(journal_open(feed->f->store, "feed", &feed->j), ERR_OK);
}

struct cursor_step {
    struct feed *feed;
    const char *name;
    uint64_t next;
};

static inline enum err set_cursor(struct txn *txn, void *arg)
{
    const struct cursor_step *step = arg;
    return journal_cursor_set(txn, step->feed->j, step->name, step->next);
}

static inline enum err drop_cursor(struct txn *txn, void *arg)
{
    const struct cursor_step *step = arg;
    return journal_cursor_drop(txn, step->feed->j, step->name);
}

static inline enum err get_cursor(struct txn *txn, void *arg)
{
    struct cursor_step *step = arg;
    return journal_cursor_get(txn, step->feed->j, step->name, &step->next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_feed, teardown_feed)

#endif
