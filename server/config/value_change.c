/* What a route changes in requests and answers. */
#include "server/config/config_private.h"

#include "server/transform/transform.h"

static enum transform_kind kind_of(const struct config_field *field)
{
    enum transform_kind kind = 0;
    while (strcmp(transform_kind_name(kind), field->key->name) != 0)
        kind++;
    return kind;
}

bool config_change_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)out;
    char reason[200] = "";
    struct transform *transform;
    const struct transform_line line = {kind_of(field), text};
    if (transform_create(&line, 1, NULL, &transform, reason, sizeof reason))
        buf_printf(why, " (%s)", reason);
    bool good = transform;
    transform_destroy(&transform);
    return good;
}

void config_change_describe(const struct config_field *field, struct buf *out)
{
    buf_append_str(out, transform_kind_help(kind_of(field)));
}
