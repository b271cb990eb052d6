/* DESIGN. A set-associative table: a keyed hash of the token's end chooses a shard, with its lock,
 * and in it a set of a few slots, so that every step is short and the memory bounded: when a set is
 * full, the token that ends first gives way and is merely verified again. The end is a part of the
 * signature, which differs from token to token; only verified ones are put here, so nobody can fill
 * a set with others of the same end. A hit compares the hash, then every byte of the token. */
#include "server/identity/jwt_private.h"

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"

#include <stdlib.h>

#define SHARDS 64
#define SETS   16
#define WAYS   8

#define HASHED_MAX 32 /* bytes of a token's end */

struct remembered {
    struct token_facts facts;
    size_t len;
    char token[];
};

struct slot {
    uint64_t hash;
    struct remembered *entry; /* NULL: free */
};

struct shard {
    struct lock lock;
    struct slot sets[SETS][WAYS]; /* guarded by lock */
};

struct token_memory {
    struct shard shards[SHARDS];
};

struct token_memory *token_memory_create(void)
{
    struct token_memory *memory = mem_zalloc(sizeof *memory);
    for (unsigned i = 0; i < SHARDS; i++)
        lock_init(&memory->shards[i].lock, LOCK_RANK_JWT);
    return memory;
}

static void forget(struct slot *slot)
{
    free(slot->entry);
    *slot = (struct slot){0};
}

void token_memory_destroy(struct token_memory **memory)
{
    if (!*memory)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &(*memory)->shards[i];
        for (unsigned j = 0; j < SETS * WAYS; j++)
            forget(&shard->sets[j / WAYS][j % WAYS]);
        lock_release(&shard->lock);
    }
    free(*memory);
    *memory = NULL;
}

static uint64_t hash_end(struct slice token)
{
    size_t len = token.len < HASHED_MAX ? token.len : HASHED_MAX;
    return hash_keyed(slice_of(token.ptr + token.len - len, len));
}

static struct shard *shard_of(struct token_memory *memory, uint64_t hash)
{
    return &memory->shards[hash % SHARDS];
}

static struct slot *set_of(struct shard *shard, uint64_t hash)
{
    lock_assert_held(&shard->lock);
    return shard->sets[hash / SHARDS % SETS];
}

static struct slot *find_slot(struct slot *set, uint64_t hash, struct slice token)
{
    for (unsigned i = 0; i < WAYS; i++) {
        const struct remembered *entry = set[i].entry;
        if (entry && set[i].hash == hash && slice_eq(slice_of(entry->token, entry->len), token))
            return &set[i];
    }
    return NULL;
}

bool token_memory_find(struct token_memory *memory, struct slice token, int64_t now_ms,
                       struct principal *user)
{
    uint64_t hash = hash_end(token);
    struct shard *shard = shard_of(memory, hash);
    lock_acquire(&shard->lock);
    struct slot *slot = find_slot(set_of(shard, hash), hash, token);
    bool holds = slot && token_facts_hold(&slot->entry->facts, now_ms);
    if (holds)
        *user = slot->entry->facts.user;
    else if (slot)
        forget(slot);
    lock_leave(&shard->lock);
    return holds;
}

/* The token's own slot, a free one, or the one whose token ends first. */
static struct slot *slot_for(struct slot *set, uint64_t hash, struct slice token)
{
    struct slot *best = find_slot(set, hash, token);
    if (best)
        return best;
    best = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (!set[i].entry)
            return &set[i];
        if (set[i].entry->facts.until_ms < best->entry->facts.until_ms)
            best = &set[i];
    }
    return best;
}

void token_memory_put(struct token_memory *memory, struct slice token,
                      const struct token_facts *facts)
{
    uint64_t hash = hash_end(token);
    struct shard *shard = shard_of(memory, hash);
    struct remembered *entry = mem_alloc(sizeof *entry + token.len);
    entry->facts = *facts;
    entry->len = token.len;
    memcpy(entry->token, token.ptr, token.len);

    lock_acquire(&shard->lock);
    struct slot *slot = slot_for(set_of(shard, hash), hash, token);
    forget(slot);
    *slot = (struct slot){hash, entry};
    lock_leave(&shard->lock);
}
