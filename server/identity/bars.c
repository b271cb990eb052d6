#include "server/identity/bars.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "storage/collection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILTER_WORDS 1024 /* 64 Ki bits */
#define SLOTS_MIN    64
#define SWEEP_MAX    256 /* documents in one commit */

struct bar {
    uint64_t key; /* 0: a free slot */
    int64_t generation, until_ms;
};

struct bars {
    struct store *store;
    struct collection *collection;
    _Atomic uint64_t filter[FILTER_WORDS]; /* a bit for each key that is in the table, or was */
    _Atomic unsigned count;

    struct lock lock; /* of what follows */
    struct bar *slots;
    unsigned slot_count; /* a power of two, at least a third of them free */
};

/* ---- In memory */

static uint64_t key_of(struct slice name)
{
    uint64_t hash = hash_keyed(name);
    return hash ? hash : 1;
}

static uint64_t token_key(const struct id *token)
{
    return key_of(slice_of(token->bytes, sizeof token->bytes));
}

static bool filter_has(struct bars *bars, uint64_t key)
{
    return bars->filter[key / 64 % FILTER_WORDS] >> (key % 64) & 1;
}

/* Where the key is, or the free slot where it would be. */
static struct bar *slot_of(struct bars *bars, uint64_t key)
{
    lock_assert_held(&bars->lock);
    uint64_t i = key >> 32;
    for (;; i++) {
        struct bar *bar = &bars->slots[i & (bars->slot_count - 1)];
        if (bar->key == key || bar->key == 0)
            return bar;
    }
}

static void filter_add(uint64_t filter[FILTER_WORDS], uint64_t key)
{
    filter[key / 64 % FILTER_WORDS] |= UINT64_C(1) << (key % 64);
}

/* Word by word, so that at no moment a bit is missing. */
static void rebuild_filter(struct bars *bars)
{
    uint64_t filter[FILTER_WORDS] = {0};
    for (unsigned i = 0; i < bars->slot_count; i++) {
        if (bars->slots[i].key)
            filter_add(filter, bars->slots[i].key);
    }
    for (unsigned i = 0; i < FILTER_WORDS; i++)
        bars->filter[i] = filter[i];
}

static void rebuild(struct bars *bars, unsigned slot_count, int64_t now_ms)
{
    struct bar *old = bars->slots;
    unsigned old_count = bars->slot_count, kept = 0;
    bars->slots = mem_zalloc(slot_count * sizeof *bars->slots);
    bars->slot_count = slot_count;
    for (unsigned i = 0; i < old_count; i++) {
        if (old[i].key == 0 || old[i].until_ms <= now_ms)
            continue;
        *slot_of(bars, old[i].key) = old[i];
        kept++;
    }
    bars->count = kept;
    free(old);
    rebuild_filter(bars);
}

static void note(struct bars *bars, const struct bar *bar)
{
    lock_acquire(&bars->lock);
    if (bars->count * 3 >= bars->slot_count * 2)
        rebuild(bars, bars->slot_count * 2, 0);
    struct bar *slot = slot_of(bars, bar->key);
    bars->count += slot->key == 0;
    *slot = *bar;
    bars->filter[bar->key / 64 % FILTER_WORDS] |= UINT64_C(1) << (bar->key % 64);
    lock_leave(&bars->lock);
}

static bool is_below(struct bars *bars, uint64_t key, int64_t generation)
{
    if (!filter_has(bars, key))
        return false;
    lock_acquire(&bars->lock);
    const struct bar *bar = slot_of(bars, key);
    bool below = bar->key == key && generation < bar->generation;
    lock_leave(&bars->lock);
    return below;
}

bool bars_stop(struct bars *bars, const struct principal *user)
{
    if (bars->count == 0)
        return false;
    return is_below(bars, key_of(slice_str(user->id)), user->generation) ||
           is_below(bars, token_key(&user->token), user->generation);
}

unsigned bars_count(struct bars *bars)
{
    return bars->count;
}

/* ---- In the store: {"id": "user:alice" or "token:<uuid>", "generation", "until"} */

struct news {
    struct bars *bars;
    struct bar bar;
};

static void take_news(void *arg)
{
    struct news *news = arg;
    note(news->bars, &news->bar);
}

static void put_text(struct bars *bars, struct txn *txn, const char *id, const struct bar *bar)
{
    struct buf json = BUF_INIT;
    struct doc doc;
    json_printf(&json, "{'id':%s,'generation':%" PRId64 ",'until':%" PRId64 "}", id,
                bar->generation, bar->until_ms);
    if (doc_get(txn, bars->collection, slice_str(id), &doc) == ERR_NOT_FOUND)
        doc_insert_text(txn, bars->collection, buf_slice(&json));
    else
        doc_replace_text(txn, bars->collection, buf_slice(&json), 0);
    buf_release(&json);
}

static enum err put(struct bars *bars, struct txn *txn, const char *id, const struct bar *bar)
{
    struct news *news = txn_alloc(txn, sizeof *news);
    *news = (struct news){bars, *bar};
    put_text(bars, txn, id, bar);
    if (!txn_error(txn))
        txn_on_commit(txn, take_news, NULL, news);
    return txn_error(txn);
}

enum err bars_put_user(struct bars *bars, struct txn *txn, const char *user_id, int64_t generation,
                       int64_t until_ms)
{
    char id[sizeof "user:" + PRINCIPAL_ID_MAX];
    struct bar bar = {key_of(slice_str(user_id)), generation, until_ms};
    snprintf(id, sizeof id, "user:%s", user_id);
    return put(bars, txn, id, &bar);
}

enum err bars_put_token(struct bars *bars, struct txn *txn, const struct principal *user)
{
    char id[sizeof "token:" + ID_TEXT_SIZE];
    char name[ID_TEXT_SIZE];
    struct bar bar = {token_key(&user->token), BAR_ALL, user->until_ms};
    id_format(&user->token, name);
    snprintf(id, sizeof id, "token:%s", name);
    return put(bars, txn, id, &bar);
}

/* ---- Sweeping */

struct sweep {
    struct bars *bars;
    int64_t now_ms;
    struct doc_place place;
    char (*over)[DOC_ID_MAX + 1];
    unsigned over_count, seen;
};

static bool note_over(struct slice id, const struct doc *doc, void *arg)
{
    struct sweep *sweep = arg;
    sweep->seen++;
    if (json_find_int(doc->json, "until", INT64_MAX) > sweep->now_ms)
        return true;
    char *copy = sweep->over[sweep->over_count++];
    memcpy(copy, id.ptr, id.len);
    copy[id.len] = '\0';
    return true;
}

static enum err find_over(struct txn *txn, void *arg)
{
    struct sweep *sweep = arg;
    struct doc_scan scan = {.place = &sweep->place, .limit = SWEEP_MAX};
    sweep->over_count = sweep->seen = 0;
    return doc_walk(txn, sweep->bars->collection, &scan, note_over, sweep);
}

static enum err drop_over(struct txn *txn, void *arg)
{
    struct sweep *sweep = arg;
    txn_shrinking(txn);
    for (unsigned i = 0; i < sweep->over_count; i++) {
        struct slice id = slice_str(sweep->over[i]);
        struct doc doc;
        if (doc_get(txn, sweep->bars->collection, id, &doc) == ERR_OK &&
            json_find_int(doc.json, "until", INT64_MAX) <= sweep->now_ms)
            doc_delete(txn, sweep->bars->collection, id);
    }
    return txn_error(txn);
}

static void forget_over(struct bars *bars, int64_t now_ms)
{
    lock_acquire(&bars->lock);
    rebuild(bars, bars->slot_count, now_ms);
    lock_leave(&bars->lock);
}

enum err bars_sweep(struct bars *bars, int64_t now_ms)
{
    struct sweep sweep = {.bars = bars, .now_ms = now_ms};
    sweep.over = mem_alloc(SWEEP_MAX * sizeof *sweep.over);
    enum err err = ERR_OK;
    bool any = false;
    do {
        err = store_read(bars->store, find_over, &sweep);
        if (!err && sweep.over_count > 0)
            err = store_write(bars->store, drop_over, &sweep);
        any = any || sweep.over_count > 0;
    } while (!err && sweep.seen == SWEEP_MAX);
    if (any)
        forget_over(bars, now_ms);
    free(sweep.over);
    return err;
}

/* ---- Opening */

static bool take_bar(struct slice id, const struct doc *doc, void *arg)
{
    struct bar bar = {.generation = json_find_int(doc->json, "generation", 0),
                      .until_ms = json_find_int(doc->json, "until", 0)};
    struct slice name = id;
    struct slice kind = slice_cut(&name, ':');
    struct id token;
    if (slice_is(kind, "token") && id_parse(name, &token))
        bar.key = token_key(&token);
    else
        bar.key = key_of(name);
    note(arg, &bar);
    return true;
}

enum err bars_open(struct store *store, struct bars **out, char *why, size_t why_size)
{
    struct bars *bars = mem_zalloc(sizeof *bars);
    bars->store = store;
    lock_init(&bars->lock, LOCK_RANK_BARS);
    bars->slot_count = SLOTS_MIN;
    bars->slots = mem_zalloc(SLOTS_MIN * sizeof *bars->slots);
    enum err err = collection_open(store, "_bars", NULL, 0, &bars->collection);
    if (!err)
        err = doc_walk_all(store, bars->collection, &(struct doc_scan){0}, take_bar, bars);
    if (err) {
        snprintf(why, why_size, "cannot read the barred tokens: %s", err_text(err));
        bars_close(&bars);
    }
    *out = bars;
    return err;
}

void bars_close(struct bars **out)
{
    struct bars *bars = *out;
    if (!bars)
        return;
    if (bars->collection)
        collection_close(&bars->collection);
    lock_release(&bars->lock);
    free(bars->slots);
    free(bars);
    *out = NULL;
}
