#include "server/identity/users.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/identity/bars.h"
#include "storage/collection.h"

#include <stdio.h>
#include <stdlib.h>

#define USER_FIELD_MAX 400   /* bytes of name and e-mail: 100 characters of four */
#define LOOKED_AT_MAX  10000 /* users for one page, which then may be short */

struct users {
    struct collection *collection;
    struct bars *bars;
    void (*changed)(void *arg, const char *id); /* or NULL */
    void *changed_arg;
};

/* ---- Opening */

enum err users_open(struct store *store, struct users **out, char *why, size_t why_size)
{
    struct users *users = mem_zalloc(sizeof *users);
    struct index_spec by_name = {.fields = "username", .unique = true, .sparse = true};
    enum err err = collection_open(store, "users", &by_name, 1, &users->collection);
    if (err)
        snprintf(why, why_size, "cannot open the users: %s", err_text(err));
    else
        err = bars_open(store, &users->bars, why, why_size);
    if (err)
        users_close(&users);
    *out = users;
    return err;
}

void users_close(struct users **out)
{
    struct users *users = *out;
    if (!users)
        return;
    bars_close(&users->bars);
    if (users->collection)
        collection_close(&users->collection);
    free(users);
    *out = NULL;
}

void users_watch(struct users *users, void (*changed)(void *arg, const char *id), void *arg)
{
    users->changed = changed;
    users->changed_arg = arg;
}

bool users_admit(struct users *users, const struct principal *user)
{
    return !bars_stop(users->bars, user);
}

enum err users_sweep(struct users *users, int64_t now_ms)
{
    return bars_sweep(users->bars, now_ms);
}

/* ---- Looking */

enum err users_load(struct users *users, struct txn *txn, struct slice id, json_t **out)
{
    return doc_load(txn, users->collection, id, out, NULL);
}

static bool take_user(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    json_read_trusted(doc->json, arg);
    return false;
}

enum err users_find(struct users *users, struct txn *txn, const char *username, json_t **out)
{
    json_t *equal = json_string(username);
    struct doc_scan scan = {.index = "username", .equal = equal, .limit = 1};
    *out = NULL;
    enum err err = equal ? doc_walk(txn, users->collection, &scan, take_user, out) : ERR_OK;
    json_decref(equal);
    return err || *out ? err : ERR_NOT_FOUND;
}

bool users_is_disabled(const json_t *user)
{
    return json_is_true(json_object_get(user, "disabled"));
}

/* A new array, also of a document that has the one role of older versions. */
static json_t *roles_of(const json_t *user)
{
    json_t *roles = json_object_get(user, "roles");
    if (roles)
        return json_incref(roles);
    const char *role = json_str(user, "role", NULL);
    return role ? json_pack("[s]", role) : json_array();
}

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    if (value)
        json_object_set(to, name, value);
}

json_t *users_outside(const json_t *user, bool all)
{
    json_t *outside = json_object();
    copy_member(outside, user, "id");
    copy_member(outside, user, "username");
    copy_member(outside, user, "name");
    copy_member(outside, user, "email");
    json_object_set_new(outside, "roles", roles_of(user));
    if (all)
        json_object_set_new(outside, "disabled", json_boolean(users_is_disabled(user)));
    copy_member(outside, user, "createdAt");
    return outside;
}

void users_principal(const json_t *user, struct principal *out)
{
    *out = (struct principal){.generation = json_int(user, "generation", 0)};
    json_t *roles = roles_of(user);
    snprintf(out->id, sizeof out->id, "%s", json_str(user, "id", ""));
    for (size_t i = 0; i < json_array_size(roles) && i < PRINCIPAL_ROLES_MAX; i++)
        snprintf(out->roles[out->role_count++], sizeof out->roles[0], "%s",
                 json_string_value(json_array_get(roles, i)));
    json_decref(roles);
}

/* ---- Listing */

struct listing {
    struct slice prefix;
    unsigned limit, rows, seen;
    struct json_writer w;
};

static void write_row(struct listing *listing, const json_t *user)
{
    struct buf text = BUF_INIT;
    json_t *outside = users_outside(user, true);
    json_append(&text, outside);
    jw_raw(&listing->w, buf_slice(&text));
    json_decref(outside);
    buf_release(&text);
}

static bool take_row(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct listing *listing = arg;
    json_t *user;
    if (json_read_trusted(doc->json, &user))
        return true;
    if (slice_starts(slice_str(json_str(user, "username", "")), listing->prefix)) {
        listing->rows++;
        write_row(listing, user);
    }
    json_decref(user);
    return ++listing->seen < LOOKED_AT_MAX && listing->rows < listing->limit;
}

static bool stop_at_once(struct slice id, const struct doc *doc, void *arg)
{
    (void)id, (void)doc;
    *(bool *)arg = true;
    return false;
}

/* The cursor is the place where the walk has stopped. */
static bool read_cursor(struct slice cursor, struct doc_place *place)
{
    struct buf bytes = BUF_INIT;
    bool good = base64url_decode(cursor, &bytes) && bytes.len <= sizeof place->bytes;
    if (good && bytes.len > 0)
        memcpy(place->bytes, bytes.data, bytes.len);
    place->len = good ? (uint16_t)bytes.len : 0;
    buf_release(&bytes);
    return good;
}

static void write_end(struct listing *listing, const struct doc_place *place, bool more)
{
    struct buf cursor = BUF_INIT;
    struct json_writer *w = &listing->w;
    base64url_append(&cursor, slice_of(place->bytes, place->len));
    jw_end(w, ']');
    jw_key(w, "pagination");
    jw_begin(w, '{');
    jw_key(w, "limit");
    jw_i64(w, listing->limit);
    jw_key(w, "nextCursor");
    if (more)
        jw_str(w, buf_slice(&cursor));
    else
        jw_null(w);
    jw_key(w, "hasNext");
    jw_bool(w, more);
    jw_end(w, '}');
    jw_end(w, '}');
    buf_release(&cursor);
}

enum err users_list(struct users *users, struct txn *txn, const struct users_page *page,
                    struct buf *out)
{
    struct doc_place place = {0};
    if (!read_cursor(page->after, &place))
        return ERR_VALIDATION;
    struct listing listing = {.prefix = page->prefix, .limit = page->limit, .w = {.out = out}};
    bool more = false;
    struct doc_scan scan = {.index = "username", .place = &place, .more = &more};
    jw_begin(&listing.w, '{');
    jw_key(&listing.w, "data");
    jw_begin(&listing.w, '[');
    enum err err = doc_walk(txn, users->collection, &scan, take_row, &listing);
    struct doc_place end = place;
    if (!err && place.len > 0 && !more) { /* else a page that was cut short by the time it took */
        scan = (struct doc_scan){.index = "username", .place = &end};
        err = doc_walk(txn, users->collection, &scan, stop_at_once, &more);
    }
    write_end(&listing, &place, more);
    return err;
}

/* ---- Changing */

struct news {
    struct users *users;
    char id[];
};

static void tell(void *arg)
{
    const struct news *news = arg;
    if (news->users->changed)
        news->users->changed(news->users->changed_arg, news->id);
}

static void tell_on_commit(struct users *users, struct txn *txn, const char *id)
{
    struct news *news = txn_alloc(txn, sizeof *news + strlen(id) + 1);
    news->users = users;
    strcpy(news->id, id);
    txn_on_commit(txn, tell, NULL, news);
}

/* Stores the user and tells; *out is what others see of it. */
static enum err replace(struct users *users, struct txn *txn, const json_t *user, json_t **out)
{
    enum err err = doc_replace(txn, users->collection, user, 0);
    if (err)
        return err;
    tell_on_commit(users, txn, json_str(user, "id", ""));
    *out = users_outside(user, true);
    return ERR_OK;
}

/* All tokens from before stop; those of the next generation pass unless it is disabled. */
static void count_generation_up(struct users *users, struct txn *txn, json_t *user)
{
    int64_t generation = json_int(user, "generation", 0) + 1;
    bool disabled = users_is_disabled(user);
    json_object_set_new(user, "generation", json_integer(generation));
    bars_put_user(users->bars, txn, json_str(user, "id", ""), disabled ? BAR_ALL : generation,
                  disabled ? INT64_MAX : txn_now_ms(txn) + BAR_USER_MS);
}

static json_t *new_user(struct txn *txn, const char *id, const json_t *given,
                        const char *password_hash)
{
    char made[ID_TEXT_SIZE], created_at[CLOCK_RFC3339_SIZE];
    struct id fresh = id_make(txn_now_ms(txn));
    id_format(&fresh, made);
    clock_rfc3339(txn_now_ms(txn), created_at);
    json_t *user = json_pack("{s:s}", "id", id ? id : made);
    copy_member(user, given, "username");
    copy_member(user, given, "name");
    copy_member(user, given, "email");
    json_object_set_new(user, "roles", roles_of(given));
    json_object_set_new(user, "passwordHash", json_string(password_hash));
    json_object_set_new(user, "createdAt", json_string(created_at));
    return user;
}

enum err users_add(struct users *users, struct txn *txn, const char *id, const json_t *given,
                   const char *password_hash, json_t **out)
{
    json_t *there = NULL;
    *out = NULL;
    enum err err = users_find(users, txn, json_str(given, "username", ""), &there);
    json_decref(there);
    if (err != ERR_NOT_FOUND)
        return err ? err : ERR_EXISTS;
    json_t *user = new_user(txn, id, given, password_hash);
    err = doc_insert(txn, users->collection, user);
    if (!err) {
        tell_on_commit(users, txn, json_str(user, "id", ""));
        *out = users_outside(user, true);
    }
    json_decref(user);
    return err;
}

enum err users_set_password(struct users *users, struct txn *txn, const char *username,
                            const char *password_hash, json_t **out)
{
    json_t *user;
    *out = NULL;
    enum err err = users_find(users, txn, username, &user);
    if (err)
        return err;
    json_object_set_new(user, "passwordHash", json_string(password_hash));
    count_generation_up(users, txn, user);
    err = replace(users, txn, user, out);
    json_decref(user);
    return err;
}

enum err users_set_roles(struct users *users, struct txn *txn, const char *username,
                         const json_t *roles, json_t **out)
{
    json_t *user;
    *out = NULL;
    enum err err = users_find(users, txn, username, &user);
    if (err)
        return err;
    json_object_set(user, "roles", (json_t *)roles);
    json_object_del(user, "role");
    count_generation_up(users, txn, user);
    err = replace(users, txn, user, out);
    json_decref(user);
    return err;
}

enum err users_set_disabled(struct users *users, struct txn *txn, const char *username,
                            bool disabled, json_t **out)
{
    json_t *user;
    *out = NULL;
    enum err err = users_find(users, txn, username, &user);
    if (err)
        return err;
    if (users_is_disabled(user) == disabled) {
        *out = users_outside(user, true);
        json_decref(user);
        return ERR_OK;
    }
    if (disabled)
        json_object_set_new(user, "disabled", json_true());
    else
        json_object_del(user, "disabled");
    count_generation_up(users, txn, user);
    err = replace(users, txn, user, out);
    json_decref(user);
    return err;
}

enum err users_remove(struct users *users, struct txn *txn, const char *username, json_t **out)
{
    json_t *user;
    *out = NULL;
    enum err err = users_find(users, txn, username, &user);
    if (err)
        return err;
    const char *id = json_str(user, "id", "");
    err = doc_delete(txn, users->collection, slice_str(id));
    if (!err)
        err = bars_put_user(users->bars, txn, id, BAR_ALL, txn_now_ms(txn) + BAR_USER_MS);
    if (!err) {
        tell_on_commit(users, txn, id);
        *out = users_outside(user, true);
    }
    json_decref(user);
    return err;
}

enum err users_set_profile(struct users *users, struct txn *txn, const char *id, const char *name,
                           const char *email, json_t **out)
{
    json_t *user;
    *out = NULL;
    enum err err = users_load(users, txn, slice_str(id), &user);
    if (err)
        return err;
    if (name)
        json_object_set_new(user, "name", json_string(name));
    if (email)
        json_object_set_new(user, "email", json_string(email));
    err = replace(users, txn, user, out);
    json_decref(user);
    return err;
}

enum err users_sign_out(struct users *users, struct txn *txn, const struct principal *user)
{
    return bars_put_token(users->bars, txn, user);
}

/* ---- What may be said about a user */

static bool is_text(const json_t *value, size_t max, bool (*is)(struct slice text))
{
    struct slice text = slice_of(json_string_value(value), json_string_length(value));
    return json_is_string(value) && text.len <= max && is(text);
}

static bool roles_are_good(const json_t *roles)
{
    for (size_t i = 0; i < json_array_size(roles); i++) {
        if (!is_text(json_array_get(roles, i), TEXT_ROLE_MAX, text_is_role))
            return false;
    }
    return json_is_array(roles) && json_array_size(roles) <= PRINCIPAL_ROLES_MAX;
}

const char *users_check(const json_t *user, const char **reason)
{
    const json_t *username = json_object_get(user, "username");
    const json_t *name = json_object_get(user, "name");
    const json_t *email = json_object_get(user, "email");
    const json_t *roles = json_object_get(user, "roles");
    *reason = "A name has 1 to 64 bytes: letters of any language, digits and . _ @ + -";
    if (username && !is_text(username, USER_NAME_MAX, text_is_name))
        return "username";
    *reason = "A name is one line without control characters or invisible ones.";
    if (name && !is_text(name, USER_FIELD_MAX, text_is_line))
        return "name";
    *reason = "This is not an e-mail address in ASCII.";
    if (email && !is_text(email, USER_FIELD_MAX, text_is_email))
        return "email";
    *reason = "A user has at most 8 roles, each of 1 to 32 letters, digits and _ . : -";
    return !roles || roles_are_good(roles) ? NULL : "roles";
}
