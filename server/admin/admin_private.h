/* What the files of server/admin/ share. */
#ifndef GALLEY_SERVER_ADMIN_PRIVATE_H
#define GALLEY_SERVER_ADMIN_PRIVATE_H

#include "base/schema.h"
#include "server/admin/admin.h"
#include "server/admin/history.h"
#include "server/admin/history_keeper.h"
#include "server/admin/route_figures.h"
#include "server/admin/sampler.h"
#include "server/identity/logins.h"
#include "server/identity/manage.h"
#include "storage/collection.h"

struct admin {
    struct admin_options options;
    struct manage manage;      /* users and administrators, from the options */
    struct sessions *sessions; /* the administrators' */
    struct schema *login_schema;
    struct schema *setup_schema;
    struct schema *job_schema;
    struct schema *purge_schema;
    struct schema *drain_schema, *weight_schema; /* upstreams.c */
    struct schema *try_schema;                   /* gateway.c */

    /* The one-time link: "/_/setup?token=..."; the token is its end. */
    char setup_path[16 + SESSION_TOKEN_SIZE];
    bool setup_made; /* there was nobody at the start */

    struct history *history;
    struct history_keeper *keeper;
    struct route_figures *route_figures;
    struct event *news;      /* raised with each sample */
    struct sampler *sampler; /* NULL until the front listens, as is its timer */
    struct timer *timer, *keep_timer, *routes_timer;
    int64_t sample_due_ns;    /* the ticker's thread alone */
    _Atomic unsigned viewers; /* of the live stream */

    struct event *log_news;    /* raised when the log has more lines */
    _Atomic unsigned watchers; /* of the log */
};

/* One request on its way through the admin. */
struct visit {
    struct admin *admin;
    struct request *request;
    struct response *response;
    struct slice token;     /* of the session cookie, or NULL */
    bool signed_in;         /* the cookie's session is alive ... */
    struct session session; /* ... and is this */
    enum admin_role role;   /* what it may do; everything over the control socket */
};

/* Who it is, for the log. */
static inline const char *visit_who(const struct visit *visit)
{
    return visit->signed_in ? visit->session.user : "somebody at the control socket";
}

/* ---- access.c: who asks, and from which page. */

/* Finds the visit's session. */
void access_identify(struct visit *visit);

/* Whether a POST comes from our own page, or from no browser at all. */
bool access_from_our_page(const struct request *request);

/* Whether it carries its session's token. */
bool access_has_csrf_token(const struct visit *visit);

void access_set_cookie(struct visit *visit, const char *token);
void access_clear_cookie(struct visit *visit);

/* ---- What the routes of admin.c serve, in files of their names. */

/* Makes the one-time link if there is no administrator. */
void setup_open(struct admin *admin);

/* Whether the link can still be used. */
bool setup_is_open(const struct admin *admin);

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

void serve_configuration(struct visit *visit);
void serve_mails(struct visit *visit);
void serve_mail(struct visit *visit);
void serve_routes(struct visit *visit);
void serve_logs(struct visit *visit);

extern const char job_schema_text[];
void serve_queues(struct visit *visit);
void serve_jobs(struct visit *visit);
void serve_job(struct visit *visit);
void serve_job_retry(struct visit *visit);
void serve_job_delete(struct visit *visit);

extern const char drain_schema_text[], weight_schema_text[];
extern const char try_schema_text[];
void serve_route_table(struct visit *visit); /* gateway.c */
void serve_route_try(struct visit *visit);

void serve_upstreams(struct visit *visit);
void serve_drain(struct visit *visit);
void serve_weight(struct visit *visit);

/* ---- people.c */
void serve_people(struct visit *visit); /* each action */
void serve_users(struct visit *visit);
void serve_administrators(struct visit *visit);

extern const char purge_schema_text[];
void serve_cache(struct visit *visit);
void serve_cache_entry(struct visit *visit);
void serve_cache_purge(struct visit *visit);

void serve_verify(struct visit *visit);
void serve_verify_state(struct visit *visit);
void serve_storage(struct visit *visit);

/* collections.c */
void serve_collections(struct visit *visit);

/* ---- login.c, for setup.c as well. */

/* Answers with an error; retry_after_s 0: says nothing about when to come again. */
void refuse_login(struct visit *visit, enum err err, const char *message, uint32_t retry_after_s);

/* Signs in and answers 200 with the session. */
void answer_signed_in(struct visit *visit, const char *user, enum admin_role role);

#endif
