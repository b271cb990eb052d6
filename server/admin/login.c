#include "base/log.h"
#include "server/admin/admin_private.h"
#include "server/version.h"

#include <stdio.h>

const char login_schema_text[] =
    "{\"type\": \"object\","
    " \"properties\": {"
    "  \"username\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64},"
    "  \"password\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64}},"
    " \"required\": [\"username\", \"password\"], \"additionalProperties\": false}";

static void append_process(struct json_writer *w, const struct admin_options *process)
{
    jw_key(w, "address");
    jw_str(w, slice_str(process->authority));
    jw_key(w, "uptimeMs");
    jw_i64(w, clock_wall_ms(&clock_system) - process->started_ms);
    jw_key(w, "version");
    jw_str(w, slice_str(GALLEY_VERSION));
    jw_key(w, "durability");
    jw_str(w, slice_str("commit"));
}

static void append_session(struct visit *visit, const struct session *session)
{
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    jw_key(&w, "signedIn");
    jw_bool(&w, session);
    jw_key(&w, "setupOpen");
    jw_bool(&w, setup_is_open(visit->admin));
    if (session) {
        jw_key(&w, "user");
        jw_str(&w, slice_str(session->user));
        jw_key(&w, "role");
        jw_str(&w, slice_str(admin_role_name(session->role)));
        jw_key(&w, "csrf");
        jw_str(&w, slice_str(session->csrf));
        append_process(&w, &visit->admin->options);
    }
    jw_end(&w, '}');
}

/* What a page asks first: who am I, and where. */
void serve_session(struct visit *visit)
{
    append_session(visit, visit->signed_in ? &visit->session : NULL);
    response_json(visit->response, 200);
}

void answer_signed_in(struct visit *visit, const char *user, enum admin_role role)
{
    int64_t now_ms = visit->request->received_ms;
    char token[SESSION_TOKEN_SIZE];
    sessions_begin(visit->admin->sessions, slice_str(user), role, now_ms, token);
    struct session session;
    sessions_use(visit->admin->sessions, slice_str(token), now_ms, &session);
    access_set_cookie(visit, token);
    append_session(visit, &session);
    response_json(visit->response, 200);
}

void serve_login_page(struct visit *visit)
{
    if (visit->signed_in)
        serve_redirect(visit, "/_/");
    else
        serve_page(visit, "login.html");
}

/* The same answer after the same time for an unknown name and for a wrong password. */
static enum err check_password(struct visit *visit, const char *name, const char *password,
                               enum admin_role *role, uint32_t *retry_after_s)
{
    struct administrator found;
    enum err err = administrators_find(visit->admin->manage.administrators, name, &found);
    *role = err ? ADMIN_NOBODY : found.role;
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    struct login login = {.door = LOGIN_ADMINISTRATORS,
                          .network = visit->request->network,
                          .name = slice_str(name),
                          .password = slice_str(password),
                          .hash = err == ERR_OK ? found.hash : NULL};
    return logins_check(visit->admin->options.logins, &login, retry_after_s);
}

void refuse_login(struct visit *visit, enum err err, const char *message, uint32_t retry_after_s)
{
    char when[80];
    if (retry_after_s > 0) {
        snprintf(when, sizeof when, "Too many try to sign in; try again in %u s.", retry_after_s);
        message = when;
    }
    response_error(visit->response, visit->request, err, NULL, message, NULL);
    if (retry_after_s > 0)
        response_retry_after(visit->response, retry_after_s);
}

void serve_login(struct visit *visit)
{
    json_t *body = NULL;
    if (!request_read_json(visit->request, visit->admin->login_schema, visit->response, &body))
        return;
    const char *name = json_str(body, "username", "");
    uint32_t retry_after_s = 0;
    enum admin_role role;
    enum err err =
        check_password(visit, name, json_str(body, "password", ""), &role, &retry_after_s);
    if (err == ERR_OK) {
        answer_signed_in(visit, name, role);
        log_write(LOG_INFO, "admin", "%s signed in from %.*s", name,
                  SLICE_ARG(visit->request->address));
    } else if (err == ERR_UNAUTHENTICATED) {
        refuse_login(visit, err, "The name or the password is wrong.", 0);
        log_write(LOG_WARN, "admin", "a sign-in from %.*s failed",
                  SLICE_ARG(visit->request->address));
    } else {
        refuse_login(visit, err, NULL, retry_after_s);
    }
    json_decref(body);
}

void serve_logout(struct visit *visit)
{
    sessions_end(visit->admin->sessions, visit->token);
    access_clear_cookie(visit);
    visit->response->status = 204;
}
