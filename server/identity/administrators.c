#include "server/identity/administrators.h"

#include "base/mem.h"
#include "storage/collection.h"

#include <stdio.h>
#include <stdlib.h>

struct administrators {
    struct store *store;
    struct collection *collection;
    struct sessions *sessions;
    _Atomic int count; /* of those who are there; of the commits that are through */
};

/* ---- Looking */

static enum admin_role role_of(const json_t *doc)
{
    return admin_role_parse(json_str(doc, "role", admin_role_name(ADMIN_ADMINISTRATOR)));
}

/* As others see it. */
static json_t *outside(const json_t *doc)
{
    return json_pack("{s:s, s:s, s:s}", "username", json_str(doc, "id", ""), "role",
                     admin_role_name(role_of(doc)), "createdAt", json_str(doc, "createdAt", ""));
}

struct sessions *administrators_sessions(struct administrators *administrators)
{
    return administrators->sessions;
}

bool administrators_exist(const struct administrators *administrators)
{
    return administrators->count > 0;
}

struct search {
    struct administrators *administrators;
    const char *name;
    struct administrator *out;
};

static enum err find(struct txn *txn, void *arg)
{
    struct search *search = arg;
    json_t *doc;
    enum err err =
        doc_load(txn, search->administrators->collection, slice_str(search->name), &doc, NULL);
    if (err)
        return err;
    search->out->role = role_of(doc);
    snprintf(search->out->hash, sizeof search->out->hash, "%s", json_str(doc, "passwordHash", ""));
    json_decref(doc);
    return ERR_OK;
}

enum err administrators_find(struct administrators *administrators, const char *name,
                             struct administrator *out)
{
    struct search search = {administrators, name, out};
    if (!*name || strlen(name) > SESSION_USER_MAX)
        return ERR_NOT_FOUND;
    return store_read(administrators->store, find, &search);
}

struct listing {
    struct administrators *administrators;
    json_t *out;
};

static bool take_row(struct slice id, const struct doc *doc, void *arg)
{
    (void)id;
    struct listing *listing = arg;
    json_t *one;
    if (json_read_trusted(doc->json, &one))
        return true;
    json_array_append_new(listing->out, outside(one));
    json_decref(one);
    return true;
}

static enum err list(struct txn *txn, void *arg)
{
    struct listing *listing = arg;
    json_array_clear(listing->out);
    return doc_walk(txn, listing->administrators->collection, &(struct doc_scan){0}, take_row,
                    listing);
}

enum err administrators_list(struct administrators *administrators, json_t **out)
{
    struct listing listing = {administrators, json_array()};
    enum err err = store_read(administrators->store, list, &listing);
    *out = listing.out;
    return err;
}

/* ---- Changing */

static void count_up(void *arg)
{
    ((struct administrators *)arg)->count++;
}

static void count_down(void *arg)
{
    ((struct administrators *)arg)->count--;
}

/* Whether there is anybody (role ADMIN_NOBODY), or anybody but `name` who has the role. */
static enum err has_another(struct administrators *administrators, struct txn *txn,
                            const char *name, enum admin_role role, bool *out)
{
    struct listing listing = {administrators, json_array()};
    enum err err = list(txn, &listing);
    *out = false;
    for (size_t i = 0; i < json_array_size(listing.out); i++) {
        const json_t *one = json_array_get(listing.out, i);
        if (strcmp(json_str(one, "username", ""), name) != 0 &&
            admin_role_parse(json_str(one, "role", "")) >= role)
            *out = true;
    }
    json_decref(listing.out);
    return err;
}

enum err administrators_add(struct administrators *administrators, struct txn *txn,
                            const char *name, enum admin_role role, const char *password_hash,
                            bool only_first, json_t **out)
{
    bool others = false;
    struct doc there;
    char created_at[CLOCK_RFC3339_SIZE];
    *out = NULL;
    enum err err = doc_get(txn, administrators->collection, slice_str(name), &there);
    if (err != ERR_NOT_FOUND)
        return err ? err : ERR_EXISTS;
    if (only_first)
        err = has_another(administrators, txn, "", ADMIN_NOBODY, &others);
    if (others || (only_first && err))
        return others ? ERR_EXISTS : err;
    clock_rfc3339(txn_now_ms(txn), created_at);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "id", name, "role", admin_role_name(role),
                            "passwordHash", password_hash, "createdAt", created_at);
    err = doc_insert(txn, administrators->collection, doc);
    if (!err) {
        txn_on_commit(txn, count_up, NULL, administrators);
        *out = outside(doc);
    }
    json_decref(doc);
    return err;
}

/* Of the member that changes. */
static enum err set(struct administrators *administrators, struct txn *txn, const char *name,
                    const char *member, const char *value, json_t **out)
{
    json_t *doc;
    *out = NULL;
    enum err err = doc_load(txn, administrators->collection, slice_str(name), &doc, NULL);
    if (err)
        return err;
    json_object_set_new(doc, member, json_string(value));
    err = doc_replace(txn, administrators->collection, doc, 0);
    if (!err)
        err = sessions_end_all(administrators->sessions, txn, name);
    if (!err)
        *out = outside(doc);
    json_decref(doc);
    return err;
}

enum err administrators_set_password(struct administrators *administrators, struct txn *txn,
                                     const char *name, const char *password_hash, json_t **out)
{
    return set(administrators, txn, name, "passwordHash", password_hash, out);
}

/* Somebody else must be left who may do everything, if this one may. */
static enum err check_not_last(struct administrators *administrators, struct txn *txn,
                               const char *name)
{
    bool others;
    json_t *doc;
    enum err err = doc_load(txn, administrators->collection, slice_str(name), &doc, NULL);
    if (err)
        return err;
    bool matters = role_of(doc) == ADMIN_ADMINISTRATOR;
    json_decref(doc);
    if (!matters)
        return ERR_OK;
    err = has_another(administrators, txn, name, ADMIN_ADMINISTRATOR, &others);
    return err || others ? err : ERR_CONFLICT;
}

enum err administrators_set_role(struct administrators *administrators, struct txn *txn,
                                 const char *name, enum admin_role role, json_t **out)
{
    *out = NULL;
    enum err err = role == ADMIN_ADMINISTRATOR ? ERR_OK : check_not_last(administrators, txn, name);
    return err ? err : set(administrators, txn, name, "role", admin_role_name(role), out);
}

enum err administrators_remove(struct administrators *administrators, struct txn *txn,
                               const char *name, json_t **out)
{
    json_t *doc;
    *out = NULL;
    enum err err = check_not_last(administrators, txn, name);
    if (!err)
        err = doc_load(txn, administrators->collection, slice_str(name), &doc, NULL);
    if (err)
        return err;
    err = doc_delete(txn, administrators->collection, slice_str(name));
    if (!err)
        err = sessions_end_all(administrators->sessions, txn, name);
    if (!err) {
        txn_on_commit(txn, count_down, NULL, administrators);
        *out = outside(doc);
    }
    json_decref(doc);
    return err;
}

/* ---- Opening */

enum err administrators_open(struct store *store, int64_t now_ms, struct administrators **out,
                             char *why, size_t why_size)
{
    struct administrators *administrators = mem_zalloc(sizeof *administrators);
    json_t *all = NULL;
    administrators->store = store;
    enum err err = collection_open(store, "_administrators", NULL, 0, &administrators->collection);
    if (!err)
        err = administrators_list(administrators, &all);
    administrators->count = (int)json_array_size(all);
    json_decref(all);
    if (err)
        snprintf(why, why_size, "cannot read the administrators: %s", err_text(err));
    else
        err = sessions_open(store, now_ms, &administrators->sessions, why, why_size);
    if (err)
        administrators_close(&administrators);
    *out = administrators;
    return err;
}

void administrators_close(struct administrators **out)
{
    struct administrators *administrators = *out;
    if (!administrators)
        return;
    sessions_close(&administrators->sessions);
    if (administrators->collection)
        collection_close(&administrators->collection);
    free(administrators);
    *out = NULL;
}
