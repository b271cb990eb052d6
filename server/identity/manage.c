#include "server/identity/manage.h"

#include <assert.h>

/* ---- Users */

static const char *name_in(const json_t *body)
{
    return json_str(body, "username", "");
}

static enum err user_add(const struct manage *manage, struct txn *txn, const json_t *body,
                         const char *password_hash, json_t **out)
{
    return users_add(manage->users, txn, NULL, body, password_hash, out);
}

static enum err user_passwd(const struct manage *manage, struct txn *txn, const json_t *body,
                            const char *password_hash, json_t **out)
{
    return users_set_password(manage->users, txn, name_in(body), password_hash, out);
}

static enum err user_roles(const struct manage *manage, struct txn *txn, const json_t *body,
                           const char *password_hash, json_t **out)
{
    (void)password_hash;
    return users_set_roles(manage->users, txn, name_in(body), json_object_get(body, "roles"), out);
}

static enum err user_disable(const struct manage *manage, struct txn *txn, const json_t *body,
                             const char *password_hash, json_t **out)
{
    (void)password_hash;
    return users_set_disabled(manage->users, txn, name_in(body), true, out);
}

static enum err user_enable(const struct manage *manage, struct txn *txn, const json_t *body,
                            const char *password_hash, json_t **out)
{
    (void)password_hash;
    return users_set_disabled(manage->users, txn, name_in(body), false, out);
}

static enum err user_remove(const struct manage *manage, struct txn *txn, const json_t *body,
                            const char *password_hash, json_t **out)
{
    (void)password_hash;
    return users_remove(manage->users, txn, name_in(body), out);
}

/* ---- Administrators */

static enum admin_role role_in(const json_t *body)
{
    return admin_role_parse(json_str(body, "role", "administrator"));
}

static enum err admin_add(const struct manage *manage, struct txn *txn, const json_t *body,
                          const char *password_hash, json_t **out)
{
    return administrators_add(manage->administrators, txn, name_in(body), role_in(body),
                              password_hash, false, out);
}

static enum err admin_passwd(const struct manage *manage, struct txn *txn, const json_t *body,
                             const char *password_hash, json_t **out)
{
    return administrators_set_password(manage->administrators, txn, name_in(body), password_hash,
                                       out);
}

static enum err admin_role(const struct manage *manage, struct txn *txn, const json_t *body,
                           const char *password_hash, json_t **out)
{
    (void)password_hash;
    return administrators_set_role(manage->administrators, txn, name_in(body), role_in(body), out);
}

static enum err admin_remove(const struct manage *manage, struct txn *txn, const json_t *body,
                             const char *password_hash, json_t **out)
{
    (void)password_hash;
    return administrators_remove(manage->administrators, txn, name_in(body), out);
}

/* ---- The table */

/* clang-format off */
#define NAME       USERS_SCHEMA_USERNAME
#define PASSWORD   "\"password\": {\"type\": \"string\", \"minLength\": 8, \"maxLength\": 64}"
#define LONG       "\"password\": {\"type\": \"string\", \"minLength\": 10, \"maxLength\": 64}"
#define PROFILE    USERS_SCHEMA_PROFILE
#define ROLES      "\"roles\": {\"type\": \"array\", \"maxItems\": 8, \"items\": {\"type\": \"string\"}}"
#define ROLE       "\"role\": {\"enum\": [\"viewer\", \"operator\", \"administrator\"]}"

#define OBJECT(required, properties)                                                               \
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"username\"" required \
    "], \"properties\": {" properties "}}"

static const struct manage_action actions[] = {
    {"users/add", ADMIN_ADMINISTRATOR, false, true, 201,
     OBJECT(", \"password\"", NAME ", " PASSWORD ", " PROFILE ", " ROLES), user_add},
    {"users/passwd", ADMIN_ADMINISTRATOR, false, true, 200,
     OBJECT(", \"password\"", NAME ", " PASSWORD), user_passwd},
    {"users/roles", ADMIN_ADMINISTRATOR, false, false, 200,
     OBJECT(", \"roles\"", NAME ", " ROLES), user_roles},
    {"users/disable", ADMIN_OPERATOR, false, false, 200, OBJECT("", NAME), user_disable},
    {"users/enable", ADMIN_OPERATOR, false, false, 200, OBJECT("", NAME), user_enable},
    {"users/remove", ADMIN_ADMINISTRATOR, false, false, 200, OBJECT("", NAME), user_remove},
    {"administrators/add", ADMIN_ADMINISTRATOR, false, true, 201,
     OBJECT(", \"password\"", NAME ", " LONG ", " ROLE), admin_add},
    {"administrators/passwd", ADMIN_ADMINISTRATOR, true, true, 200,
     OBJECT(", \"password\"", NAME ", " LONG), admin_passwd},
    {"administrators/role", ADMIN_ADMINISTRATOR, false, false, 200,
     OBJECT(", \"role\"", NAME ", " ROLE), admin_role},
    {"administrators/remove", ADMIN_ADMINISTRATOR, false, false, 200, OBJECT("", NAME), admin_remove},
};
/* clang-format on */

#define ACTIONS (sizeof actions / sizeof actions[0])

static struct schema *schemas[ACTIONS];

const struct manage_action *manage_find(struct slice name)
{
    for (size_t i = 0; i < ACTIONS; i++) {
        if (slice_is(name, actions[i].name))
            return &actions[i];
    }
    return NULL;
}

void manage_init(void)
{
    char why[128];
    for (size_t i = 0; i < ACTIONS; i++) {
        if (!schemas[i])
            schemas[i] = schema_compile(actions[i].schema, why, sizeof why);
        assert(schemas[i]);
    }
}

void manage_release(void)
{
    for (size_t i = 0; i < ACTIONS; i++)
        schema_destroy(&schemas[i]);
}

const struct schema *manage_schema(const struct manage_action *action)
{
    return schemas[action - actions];
}

/* ---- Running */

bool manage_check(const json_t *body, struct manage_outcome *out)
{
    const char *reason;
    const char *field = users_check(body, &reason);
    *out = (struct manage_outcome){0};
    if (!field)
        return true;
    *out = (struct manage_outcome){
        .err = ERR_VALIDATION,
        .message = reason,
        .details = json_pack("[{s:s, s:s}]", "field", field, "reason", "format")};
    return false;
}

struct run {
    const struct manage *manage;
    const struct manage_action *action;
    const json_t *body;
    const char *password_hash;
    json_t *out;
};

static enum err run_action(struct txn *txn, void *arg)
{
    struct run *run = arg;
    json_decref(run->out); /* of a run that was undone */
    run->out = NULL;
    return run->action->run(run->manage, txn, run->body, run->password_hash, &run->out);
}

static void explain(struct manage_outcome *out)
{
    switch (out->err) {
    case ERR_NOT_FOUND:
        out->message = "Nobody has this name.";
        break;
    case ERR_EXISTS:
        out->message = "Somebody has this name already.";
        break;
    case ERR_CONFLICT:
        out->code = "LAST_ADMINISTRATOR";
        out->message = "Somebody must be left who may do everything.";
        break;
    default:
        break;
    }
}

void manage_run(const struct manage *manage, const struct manage_action *action, const json_t *body,
                const char *password_hash, struct manage_outcome *out)
{
    struct run run = {manage, action, body, password_hash, NULL};
    *out = (struct manage_outcome){.err = store_write(manage->store, run_action, &run)};
    if (out->err) {
        json_decref(run.out);
        explain(out);
    } else {
        out->body = run.out;
    }
}

void manage_outcome_release(struct manage_outcome *outcome)
{
    json_decref(outcome->body);
    json_decref(outcome->details);
    *outcome = (struct manage_outcome){0};
}

/* ---- Listing */

struct listing {
    const struct manage *manage;
    const struct users_page *page;
    struct buf *out;
};

static enum err list_users(struct txn *txn, void *arg)
{
    struct listing *listing = arg;
    buf_clear(listing->out);
    return users_list(listing->manage->users, txn, listing->page, listing->out);
}

enum err manage_list_users(const struct manage *manage, const struct users_page *page,
                           struct buf *out)
{
    struct listing listing = {manage, page, out};
    return store_read(manage->store, list_users, &listing);
}
