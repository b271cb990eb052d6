/* DESIGN. A section [route NAME] is a place: a host, a path, methods, conditions. With a target of
 * its own it is a route as it stands there. With target = app:MODULE it mounts those of the
 * module's routes that its path and methods cover, each with the module's own pattern and method:
 * of the sections of one place (the same host and conditions) the one that names the route most
 * closely. Where two sections come to serve the very same, the closer one does; equally close is an
 * error. */
#include "server/routes_private.h"

#include "base/mem.h"
#include "server/gateway/route_pattern.h"
#include "server/gateway/site.h"

#include <stdlib.h>
#include <strings.h>

bool target_is(const struct config_section *section, const char *kind)
{
    const char *target = config_text(section, "target");
    size_t len = strlen(kind);
    return strncmp(target, kind, len) == 0 && target[len] == ':';
}

const char *target_rest(const struct config_section *section)
{
    const char *colon = strchr(config_text(section, "target"), ':');
    return colon ? colon + 1 : "";
}

/* ---- What a section covers */

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
    return target_is(section, "app") && strcmp(target_rest(section), info->module->name) == 0 &&
           path_covers(config_text(section, "path"), info->route->pattern) &&
           method_covers(config_text(section, "method"), info->route->method);
}

/* How closely a section names its routes: an exact path before a prefix, a longer one before a
 * shorter, one with methods before one without; what is served always comes last. */
static size_t closeness(const struct config_section *section)
{
    if (!section)
        return 0;
    const char *path = config_text(section, "path");
    size_t len = strlen(path);
    bool exact = !len || path[len - 1] != '*';
    return (exact ? 1u << 20 : 0) + 2 * len + (config_text(section, "method")[0] ? 1 : 0);
}

static const char *const condition_keys[] = {"header", "query", "device", "version", "client"};

/* NULL stands for a section without any. */
static unsigned value_count(const struct config_section *section, const char *key)
{
    return section ? config_list_count(section, key) : 0;
}

static bool has_value(const struct config_section *section, const char *key, const char *value)
{
    for (unsigned i = 0; i < value_count(section, key); i++) {
        if (strcmp(config_list_at(section, key, i), value) == 0)
            return true;
    }
    return false;
}

static bool same_values(const struct config_section *a, const struct config_section *b,
                        const char *key)
{
    bool same = value_count(a, key) == value_count(b, key);
    for (unsigned i = 0; same && i < value_count(a, key); i++)
        same = has_value(b, key, config_list_at(a, key, i)) &&
               has_value(a, key, config_list_at(b, key, i));
    return same;
}

/* Whether they are of one place: what differs then is path and method alone. */
static bool same_place(const struct config_section *a, const struct config_section *b)
{
    bool same = strcasecmp(a ? config_text(a, "host") : "", b ? config_text(b, "host") : "") == 0;
    for (unsigned i = 0; same && i < sizeof condition_keys / sizeof *condition_keys; i++)
        same = same_values(a, b, condition_keys[i]);
    return same;
}

/* ---- Mounting */

static bool is_outdone_for(const struct config *config, unsigned at,
                           const struct app_route_info *info)
{
    const struct config_section *section = config_named(config, "route", at), *other;
    for (unsigned i = 0; (other = config_named(config, "route", i)); i++) {
        if (i == at || !covers(other, info) || !same_place(section, other))
            continue;
        if (closeness(other) > closeness(section) ||
            (closeness(other) == closeness(section) && i < at))
            return true;
    }
    return false;
}

static void add(struct mounts *mounts, const struct mounted *one)
{
    mounts->list = mem_realloc(mounts->list, (mounts->count + 1) * sizeof *mounts->list);
    mounts->list[mounts->count++] = *one;
}

static void mount_route(struct mounts *mounts, const struct app_route_info *info)
{
    struct mounted one = {
        .info = info, .method = info->route->method, .pattern = info->route->pattern};
    const struct config_section *section;
    bool everywhere = false;
    for (unsigned i = 0; (section = config_named(mounts->config, "route", i)); i++) {
        if (!covers(section, info) || is_outdone_for(mounts->config, i, info))
            continue;
        one.section = section;
        everywhere |= same_place(section, NULL);
        add(mounts, &one);
    }
    one.section = NULL;
    if (info->module->always && !everywhere)
        add(mounts, &one);
}

static void mount_section(struct mounts *mounts, const struct config_section *section)
{
    const char *methods = config_text(section, "method");
    if (!methods[0] && target_is(section, "static"))
        methods = "GET"; /* and HEAD: what else is sent there may be another route's */
    struct mounted one = {
        .section = section, .pattern = config_text(section, "path"), .any_method = !methods[0]};
    for (enum method method = 0; method < METHOD_COUNT; method++) {
        one.method = method;
        if (one.any_method ? method == 0 : method_covers(methods, method))
            add(mounts, &one);
    }
}

static bool is_same(const struct mounted *a, const struct mounted *b)
{
    return a->any_method == b->any_method && a->method == b->method &&
           pattern_same_shape(a->pattern, b->pattern) && same_place(a->section, b->section);
}

static void find_outdone(struct mounts *mounts)
{
    for (unsigned i = 0; i < mounts->count; i++) {
        struct mounted *a = &mounts->list[i];
        for (unsigned j = i + 1; j < mounts->count; j++) {
            struct mounted *b = &mounts->list[j];
            size_t of_a = closeness(a->section), of_b = closeness(b->section);
            if (of_a != of_b && is_same(a, b))
                (of_a < of_b ? a : b)->outdone = true;
        }
    }
}

static struct mounts mount_all(const struct config *config, struct app_route_info *infos,
                               unsigned count)
{
    struct mounts mounts = {.config = config, .infos = infos, .info_count = count};
    for (unsigned i = 0; i < count; i++)
        mount_route(&mounts, &infos[i]);
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "route", i)); i++) {
        if (!target_is(section, "app"))
            mount_section(&mounts, section);
    }
    find_outdone(&mounts);
    return mounts;
}

struct mounts mounts_of_app(const struct config *config, const struct app *app)
{
    unsigned count = app_route_count(app);
    struct app_route_info *infos = mem_zalloc((count + 1) * sizeof *infos);
    for (unsigned i = 0; i < count; i++)
        infos[i] = app_route(app, i);
    return mount_all(config, infos, count);
}

struct mounts mounts_of_modules(const struct config *config,
                                const struct app_module *const *modules)
{
    unsigned count = 0, room = 0;
    for (unsigned m = 0; modules[m]; m++)
        room += modules[m]->route_count;
    struct app_route_info *infos = mem_zalloc((room + 1) * sizeof *infos);
    for (; *modules; modules++) {
        for (unsigned i = 0; i < (*modules)->route_count; i++)
            infos[count++] =
                (struct app_route_info){.module = *modules, .route = &(*modules)->routes[i]};
    }
    return mount_all(config, infos, count);
}

void mounts_release(struct mounts *mounts)
{
    free(mounts->list);
    free(mounts->infos);
    *mounts = (struct mounts){0};
}

/* ---- Checking */

static void name_server(const struct mounted *one, struct buf *out)
{
    if (one->info)
        buf_printf(out, "module %s", one->info->module->name);
    else
        buf_printf(out, "[route %s]", config_name(one->section));
}

/* "line 12 ([route a])", or "module tea" where no line says it. */
static void name_place(const struct mounted *one, struct buf *out)
{
    if (one->section)
        buf_printf(out, "line %u [route %s]", config_line(one->section), config_name(one->section));
    else
        buf_append_str(out, "the module by itself");
}

static const char *method_words(const struct mounted *one)
{
    return one->any_method ? "any method" : method_name(one->method);
}

static void complain_equal(const struct mounted *a, const struct mounted *b, const char *path,
                           struct buf *errors)
{
    buf_printf(errors, "%s: ", path);
    name_server(a, errors);
    buf_append_str(errors, " and ");
    name_server(b, errors);
    buf_printf(errors, " both have the route %s %s", method_words(a), a->pattern);
    if (strcmp(a->pattern, b->pattern) != 0)
        buf_printf(errors, " (%s)", b->pattern);
    buf_append_str(errors, ": ");
    name_place(a, errors);
    buf_append_str(errors, ", ");
    name_place(b, errors);
    buf_append_str(errors, "; one of them needs another path, host or condition\n");
}

static bool check_equal(const struct mounts *mounts, const char *path, struct buf *errors)
{
    bool good = true;
    for (unsigned i = 0; i < mounts->count; i++) {
        const struct mounted *a = &mounts->list[i];
        for (unsigned j = i + 1; j < mounts->count; j++) {
            const struct mounted *b = &mounts->list[j];
            if (a->outdone || b->outdone || !is_same(a, b))
                continue;
            complain_equal(a, b, path, errors);
            good = false;
        }
    }
    return good;
}

static bool is_used(const struct mounts *mounts, const struct config_section *section)
{
    for (unsigned i = 0; i < mounts->count; i++) {
        if (mounts->list[i].section == section && !mounts->list[i].outdone)
            return true;
    }
    return false;
}

static bool check_used(const struct mounts *mounts, const char *path, struct buf *errors)
{
    bool good = true;
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(mounts->config, "route", i)); i++) {
        if (is_used(mounts, section))
            continue;
        buf_printf(errors,
                   "%s:%u: [route %s] mounts nothing: %s has no such route, or a closer section "
                   "has it\n",
                   path, config_line(section), config_name(section),
                   config_text(section, "target"));
        good = false;
    }
    return good;
}

/* Of targets that are sections: "upstream", "compose". */
static bool check_referred(const struct config *config, const char *kind, const char *path,
                           struct buf *errors)
{
    bool good = true;
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "route", i)); i++) {
        if (!target_is(section, kind) || config_referred(config, kind, target_rest(section)))
            continue;
        buf_printf(errors, "%s:%u: [route %s] target: there is no [%s %s]\n", path,
                   config_line(section), config_name(section), kind, target_rest(section));
        good = false;
    }
    return good;
}

static bool check_folders(const struct config *config, const char *path, struct buf *errors)
{
    bool good = true;
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "route", i)); i++) {
        char why[300];
        struct site *site;
        if (!target_is(section, "static"))
            continue;
        if (site_open(&(struct site_options){target_rest(section), "", "", 0, false}, &site, why,
                      sizeof why)) {
            buf_printf(errors, "%s:%u: [route %s] target: %s\n", path, config_line(section),
                       config_name(section), why);
            good = false;
        } else {
            site_drop(site);
        }
    }
    return good;
}

bool routes_check(const struct config *config, const struct app_module *const *modules,
                  const char *path, struct buf *errors)
{
    struct mounts mounts = mounts_of_modules(config, modules);
    bool good = check_equal(&mounts, path, errors);
    good = check_used(&mounts, path, errors) && good;
    good = check_referred(config, "upstream", path, errors) && good;
    good = check_referred(config, "compose", path, errors) && good;
    good = route_compose_check(config, path, errors) && good;
    good = check_folders(config, path, errors) && good;
    mounts_release(&mounts);
    return good;
}

/* ---- Warning of routes that nobody reaches */

static bool is_mounted(const struct mounts *mounts, const struct app_route *route)
{
    for (unsigned i = 0; i < mounts->count; i++) {
        if (mounts->list[i].info && mounts->list[i].info->route == route)
            return true;
    }
    return false;
}

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
        const struct app_route *route = &module->routes[i];
        if (is_mounted(mounts, route))
            continue;
        missing++;
        buf_printf(out, "%s: warning: no [route] mounts %s %s of module %s\n", path,
                   method_name(route->method), route->pattern, module->name);
    }
    if (missing == 0 || missing < module->route_count)
        return;
    out->len = before;
    warn_of_module(module, missing, path, out);
}

void routes_warn(const struct config *config, const struct app_module *const *modules,
                 const char *path, struct buf *out)
{
    struct mounts mounts = mounts_of_modules(config, modules);
    for (; *modules; modules++) {
        if (!(*modules)->always)
            warn_of_routes(&mounts, *modules, path, out);
    }
    mounts_release(&mounts);
}
