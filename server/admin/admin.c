/* DESIGN. Everything below /_/ comes in through admin_target and is served by one table. A row says
 * whether a session is needed; pages without one lead to the login, API calls get 401. */
#include "server/admin/admin_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define SAMPLE_NS 1000000000LL
#define KEEP_MS   60000

/* No inline script or style, nothing from elsewhere, in nobody's frame. */
#define CONTENT_SECURITY_POLICY                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

#define ANYONE ADMIN_NOBODY

struct admin_route {
    enum method method;
    const char *path;     /* a final '*' stands for any rest */
    enum admin_role role; /* that it takes at least; the control socket has all */
    void (*serve)(struct visit *visit);
    const char *cache_control;
};

static const struct admin_route routes[] = {
    {METHOD_GET, "/_/", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/jobs", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/jobs/*", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/users", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/users/administrators", ADMIN_ADMINISTRATOR, serve_shell, "no-store"},
    {METHOD_GET, "/_/routes", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/reference", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/gateway", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/logs", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/mails", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/mails/*", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/storage", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/cache", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/configuration", ADMIN_VIEWER, serve_shell, "no-store"},
    {METHOD_GET, "/_/login", ANYONE, serve_login_page, "no-store"},
    {METHOD_GET, "/_/setup", ANYONE, serve_setup_page, "no-store"},
    {METHOD_GET, "/_/assets/*", ANYONE, serve_asset, "public, max-age=31536000, immutable"},
    {METHOD_GET, "/_/api/session", ANYONE, serve_session, "no-store"},
    {METHOD_POST, "/_/api/setup", ANYONE, serve_setup, "no-store"},
    {METHOD_POST, "/_/api/login", ANYONE, serve_login, "no-store"},
    {METHOD_POST, "/_/api/logout", ADMIN_VIEWER, serve_logout, "no-store"},
    {METHOD_POST, "/_/api/reload", ADMIN_OPERATOR, serve_reload, "no-store"},
    {METHOD_POST, "/_/api/verify", ADMIN_OPERATOR, serve_verify, "no-store"},
    {METHOD_GET, "/_/api/verify", ADMIN_VIEWER, serve_verify_state, "no-store"},
    {METHOD_GET, "/_/api/storage", ADMIN_VIEWER, serve_storage, "no-store"},
    {METHOD_GET, "/_/api/collections", ADMIN_VIEWER, serve_collections, "no-store"},
    {METHOD_GET, "/_/api/users", ADMIN_VIEWER, serve_users, "no-store"},
    {METHOD_POST, "/_/api/users/*", ADMIN_VIEWER, serve_people, "no-store"},
    {METHOD_GET, "/_/api/administrators", ADMIN_ADMINISTRATOR, serve_administrators, "no-store"},
    {METHOD_POST, "/_/api/administrators/*", ADMIN_VIEWER, serve_people, "no-store"},
    {METHOD_GET, "/_/api/live", ADMIN_VIEWER, serve_live, "no-store"},
    {METHOD_GET, "/_/api/history", ADMIN_VIEWER, serve_history, "no-store"},
    {METHOD_GET, "/_/api/queues", ADMIN_VIEWER, serve_queues, "no-store"},
    {METHOD_GET, "/_/api/jobs", ADMIN_VIEWER, serve_jobs, "no-store"},
    {METHOD_POST, "/_/api/jobs/retry", ADMIN_OPERATOR, serve_job_retry, "no-store"},
    {METHOD_POST, "/_/api/jobs/delete", ADMIN_OPERATOR, serve_job_delete, "no-store"},
    {METHOD_GET, "/_/api/jobs/*", ADMIN_VIEWER, serve_job, "no-store"},
    {METHOD_GET, "/_/api/routes", ADMIN_VIEWER, serve_routes, "no-store"},
    {METHOD_GET, "/_/api/gateway/routes", ADMIN_VIEWER, serve_route_table, "no-store"},
    {METHOD_POST, "/_/api/gateway/try", ADMIN_VIEWER, serve_route_try, "no-store"},
    {METHOD_GET, "/_/api/cache", ADMIN_VIEWER, serve_cache, "no-store"},
    {METHOD_GET, "/_/api/cache/entry", ADMIN_VIEWER, serve_cache_entry, "no-store"},
    {METHOD_POST, "/_/api/cache/purge", ADMIN_OPERATOR, serve_cache_purge, "no-store"},
    {METHOD_GET, "/_/api/upstreams", ADMIN_VIEWER, serve_upstreams, "no-store"},
    {METHOD_POST, "/_/api/upstreams/drain", ADMIN_OPERATOR, serve_drain, "no-store"},
    {METHOD_POST, "/_/api/upstreams/weight", ADMIN_OPERATOR, serve_weight, "no-store"},
    {METHOD_GET, "/_/api/logs", ADMIN_VIEWER, serve_logs, "no-store"},
    {METHOD_GET, "/_/api/mails", ADMIN_VIEWER, serve_mails, "no-store"},
    {METHOD_GET, "/_/api/mails/*", ADMIN_VIEWER, serve_mail, "no-store"},
    {METHOD_GET, "/_/api/configuration", ADMIN_VIEWER, serve_configuration, "no-store"},
};

static bool path_matches(struct slice path, const char *pattern)
{
    size_t len = strlen(pattern);
    if (pattern[len - 1] == '*')
        return slice_starts(path, slice_of(pattern, len - 1));
    return slice_is(path, pattern);
}

/* ERR_NOT_FOUND, or ERR_METHOD with the row that has the path. */
static enum err route_find(const struct request *request, const struct admin_route **out)
{
    enum method method = request->method == METHOD_HEAD ? METHOD_GET : request->method;
    *out = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_matches(request->path, routes[i].path))
            continue;
        *out = &routes[i];
        if (routes[i].method == method)
            return ERR_OK;
    }
    return *out ? ERR_METHOD : ERR_NOT_FOUND;
}

static void refuse(struct visit *visit, enum err err)
{
    response_error(visit->response, visit->request, err, NULL, NULL, NULL);
}

static enum err check_access(const struct visit *visit, const struct admin_route *route)
{
    bool post = route->method == METHOD_POST;
    if (route->role != ANYONE && visit->request->local)
        return ERR_OK;
    if (post && !access_from_our_page(visit->request))
        return ERR_FORBIDDEN;
    if (route->role == ANYONE)
        return ERR_OK;
    if (!visit->signed_in)
        return ERR_UNAUTHENTICATED;
    if (visit->role < route->role)
        return ERR_FORBIDDEN;
    return post && !access_has_csrf_token(visit) ? ERR_FORBIDDEN : ERR_OK;
}

/* Back to the same view afterwards, if its address is plain. */
static void lead_to_login(struct visit *visit)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-";
    struct slice path = visit->request->path;
    struct buf location = BUF_INIT;
    buf_append_str(&location, "/_/login");
    bool view = path.len > sizeof "/_/" - 1 && path.len <= 100;
    for (size_t i = 0; view && i < path.len; i++)
        view = path.ptr[i] && strchr(plain, path.ptr[i]);
    if (view)
        buf_printf(&location, "?to=%.*s", SLICE_ARG(path));
    buf_append_char(&location, '\0');
    serve_redirect(visit, location.data);
    buf_release(&location);
}

static void serve_route(struct visit *visit, const struct admin_route *route)
{
    bool page = !slice_starts(visit->request->path, slice_str("/_/api/"));
    enum err err = check_access(visit, route);
    if (err == ERR_UNAUTHENTICATED && page)
        lead_to_login(visit);
    else if (err != ERR_OK)
        refuse(visit, err);
    else
        route->serve(visit);
}

void admin_target(struct request *request, struct response *response, void *arg)
{
    struct visit visit = {.admin = arg, .request = request, .response = response};
    const struct admin_route *route;
    enum err err = route_find(request, &route);
    access_identify(&visit);
    if (err == ERR_OK)
        serve_route(&visit, route);
    else
        refuse(&visit, err);
    if (err == ERR_METHOD)
        response_header(response, "Allow", slice_str(method_name(route->method)));

    bool served = err == ERR_OK && response->status < 400;
    bool page_asks = slice_starts(request->path, slice_str("/_/api/"));
    response->quiet |= page_asks && request->method == METHOD_GET; /* again and again */
    const char *cache_control = served ? route->cache_control : "no-store";
    response_header(response, "Cache-Control", slice_str(cache_control));
    response_header(response, "Content-Security-Policy", slice_str(CONTENT_SECURITY_POLICY));
}

void landing_target(struct request *request, struct response *response, void *arg)
{
    struct visit visit = {.admin = arg, .request = request, .response = response};
    serve_page(&visit, "landing.html");
    response_header(response, "Cache-Control", slice_str("no-store"));
    response_header(response, "Content-Security-Policy", slice_str(CONTENT_SECURITY_POLICY));
}

/* ---- Opening and closing. */

static struct schema *own_schema(const char *text)
{
    char why[128];
    struct schema *schema = schema_compile(text, why, sizeof why);
    assert(schema);
    return schema;
}

static void tell_log_news(void *arg)
{
    event_raise(((struct admin *)arg)->log_news);
}

struct admin *admin_create(const struct admin_options *options)
{
    struct admin *admin = mem_zalloc(sizeof *admin);
    admin->options = *options;
    admin->manage = (struct manage){options->store, options->users, options->administrators};
    admin->sessions = administrators_sessions(options->administrators);
    manage_init();
    admin->history = history_create();
    admin->news = event_create();
    admin->log_news = event_create();
    log_tail_begin(tell_log_news, admin);
    admin->keeper = history_keeper_create(options->store, admin->history);
    admin->route_figures = route_figures_create(options->gateway);
    admin->login_schema = own_schema(login_schema_text);
    admin->setup_schema = own_schema(setup_schema_text);
    admin->job_schema = own_schema(job_schema_text);
    admin->purge_schema = own_schema(purge_schema_text);
    admin->drain_schema = own_schema(drain_schema_text);
    admin->try_schema = own_schema(try_schema_text);
    admin->weight_schema = own_schema(weight_schema_text);

    if (!administrators_exist(options->administrators))
        setup_open(admin);
    return admin;
}

void admin_destroy(struct admin **out)
{
    struct admin *admin = *out;
    if (!admin)
        return;
    assert(!admin->timer);
    log_tail_end();
    event_destroy(&admin->log_news);
    event_destroy(&admin->news);
    route_figures_destroy(&admin->route_figures);
    history_keeper_destroy(&admin->keeper);
    history_destroy(&admin->history);
    manage_release();
    schema_destroy(&admin->login_schema);
    schema_destroy(&admin->setup_schema);
    schema_destroy(&admin->job_schema);
    schema_destroy(&admin->purge_schema);
    schema_destroy(&admin->drain_schema);
    schema_destroy(&admin->try_schema);
    schema_destroy(&admin->weight_schema);
    free(admin);
    *out = NULL;
}

/* On the second, so that a chart's points are evenly apart; starts afresh after a long pause. */
static int64_t sample_tick(void *arg, int64_t mono_ns)
{
    struct admin *admin = arg;
    sampler_run(admin->sampler);
    event_raise(admin->news);
    admin->sample_due_ns += SAMPLE_NS;
    if (admin->sample_due_ns <= mono_ns)
        admin->sample_due_ns = mono_ns + SAMPLE_NS;
    return (admin->sample_due_ns - mono_ns + 999999) / 1000000;
}

static int64_t keep_history(void *arg, int64_t mono_ns)
{
    (void)mono_ns;
    history_keeper_save(((struct admin *)arg)->keeper);
    return KEEP_MS;
}

static int64_t note_routes(void *arg, int64_t mono_ns)
{
    route_figures_note(((struct admin *)arg)->route_figures, mono_ns);
    return ROUTE_FIGURES_STEP_MS;
}

void admin_started(struct admin *admin)
{
    admin->sampler = sampler_create(&admin->options, admin->history);
    admin->sample_due_ns = clock_mono_ns(&clock_system) + SAMPLE_NS;
    admin->timer = ticker_add(admin->options.ticker, sample_tick, admin, SAMPLE_NS / 1000000);
    admin->keep_timer = ticker_add(admin->options.maintenance, keep_history, admin, KEEP_MS);
    admin->routes_timer =
        ticker_add(admin->options.ticker, note_routes, admin, ROUTE_FIGURES_STEP_MS);
}

void admin_stopping(struct admin *admin)
{
    if (!admin || !admin->timer)
        return;
    timer_cancel(admin->timer);
    timer_cancel(admin->keep_timer);
    timer_cancel(admin->routes_timer);
    admin->timer = admin->keep_timer = admin->routes_timer = NULL;
    history_keeper_save(admin->keeper);
    sampler_destroy(&admin->sampler);
}

const char *admin_setup_path(const struct admin *admin)
{
    return setup_is_open(admin) ? admin->setup_path : NULL;
}
