/* [compose NAME]: answers made of several. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: a table, a row a key */
static const struct config_key compose_keys[] = {
    {"part", CONFIG_PART, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_REQUIRED, NULL,
     "One of its parts, a line for each, at most 16: the name of its member and what it is got "
     "from, a path of this server or of an upstream. {id} in a path is a parameter of the "
     "request's own, {profile.id} a member of the part profile above. optional: the answer may be "
     "without it; fallback: JSON in its place, up to the end of the line."},
    {"merge", CONFIG_CHOICE, "named", 0, 0, CONFIG_RELOADS, "named flat",
     "named: each part is a member of the answer; flat: their members are, of equal ones the "
     "first."},
    {"timeout", CONFIG_DURATION, "5s", 10, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long a part may take that does not say it (timeout=200ms)."},
};
/* clang-format on */

const struct config_kind config_compose = {
    "compose",
    CONFIG_NAMED,
    "Answers made of several (docs/gateway.md): target = compose:NAME of a route.",
    CONFIG_KEYS(compose_keys),
};
