/* What the files of server/admin/ share. */
#ifndef GALLEY_SERVER_ADMIN_PRIVATE_H
#define GALLEY_SERVER_ADMIN_PRIVATE_H

#include "base/schema.h"
#include "server/admin/admin.h"
#include "server/admin/history.h"
#include "server/admin/history_keeper.h"
#include "server/admin/sampler.h"
#include "server/identity/logins.h"
#include "server/identity/session.h"
#include "storage/collection.h"

struct admin {
    struct admin_options options;
    struct collection *administrators;
    struct sessions *sessions;
    struct schema *login_schema;
    struct schema *setup_schema;
    struct schema *job_schema;

    /* The one-time link: "/_/setup?token=..."; the token is its end. */
    char setup_path[16 + SESSION_TOKEN_SIZE];
    _Atomic bool setup_open;

    struct history *history;
    struct history_keeper *keeper;
    struct event *news;      /* raised with each sample */
    struct sampler *sampler; /* NULL until the front listens, as is its timer */
    struct timer *timer, *keep_timer;
    int64_t sample_due_ns;    /* the ticker's thread alone */
    _Atomic unsigned viewers; /* of the live stream */
};

/* One request on its way through the admin. */
struct visit {
    struct admin *admin;
    struct request *request;
    struct response *response;
    struct slice token;     /* of the session cookie, or NULL */
    bool signed_in;         /* the cookie's session is alive ... */
    struct session session; /* ... and is this */
};

/* ---- access.c: who asks, and from which page. */

/* Finds the visit's session. */
void access_identify(struct visit *visit);

/* Whether a POST comes from our own page, or from no browser at all. */
bool access_from_our_page(const struct request *request);

/* Whether it carries its session's token. */
bool access_has_csrf_token(const struct visit *visit);

void access_set_cookie(struct visit *visit, const char *token);
void access_clear_cookie(struct visit *visit);

/* ---- administrators.c: their collection. */

enum err administrators_open(struct admin *admin, char *why, size_t why_size);
enum err administrators_exist(struct admin *admin, bool *exist);

/* Adds the first one; ERR_EXISTS when there is one already. */
enum err administrators_add_first(struct admin *admin, const char *name, const char *password_hash);

/* Names appear in logs: 1 to SESSION_USER_MAX letters, digits and "._@-". */
bool administrators_name_is_plain(const char *name);

/* ERR_NOT_FOUND when there is nobody of that name. */
enum err administrators_password_hash(struct admin *admin, const char *name,
                                      char out[PASSWORD_HASH_SIZE]);

/* ---- setup.c, login.c, pages.c, stream.c, reload.c, jobs.c: what the routes of admin.c serve. */

/* Makes the one-time link if there is no administrator. */
enum err setup_open(struct admin *admin, char *why, size_t why_size);

extern const char setup_schema_text[];
void serve_setup_page(struct visit *visit);
void serve_setup(struct visit *visit);

extern const char login_schema_text[];
void serve_login_page(struct visit *visit);
void serve_login(struct visit *visit);
void serve_logout(struct visit *visit);
void serve_session(struct visit *visit);

void serve_shell(struct visit *visit);
void serve_asset(struct visit *visit);
void serve_page(struct visit *visit, const char *asset_path);
void serve_redirect(struct visit *visit, const char *location);

void serve_live(struct visit *visit);
void serve_history(struct visit *visit);

void serve_reload(struct visit *visit);

extern const char job_schema_text[];
void serve_queues(struct visit *visit);
void serve_jobs(struct visit *visit);
void serve_job(struct visit *visit);
void serve_job_retry(struct visit *visit);
void serve_job_delete(struct visit *visit);

/* ---- login.c, for setup.c as well. */

/* Answers with an error; retry_after_s 0: says nothing about when to come again. */
void refuse_login(struct visit *visit, enum err err, const char *message, uint32_t retry_after_s);

/* Signs in and answers 200 with the session. */
void answer_signed_in(struct visit *visit, const char *user);

#endif
