/* Signing in and out, registering, and what users may see and change of themselves: the one module
 * that is always served, with or without a [route] section. Its settings are those of [auth]. */
#include "base/mem.h"
#include "base/text.h"
#include "server/app/app.h"
#include "server/app/modules.h"
#include "server/identity/logins.h"
#include "server/identity/users.h"

#include <stdio.h>
#include <stdlib.h>

struct auth {
    struct users *users;
    bool registers;
    json_t *roles; /* of those who register */
};

static struct auth *auth_of(const struct call *call)
{
    return call->state;
}

/* ---- Signing in and out */

struct search {
    struct users *users;
    const char *username;
    json_t *user; /* or NULL */
};

static enum err find(struct txn *txn, void *arg)
{
    struct search *search = arg;
    enum err err = users_find(search->users, txn, search->username, &search->user);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err answer_token(struct call *call, const json_t *user)
{
    struct principal principal;
    struct buf token = BUF_INIT;
    int64_t expires_in_s;
    users_principal(user, &principal);
    enum err err = call_issue_token(call, &principal, &token, &expires_in_s);
    if (!err)
        err = call_answer(call, 200,
                          json_pack("{s:s%, s:I}", "token", token.data, token.len, "expiresIn",
                                    (json_int_t)expires_in_s));
    buf_release(&token);
    return err;
}

/* Only who has the right password hears that the user is disabled. */
static enum err login(struct call *call)
{
    struct search search = {.users = auth_of(call)->users, .username = call_str(call, "username")};
    enum err err = store_read(app_store(call->app), find, &search);
    if (err)
        return err;
    const char *hash = search.user ? json_str(search.user, "passwordHash", NULL) : NULL;
    err = call_check_password(call, search.username, call_str(call, "password"), hash);
    if (!err && users_is_disabled(search.user))
        err = call_fail(call, ERR_FORBIDDEN, "USER_DISABLED", "This user has been disabled.");
    if (!err)
        err = answer_token(call, search.user);
    json_decref(search.user);
    return err;
}

static enum err logout(struct call *call)
{
    enum err err = users_sign_out(auth_of(call)->users, call->txn, &call->request->user);
    call->response->status = 204;
    return err;
}

/* ---- Registering */

static enum err check_user(struct call *call)
{
    const char *reason;
    const char *field = users_check(call->request->json, &reason);
    return field ? call_fail_field(call, field, "format", reason) : ERR_OK;
}

struct registration {
    struct users *users;
    json_t *given, *user;
    char hash[PASSWORD_HASH_SIZE];
};

static enum err add(struct txn *txn, void *arg)
{
    struct registration *registration = arg;
    json_decref(registration->user); /* of a run that was undone */
    return users_add(registration->users, txn, NULL, registration->given, registration->hash,
                     &registration->user);
}

static enum err answer_registered(struct call *call, json_t *user)
{
    json_object_del(user, "disabled");
    response_header(call->response, "Location", slice_str("/users/me"));
    return call_answer(call, 201, user);
}

static enum err add_registered(struct call *call, struct registration *registration)
{
    json_object_set(registration->given, "roles", auth_of(call)->roles);
    enum err err = store_write(app_store(call->app), add, registration);
    if (!err)
        return answer_registered(call, registration->user);
    json_decref(registration->user);
    if (err == ERR_EXISTS)
        return call_fail(call, err, "USERNAME_TAKEN", "Somebody has this name already.");
    return err;
}

static enum err sign_up(struct call *call)
{
    if (!auth_of(call)->registers)
        return ERR_NOT_FOUND;
    enum err err = check_user(call);
    struct registration registration = {.users = auth_of(call)->users};
    if (!err)
        err = call_hash_password(call, call_str(call, "password"), registration.hash);
    if (err)
        return err;
    registration.given = json_copy(call->request->json);
    err = add_registered(call, &registration);
    json_decref(registration.given);
    return err;
}

/* ---- Oneself */

/* A token may be of somebody whom we do not know, if others sign with our key. */
static enum err get_me(struct call *call)
{
    struct cached user;
    enum err err = call_profile(call, &user);
    return err ? err : call_answer_cached(call, 200, &user);
}

static enum err patch_me(struct call *call)
{
    json_t *user;
    enum err err = users_set_profile(auth_of(call)->users, call->txn, call_user(call),
                                     call_str(call, "name"), call_str(call, "email"), &user);
    if (err == ERR_NOT_FOUND)
        return call_user_is_gone(call);
    if (err)
        return err;
    json_object_del(user, "disabled");
    return call_answer(call, 200, user);
}

/* ---- The module */

static json_t *list_of(const struct config_section *section, const char *key)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < config_list_count(section, key); i++)
        json_array_append_new(list, json_string(config_list_at(section, key, i)));
    return list;
}

static const char *check_auth(const struct config_section *section, char *why, size_t why_size)
{
    const char *reason;
    json_t *user = json_pack("{s:o}", "roles", list_of(section, "register_roles"));
    bool good = !users_check(user, &reason);
    json_decref(user);
    if (!good)
        snprintf(why, why_size, "%s", reason);
    return good ? NULL : "register_roles";
}

static enum err open_auth(struct app *app, const struct config_section *section, void **state,
                          char *why, size_t why_size)
{
    (void)why, (void)why_size;
    struct auth *auth = *state = mem_zalloc(sizeof *auth);
    auth->users = app_users(app);
    auth->registers = config_bool(section, "register");
    auth->roles = list_of(section, "register_roles");
    return ERR_OK;
}

static void close_auth(void *state)
{
    struct auth *auth = state;
    if (!auth)
        return;
    json_decref(auth->roles);
    free(auth);
}

/* clang-format off */
static const char login_schema[] = APP_JSON({
    "type": "object",
    "additionalProperties": false,
    "required": ["username", "password"],
    "properties": {
        "username": {"type": "string", "minLength": 1, "maxLength": 64},
        "password": {"type": "string", "minLength": 1, "maxLength": 256}
    }
});

static const char register_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"username\", \"password\"], "
    "\"properties\": {" USERS_SCHEMA_USERNAME ", " USERS_SCHEMA_PROFILE ", "
    "\"password\": {\"type\": \"string\", \"minLength\": 8, \"maxLength\": 64}}}";

static const char me_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"minProperties\": 1, "
    "\"properties\": {" USERS_SCHEMA_PROFILE "}}";

static const struct app_route routes[] = {
    {METHOD_POST, "/auth/login", APP_ANYONE, APP_PLAIN, login_schema, login, NULL},
    {METHOD_POST, "/auth/logout", APP_PERSONAL, APP_WRITE, NULL, logout, NULL},
    {METHOD_POST, "/auth/register", APP_ANYONE, APP_PLAIN, register_schema, sign_up, NULL},
    {METHOD_GET, "/users/me", APP_PERSONAL, APP_PLAIN, NULL, get_me, NULL},
    {METHOD_PATCH, "/users/me", APP_PERSONAL, APP_WRITE, me_schema, patch_me, check_user},
};
/* clang-format on */

const struct app_module auth_module = {
    .name = "auth",
    .help = "Users and the tokens that they sign in with.",
    .always = true,
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .check = check_auth,
    .open = open_auth,
    .close = close_auth,
};
