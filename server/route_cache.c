#include "server/galley_private.h"

#include <assert.h>

void route_cache_read(const struct config_section *section, struct route_cache *out)
{
    out->enabled = config_bool(section, "cache");
    out->ttl_s = config_int(section, "cache_ttl") / 1000;
    out->stale_if_error_s = config_int(section, "cache_stale_if_error") / 1000;
    out->stale_while_revalidate_s = config_int(section, "cache_stale_while_revalidate") / 1000;
    unsigned count = config_list_count(section, "cache_key");
    assert(count <= CACHE_KEYS_MAX); /* the configuration checked it */
    for (unsigned i = 0; i < count; i++)
        out->keys[out->key_count++] = config_list_at(section, "cache_key", i);
}
