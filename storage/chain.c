/* Chained tables. The design is in chain_private.h, the bytes in docs/format.md. */
#include "storage/chain_private.h"

#include "base/hash.h"
#include "storage/key.h"

#include <assert.h>
#include <endian.h>

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

/* `name` is link_to(key), which the check is as well where there is nothing else to cover. */
static uint32_t check_of(const struct chain *chain, uint32_t name, struct slice key,
                         struct slice body)
{
    bool plain = !chain->covers_body || body.len == 0;
    return plain ? name : (uint32_t)hash_bytes2(key, body);
}

bool chain_names(uint32_t link, struct slice next)
{
    return link == link_to(next);
}

bool chain_take(const struct chain *chain, struct slice key, struct slice value,
                struct chain_entry *out)
{
    uint32_t head[2];
    *out = (struct chain_entry){.key = key};
    if (value.len < CHAIN_HEAD_SIZE)
        return false;
    memcpy(head, value.ptr, sizeof head);
    struct slice body = slice_of(value.ptr + CHAIN_HEAD_SIZE, value.len - CHAIN_HEAD_SIZE);
    *out = (struct chain_entry){key, body, le32toh(head[0]), link_to(key)};
    return le32toh(head[1]) == check_of(chain, out->name, key, body);
}

/* Takes a value apart and checks it against its key. */
static enum err read_entry(struct txn *txn, const struct chain *chain, struct slice key,
                           struct slice value, struct chain_entry *out)
{
    if (chain_take(chain, key, value, out))
        return ERR_OK;
    *out = (struct chain_entry){0};
    return damaged(txn, chain->table, key, "has a wrong checksum under");
}

static uint8_t *write_head(uint8_t *value, uint32_t link, uint32_t check)
{
    uint32_t head[2] = {htole32(link), htole32(check)};
    memcpy(value, head, sizeof head);
    return value + CHAIN_HEAD_SIZE;
}

void chain_mend(const struct chain *chain, struct slice key, struct slice next, uint8_t *value,
                size_t size)
{
    struct slice body = slice_of((char *)value + CHAIN_HEAD_SIZE, size - CHAIN_HEAD_SIZE);
    write_head(value, link_to(next), check_of(chain, link_to(key), key, body));
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

static enum err take(struct chain_cursor *c, struct slice key, struct slice value)
{
    return read_entry(c->cursor.txn, c->chain, key, value, &c->at);
}

static enum err take_here(struct chain_cursor *c)
{
    return take(c, c->cursor.key, c->cursor.value);
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

/* The entry before `key`, if it says that `next` is the one behind it. */
static enum err take_before(struct chain_cursor *c, const struct cursor_entry *before,
                            struct slice key, uint32_t next)
{
    enum err err = take(c, before->key, before->value);
    if (err)
        return err;
    bool whole = c->at.link == next && is_before(c->at.key, key);
    return whole ? ERR_OK : lost(c, key, "has lost entries, or their order, before");
}

/* The entry behind that where `c` is, if that one names it. */
static enum err take_behind(struct chain_cursor *c, const struct cursor_entry *behind)
{
    uint32_t link = c->at.link;
    enum err err = take(c, behind->key, behind->value);
    if (err)
        return err;
    return c->at.name == link ? ERR_OK
                              : lost(c, c->at.key, "has lost entries, or their order, before");
}

static enum err no_beginning(const struct chain_cursor *c, struct slice key)
{
    return lost(c, key, "has no beginning before");
}

/* ERR_NOT_FOUND, if it may end here. */
static enum err take_end(const struct chain_cursor *c)
{
    return c->at.link == link_to(nothing) ? ERR_NOT_FOUND
                                          : lost(c, c->at.key, "has lost what follows");
}

/* To the entry before the cursor, which says that `next` is the one behind it. */
static enum err step_back(struct chain_cursor *c, enum err (*step)(struct cursor *),
                          struct slice key, uint32_t next)
{
    enum err err = step(&c->cursor);
    if (err)
        return err == ERR_NOT_FOUND ? no_beginning(c, key) : err;
    return take_before(c, &(struct cursor_entry){c->cursor.key, c->cursor.value}, key, next);
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
        return take_here(c);
    if (!end && !is_before(key, c->cursor.key))
        return lost(c, key, "is out of order around");
    uint32_t next = link_to(end ? nothing : c->cursor.key);
    err = step_back(c, end ? to_last : cursor_prev, key, next);
    return err ? err : ERR_NOT_FOUND;
}

enum err chain_next(struct chain_cursor *c)
{
    enum err err = cursor_next(&c->cursor);
    if (err)
        return err == ERR_NOT_FOUND ? take_end(c) : err;
    return take_behind(c, &(struct cursor_entry){c->cursor.key, c->cursor.value});
}

enum err chain_prev(struct chain_cursor *c)
{
    return step_back(c, cursor_prev, c->at.key, c->at.name);
}

enum err chain_step(struct chain_cursor *c, struct chain_ahead *ahead, bool back,
                    struct slice prefix, unsigned wanted)
{
    if (ahead->at == ahead->count) {
        unsigned max = wanted < CHAIN_AHEAD_MAX ? wanted : CHAIN_AHEAD_MAX;
        ahead->at = 0;
        enum err err = cursor_fetch(&c->cursor, back, prefix, max, ahead->list, &ahead->count);
        if (err == ERR_NOT_FOUND)
            err = back ? no_beginning(c, c->at.key) : take_end(c);
        if (err)
            return err;
    }
    const struct cursor_entry *entry = &ahead->list[ahead->at++];
    return back ? take_before(c, entry, c->at.key, c->at.name) : take_behind(c, entry);
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

enum err chain_begin(struct txn *txn, const struct chain *chain)
{
    uint8_t *value;
    struct slice anchor = chain_anchor();
    enum err err = txn_reserve(txn, chain->table, anchor, CHAIN_HEAD_SIZE, &value);
    if (!err)
        write_head(value, link_to(nothing), link_to(anchor));
    return err;
}

/* Makes the entry that the cursor stands on name another as its next. */
static enum err set_link(struct chain_cursor *c, uint32_t link)
{
    uint8_t value[CHAIN_HEAD_SIZE + CHAIN_BODY_MAX];
    struct slice present = c->cursor.value;
    if (present.len > sizeof value)
        return lost(c, c->at.key, "has something too large under");
    memcpy(value, present.ptr, present.len);
    link = htole32(link);
    memcpy(value, &link, sizeof link);
    return cursor_put(&c->cursor, slice_of(value, present.len));
}

/* A new entry with `size` bytes for its body, of which the check covers `body`. */
static enum err add(struct txn *txn, const struct chain *chain, struct slice key, struct slice body,
                    size_t size, uint8_t **place)
{
    assert(size <= CHAIN_BODY_MAX);
    struct chain_cursor c;
    chain_open(&c, txn, chain);
    enum err err = txn_error(txn);
    if (!err)
        err = chain_find(&c, key);
    if (!err)
        err = ERR_EXISTS;
    uint32_t link = c.at.link, name = link_to(key);
    if (err == ERR_NOT_FOUND)
        err = set_link(&c, name);
    if (!err)
        err = cursor_reserve(&c.cursor, key, CHAIN_HEAD_SIZE + size, place);
    if (!err)
        *place = write_head(*place, link, check_of(chain, name, key, body));
    chain_close(&c);
    return err;
}

enum err chain_reserve(struct txn *txn, const struct chain *chain, struct slice key, size_t size,
                       uint8_t **place)
{
    assert(!chain->covers_body);
    return add(txn, chain, key, nothing, size, place);
}

enum err chain_insert(struct txn *txn, const struct chain *chain, struct slice key,
                      struct slice body)
{
    uint8_t *place;
    enum err err = add(txn, chain, key, body, body.len, &place);
    if (!err && body.len > 0)
        memcpy(place, body.ptr, body.len);
    return err;
}

enum err chain_replace(struct txn *txn, const struct chain *chain, struct slice key, uint32_t link,
                       size_t size, uint8_t **place)
{
    assert(size <= CHAIN_BODY_MAX && !chain->covers_body);
    enum err err = txn_reserve(txn, chain->table, key, CHAIN_HEAD_SIZE + size, place);
    if (!err)
        *place = write_head(*place, link, link_to(key));
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
