#include "server/identity/session.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

struct slot {
    bool taken;
    uint8_t digest[SHA256_DIGEST_LENGTH]; /* of the token */
    int64_t used_ms;
    struct session session;
};

struct sessions {
    struct lock lock;
    struct slot slots[SESSIONS_MAX]; /* guarded by lock */
};

struct sessions *sessions_create(void)
{
    struct sessions *sessions = mem_zalloc(sizeof *sessions);
    lock_init(&sessions->lock, LOCK_RANK_ADMIN);
    return sessions;
}

void sessions_destroy(struct sessions **sessions)
{
    if (!*sessions)
        return;
    lock_release(&(*sessions)->lock);
    OPENSSL_cleanse(*sessions, sizeof **sessions);
    free(*sessions);
    *sessions = NULL;
}

void session_token_make(char out[SESSION_TOKEN_SIZE])
{
    uint8_t bits[32];
    random_bytes(bits, sizeof bits);
    struct buf text = BUF_INIT;
    base64url_append(&text, slice_of(bits, sizeof bits));
    assert(text.len == SESSION_TOKEN_SIZE - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    buf_release(&text);
}

bool session_token_is(struct slice given, const char *token)
{
    return given.len == strlen(token) && CRYPTO_memcmp(given.ptr, token, given.len) == 0;
}

static void digest_of(struct slice token, uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA256((const uint8_t *)token.ptr, token.len, out);
}

/* The slot of a token, or NULL. An ordinary comparison will do: who does not know the token cannot
 * steer its digest. */
static struct slot *slot_find(struct sessions *sessions, struct slice token)
{
    lock_assert_held(&sessions->lock);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    digest_of(token, digest);
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct slot *slot = &sessions->slots[i];
        if (slot->taken && memcmp(slot->digest, digest, sizeof digest) == 0)
            return slot;
    }
    return NULL;
}

/* A free slot, or the one unused for longest, which is also where an expired one goes. */
static struct slot *slot_for_new(struct sessions *sessions)
{
    struct slot *oldest = &sessions->slots[0];
    lock_assert_held(&sessions->lock);
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct slot *slot = &sessions->slots[i];
        if (!slot->taken)
            return slot;
        if (slot->used_ms < oldest->used_ms)
            oldest = slot;
    }
    return oldest;
}

void sessions_begin(struct sessions *sessions, struct slice user, int64_t now_ms,
                    char token[SESSION_TOKEN_SIZE])
{
    struct slot fresh = {.taken = true, .used_ms = now_ms};
    assert(user.len > 0 && user.len <= SESSION_USER_MAX);
    session_token_make(token);
    digest_of(slice_str(token), fresh.digest);
    memcpy(fresh.session.user, user.ptr, user.len);
    session_token_make(fresh.session.csrf);

    lock_acquire(&sessions->lock);
    *slot_for_new(sessions) = fresh;
    lock_leave(&sessions->lock);
}

bool sessions_use(struct sessions *sessions, struct slice token, int64_t now_ms,
                  struct session *out)
{
    lock_acquire(&sessions->lock);
    struct slot *slot = slot_find(sessions, token);
    bool alive = slot && now_ms - slot->used_ms < SESSION_IDLE_MS;
    if (alive) {
        slot->used_ms = now_ms;
        if (out)
            *out = slot->session;
    }
    lock_leave(&sessions->lock);
    return alive;
}

void sessions_end(struct sessions *sessions, struct slice token)
{
    lock_acquire(&sessions->lock);
    struct slot *slot = slot_find(sessions, token);
    if (slot)
        slot->taken = false;
    lock_leave(&sessions->lock);
}
