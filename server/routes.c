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
    unsigned number; /* in the order of the file */
    bool used;
};

/* Whether a section's path, a pattern or a prefix that ends in '*', covers a route's pattern. */
static bool path_covers(const char *path, const char *pattern)
{
    size_t len = strlen(path);
    if (len && path[len - 1] == '*')
        return strncmp(path, pattern, len - 1) == 0;
    return strcmp(path, pattern) == 0;
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
static struct mount *find_mount(struct mount *mounts, unsigned count,
                                const struct app_route_info *info)
{
    struct mount *best = NULL;
    for (unsigned i = 0; i < count; i++) {
        if (covers(mounts[i].section, info) &&
            (!best || closeness(mounts[i].section) > closeness(best->section)))
            best = &mounts[i];
    }
    return best;
}

/* Routes that one section mounts share its limit. */
static struct route_spec app_spec(const struct app_route_info *info, const struct mount *mount)
{
    struct route_spec spec = {.method = info->route->method,
                              .pattern = info->route->pattern,
                              .signed_in = info->route->who == APP_SIGNED_IN,
                              .idempotent_key = info->route->access == APP_WRITE,
                              .schema = info->schema,
                              .limit_group = mount->number,
                              .target = app_target,
                              .arg = info->arg};
    const char *limit = config_text(mount->section, "rate_limit");
    char why[128];
    bool parsed = !*limit || rate_limit_parse(slice_str(limit), &spec.limit, why, sizeof why);
    assert(parsed); /* the configuration checked it */
    return spec;
}

/* ---- The list */

struct route_list {
    struct route_spec *specs;
    unsigned count;
};

static void add(struct route_list *list, struct route_spec spec)
{
    list->specs[list->count++] = spec;
}

static void add_own(struct route_list *list, struct galley *galley)
{
    add(list, (struct route_spec){METHOD_GET, "/healthz", .target = ops_healthz, .arg = galley});
    add(list, (struct route_spec){METHOD_GET, "/readyz", .target = ops_readyz, .arg = galley});
    add(list, (struct route_spec){METHOD_GET, "/metrics", .target = ops_metrics, .arg = galley});
    add(list, (struct route_spec){METHOD_GET, "/_", .target = redirect_to_admin});
    add(list,
        (struct route_spec){METHOD_GET, "/_/*", .target = admin_target, .arg = galley->admin});
    add(list,
        (struct route_spec){METHOD_POST, "/_/*", .target = admin_target, .arg = galley->admin});
}

#define OWN_ROUTES 6

static enum err add_modules(struct route_list *list, struct galley *galley, struct mount *mounts,
                            unsigned mount_count, char *why, size_t why_size)
{
    for (unsigned i = 0; i < app_route_count(galley->app); i++) {
        struct app_route_info info = app_route(galley->app, i);
        struct mount *mount = find_mount(mounts, mount_count, &info);
        if (!mount)
            continue; /* not reachable, by choice of the configuration */
        mount->used = true;
        add(list, app_spec(&info, mount));
    }
    for (unsigned i = 0; i < mount_count; i++) {
        if (!mounts[i].used) {
            snprintf(why, why_size, "[route %s] mounts nothing: no route of %s is below %s",
                     config_name(mounts[i].section), config_text(mounts[i].section, "target"),
                     config_text(mounts[i].section, "path"));
            return ERR_NOT_FOUND;
        }
    }
    return ERR_OK;
}

enum err routes_create(struct galley *galley, char *why, size_t why_size)
{
    unsigned mount_count = config_named_count(galley->config, "route");
    struct mount *mounts = mem_zalloc((mount_count + 1) * sizeof *mounts);
    for (unsigned i = 0; i < mount_count; i++)
        mounts[i] = (struct mount){config_named(galley->config, "route", i), i, false};
    struct route_list list = {0};
    list.specs = mem_zalloc((OWN_ROUTES + app_route_count(galley->app)) * sizeof *list.specs);
    add_own(&list, galley);
    enum err err = add_modules(&list, galley, mounts, mount_count, why, why_size);
    struct gateway_options options = {.routes = list.specs,
                                      .route_count = list.count,
                                      .store = galley->store,
                                      .jwt = galley->jwt,
                                      .clock = &clock_system};
    if (!err)
        err = gateway_create(&options, &galley->gateway, why, why_size);
    free(list.specs);
    free(mounts);
    return err;
}
