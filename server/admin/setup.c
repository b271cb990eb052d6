/* DESIGN. A new server has no administrator, and no default password either. It makes a random
 * token at the start and prints it as a link; whoever can read the server's output may use it,
 * once, to become the first administrator. A restart makes another link as long as nobody did. */
#include "base/log.h"
#include "server/admin/admin_private.h"

#include <stdio.h>

/* 64 code points are at most PASSWORD_MAX bytes. */
const char setup_schema_text[] =
    "{\"type\": \"object\","
    " \"properties\": {"
    "  \"token\": {\"type\": \"string\"},"
    "  \"username\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64},"
    "  \"password\": {\"type\": \"string\", \"minLength\": 10, \"maxLength\": 64}},"
    " \"required\": [\"token\", \"username\", \"password\"], \"additionalProperties\": false}";

enum err setup_open(struct admin *admin, char *why, size_t why_size)
{
    bool exist;
    enum err err = administrators_exist(admin, &exist);
    if (err != ERR_OK)
        snprintf(why, why_size, "cannot read the administrators: %s", err_text(err));
    if (err != ERR_OK || exist)
        return err;
    char token[SESSION_TOKEN_SIZE];
    session_token_make(token);
    snprintf(admin->setup_path, sizeof admin->setup_path, "/_/setup?token=%s", token);
    admin->setup_open = true;
    return ERR_OK;
}

static bool token_is_ours(const struct admin *admin, struct slice token)
{
    return admin->setup_open && session_token_is(token, strchr(admin->setup_path, '=') + 1);
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

/* The token is looked at first: it cannot be guessed, and hashing is dear. */
static enum err add_administrator(struct visit *visit, const json_t *body, uint32_t *retry_after_s)
{
    struct admin *admin = visit->admin;
    const char *name = json_str(body, "username", "");
    if (!token_is_ours(admin, slice_str(json_str(body, "token", ""))))
        return ERR_FORBIDDEN;
    if (!administrators_name_is_plain(name))
        return ERR_VALIDATION;
    char hash[PASSWORD_HASH_SIZE];
    enum err err = logins_hash(admin->options.logins, LOGIN_ADMINISTRATORS, visit->request->network,
                               slice_str(json_str(body, "password", "")), hash, retry_after_s);
    if (!err)
        err = administrators_add_first(admin, name, hash);
    if (err == ERR_OK || err == ERR_EXISTS)
        admin->setup_open = false;
    return err;
}

static const char *refusal_text(enum err err)
{
    switch (err) {
    case ERR_FORBIDDEN:
    case ERR_EXISTS:
        return "The link was used already or is not of this start.";
    case ERR_VALIDATION:
        return "A name consists of up to 64 letters, digits and . _ @ -";
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
        answer_signed_in(visit, name);
        log_write(LOG_INFO, "admin", "%s is the first administrator", name);
    } else {
        refuse_login(visit, err, refusal_text(err), retry_after_s);
    }
    json_decref(body);
}
