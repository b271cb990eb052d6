/* DESIGN. A section [route NAME] is a place: a host, a path, methods, conditions. With a target of
 * its own it is a route as it stands there. With target = app:MODULE it mounts those of the
 * module's routes that its path and methods cover, each with the module's own pattern and method:
 * of the sections of one place (the same host and conditions) the one that names the route most
 * closely. Where two sections come to serve the very same, the closer one does; equally close is an
 * error. */
#include "server/routes_private.h"

#include "base/mem.h"
#include "server/gateway/route_pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

unsigned target_count(const struct config_section *section)
{
    return config_list_count(section, "target");
}

/* The configuration checked it. */
void target_read(const struct config_section *section, unsigned i, struct section_target *out)
{
    int64_t weight = 1;
    struct slice rest = slice_str(config_list_at(section, "target", i));
    const char *mark = memmem(rest.ptr, rest.len, " weight=", 8);
    if (mark) {
        slice_to_i64(slice_str(mark + 8), &weight);
        rest.len = (size_t)(mark - rest.ptr);
    }
    struct slice kind = slice_cut(&rest, ':');
    rest = slice_trim(rest);
    snprintf(out->kind, sizeof out->kind, "%.*s", SLICE_ARG(kind));
    snprintf(out->rest, sizeof out->rest, "%.*s", SLICE_ARG(rest));
    out->weight = (unsigned)weight;
}

bool target_is(const struct config_section *section, const char *kind)
{
    struct slice target = slice_str(config_list_at(section, "target", 0));
    return slice_is(slice_cut(&target, ':'), kind);
}

const char *mirror_name(const struct config_section *section)
{
    static const char kind[] = "upstream:";
    const char *text = config_text(section, "mirror");
    if (!text[0])
        return NULL;
    return strncmp(text, kind, strlen(kind)) == 0 ? text + strlen(kind) : "";
}

static bool is_app(const struct config_section *section, const char *module)
{
    const char *target = config_list_at(section, "target", 0);
    return strncmp(target, "app:", 4) == 0 && strcmp(target + 4, module) == 0;
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
    return is_app(section, info->module->name) &&
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

bool mounted_is_same(const struct mounted *a, const struct mounted *b)
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
            if (of_a != of_b && mounted_is_same(a, b))
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
