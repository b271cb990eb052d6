/* [route NAME], [compression]: what the gateway does with a request and its answer. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: tables, a row a key */
static const struct config_key route_keys[] = {
    {"path", CONFIG_PATTERN, "", 0, 0, CONFIG_RELOADS | CONFIG_REQUIRED, NULL,
     "The paths it is about; a final * stands for all that follows."},
    {"method", CONFIG_METHODS, "", 0, 0, CONFIG_RELOADS, NULL,
     "The methods it is about; empty: all."},
    {"target", CONFIG_TARGET, "", 0, 0, CONFIG_RELOADS | CONFIG_REQUIRED, NULL,
     "Where requests go: app:MODULE."},
    {"rate_limit", CONFIG_RATE, "", 0, 0, CONFIG_RELOADS, NULL,
     "How many requests each user or address may send; empty: any number."},
    {"priority", CONFIG_CHOICE, "normal", 0, 0, CONFIG_RELOADS, "critical normal low",
     "Who is served when there is more to do than can be done: low is refused first, critical "
     "last."},
    {"body_max", CONFIG_SIZE, "", CONFIG_KIB, 16 * CONFIG_GIB, CONFIG_RELOADS, NULL,
     "The largest body of a request; empty: that of [server]."},
};

const struct config_kind config_route = {
    "route",
    CONFIG_NAMED,
    "Paths that are handed to a module.",
    CONFIG_KEYS(route_keys),
};

static const struct config_key compression_keys[] = {
    {"enabled", CONFIG_BOOL, "yes", 0, 0, CONFIG_RELOADS, NULL,
     "Whether text is sent compressed to clients that take it so (gzip, br)."},
    {"min_size", CONFIG_SIZE, "1KiB", 0, CONFIG_GIB, CONFIG_RELOADS, NULL,
     "The smallest answer that is worth it."},
};

const struct config_kind config_compression = {
    "compression",
    0,
    "Answers made smaller.",
    CONFIG_KEYS(compression_keys),
};
/* clang-format on */
