/* What the cache has of users, so that a handler need not read the store to know whom it serves. */
#include "base/buf.h"
#include "server/app/app_private.h"
#include "server/identity/users.h"

#include <string.h>

#define KEEP_MS  (3600 * 1000)
#define KEY_SIZE (CACHE_KEY_MAX + 1)

static void key_of(const char *user_id, char out[KEY_SIZE])
{
    static const char prefix[] = "user:";
    _Static_assert(sizeof prefix + PRINCIPAL_ID_MAX < KEY_SIZE, "every id must fit");
    memcpy(out, prefix, sizeof prefix - 1);
    strcpy(out + sizeof prefix - 1, user_id);
}

static enum err load(struct txn *txn, struct call *call, const void *arg, struct buf *out)
{
    (void)arg;
    json_t *user;
    enum err err = users_load(call->app->options.users, txn, slice_str(call_user(call)), &user);
    if (err)
        return err;
    json_t *outside = users_outside(user, false);
    json_append(out, outside);
    json_decref(outside);
    json_decref(user);
    return ERR_OK;
}

enum err call_profile(struct call *call, struct cached *out)
{
    char key[KEY_SIZE];
    key_of(call_user(call), key);
    enum err err = call_cached(call, key, KEEP_MS, load, NULL, out);
    return err == ERR_NOT_FOUND ? call_user_is_gone(call) : err;
}

enum err call_user_is_gone(struct call *call)
{
    return call_fail(call, ERR_UNAUTHENTICATED, NULL, "The user of this token does not exist.");
}

void app_forget_profile(void *arg, const char *user_id)
{
    struct app *app = arg;
    char key[KEY_SIZE];
    if (strlen(user_id) > PRINCIPAL_ID_MAX)
        return; /* whom no token can name */
    key_of(user_id, key);
    cache_invalidate(app->options.cache, slice_str(key));
}

enum err app_seed_user(struct app *app, struct txn *txn, const char *id, const char *name,
                       const char *email, const char *role, const char *password_hash)
{
    json_t *user = json_pack("{s:s, s:s, s:s, s:[s]}", "username", id, "name", name, "email", email,
                             "roles", role);
    json_t *outside = NULL;
    enum err err = users_add(app->options.users, txn, id, user, password_hash, &outside);
    json_decref(outside);
    json_decref(user);
    return err == ERR_EXISTS ? ERR_OK : err;
}
