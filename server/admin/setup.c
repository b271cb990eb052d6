/* DESIGN. A new server has no administrator, and no default password either. It makes a random
 * token at the start and prints it as a link; whoever can read the server's output may use it,
 * once, to become the first administrator. A restart makes another link as long as nobody did. */
#include "base/log.h"
#include "server/admin/admin_private.h"
#include "server/identity/users.h"

#include <stdio.h>

/* 64 code points are at most PASSWORD_MAX bytes. */
const char setup_schema_text[] =
    "{\"type\": \"object\","
    " \"properties\": {"
    "  \"token\": {\"type\": \"string\"},"
    "  " USERS_SCHEMA_USERNAME ","
    "  \"password\": {\"type\": \"string\", \"minLength\": 10, \"maxLength\": 64}},"
    " \"required\": [\"token\", \"username\", \"password\"], \"additionalProperties\": false}";

void setup_open(struct admin *admin)
{
    char token[SESSION_TOKEN_SIZE];
    session_token_make(token);
    snprintf(admin->setup_path, sizeof admin->setup_path, "/_/setup?token=%s", token);
    admin->setup_made = true;
}

bool setup_is_open(const struct admin *admin)
{
    return admin->setup_made && !administrators_exist(admin->manage.administrators);
}

static bool token_is_ours(const struct admin *admin, struct slice token)
{
    return setup_is_open(admin) && session_token_is(token, strchr(admin->setup_path, '=') + 1);
}

void serve_setup_page(struct visit *visit)
{
    struct buf scratch = BUF_INIT;
    struct slice token = request_query(visit->request, "token", &scratch);
    if (token_is_ours(visit->admin, token))
        serve_page(visit, "setup.html");
    else
        serve_redirect(visit, "/_/login?link=used");
    buf_release(&scratch);
}

struct addition {
    struct admin *admin;
    const char *name, *password_hash;
};

/* Of two who use the link at once, one wins. */
static enum err run_addition(struct txn *txn, void *arg)
{
    struct addition *addition = arg;
    json_t *outside;
    enum err err = administrators_add(addition->admin->manage.administrators, txn, addition->name,
                                      ADMIN_ADMINISTRATOR, addition->password_hash, true, &outside);
    json_decref(outside);
    return err;
}

static enum err add_first(struct admin *admin, const char *name, const char *password_hash)
{
    struct addition addition = {admin, name, password_hash};
    return store_write(admin->options.store, run_addition, &addition);
}

/* The token is looked at first: it cannot be guessed, and hashing is dear. */
static enum err add_administrator(struct visit *visit, const json_t *body, uint32_t *retry_after_s)
{
    struct admin *admin = visit->admin;
    const char *name = json_str(body, "username", "");
    if (!token_is_ours(admin, slice_str(json_str(body, "token", ""))))
        return ERR_FORBIDDEN;
    const char *reason;
    if (users_check(body, &reason))
        return ERR_VALIDATION;
    char hash[PASSWORD_HASH_SIZE];
    enum err err = logins_hash(admin->options.logins, LOGIN_ADMINISTRATORS, visit->request->network,
                               slice_str(json_str(body, "password", "")), hash, retry_after_s);
    return err ? err : add_first(admin, name, hash);
}

static const char *refusal_text(enum err err)
{
    switch (err) {
    case ERR_FORBIDDEN:
    case ERR_EXISTS:
        return "The link was used already or is not of this start.";
    case ERR_VALIDATION:
        return "A name has 1 to 64 bytes: letters of any language, digits and . _ @ + -";
    default:
        return NULL;
    }
}

void serve_setup(struct visit *visit)
{
    json_t *body = NULL;
    if (!request_read_json(visit->request, visit->admin->setup_schema, visit->response, &body))
        return;
    const char *name = json_str(body, "username", "");
    uint32_t retry_after_s = 0;
    enum err err = add_administrator(visit, body, &retry_after_s);
    if (err == ERR_OK) {
        answer_signed_in(visit, name, ADMIN_ADMINISTRATOR);
        log_write(LOG_INFO, "admin", "%s is the first administrator", name);
    } else {
        refuse_login(visit, err, refusal_text(err), retry_after_s);
    }
    json_decref(body);
}
