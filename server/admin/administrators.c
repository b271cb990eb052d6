#include "server/admin/admin_private.h"

#include <stdio.h>

enum err administrators_open(struct admin *admin, char *why, size_t why_size)
{
    enum err err =
        collection_open(admin->options.store, "_administrators", NULL, 0, &admin->administrators);
    if (err != ERR_OK)
        snprintf(why, why_size, "cannot open the administrators: %s", err_text(err));
    return err;
}

static bool note_one(struct slice id, const struct doc *doc, void *found)
{
    (void)id, (void)doc;
    *(bool *)found = true;
    return false;
}

struct look {
    struct admin *admin;
    bool found;
};

static enum err look_for_any(struct txn *txn, void *arg)
{
    struct look *look = arg;
    struct doc_scan first = {.limit = 1};
    look->found = false;
    return doc_walk(txn, look->admin->administrators, &first, note_one, &look->found);
}

enum err administrators_exist(struct admin *admin, bool *exist)
{
    struct look look = {.admin = admin};
    enum err err = store_read(admin->options.store, look_for_any, &look);
    *exist = look.found;
    return err;
}

struct addition {
    struct look look;
    const char *name, *password_hash;
};

/* Looks again inside the transaction that adds: of two who use the link at once, one wins. */
static enum err add_first(struct txn *txn, void *arg)
{
    struct addition *addition = arg;
    enum err err = look_for_any(txn, &addition->look);
    if (err != ERR_OK || addition->look.found)
        return err != ERR_OK ? err : ERR_EXISTS;
    char created_at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(txn_now_ms(txn), created_at);
    json_t *doc = json_pack("{s:s, s:s, s:s}", "id", addition->name, "passwordHash",
                            addition->password_hash, "createdAt", created_at);
    err = doc_insert(txn, addition->look.admin->administrators, doc);
    json_decref(doc);
    return err;
}

enum err administrators_add_first(struct admin *admin, const char *name, const char *password_hash)
{
    struct addition addition = {{admin, false}, name, password_hash};
    return store_write(admin->options.store, add_first, &addition);
}

struct hash_query {
    struct admin *admin;
    const char *name;
    char *out;
};

static enum err load_hash(struct txn *txn, void *arg)
{
    struct hash_query *query = arg;
    json_t *doc = NULL;
    enum err err = doc_load(txn, query->admin->administrators, slice_str(query->name), &doc, NULL);
    if (err == ERR_OK)
        snprintf(query->out, PASSWORD_HASH_SIZE, "%s", json_str(doc, "passwordHash", ""));
    json_decref(doc);
    return err;
}

bool administrators_name_is_plain(const char *name)
{
    size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789._@-");
    return plain > 0 && plain <= SESSION_USER_MAX && name[plain] == '\0';
}

enum err administrators_password_hash(struct admin *admin, const char *name,
                                      char out[PASSWORD_HASH_SIZE])
{
    if (!administrators_name_is_plain(name))
        return ERR_NOT_FOUND;
    struct hash_query query = {admin, name, out};
    return store_read(admin->options.store, load_hash, &query);
}
