/* What a [route NAME] changes in requests and answers. */
#include "server/routes_private.h"

#include "server/transform/transform.h"

#include <stdio.h>

static bool find_setting(void *arg, const char *name, struct buf *out)
{
    const struct config *config = arg;
    return config_setting_find(config, name, out);
}

enum err route_transform(const struct config *config, const struct config_section *section,
                         struct transform **out, char *why, size_t why_size)
{
    const struct transform_settings settings = {find_setting, (void *)config};
    struct transform_line lines[TRANSFORM_LINES_MAX + TRANSFORM_KINDS];
    unsigned count = 0;
    *out = NULL;
    for (enum transform_kind kind = 0; kind < TRANSFORM_LISTS; kind++) {
        const char *key = transform_kind_name(kind);
        for (unsigned i = 0; i < config_list_count(section, key); i++) {
            if (count > TRANSFORM_LINES_MAX)
                break; /* it is too many */
            lines[count++] = (struct transform_line){kind, config_list_at(section, key, i)};
        }
    }
    for (enum transform_kind kind = TRANSFORM_LISTS; kind < TRANSFORM_KINDS; kind++) {
        const char *text = config_text(section, transform_kind_name(kind));
        if (text[0])
            lines[count++] = (struct transform_line){kind, text};
    }
    return transform_create(lines, count, &settings, out, why, why_size);
}
