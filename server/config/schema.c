#include "server/config/config_private.h"

#include <stddef.h>
#include <string.h>

/* In the order of docs/config.md. */
static const struct config_kind *const own[] = {
    &config_server,  &config_listener,   &config_admin, &config_storage,     &config_cache,
    &config_queue,   &config_auth,       &config_log,   &config_route,       &config_upstream,
    &config_compose, &config_collection, &config_cors,  &config_compression,
};

#define OWN_COUNT (sizeof own / sizeof own[0])

const struct config_kind *config_kind_at(const struct config_kind *modules, unsigned i)
{
    if (i < OWN_COUNT)
        return own[i];
    if (!modules)
        return NULL;
    /* Callers count up, so everything before i has been seen to be no end. */
    const struct config_kind *kind = &modules[i - OWN_COUNT];
    return kind->name ? kind : NULL;
}

const struct config_kind *config_kind_find(const struct config_kind *modules, const char *name)
{
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(modules, i)); i++) {
        if (strcmp(kind->name, name) == 0)
            return kind;
    }
    return NULL;
}
