/* /_/api/users and /_/api/administrators: who is who (identity/manage.h). */
#include "base/log.h"
#include "server/admin/admin_private.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX     1000

static struct slice action_name(const struct visit *visit)
{
    static const char prefix[] = "/_/api/";
    struct slice path = visit->request->path;
    return slice_of(path.ptr + sizeof prefix - 1, path.len - (sizeof prefix - 1));
}

static bool may_run(const struct visit *visit, const struct manage_action *action,
                    const json_t *body)
{
    return visit->role >= action->role ||
           (action->own && strcmp(json_str(body, "username", ""), visit->session.user) == 0);
}

static void refuse(struct visit *visit, enum err err, const char *message)
{
    response_error(visit->response, visit->request, err, NULL, message, NULL);
}

static void answer(struct visit *visit, const struct manage_action *action,
                   const struct manage_outcome *outcome)
{
    if (outcome->err) {
        response_error(visit->response, visit->request, outcome->err, outcome->code,
                       outcome->message, outcome->details);
        return;
    }
    json_append(&visit->response->body, outcome->body);
    response_json(visit->response, action->status);
}

/* The password is hashed before the transaction, which must not wait. False after answering. */
static bool hash_password(struct visit *visit, const struct manage_action *action,
                          const json_t *body, char out[PASSWORD_HASH_SIZE])
{
    if (!action->hashes)
        return true;
    uint32_t retry_after_s;
    enum err err =
        logins_hash(visit->admin->options.logins, LOGIN_ADMINISTRATORS, visit->request->network,
                    slice_str(json_str(body, "password", "")), out, &retry_after_s);
    if (err)
        refuse_login(visit, err, NULL, retry_after_s);
    return !err;
}

static void run(struct visit *visit, const struct manage_action *action, const json_t *body)
{
    struct manage_outcome outcome;
    char hash[PASSWORD_HASH_SIZE];
    if (!manage_check(body, &outcome)) {
        answer(visit, action, &outcome);
    } else if (hash_password(visit, action, body, hash)) {
        manage_run(&visit->admin->manage, action, body, action->hashes ? hash : NULL, &outcome);
        answer(visit, action, &outcome);
        log_write(LOG_INFO, "admin", "%s: %s %s: %s", visit_who(visit), action->name,
                  json_str(body, "username", ""), err_code(outcome.err));
    } else {
        return;
    }
    manage_outcome_release(&outcome);
}

void serve_people(struct visit *visit)
{
    const struct manage_action *action = manage_find(action_name(visit));
    json_t *body;
    if (!action) {
        refuse(visit, ERR_NOT_FOUND, NULL);
        return;
    }
    if (visit->role < action->role && !action->own) {
        refuse(visit, ERR_FORBIDDEN, "Your role may not do this.");
        return;
    }
    if (!request_read_json(visit->request, manage_schema(action), visit->response, &body))
        return;
    if (may_run(visit, action, body))
        run(visit, action, body);
    else
        refuse(visit, ERR_FORBIDDEN, "Your role may not do this.");
    json_decref(body);
}

/* ---- Lists */

static bool read_limit(const struct request *request, unsigned *out)
{
    struct buf scratch = BUF_INIT;
    int64_t value = PAGE_DEFAULT;
    struct slice text = request_query(request, "limit", &scratch);
    bool good = !text.ptr || (slice_to_i64(text, &value) && value >= 1 && value <= PAGE_MAX);
    *out = (unsigned)value;
    buf_release(&scratch);
    return good;
}

void serve_users(struct visit *visit)
{
    struct buf prefix = BUF_INIT, after = BUF_INIT;
    struct users_page page = {.prefix = request_query(visit->request, "prefix", &prefix),
                              .after = request_query(visit->request, "after", &after)};
    enum err err = ERR_VALIDATION;
    if (read_limit(visit->request, &page.limit))
        err = manage_list_users(&visit->admin->manage, &page, &visit->response->body);
    if (err)
        refuse(visit, err, err == ERR_VALIDATION ? "limit is 1 to 1000, after a cursor." : NULL);
    else
        response_json(visit->response, 200);
    buf_release(&prefix);
    buf_release(&after);
}

void serve_administrators(struct visit *visit)
{
    json_t *list;
    enum err err = administrators_list(visit->admin->manage.administrators, &list);
    if (err) {
        refuse(visit, err, NULL);
    } else {
        json_t *body = json_pack("{s:O}", "data", list);
        json_append(&visit->response->body, body);
        response_json(visit->response, 200);
        json_decref(body);
    }
    json_decref(list);
}
