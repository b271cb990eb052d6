/* Every route of the process, in one list: the operations pages, the admin, and the modules' routes
 * where a [route] section of the configuration mounts them. */
#include "server/galley_private.h"

#include "base/mem.h"
#include "server/admin/admin.h"

#include <assert.h>
#include <stdio.h>

static void redirect_to_admin(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response_header(response, "Location", slice_str("/_/"));
    response->status = 308;
}

/* ---- [route] sections */

struct mount {
    const struct config_section *section;
    bool used;
};

struct mounts {
    struct mount *list;
    unsigned count;
};

static struct mounts mounts_of(const struct config *config)
{
    struct mounts mounts = {.count = config_named_count(config, "route")};
    mounts.list = mem_zalloc((mounts.count + 1) * sizeof *mounts.list);
    for (unsigned i = 0; i < mounts.count; i++)
        mounts.list[i] = (struct mount){config_named(config, "route", i), false};
    return mounts;
}

/* Whether a section's path covers a route's pattern: "/notes" followed by a slash and a star covers
 * the place "/notes" and all that is below it. */
static bool path_covers(const char *path, const char *pattern)
{
    size_t len = strlen(path);
    if (!len || path[len - 1] != '*')
        return strcmp(path, pattern) == 0;
    size_t place = len - 2; /* without the slash and the star */
    return strncmp(path, pattern, place) == 0 && (pattern[place] == '/' || pattern[place] == '\0');
}

/* No method named: all of them. Else a list, "GET, POST". */
static bool method_covers(const char *methods, enum method method)
{
    struct slice rest = slice_str(methods);
    if (!rest.len)
        return true;
    while (rest.ptr) {
        struct slice name = slice_trim(slice_cut(&rest, ','));
        if (slice_is(name, method_name(method)))
            return true;
    }
    return false;
}

static bool covers(const struct config_section *section, const struct app_route_info *info)
{
    const char *target = config_text(section, "target");
    return strncmp(target, "app:", 4) == 0 && strcmp(target + 4, info->module->name) == 0 &&
           path_covers(config_text(section, "path"), info->route->pattern) &&
           method_covers(config_text(section, "method"), info->route->method);
}

/* How closely a section names its routes: an exact path before a prefix, a longer one before a
 * shorter, one with methods before one without. */
static size_t closeness(const struct config_section *section)
{
    const char *path = config_text(section, "path");
    size_t len = strlen(path);
    bool exact = !len || path[len - 1] != '*';
    return (exact ? 1u << 20 : 0) + 2 * len + (config_text(section, "method")[0] ? 1 : 0);
}

/* The section that mounts a route; the first in the file of those that are equally close. */
static struct mount *find_mount(const struct mounts *mounts, const struct app_route_info *info)
{
    struct mount *best = NULL;
    for (unsigned i = 0; i < mounts->count; i++) {
        struct mount *mount = &mounts->list[i];
        if (covers(mount->section, info) &&
            (!best || closeness(mount->section) > closeness(best->section)))
            best = mount;
    }
    return best;
}

static void note_used(const struct mounts *mounts, const struct app_module *module)
{
    for (unsigned i = 0; i < module->route_count; i++) {
        struct app_route_info info = {.module = module, .route = &module->routes[i]};
        struct mount *mount = find_mount(mounts, &info);
        if (mount)
            mount->used = true;
    }
}

/* ---- Routes that say the same */

/* "/orders/{id}" and "/orders/{number}" are one shape. */
static bool same_shape(const char *a, const char *b)
{
    while (*a && *a == *b) {
        if (*a == '{') {
            a = strchr(a, '}');
            b = strchr(b, '}');
        }
        a++, b++;
    }
    return *a == *b;
}

struct served {
    const struct app_module *module;
    const struct app_route *route;
};

/* All that some section mounts, and what is always served; the caller frees it. */
static struct served *list_served(const struct mounts *mounts,
                                  const struct app_module *const *modules, unsigned *count)
{
    unsigned room = 0;
    for (unsigned i = 0; modules[i]; i++)
        room += modules[i]->route_count;
    struct served *list = mem_zalloc((room + 1) * sizeof *list);
    *count = 0;
    for (; *modules; modules++) {
        for (unsigned i = 0; i < (*modules)->route_count; i++) {
            struct app_route_info info = {.module = *modules, .route = &(*modules)->routes[i]};
            if ((*modules)->always || find_mount(mounts, &info))
                list[(*count)++] = (struct served){*modules, info.route};
        }
    }
    return list;
}

static bool complain_equal(const struct served *a, const struct served *b, const char *path,
                           struct buf *errors)
{
    if (a->route->method != b->route->method || !same_shape(a->route->pattern, b->route->pattern))
        return true;
    buf_printf(errors, "%s: module %s and module %s both have the route %s %s", path,
               a->module->name, b->module->name, method_name(a->route->method), a->route->pattern);
    if (strcmp(a->route->pattern, b->route->pattern) != 0)
        buf_printf(errors, " (%s)", b->route->pattern);
    buf_append_str(errors, "; mount one of them alone, by a [route] for each of its paths\n");
    return false;
}

static bool check_equal(const struct mounts *mounts, const struct app_module *const *modules,
                        const char *path, struct buf *errors)
{
    unsigned count;
    struct served *list = list_served(mounts, modules, &count);
    bool good = true;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = i + 1; j < count; j++)
            good = complain_equal(&list[i], &list[j], path, errors) && good;
    }
    free(list);
    return good;
}

/* ---- Routes that nobody reaches */

/* How long the beginning of the first route's pattern is below which all of them are: "/notes" of
 * "/notes" and "/notes/{id}", nothing of "/products" and "/orders". */
static int common_place(const struct app_module *module)
{
    const char *first = module->routes[0].pattern;
    size_t place = strcspn(first + 1, "/") + 1;
    for (unsigned i = 1; i < module->route_count; i++) {
        const char *other = module->routes[i].pattern;
        if (strcspn(other + 1, "/") + 1 != place || strncmp(first, other, place) != 0)
            return 0;
    }
    return (int)place;
}

static void warn_of_module(const struct app_module *module, unsigned missing, const char *path,
                           struct buf *out)
{
    int place = common_place(module);
    buf_printf(out,
               "%s: warning: no [route] mounts module %s, so none of its %u routes is served; "
               "allowed: [route %s], path = %.*s/*, target = app:%s\n",
               path, module->name, missing, module->name, place, module->routes[0].pattern,
               module->name);
}

static void warn_of_routes(const struct mounts *mounts, const struct app_module *module,
                           const char *path, struct buf *out)
{
    unsigned missing = 0;
    size_t before = out->len;
    for (unsigned i = 0; i < module->route_count; i++) {
        struct app_route_info info = {.module = module, .route = &module->routes[i]};
        if (find_mount(mounts, &info))
            continue;
        missing++;
        buf_printf(out, "%s: warning: no [route] mounts %s %s of module %s\n", path,
                   method_name(info.route->method), info.route->pattern, module->name);
    }
    if (missing == 0 || missing < module->route_count)
        return;
    out->len = before;
    warn_of_module(module, missing, path, out);
}

void routes_warn(const struct config *config, const struct app_module *const *modules,
                 const char *path, struct buf *out)
{
    struct mounts mounts = mounts_of(config);
    for (; *modules; modules++) {
        if (!(*modules)->always)
            warn_of_routes(&mounts, *modules, path, out);
    }
    free(mounts.list);
}

/* ---- Checking */

bool routes_check(const struct config *config, const struct app_module *const *modules,
                  const char *path, struct buf *errors)
{
    struct mounts mounts = mounts_of(config);
    bool good = check_equal(&mounts, modules, path, errors);
    for (; *modules; modules++)
        note_used(&mounts, *modules);
    for (unsigned i = 0; i < mounts.count; i++) {
        const struct config_section *section = mounts.list[i].section;
        if (mounts.list[i].used)
            continue;
        buf_printf(errors,
                   "%s:%u: [route %s] mounts nothing: %s has no such route, or a closer section "
                   "has it\n",
                   path, config_line(section), config_name(section),
                   config_text(section, "target"));
        good = false;
    }
    free(mounts.list);
    return good;
}

static int64_t body_max(const struct config *config, const struct config_section *route)
{
    int64_t own = route ? config_int(route, "body_max") : 0;
    return own > 0 ? own : config_int(config_section(config, "server"), "body_max");
}

static struct rate_limit rate_of(const struct config_section *section, const char *key)
{
    struct rate_limit limit = {0};
    const char *text = config_text(section, key);
    char why[128];
    bool parsed = !*text || rate_limit_parse(slice_str(text), &limit, why, sizeof why);
    assert(parsed); /* the configuration checked it */
    return limit;
}

static void tiers_read(const struct config_section *section, struct route_spec *spec)
{
    unsigned count = config_list_count(section, "rate_tier");
    assert(count <= ROUTE_TIERS_MAX); /* the configuration checked it */
    for (unsigned i = 0; i < count; i++) {
        struct rate_tier *tier = &spec->tiers[spec->tier_count++];
        struct slice rest = slice_str(config_list_at(section, "rate_tier", i));
        struct slice role = slice_cut(&rest, ' ');
        char why[128];
        memcpy(tier->role, role.ptr, role.len); /* at most 32 bytes, likewise */
        bool parsed = rate_limit_parse(rest, &tier->limit, why, sizeof why);
        assert(parsed);
    }
}

/* ---- Pages of other origins */

/* The options, and the words that they point to. */
struct cors_words {
    struct cors_options options;
    const char **words;
};

static unsigned list_words(const struct config_section *section, const char *key,
                           const char *const **out, const char ***room)
{
    unsigned count = config_list_count(section, key);
    *out = *room;
    for (unsigned i = 0; i < count; i++)
        *(*room)++ = config_list_at(section, key, i);
    return count;
}

static bool may_have_credentials(const struct config_section *cors,
                                 const struct config_section *route)
{
    enum { AS_CORS, YES, NO } own = route ? config_choice(route, "cors_credentials") : AS_CORS;
    return own == AS_CORS ? config_bool(cors, "credentials") : own == YES;
}

/* What [cors] says, and a route, if there is one, otherwise. */
static void cors_read(const struct config *config, const struct config_section *route,
                      struct cors_words *out)
{
    const struct config_section *cors = config_section(config, "cors");
    bool own = route && config_list_count(route, "cors_origins") > 0;
    const struct config_section *from = own ? route : cors;
    const char *key = own ? "cors_origins" : "origins";
    unsigned count = config_list_count(from, key) + config_list_count(cors, "methods") +
                     config_list_count(cors, "headers") + config_list_count(cors, "expose");
    const char **room = out->words = mem_zalloc((count + 1) * sizeof *out->words);
    struct cors_options *options = &out->options;
    options->origin_count = list_words(from, key, &options->origins, &room);
    options->method_count = list_words(cors, "methods", &options->methods, &room);
    options->header_count = list_words(cors, "headers", &options->headers, &room);
    options->expose_count = list_words(cors, "expose", &options->expose, &room);
    options->credentials = may_have_credentials(cors, route);
    options->max_age_s = config_int(cors, "max_age") / 1000;
}

/* ---- A module's route */

static void roles_read(const struct config_section *section, struct route_spec *spec)
{
    unsigned count = config_list_count(section, "roles");
    assert(count <= ROUTE_ROLES_MAX); /* the configuration checked it */
    for (unsigned i = 0; i < count; i++)
        spec->roles[spec->role_count++] = config_list_at(section, "roles", i);
    spec->signed_in |= count > 0;
}

/* Routes that one section mounts share its limit; `section` is NULL for one that is served without.
 */
static struct route_spec app_spec(const struct config *config, const struct app_route_info *info,
                                  const struct config_section *section)
{
    struct route_spec spec = {.method = info->route->method,
                              .pattern = info->route->pattern,
                              .signed_in = info->route->who != APP_ANYONE,
                              .idempotent_key = info->route->access == APP_WRITE,
                              .schema = info->schema,
                              .priority = PRIORITY_NORMAL,
                              .reach = REACH_PUBLIC,
                              .target = app_target,
                              .arg = info->arg};
    if (section) {
        roles_read(section, &spec);
        spec.limit = rate_of(section, "rate_limit");
        tiers_read(section, &spec);
        spec.limit_name = config_name(section);
        spec.priority = (enum priority)config_choice(section, "priority");
        route_cache_read(section, &spec.cache);
    }
    if (spec.schema)
        spec.body_max = (size_t)body_max(config, section);
    return spec;
}

/* ---- The list */

#define OWN_ROUTES 8

struct route_list {
    struct route_spec *specs;
    unsigned count;
    struct cors_words *cors; /* one for each route of a module, and one for what has no route */
    unsigned cors_count;
};

static const struct cors_options *add_cors(struct route_list *list, const struct config *config,
                                           const struct config_section *route)
{
    struct cors_words *words = &list->cors[list->cors_count++];
    cors_read(config, route, words);
    return &words->options;
}

static void add(struct route_list *list, struct route_spec spec)
{
    list->specs[list->count++] = spec;
}

#define ADMIN_BODY_MAX 65536

/* What operates the server is served when nothing else is; what an administrator changes may have
 * to wait for the disk, and waits with the others. */
static void add_own(struct route_list *list, struct galley *galley)
{
    if (config_text(config_section(galley->config, "server"), "acme_webroot")[0] != '\0')
        add(list, (struct route_spec){METHOD_GET, ACME_PATH "{token}", .own = true,
                                      .target = acme_target, .arg = galley});
    static const struct {
        enum method method;
        const char *pattern;
        target_fn target;
        enum priority priority;
        enum route_reach reach;
        bool known_host;
    } own[] = {
        {METHOD_GET, "/healthz", ops_healthz, PRIORITY_CRITICAL, REACH_ALL, false},
        {METHOD_GET, "/readyz", ops_readyz, PRIORITY_CRITICAL, REACH_ALL, false},
        {METHOD_GET, "/metrics", ops_metrics, PRIORITY_CRITICAL, REACH_ADMIN, false},
        {METHOD_GET, "/_", redirect_to_admin, PRIORITY_CRITICAL, REACH_ADMIN, true},
        {METHOD_GET, "/_/*", admin_target, PRIORITY_CRITICAL, REACH_ADMIN, true},
        {METHOD_POST, "/_/*", admin_target, PRIORITY_NORMAL, REACH_ADMIN, true},
    };
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        bool post = own[i].method == METHOD_POST;
        bool admin = own[i].target == admin_target;
        add(list, (struct route_spec){.method = own[i].method,
                                      .pattern = own[i].pattern,
                                      .priority = own[i].priority,
                                      .reach = own[i].reach,
                                      .known_host = own[i].known_host,
                                      .own = true,
                                      .body_max = post ? ADMIN_BODY_MAX : 0,
                                      .target = own[i].target,
                                      .arg = admin ? (void *)galley->admin : galley});
    }
}

/* Unless a module has the place. */
static void add_landing(struct route_list *list, struct galley *galley, const struct config *config)
{
    bool wanted = config_bool(config_section(config, "server"), "landing");
    for (unsigned i = 0; wanted && i < list->count; i++)
        wanted = list->specs[i].method != METHOD_GET || strcmp(list->specs[i].pattern, "/") != 0;
    if (wanted)
        add(list, (struct route_spec){.method = METHOD_GET,
                                      .pattern = "/",
                                      .reach = REACH_PUBLIC,
                                      .own = true,
                                      .target = landing_target,
                                      .arg = galley->admin});
}

static void add_modules(struct route_list *list, struct galley *galley, const struct config *config)
{
    struct mounts mounts = mounts_of(config);
    for (unsigned i = 0; i < app_route_count(galley->app); i++) {
        struct app_route_info info = app_route(galley->app, i);
        const struct mount *mount = find_mount(&mounts, &info);
        if (!mount && !info.module->always)
            continue; /* not reachable, by choice of the configuration */
        struct route_spec spec = app_spec(config, &info, mount ? mount->section : NULL);
        spec.cors = add_cors(list, config, mount ? mount->section : NULL);
        add(list, spec);
    }
    free(mounts.list);
}

static struct cidr_list networks(const struct config_section *section, const char *key)
{
    struct cidr_list list = {0};
    char why[128];
    for (unsigned i = 0; i < config_list_count(section, key); i++) {
        struct slice text = slice_str(config_list_at(section, key, i));
        bool parsed = cidr_list_parse(&list, text, why, sizeof why);
        assert(parsed); /* the configuration checked it */
    }
    return list;
}

/* The caller frees the array, whose names are the configuration's. */
static const char **list_hosts(const struct config_section *server)
{
    unsigned count = config_list_count(server, "hosts");
    const char **hosts = mem_zalloc((count + 1) * sizeof *hosts);
    for (unsigned i = 0; i < count; i++)
        hosts[i] = config_list_at(server, "hosts", i);
    return hosts;
}

static enum err create(struct galley *galley, const struct config *config, struct route_list *list,
                       struct plan **out, char *why, size_t why_size)
{
    const struct config_section *server = config_section(config, "server");
    const struct config_section *compression = config_section(config, "compression");
    const char **hosts = list_hosts(server);
    struct plan_options options = {
        .routes = list->specs,
        .route_count = list->count,
        .cors = add_cors(list, config, NULL),
        .trusted = networks(server, "trusted_proxies"),
        .address_limit = rate_of(server, "address_limit"),
        .guard = {.allow = networks(config_section(config, "admin"), "allow"),
                  .hosts = hosts,
                  .host_count = config_list_count(server, "hosts"),
                  .listener = galley->admin_listener},
        .old_rate_headers = config_choice(server, "rate_limit_headers") == 1,
        .compress = config_bool(compression, "enabled"),
        .compress_min_bytes = (size_t)config_int(compression, "min_size"),
        .cached_body_max = (size_t)config_int(config_section(config, "cache"), "response_max"),
    };
    enum err err = plan_create(galley->gateway, &options, out, why, why_size);
    free(hosts);
    if (err) {
        cidr_list_release(&options.trusted);
        cidr_list_release(&options.guard.allow);
    }
    return err;
}

enum err routes_plan(struct galley *galley, const struct config *config, struct plan **out,
                     char *why, size_t why_size)
{
    struct route_list list = {0};
    unsigned of_modules = app_route_count(galley->app);
    list.specs = mem_zalloc((OWN_ROUTES + of_modules) * sizeof *list.specs);
    list.cors = mem_zalloc((of_modules + 1) * sizeof *list.cors);
    add_own(&list, galley);
    add_modules(&list, galley, config);
    add_landing(&list, galley, config);
    enum err err = create(galley, config, &list, out, why, why_size);
    while (list.cors_count > 0)
        free(list.cors[--list.cors_count].words);
    free(list.cors);
    free(list.specs);
    return err;
}
