/* What the files about routes share: route_mounts.c says which section of the configuration serves
 * which routes, route_check.c what is wrong with that, route_specs.c makes of that what the gateway
 * takes, routes.c adds the server's own.
 */
#ifndef GALLEY_SERVER_ROUTES_PRIVATE_H
#define GALLEY_SERVER_ROUTES_PRIVATE_H

#include "server/galley_private.h"

/* ---- route_mounts.c */

/* A route that is served: a module's, which a section mounts or which is served always, or a
 * section's with a target of its own. */
struct mounted {
    const struct config_section *section; /* NULL: always */
    const struct app_route_info *info;    /* NULL: the section's own target */
    enum method method;
    bool any_method;
    const char *pattern;
    bool outdone; /* the same is served by a section that names it more closely */
};

struct mounts {
    const struct config *config;
    struct app_route_info *infos; /* of all modules */
    unsigned info_count;
    struct mounted *list;
    unsigned count;
};

/* Of an app that runs, or, to look at a configuration, of the modules of the build: then without
 * schemas and arguments. */
struct mounts mounts_of_app(const struct config *config, const struct app *app);
struct mounts mounts_of_modules(const struct config *config,
                                const struct app_module *const *modules);
void mounts_release(struct mounts *mounts);

/* Whether they are of one place, method and shape. */
bool mounted_is_same(const struct mounted *a, const struct mounted *b);

/* One of a section's targets, "upstream:shop weight=9" taken apart. */
struct section_target {
    char kind[16];   /* "upstream" */
    char rest[4096]; /* "shop" */
    unsigned weight; /* 1 if it does not say */
};
unsigned target_count(const struct config_section *section);
void target_read(const struct config_section *section, unsigned i, struct section_target *out);
/* The upstream that gets copies; NULL: none; "": what stands there is none. */
const char *mirror_name(const struct config_section *section);
/* Whether the first one is of that kind. */
bool target_is(const struct config_section *section, const char *kind);

/* ---- route_specs.c */

/* What a spec points to until the gateway has copied it. */
struct spec_parts {
    struct cors_options cors;
    const char **cors_words;
    struct route_condition *conditions;
    struct buf label, leads_to;
};

struct route_list {
    struct route_spec *specs;
    struct spec_parts *parts; /* one for each spec, and one more */
    unsigned count, room;
};

/* Empty, with room for so many. */
struct route_list route_list_create(unsigned room);
/* Drops the targets of routes too, unless a plan has taken them over. */
void route_list_release(struct route_list *list, bool taken_over);
void route_list_add(struct route_list *list, const struct route_spec *spec);

/* Adds what is mounted and not outdone. `galley` NULL: without targets, to look at. False, with
 * why: a target cannot be made. */
bool route_list_add_mounts(struct route_list *list, struct galley *galley,
                           const struct mounts *mounts, char *why, size_t why_size);

/* The policy of [cors] for what has no route; lies in `parts`. */
const struct cors_options *route_cors(const struct config *config,
                                      const struct config_section *route, struct spec_parts *parts);

/* What rate limit a key says; .count 0: none. */
struct rate_limit route_rate(const struct config_section *section, const char *key);

/* The networks that a key says; the caller's. */
struct cidr_list route_networks(const struct config_section *section, const char *key);

/* ---- routes.c */

/* All routes of a configuration, which lead nowhere. The caller releases the list. */
struct route_list routes_to_look_at(const struct config *config,
                                    const struct app_module *const *modules);

/* ---- route_transform.c */

/* What a section changes; *out NULL: nothing. ERR_VALIDATION, with why. */
enum err route_transform(const struct config *config, const struct config_section *section,
                         struct transform **out, char *why, size_t why_size);

/* ---- route_data.c */

/* How many routes the collections have. */
unsigned data_routes(const struct config *config);
/* Adds them; `galley` NULL: without targets, to look at. */
bool route_list_add_data(struct route_list *list, struct galley *galley,
                         const struct config *config, char *why, size_t why_size);

/* ---- route_compose.c */

struct compose;

/* What a [compose NAME] says; `galley` NULL: to look at. ERR_VALIDATION, with why. */
enum err route_compose(struct galley *galley, const struct config_section *section,
                       struct compose **out, char *why, size_t why_size);
void route_compose_drop(void *compose);
/* Appends what is wrong with them, a line each. */
bool route_compose_check(const struct config *config, const char *path, struct buf *errors);

#endif
