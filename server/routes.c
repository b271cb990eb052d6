/* Every route of the process, in one list: the operations pages, the admin, and what the [route]
 * sections of the configuration serve. */
#include "server/routes_private.h"

#include "base/mem.h"
#include "server/admin/admin.h"
#include "server/api.h"
#include "server/app/modules.h"
#include "server/gateway/route_table.h"

#include <stdlib.h>

static void redirect_to_admin(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response_header(response, "Location", slice_str("/_/"));
    response->status = 308;
}

/* ---- Our own */

#define OWN_ROUTES 10

#define ADMIN_BODY_MAX   65536
#define REGISTRATION_MAX 4096

/* There only if servers may register somewhere. */
static void add_registration(struct route_list *list, struct galley *galley,
                             const struct config *config)
{
    bool wanted = false;
    for (unsigned i = 0; i < config_named_count(config, "upstream"); i++)
        wanted |= config_text(config_named(config, "upstream", i), "register_key")[0] != '\0';
    if (wanted)
        route_list_add(list, &(struct route_spec){.method = METHOD_POST,
                                                  .pattern = REGISTRATION_PATH,
                                                  .priority = PRIORITY_CRITICAL,
                                                  .reach = REACH_ADMIN,
                                                  .own = true,
                                                  .body_max = REGISTRATION_MAX,
                                                  .target = registration_target,
                                                  .arg = galley});
}

/* What operates the server is served when nothing else is; what an administrator changes may have
 * to wait for the disk, and waits with the others. */
static void add_own(struct route_list *list, struct galley *galley, const struct config *config)
{
    if (config_text(config_section(config, "server"), "acme_webroot")[0] != '\0')
        route_list_add(list, &(struct route_spec){METHOD_GET, ACME_PATH "{token}", .own = true,
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
        route_list_add(
            list, &(struct route_spec){.method = own[i].method,
                                       .pattern = own[i].pattern,
                                       .priority = own[i].priority,
                                       .reach = own[i].reach,
                                       .known_host = own[i].known_host,
                                       .own = true,
                                       .body_max = post ? ADMIN_BODY_MAX : 0,
                                       .target = own[i].target,
                                       .arg = admin && galley ? (void *)galley->admin : galley});
    }
}

/* Whether it answers GET / of everybody. */
static bool is_front_page(const struct route_spec *spec)
{
    bool gets = spec->any_method || spec->method == METHOD_GET;
    return gets && !spec->host && spec->condition_count == 0 &&
           (strcmp(spec->pattern, "/") == 0 || strcmp(spec->pattern, "/*") == 0);
}

/* Unless a route has the place. */
static void add_landing(struct route_list *list, struct galley *galley, const struct config *config)
{
    bool wanted = config_bool(config_section(config, "server"), "landing");
    for (unsigned i = 0; wanted && i < list->count; i++)
        wanted = !is_front_page(&list->specs[i]);
    if (wanted)
        route_list_add(list, &(struct route_spec){.method = METHOD_GET,
                                                  .pattern = "/",
                                                  .reach = REACH_PUBLIC,
                                                  .own = true,
                                                  .target = landing_target,
                                                  .arg = galley ? galley->admin : NULL});
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
        .cors = route_cors(config, NULL, &list->parts[list->room]),
        .trusted = route_networks(server, "trusted_proxies"),
        .addresses = {route_networks(server, "allow"), route_networks(server, "deny")},
        .address_limit = route_rate(server, "address_limit"),
        .guard = {.allow = route_networks(config_section(config, "admin"), "allow"),
                  .hosts = hosts,
                  .host_count = config_list_count(server, "hosts"),
                  .listener = galley->admin_listener},
        .old_rate_headers = config_choice(server, "rate_limit_headers") == 1,
        .development = config_bool(config_section(config, "server"), "development"),
        .compress = config_bool(compression, "enabled"),
        .compress_min_bytes = (size_t)config_int(compression, "min_size"),
        .cached_body_max = (size_t)config_int(config_section(config, "cache"), "response_max"),
    };
    enum err err = plan_create(galley->gateway, &options, out, why, why_size);
    free(hosts);
    if (err) {
        cidr_list_release(&options.trusted);
        cidr_list_release(&options.guard.allow);
        cidr_list_release(&options.addresses.allow);
        cidr_list_release(&options.addresses.deny);
    }
    return err;
}

enum err routes_plan(struct galley *galley, const struct config *config, struct plan **out,
                     char *why, size_t why_size)
{
    struct mounts mounts = mounts_of_app(config, galley->app);
    struct route_list list = route_list_create(OWN_ROUTES + data_routes(config) + mounts.count);
    enum err err = ERR_VALIDATION;
    *out = NULL;
    add_own(&list, galley, config);
    add_registration(&list, galley, config);
    api_add_route(&list, config, app_modules, galley->source.path);
    bool made = route_list_add_data(&list, galley, config, why, why_size) &&
                route_list_add_mounts(&list, galley, &mounts, why, why_size);
    if (made) {
        add_landing(&list, galley, config);
        err = create(galley, config, &list, out, why, why_size);
    }
    route_list_release(&list, made);
    mounts_release(&mounts);
    return err;
}

struct route_list routes_to_look_at(const struct config *config,
                                    const struct app_module *const *modules)
{
    char why[300];
    struct mounts mounts = mounts_of_modules(config, modules);
    struct route_list list = route_list_create(OWN_ROUTES + data_routes(config) + mounts.count);
    add_own(&list, NULL, config);
    add_registration(&list, NULL, config);
    api_add_route(&list, config, NULL, NULL);
    route_list_add_data(&list, NULL, config, why, sizeof why);
    route_list_add_mounts(&list, NULL, &mounts, why, sizeof why);
    add_landing(&list, NULL, config);
    mounts_release(&mounts);
    return list;
}

enum err routes_look(const struct config *config, const struct app_module *const *modules,
                     struct route_table **out, char *why, size_t why_size)
{
    struct route_list list = routes_to_look_at(config, modules);
    enum err err = route_table_create(list.specs, list.count, out, why, why_size);
    route_list_release(&list, true);
    return err;
}
