#include "server/identity/session.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/collection.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

struct slot {
    bool taken;
    uint8_t digest[SHA256_DIGEST_LENGTH]; /* of the token */
    int64_t begun_ms, used_ms;
    char user[SESSION_USER_MAX + 1];
    enum admin_role role;
};

struct sessions {
    struct store *store;
    struct collection *collection;
    struct lock lock;
    struct slot slots[SESSIONS_MAX]; /* guarded by lock */
};

/* ---- Roles */

static const char *const role_names[] = {"nobody", "viewer", "operator", "administrator"};

const char *admin_role_name(enum admin_role role)
{
    return role_names[role];
}

enum admin_role admin_role_parse(const char *name)
{
    for (enum admin_role role = ADMIN_VIEWER; role <= ADMIN_ADMINISTRATOR; role++) {
        if (strcmp(name, role_names[role]) == 0)
            return role;
    }
    return ADMIN_NOBODY;
}

/* ---- Tokens */

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

/* In the page, which is the only one that could read it; needs no place of its own. */
static void make_csrf(struct slice token, char out[SESSION_TOKEN_SIZE])
{
    static const char purpose[] = "X-CSRF-Token";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct buf text = BUF_INIT;
    buf_append_str(&text, purpose);
    buf_append_slice(&text, token);
    digest_of(buf_slice(&text), digest);
    buf_clear(&text);
    base64url_append(&text, slice_of(digest, sizeof digest));
    assert(text.len == SESSION_TOKEN_SIZE - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    buf_release(&text);
}

/* ---- In memory */

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

static bool is_alive(const struct slot *slot, int64_t now_ms)
{
    int64_t age_ms = now_ms - slot->begun_ms;
    return age_ms >= -SESSION_SKEW_MS && age_ms < SESSION_LIFE_MS &&
           now_ms - slot->used_ms < SESSION_IDLE_MS;
}

bool sessions_use(struct sessions *sessions, struct slice token, int64_t now_ms,
                  struct session *out)
{
    lock_acquire(&sessions->lock);
    struct slot *slot = slot_find(sessions, token);
    bool alive = slot && is_alive(slot, now_ms);
    if (alive) {
        slot->used_ms = now_ms;
        if (out) {
            memcpy(out->user, slot->user, sizeof out->user);
            out->role = slot->role;
            make_csrf(token, out->csrf);
        }
    }
    lock_leave(&sessions->lock);
    return alive;
}

/* ---- In the store: {"id": <digest, base64url>, "user", "role", "begun": ms} */

static void id_of(const uint8_t digest[SHA256_DIGEST_LENGTH], struct buf *out)
{
    base64url_append(out, slice_of(digest, SHA256_DIGEST_LENGTH));
    buf_append_char(out, '\0');
    out->len--;
}

static void insert(struct sessions *sessions, struct txn *txn, const struct slot *slot)
{
    struct buf id = BUF_INIT, json = BUF_INIT;
    id_of(slot->digest, &id);
    json_printf(&json, "{'id':%s,'user':%s,'role':%s,'begun':%" PRId64 "}", id.data, slot->user,
                admin_role_name(slot->role), slot->begun_ms);
    doc_insert_text(txn, sessions->collection, buf_slice(&json));
    buf_release(&json);
    buf_release(&id);
}

static void drop(struct sessions *sessions, struct txn *txn, const struct slot *slot)
{
    struct buf id = BUF_INIT;
    id_of(slot->digest, &id);
    doc_delete(txn, sessions->collection, buf_slice(&id));
    buf_release(&id);
}

static bool slot_read(struct slice id, const struct doc *doc, struct slot *out)
{
    struct buf digest = BUF_INIT, text = BUF_INIT;
    *out = (struct slot){.taken = true, .begun_ms = json_find_int(doc->json, "begun", 0)};
    bool good = base64url_decode(id, &digest) && digest.len == sizeof out->digest;
    if (good)
        memcpy(out->digest, digest.data, sizeof out->digest);
    json_find_str(doc->json, "user", &text);
    good = good && text.len > 0 && text.len <= SESSION_USER_MAX;
    if (good)
        memcpy(out->user, text.data, text.len);
    buf_clear(&text);
    json_find_str(doc->json, "role", &text);
    buf_append_char(&text, '\0');
    out->role = admin_role_parse(text.data);
    out->used_ms = out->begun_ms;
    buf_release(&text);
    buf_release(&digest);
    return good;
}

/* ---- Beginning */

/* A beginning makes room: of what is over, and of the one whose place it takes. */
struct beginning {
    struct sessions *sessions;
    struct slot fresh, displaced; /* the latter's taken: whether there is one */
};

struct walk {
    struct sessions *sessions;
    struct txn *txn;
    const char *user; /* those of this one; NULL: those that are over */
    int64_t now_ms;
    struct slot found[SESSIONS_MAX];
    unsigned count;
};

static bool note_slot(struct slice id, const struct doc *doc, void *arg)
{
    struct walk *walk = arg;
    struct slot *slot = &walk->found[walk->count];
    bool read = slot_read(id, doc, slot);
    slot->used_ms = walk->now_ms; /* what is only unused for long is left to the memory */
    if (read && (walk->user ? strcmp(slot->user, walk->user) == 0 : !is_alive(slot, walk->now_ms)))
        walk->count++;
    return walk->count < SESSIONS_MAX;
}

static enum err delete_found(struct walk *walk)
{
    enum err err =
        doc_walk(walk->txn, walk->sessions->collection, &(struct doc_scan){0}, note_slot, walk);
    for (unsigned i = 0; !err && i < walk->count; i++)
        drop(walk->sessions, walk->txn, &walk->found[i]);
    return err ? err : txn_error(walk->txn);
}

static enum err store_beginning(struct txn *txn, void *arg)
{
    struct beginning *beginning = arg;
    struct walk over = {
        .sessions = beginning->sessions, .txn = txn, .now_ms = beginning->fresh.begun_ms};
    delete_found(&over);
    if (beginning->displaced.taken)
        drop(beginning->sessions, txn, &beginning->displaced);
    insert(beginning->sessions, txn, &beginning->fresh);
    return txn_error(txn);
}

void sessions_begin(struct sessions *sessions, struct slice user, enum admin_role role,
                    int64_t now_ms, char token[SESSION_TOKEN_SIZE])
{
    struct beginning beginning = {sessions, {.taken = true, .role = role}, {0}};
    struct slot *fresh = &beginning.fresh;
    assert(user.len > 0 && user.len <= SESSION_USER_MAX);
    session_token_make(token);
    digest_of(slice_str(token), fresh->digest);
    memcpy(fresh->user, user.ptr, user.len);
    fresh->begun_ms = fresh->used_ms = now_ms;

    lock_acquire(&sessions->lock);
    struct slot *slot = slot_for_new(sessions);
    beginning.displaced = *slot;
    *slot = *fresh;
    lock_leave(&sessions->lock);
    enum err err = store_write(sessions->store, store_beginning, &beginning);
    if (err)
        log_write(LOG_WARN, "admin", "a session will not outlive a restart: %s", err_text(err));
}

/* ---- Ending */

struct ending {
    struct sessions *sessions;
    struct slot slot;
};

static enum err store_ending(struct txn *txn, void *arg)
{
    struct ending *ending = arg;
    txn_shrinking(txn);
    drop(ending->sessions, txn, &ending->slot);
    return txn_error(txn);
}

void sessions_end(struct sessions *sessions, struct slice token)
{
    struct ending ending = {.sessions = sessions};
    lock_acquire(&sessions->lock);
    struct slot *slot = slot_find(sessions, token);
    if (slot) {
        ending.slot = *slot;
        slot->taken = false;
    }
    lock_leave(&sessions->lock);
    if (!ending.slot.taken)
        return;
    enum err err = store_write(sessions->store, store_ending, &ending);
    if (err)
        log_write(LOG_WARN, "admin", "a session that ended would come back with a restart: %s",
                  err_text(err));
}

static void forget_all(void *arg)
{
    const struct ending *ending = arg;
    struct sessions *sessions = ending->sessions;
    lock_acquire(&sessions->lock);
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        if (strcmp(sessions->slots[i].user, ending->slot.user) == 0)
            sessions->slots[i].taken = false;
    }
    lock_leave(&sessions->lock);
}

enum err sessions_end_all(struct sessions *sessions, struct txn *txn, const char *user)
{
    struct walk of_user = {.sessions = sessions, .txn = txn, .user = user};
    struct ending *ending = txn_alloc(txn, sizeof *ending);
    *ending = (struct ending){.sessions = sessions};
    snprintf(ending->slot.user, sizeof ending->slot.user, "%s", user);
    enum err err = delete_found(&of_user);
    if (!err)
        txn_on_commit(txn, forget_all, NULL, ending);
    return err;
}

/* ---- Opening */

static bool take_slot(struct slice id, const struct doc *doc, void *arg)
{
    struct walk *walk = arg;
    struct slot slot;
    if (!slot_read(id, doc, &slot))
        return true;
    slot.used_ms = walk->now_ms;
    if (is_alive(&slot, walk->now_ms))
        walk->sessions->slots[walk->count++] = slot;
    return walk->count < SESSIONS_MAX;
}

enum err sessions_open(struct store *store, int64_t now_ms, struct sessions **out, char *why,
                       size_t why_size)
{
    struct sessions *sessions = mem_zalloc(sizeof *sessions);
    struct walk walk = {.sessions = sessions, .now_ms = now_ms};
    sessions->store = store;
    lock_init(&sessions->lock, LOCK_RANK_ADMIN);
    enum err err = collection_open(store, "_sessions", NULL, 0, &sessions->collection);
    if (!err)
        err = doc_walk_all(store, sessions->collection, &(struct doc_scan){0}, take_slot, &walk);
    if (err) {
        snprintf(why, why_size, "cannot read the administrators' sessions: %s", err_text(err));
        sessions_close(&sessions);
    }
    *out = sessions;
    return err;
}

void sessions_close(struct sessions **sessions)
{
    if (!*sessions)
        return;
    if ((*sessions)->collection)
        collection_close(&(*sessions)->collection);
    lock_release(&(*sessions)->lock);
    OPENSSL_cleanse(*sessions, sizeof **sessions);
    free(*sessions);
    *sessions = NULL;
}
