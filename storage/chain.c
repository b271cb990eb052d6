/* Chained tables. The design is in chain_private.h, the bytes in docs/format.md. */
#include "storage/chain_private.h"

#include "base/hash.h"
#include "storage/key.h"

#include <assert.h>
#include <endian.h>

#define LINK_SIZE 4

static const struct slice nothing = {NULL, 0};

struct slice chain_anchor(void)
{
    return slice_of("", 1); /* one byte 00, which no part of a key begins with */
}

/* How a key is named by the one before it; behind the last is the empty key. */
static uint32_t link_to(struct slice key)
{
    return (uint32_t)hash_bytes(key);
}

static enum err damaged(struct txn *txn, struct table table, struct slice key, const char *how)
{
    struct buf text = BUF_INIT;
    key_print(&text, key);
    enum err err =
        txn_damaged(txn, "the table %s %s the key %.*s", store_table_name(txn_store(txn), table),
                    how, SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
    return err;
}

/* Takes a value apart and checks it against its key. */
static enum err read_entry(struct txn *txn, const struct chain *chain, struct slice key,
                           struct slice value, struct chain_entry *out)
{
    *out = (struct chain_entry){0};
    if (value.len < LINK_SIZE)
        return damaged(txn, chain->table, key, "has something too short under");
    uint32_t link;
    memcpy(&link, value.ptr, sizeof link);
    struct slice body = slice_of(value.ptr + LINK_SIZE, value.len - LINK_SIZE);
    enum err err = chain->check(txn, chain->table, key, body);
    if (!err)
        *out = (struct chain_entry){key, body, le32toh(link)};
    return err;
}

static uint8_t *write_link(uint8_t *value, uint32_t link)
{
    link = htole32(link);
    memcpy(value, &link, sizeof link);
    return value + LINK_SIZE;
}

/* ---- Positions. */

void chain_open(struct chain_cursor *c, struct txn *txn, const struct chain *chain)
{
    *c = (struct chain_cursor){.chain = chain};
    cursor_open(&c->cursor, txn, chain->table);
}

void chain_close(struct chain_cursor *c)
{
    cursor_close(&c->cursor);
}

static enum err take(struct chain_cursor *c)
{
    return read_entry(c->cursor.txn, c->chain, c->cursor.key, c->cursor.value, &c->at);
}

static enum err lost(const struct chain_cursor *c, struct slice key, const char *how)
{
    return damaged(c->cursor.txn, c->chain->table, key, how);
}

static bool is_before(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return order < 0 || (order == 0 && a.len < b.len);
}

/* To the entry before the cursor, which says that `next` is the one behind it. */
static enum err step_back(struct chain_cursor *c, enum err (*step)(struct cursor *),
                          struct slice key, uint32_t next)
{
    enum err err = step(&c->cursor);
    if (err)
        return err == ERR_NOT_FOUND ? lost(c, key, "has no beginning before") : err;
    err = take(c);
    if (err)
        return err;
    bool whole = c->at.link == next && is_before(c->at.key, key);
    return whole ? ERR_OK : lost(c, key, "has lost entries, or their order, before");
}

static enum err to_last(struct cursor *cursor)
{
    return cursor_seek_before(cursor, nothing);
}

enum err chain_find(struct chain_cursor *c, struct slice key)
{
    enum err err = cursor_seek(&c->cursor, key);
    bool end = err == ERR_NOT_FOUND;
    if (err && !end)
        return err;
    if (!end && slice_eq(c->cursor.key, key))
        return take(c);
    if (!end && !is_before(key, c->cursor.key))
        return lost(c, key, "is out of order around");
    uint32_t next = link_to(end ? nothing : c->cursor.key);
    err = step_back(c, end ? to_last : cursor_prev, key, next);
    return err ? err : ERR_NOT_FOUND;
}

enum err chain_next(struct chain_cursor *c)
{
    uint32_t link = c->at.link;
    enum err err = cursor_next(&c->cursor);
    if (err == ERR_NOT_FOUND && link != link_to(nothing))
        return lost(c, c->at.key, "has lost what follows");
    if (err)
        return err;
    if (link_to(c->cursor.key) != link)
        return lost(c, c->cursor.key, "has lost entries, or their order, before");
    return take(c);
}

enum err chain_prev(struct chain_cursor *c)
{
    return step_back(c, cursor_prev, c->at.key, link_to(c->at.key));
}

/* ---- Single entries. */

enum err chain_get(struct txn *txn, const struct chain *chain, struct slice key,
                   struct chain_entry *out)
{
    struct slice value;
    enum err err = txn_get(txn, chain->table, key, &value);
    if (!err)
        return read_entry(txn, chain, key, value, out);
    *out = (struct chain_entry){0};
    if (err != ERR_NOT_FOUND)
        return err;
    struct chain_cursor c;
    chain_open(&c, txn, chain);
    err = txn_error(txn);
    if (!err)
        err = chain_find(&c, key);
    if (!err)
        err = lost(&c, key, "finds only now and then");
    chain_close(&c);
    return err;
}

enum err chain_begin(struct txn *txn, const struct chain *chain, struct slice body)
{
    uint8_t *value;
    enum err err = txn_reserve(txn, chain->table, chain_anchor(), LINK_SIZE + body.len, &value);
    if (!err)
        memcpy(write_link(value, link_to(nothing)), body.ptr, body.len);
    return err;
}

/* Makes the entry that the cursor stands on name another as its next. */
static enum err set_link(struct chain_cursor *c, uint32_t link)
{
    uint8_t value[LINK_SIZE + CHAIN_BODY_MAX];
    if (c->at.body.len > CHAIN_BODY_MAX)
        return lost(c, c->at.key, "has something too large under");
    uint8_t *body = write_link(value, link);
    if (c->at.body.len > 0)
        memcpy(body, c->at.body.ptr, c->at.body.len);
    return cursor_put(&c->cursor, slice_of(value, LINK_SIZE + c->at.body.len));
}

enum err chain_insert(struct txn *txn, const struct chain *chain, struct slice key, size_t size,
                      uint8_t **place)
{
    assert(size <= CHAIN_BODY_MAX);
    struct chain_cursor c;
    chain_open(&c, txn, chain);
    enum err err = txn_error(txn);
    if (!err)
        err = chain_find(&c, key);
    if (!err)
        err = ERR_EXISTS;
    uint32_t link = c.at.link;
    if (err == ERR_NOT_FOUND)
        err = set_link(&c, link_to(key));
    if (!err)
        err = cursor_reserve(&c.cursor, key, LINK_SIZE + size, place);
    if (!err)
        *place = write_link(*place, link);
    chain_close(&c);
    return err;
}

enum err chain_replace(struct txn *txn, const struct chain *chain, struct slice key, uint32_t link,
                       size_t size, uint8_t **place)
{
    assert(size <= CHAIN_BODY_MAX);
    enum err err = txn_reserve(txn, chain->table, key, LINK_SIZE + size, place);
    if (!err)
        *place = write_link(*place, link);
    return err;
}

enum err chain_delete(struct txn *txn, const struct chain *chain, struct slice key)
{
    struct chain_cursor c;
    chain_open(&c, txn, chain);
    enum err err = txn_error(txn);
    if (!err)
        err = chain_find(&c, key);
    uint32_t link = c.at.link;
    if (!err)
        err = chain_prev(&c);
    if (!err)
        err = set_link(&c, link);
    chain_close(&c);
    return err ? err : txn_del(txn, chain->table, key);
}
