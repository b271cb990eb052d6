/* The description of all that a configuration serves, as OpenAPI 3.1: made of the tables that serve
 * it (routes.c), so that it cannot say anything else. Not in it are the pages and calls of the
 * administration below /_/, which are the admin UI's own (docs/admin-api.md). */
#ifndef GALLEY_SERVER_API_H
#define GALLEY_SERVER_API_H

#include "server/app/app.h"
#include "server/config/config.h"

struct route_list;

/* The document, the caller's; `path` is the configuration's. Opens nothing. Threads: any. */
json_t *api_describe(const struct config *config, const struct app_module *const *modules,
                     const char *path);

/* The route that serves it, GET /openapi.json, as [server] openapi says; added to the list, which
 * has room for it. */
void api_add_route(struct route_list *list, const struct config *config,
                   const struct app_module *const *modules, const char *path);

#endif
