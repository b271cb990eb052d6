/* The routes of the collections that the configuration declares. */
#include "server/changes/changes.h"
#include "server/data/data.h"
#include "server/routes_private.h"

unsigned data_routes(const struct config *config)
{
    return data_route_count(config) + 1; /* the feed's */
}

/* Labels are the patterns: a metric for each collection and method, none for each document. */
static void add(struct route_list *list, const struct config *config,
                const struct data_route *route)
{
    struct spec_parts *parts = &list->parts[list->count];
    buf_printf(&parts->label, "%s", route->pattern);
    buf_append_char(&parts->label, '\0');
    buf_printf(&parts->leads_to, "collection:%s", route->collection);
    buf_append_char(&parts->leads_to, '\0');
    int64_t body_max = config_int(config_section(config, "server"), "body_max");
    struct route_spec spec = {
        .method = route->method,
        .pattern = parts->label.data,
        .label = parts->label.data,
        .leads_to = parts->leads_to.data,
        .may_sign_in = true,
        .idempotent_key = route->idempotent,
        .body_max = route->has_body ? (size_t)body_max : 0,
        .priority = PRIORITY_NORMAL,
        .reach = REACH_PUBLIC,
        .cors = route_cors(config, NULL, parts),
        .target = route->target,
        .arg = route->arg,
        .drop = route->arg ? route->drop : NULL,
    };
    route_list_add(list, &spec);
}

static void add_feed(struct route_list *list, struct galley *galley, const struct config *config,
                     struct data_set *set)
{
    struct route_spec spec = {
        .method = METHOD_GET,
        .pattern = CHANGES_PATH,
        .leads_to = "collection:*",
        .may_sign_in = true,
        .priority = PRIORITY_NORMAL,
        .reach = REACH_PUBLIC,
        .cors = route_cors(config, NULL, &list->parts[list->count]),
        .target = changes_target,
        .arg = galley ? feeding_place(galley, config, set) : NULL,
        .drop = galley ? feeding_drop : NULL,
    };
    route_list_add(list, &spec);
}

bool route_list_add_data(struct route_list *list, struct galley *galley,
                         const struct config *config, char *why, size_t why_size)
{
    struct data_set *set = NULL;
    if (galley && data_read(galley->data, config, galley->source.path, &set, why, why_size))
        return false;
    for (unsigned i = 0; i < data_route_count(config); i++) {
        struct data_route route;
        data_route(config, set, i, &route);
        add(list, config, &route);
    }
    if (feeding_is_wanted(config))
        add_feed(list, galley, config, set);
    data_set_release(set);
    return true;
}
