/* The set is a hash table of lists; its members live in the exchanges of the requests, so it needs
 * no memory and no bound of its own. */
#include "server/gateway/idempotency_private.h"

#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define LISTS 256

struct keys_in_flight {
    struct lock lock;
    struct keyed_request *lists[LISTS]; /* guarded by lock */
};

struct keys_in_flight *keys_in_flight_create(void)
{
    struct keys_in_flight *keys = mem_zalloc(sizeof *keys);
    lock_init(&keys->lock, LOCK_RANK_IDEMPOTENCY);
    return keys;
}

void keys_in_flight_destroy(struct keys_in_flight **keys)
{
    if (!*keys)
        return;
    lock_release(&(*keys)->lock);
    free(*keys);
    *keys = NULL;
}

/* Where the link to the scope's member is, or the end of its list. A scope is a digest: any byte of
 * it chooses evenly. */
static struct keyed_request **link_to(struct keys_in_flight *keys, const uint8_t *scope)
{
    lock_assert_held(&keys->lock);
    struct keyed_request **link = &keys->lists[scope[0]];
    while (*link && memcmp((*link)->scope, scope, DIGEST_SIZE) != 0)
        link = &(*link)->next;
    return link;
}

bool keys_in_flight_enter(struct keys_in_flight *keys, struct keyed_request *keyed)
{
    assert(!keyed->held);
    lock_acquire(&keys->lock);
    struct keyed_request **link = link_to(keys, keyed->scope);
    if (!*link) {
        keyed->next = NULL;
        keyed->held = true;
        *link = keyed;
    }
    lock_leave(&keys->lock);
    return keyed->held;
}

void keys_in_flight_leave(struct keys_in_flight *keys, struct keyed_request *keyed)
{
    assert(keyed->held);
    lock_acquire(&keys->lock);
    struct keyed_request **link = link_to(keys, keyed->scope);
    assert(*link == keyed);
    *link = keyed->next;
    keyed->held = false;
    lock_leave(&keys->lock);
}
