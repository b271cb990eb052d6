/* What only all sections together and the modules show: routes that are equal, that lead to
 * nothing, or that nobody reaches. */
#include "server/routes_private.h"

#include "server/gateway/route_pattern.h"
#include "server/gateway/site.h"
#include "server/gateway/split.h"
#include "server/transform/transform.h"

#include <stdio.h>

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
            if (a->outdone || b->outdone || !mounted_is_same(a, b))
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
                   config_list_at(section, "target", 0));
        good = false;
    }
    return good;
}

/* Whether each parameter of a pattern is one of another. */
static bool has_params(const char *pattern, const char *of)
{
    struct slice rest = slice_str(of + 1);
    while (rest.ptr) {
        struct slice segment = slice_cut(&rest, '/');
        if (segment_kind(segment, !rest.ptr) == SEGMENT_LITERAL)
            continue;
        bool found = false;
        struct slice left = slice_str(pattern + 1);
        while (left.ptr)
            found = slice_eq(slice_cut(&left, '/'), segment) || found;
        if (!found)
            return false;
    }
    return true;
}

static bool begins_with(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* What is wrong with how a section changes the path; NULL: nothing. */
static const char *rewriting_fault(const struct config_section *section)
{
    const char *path = config_text(section, "path"), *rewrite = config_text(section, "rewrite"),
               *prefix = config_text(section, "strip_prefix");
    if ((rewrite[0] || prefix[0]) && target_is(section, "app"))
        return "strip_prefix and rewrite are not for app: the module has its own paths";
    if (rewrite[0] && prefix[0])
        return "strip_prefix and rewrite are two ways for one thing";
    if (prefix[0] && !begins_with(path, prefix))
        return "strip_prefix: path does not begin with it";
    if (rewrite[0] && !(pattern_ok(rewrite) && has_params(path, rewrite)))
        return "rewrite: it has a parameter that path does not have";
    return NULL;
}

/* Whether its targets are servers, at once or by parts. */
static bool is_passed_on(const struct config_section *section)
{
    return target_is(section, "upstream") || target_is(section, "compose");
}

/* What is wrong with a section as a whole; NULL: nothing. */
static const char *fault_of(const struct config *config, const struct config_section *section)
{
    const char *mirror = mirror_name(section);
    if (mirror && !config_referred(config, "upstream", mirror))
        return "mirror: there is no such upstream; allowed: upstream:NAME";
    if (mirror && !is_passed_on(section))
        return "mirror is for requests to upstream: and compose:";
    if (config_int(section, "timeout") > 0 && !is_passed_on(section))
        return "timeout is for upstream: and compose:, nothing else waits for others";
    return rewriting_fault(section);
}

/* What is wrong with one target goes to `why`. */
static bool target_ok(const struct config *config, const struct section_target *target, char *why,
                      size_t why_size)
{
    struct site *site;
    bool section = strcmp(target->kind, "upstream") == 0 || strcmp(target->kind, "compose") == 0;
    if (section && !config_referred(config, target->kind, target->rest)) {
        snprintf(why, why_size, "there is no [%s %.100s]", target->kind, target->rest);
        return false;
    }
    if (strcmp(target->kind, "static") != 0)
        return true;
    if (site_open(&(struct site_options){target->rest, "", "", 0, false}, &site, why, why_size))
        return false;
    site_drop(site);
    return true;
}

static bool targets_ok(const struct config *config, const struct config_section *section, char *why,
                       size_t why_size)
{
    unsigned weights = 0, count = target_count(section);
    for (unsigned i = 0; i < count; i++) {
        struct section_target target;
        target_read(section, i, &target);
        weights += target.weight;
        if (!target_ok(config, &target, why, why_size))
            return false;
        snprintf(why, why_size, "app: has all requests or none: one target alone");
        if (count > 1 && strcmp(target.kind, "app") == 0)
            return false;
    }
    snprintf(why, why_size, "at most %d, with a weight above 0 in all", SPLIT_TARGETS_MAX);
    return weights > 0 && count <= SPLIT_TARGETS_MAX;
}

/* What is wrong with what a section does itself goes to `why`. */
static bool section_ok(const struct config *config, const struct config_section *section, char *why,
                       size_t why_size)
{
    struct transform *transform;
    const char *fault = fault_of(config, section);
    if (fault) {
        snprintf(why, why_size, "%s", fault);
        return false;
    }
    enum err err = route_transform(config, section, &transform, why, why_size);
    transform_destroy(&transform);
    return !err;
}

static bool check_sections(const struct config *config, const char *path, struct buf *errors)
{
    bool good = true;
    const struct config_section *section;
    for (unsigned i = 0; (section = config_named(config, "route", i)); i++) {
        char why[300];
        bool targets = targets_ok(config, section, why, sizeof why);
        if (targets && section_ok(config, section, why, sizeof why))
            continue;
        buf_printf(errors, "%s:%u: [route %s] %s%s\n", path, config_line(section),
                   config_name(section), targets ? "" : "target: ", why);
        good = false;
    }
    return good;
}

bool routes_check(const struct config *config, const struct app_module *const *modules,
                  const char *path, struct buf *errors)
{
    struct mounts mounts = mounts_of_modules(config, modules);
    bool good = check_equal(&mounts, path, errors);
    good = check_used(&mounts, path, errors) && good;
    good = check_sections(config, path, errors) && good;
    good = route_compose_check(config, path, errors) && good;
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

/* Whose routes lead to other servers only is no application that has forgotten a module; but not
 * who has none, or speaks of the module. */
static bool is_missed(const struct mounts *mounts, const struct app_module *module)
{
    const struct config_section *own = config_section(mounts->config, module->name), *section;
    if (config_named_count(mounts->config, "route") == 0 || (own && config_line(own) > 0))
        return true;
    for (unsigned i = 0; (section = config_named(mounts->config, "route", i)); i++) {
        if (target_is(section, "app"))
            return true;
    }
    return false;
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
    if (is_missed(mounts, module))
        warn_of_module(module, missing, path, out);
}

void routes_warn(const struct config *config, const struct app_module *const *modules,
                 const char *path, struct buf *out)
{
    struct mounts mounts = mounts_of_modules(config, modules);
    for (; *modules; modules++) {
        if (!(*modules)->always && !(*modules)->spare)
            warn_of_routes(&mounts, *modules, path, out);
    }
    mounts_release(&mounts);
}
