/* What the gateway takes of each route that is served: limits, roles, conditions, policies, and the
 * target that it leads to. */
#include "server/compose/compose.h"
#include "server/routes_private.h"

#include "base/mem.h"
#include "server/gateway/respond.h"
#include "server/gateway/site.h"
#include "server/gateway/split.h"
#include "server/transform/transform.h"
#include "server/upstream/mirror.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- The list */

struct route_list route_list_create(unsigned room)
{
    return (struct route_list){.specs = mem_zalloc(room * sizeof(struct route_spec)),
                               .parts = mem_zalloc((room + 1) * sizeof(struct spec_parts)),
                               .room = room};
}

static void release_parts(struct spec_parts *parts)
{
    free(parts->cors_words);
    free(parts->conditions);
    buf_release(&parts->label);
    buf_release(&parts->leads_to);
}

void route_list_release(struct route_list *list, bool taken_over)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct route_spec *spec = &list->specs[i];
        if (!taken_over && spec->drop)
            spec->drop(spec->arg);
        if (!taken_over && spec->fallback)
            respond_drop(spec->fallback);
        if (taken_over)
            continue;
        transform_destroy(&list->specs[i].transform);
        cidr_list_release(&list->specs[i].addresses.allow);
        cidr_list_release(&list->specs[i].addresses.deny);
    }
    for (unsigned i = 0; i <= list->room; i++)
        release_parts(&list->parts[i]);
    free(list->parts);
    free(list->specs);
    *list = (struct route_list){0};
}

void route_list_add(struct route_list *list, const struct route_spec *spec)
{
    assert(list->count < list->room);
    list->specs[list->count++] = *spec;
}

/* ---- Limits and roles */

static int64_t body_max(const struct config *config, const struct config_section *route)
{
    int64_t own = route ? config_int(route, "body_max") : 0;
    return own > 0 ? own : config_int(config_section(config, "server"), "body_max");
}

struct rate_limit route_rate(const struct config_section *section, const char *key)
{
    struct rate_limit limit = {0};
    const char *text = config_text(section, key);
    char why[128];
    bool parsed = !*text || rate_limit_parse(slice_str(text), &limit, why, sizeof why);
    assert(parsed); /* the configuration checked it */
    return limit;
}

struct cidr_list route_networks(const struct config_section *section, const char *key)
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

/* Routes that one section mounts share its limit. */
static void roles_read(const struct config_section *section, struct route_spec *spec)
{
    unsigned count = config_list_count(section, "roles");
    assert(count <= ROUTE_ROLES_MAX); /* the configuration checked it */
    for (unsigned i = 0; i < count; i++)
        spec->roles[spec->role_count++] = config_list_at(section, "roles", i);
    spec->signed_in |= count > 0;
}

/* ---- Pages of other origins */

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
const struct cors_options *route_cors(const struct config *config,
                                      const struct config_section *route, struct spec_parts *parts)
{
    const struct config_section *cors = config_section(config, "cors");
    bool own = route && config_list_count(route, "cors_origins") > 0;
    const struct config_section *from = own ? route : cors;
    const char *key = own ? "cors_origins" : "origins";
    unsigned count = config_list_count(from, key) + config_list_count(cors, "methods") +
                     config_list_count(cors, "headers") + config_list_count(cors, "expose");
    const char **room = parts->cors_words = mem_zalloc((count + 1) * sizeof *parts->cors_words);
    struct cors_options *options = &parts->cors;
    options->origin_count = list_words(from, key, &options->origins, &room);
    options->method_count = list_words(cors, "methods", &options->methods, &room);
    options->header_count = list_words(cors, "headers", &options->headers, &room);
    options->expose_count = list_words(cors, "expose", &options->expose, &room);
    options->credentials = may_have_credentials(cors, route);
    options->max_age_s = config_int(cors, "max_age") / 1000;
    return options;
}

/* ---- What a request has to be */

static const struct {
    const char *key;
    enum condition_kind kind;
} condition_keys[] = {
    {"header", CONDITION_HEADER},   {"query", CONDITION_QUERY},   {"device", CONDITION_DEVICE},
    {"version", CONDITION_VERSION}, {"client", CONDITION_CLIENT},
};

#define CONDITION_KEYS (sizeof condition_keys / sizeof *condition_keys)

static void conditions_read(const struct config_section *section, struct route_spec *spec,
                            struct spec_parts *parts)
{
    unsigned room = 1;
    for (unsigned i = 0; i < CONDITION_KEYS; i++)
        room += config_list_count(section, condition_keys[i].key);
    parts->conditions = mem_zalloc(room * sizeof *parts->conditions);
    spec->conditions = parts->conditions;
    for (unsigned i = 0; i < CONDITION_KEYS; i++) {
        const char *key = condition_keys[i].key;
        for (unsigned at = 0; at < config_list_count(section, key); at++)
            parts->conditions[spec->condition_count++] =
                (struct route_condition){condition_keys[i].kind, config_list_at(section, key, at)};
    }
}

/* "api.example.org/orders/{id} (canary)": what tells a route from others in metrics and logs. */
static void label_write(const struct config_section *section, struct route_spec *spec,
                        struct buf *out)
{
    buf_printf(out, "%s%s", spec->host ? spec->host : "", spec->pattern);
    if (spec->condition_count > 0)
        buf_printf(out, " (%s)", config_name(section));
    buf_append_char(out, '\0');
    spec->label = out->data;
}

static void section_read(const struct config *config, const struct config_section *section,
                         struct route_spec *spec, struct spec_parts *parts)
{
    roles_read(section, spec);
    spec->signed_in |= config_bool(section, "signed_in");
    spec->limit = route_rate(section, "rate_limit");
    tiers_read(section, spec);
    spec->addresses.allow = route_networks(section, "allow");
    spec->addresses.deny = route_networks(section, "deny");
    spec->limit_name = spec->section = config_name(section);
    spec->line = config_line(section);
    spec->priority = (enum priority)config_choice(section, "priority");
    if (config_text(section, "host")[0])
        spec->host = config_text(section, "host");
    route_cache_read(section, &spec->cache);
    char why[200];
    enum err err = route_transform(config, section, &spec->transform, why, sizeof why);
    assert(!err); /* routes_check */
    const char *prefix = config_text(section, "strip_prefix");
    if (config_text(section, "rewrite")[0])
        spec->rewrite = config_text(section, "rewrite");
    else if (prefix[0]) /* path begins with it: routes_check */
        spec->rewrite = spec->pattern[strlen(prefix)] ? spec->pattern + strlen(prefix) : "/";
    conditions_read(section, spec, parts);
    label_write(section, spec, &parts->label);
}

/* ---- Where it leads */

static void app_lead(const struct config *config, const struct mounted *mounted,
                     struct route_spec *spec, struct spec_parts *parts)
{
    const struct app_route_info *info = mounted->info;
    buf_printf(&parts->leads_to, "app:%s", info->module->name);
    buf_append_char(&parts->leads_to, '\0');
    spec->leads_to = parts->leads_to.data;
    spec->signed_in |= info->route->who != APP_ANYONE;
    spec->idempotent_key = info->route->access == APP_WRITE;
    spec->schema = info->schema;
    spec->takes = info->route->schema;
    spec->target = app_target;
    spec->arg = info->arg;
    if (spec->schema)
        spec->body_max = (size_t)body_max(config, mounted->section);
}

/* What a target of a section becomes; `spec` is that of its route. */
struct lead {
    target_fn target;
    void *arg;
    void (*drop)(void *arg);
};

static void respond_lead(const struct config_section *section, const char *status_text,
                         struct lead *out)
{
    int64_t status;
    bool read = slice_to_i64(slice_str(status_text), &status);
    assert(read); /* the configuration checked it */
    struct respond *respond = respond_create(&(struct respond_options){
        .status = (int)status,
        .body = slice_str(config_text(section, "respond_body")),
        .content_type = config_text(section, "respond_type"),
        .location = config_text(section, "respond_location"),
    });
    *out = (struct lead){respond_target, respond, respond_drop};
}

static bool site_lead(const struct config_section *section, const char *dir, bool shared,
                      struct lead *out, char *why, size_t why_size)
{
    struct site *site;
    const struct site_options options = {.dir = dir,
                                         .index = config_text(section, "static_index"),
                                         .fallback = config_text(section, "static_fallback"),
                                         .max_age_s = config_int(section, "static_max_age") / 1000,
                                         .shared = shared};
    if (site_open(&options, &site, why, why_size))
        return false;
    *out = (struct lead){site_target, site, site_drop};
    return true;
}

static bool compose_lead(struct galley *galley, const struct config *config, const char *name,
                         struct lead *out, char *why, size_t why_size)
{
    struct compose *compose;
    if (route_compose(galley, config_referred(config, "compose", name), &compose, why, why_size))
        return false;
    *out = (struct lead){compose_target, compose, route_compose_drop};
    return true;
}

static bool section_lead(struct galley *galley, const struct config *config,
                         const struct config_section *section, unsigned at, bool shared,
                         struct lead *out, char *why, size_t why_size)
{
    struct section_target target;
    target_read(section, at, &target);
    if (strcmp(target.kind, "compose") == 0)
        return compose_lead(galley, config, target.rest, out, why, why_size);
    if (strcmp(target.kind, "static") == 0)
        return site_lead(section, target.rest, shared, out, why, why_size);
    if (strcmp(target.kind, "upstream") == 0)
        *out = (struct lead){upstream_target, upstreams_find(galley->upstreams, target.rest), NULL};
    else
        respond_lead(section, target.rest, out);
    return true;
}

/* Several with a share each. */
static bool split_lead(struct galley *galley, const struct config *config,
                       const struct config_section *section, struct route_spec *spec, char *why,
                       size_t why_size)
{
    struct split *split =
        split_create((enum split_by)config_choice(section, "sticky"), config_name(section));
    spec->target = split_target;
    spec->arg = split;
    spec->drop = split_drop;
    for (unsigned i = 0; i < target_count(section); i++) {
        struct section_target target;
        struct lead lead;
        target_read(section, i, &target);
        if (!section_lead(galley, config, section, i, !spec->signed_in, &lead, why, why_size))
            return false;
        split_add(split, lead.target, lead.arg, lead.drop, target.weight);
    }
    return true;
}

static bool one_lead(struct galley *galley, const struct config *config,
                     const struct config_section *section, struct route_spec *spec, char *why,
                     size_t why_size)
{
    struct lead lead;
    if (!section_lead(galley, config, section, 0, !spec->signed_in, &lead, why, why_size))
        return false;
    spec->target = lead.target;
    spec->arg = lead.arg;
    spec->drop = lead.drop;
    return true;
}

static void name_targets(const struct config_section *section, struct buf *out)
{
    for (unsigned i = 0; i < target_count(section); i++)
        buf_printf(out, "%s%s", i ? ", " : "", config_list_at(section, "target", i));
    buf_append_char(out, '\0');
}

static void fallback_read(const struct config_section *section, struct route_spec *spec)
{
    int64_t status = config_int(section, "fallback");
    if (status > 0)
        spec->fallback = respond_create(&(struct respond_options){
            .status = (int)status,
            .body = slice_str(config_text(section, "fallback_body")),
            .content_type = config_text(section, "fallback_type"),
            .location = "",
        });
}

/* The target, with a copy for another upstream, if there is to be one. */
static bool mirror_lead(struct galley *galley, const struct config_section *section,
                        struct route_spec *spec, char *why, size_t why_size)
{
    const char *to = mirror_name(section);
    struct mirror *mirror;
    if (!to)
        return true;
    const struct mirror_options options = {.mirrors = galley->mirrors,
                                           .upstream = upstreams_find(galley->upstreams, to),
                                           .percent = (unsigned)config_int(section, "mirror_share"),
                                           .target = spec->target,
                                           .arg = spec->arg,
                                           .drop = spec->drop};
    if (mirror_create(&options, &mirror)) {
        snprintf(why, why_size, "the thread for mirrors cannot be started");
        return false;
    }
    spec->target = mirror_target;
    spec->arg = mirror;
    spec->drop = mirror_drop;
    return true;
}

static bool lead(struct galley *galley, const struct mounts *mounts, const struct mounted *mounted,
                 struct route_spec *spec, struct spec_parts *parts, char *why, size_t why_size)
{
    const struct config_section *section = mounted->section;
    if (mounted->info) {
        app_lead(mounts->config, mounted, spec, parts);
        return true;
    }
    name_targets(section, &parts->leads_to);
    spec->leads_to = parts->leads_to.data;
    spec->passed_body_max = (uint64_t)body_max(mounts->config, section);
    spec->timeout_ns = config_int(section, "timeout") * 1000000;
    if (!galley)
        return true;
    fallback_read(section, spec);
    bool led = target_count(section) > 1
                   ? split_lead(galley, mounts->config, section, spec, why, why_size)
                   : one_lead(galley, mounts->config, section, spec, why, why_size);
    return led && mirror_lead(galley, section, spec, why, why_size);
}

bool route_list_add_mounts(struct route_list *list, struct galley *galley,
                           const struct mounts *mounts, char *why, size_t why_size)
{
    bool made = true;
    for (unsigned i = 0; made && i < mounts->count; i++) {
        const struct mounted *mounted = &mounts->list[i];
        if (mounted->outdone)
            continue;
        struct spec_parts *parts = &list->parts[list->count];
        struct route_spec spec = {.method = mounted->method,
                                  .any_method = mounted->any_method,
                                  .pattern = mounted->pattern,
                                  .place = !mounted->info,
                                  .passes_path = !mounted->info,
                                  .priority = PRIORITY_NORMAL,
                                  .reach = REACH_PUBLIC};
        if (mounted->section)
            section_read(mounts->config, mounted->section, &spec, parts);
        spec.cors = route_cors(mounts->config, mounted->section, parts);
        made = lead(galley, mounts, mounted, &spec, parts, why, why_size);
        route_list_add(list, &spec);
    }
    return made;
}
