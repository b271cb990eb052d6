/* The manual of config.ini, made of the table that also reads it: docs/config.md is this text. */
#include "server/config/config_private.h"

static const char introduction[] = "# Configuration\n"
                                   "\n"
                                   "One file, `config.ini` in the working directory, or what `-c` "
                                   "names. Every key has a default and may be left out, unless\n"
                                   "it says *required*. `galley check` tells all errors with their "
                                   "lines. A key or section that is not on this page is one.\n"
                                   "\n"
                                   "`${NAME}` in a value stands for a variable of the environment; "
                                   "a value that begins with `@` names a file that holds it.\n"
                                   "A comment begins with `;` or `#`. Amounts have their unit "
                                   "right behind them: `10s`, `5min`, `64KiB`.\n"
                                   "\n"
                                   "This page is what `galley help config` prints.\n";

static void describe_default(const struct config_key *key, struct buf *out)
{
    if (key->flags & CONFIG_REQUIRED)
        buf_append_str(out, "*required*");
    else if (key->fallback[0] == '\0')
        buf_append_str(out, "*empty*");
    else
        buf_printf(out, "`%s`", key->fallback);
}

static void describe_key(const struct config_key *key, struct buf *out)
{
    buf_printf(out, "| `%s` | ", key->name);
    describe_default(key, out);
    buf_append_str(out, " | ");
    config_value_describe(key, out);
    buf_printf(out, " | %s%s |\n", key->help,
               key->flags & CONFIG_SECRET ? " Never printed or logged." : "");
}

static void describe_section(const struct config_kind *kind, struct buf *out)
{
    bool named = kind->flags & CONFIG_NAMED;
    buf_printf(out, "\n## [%s%s]\n\n%s%s\n\n", kind->name, named ? " NAME" : "", kind->help,
               named ? " There may be several, each with its name." : "");
    buf_append_str(out, "| key | default | allowed | what |\n|---|---|---|---|\n");
    unsigned count;
    const struct config_key *keys = config_kind_keys(kind, &count);
    for (unsigned i = 0; i < count; i++)
        describe_key(&keys[i], out);
}

void config_describe(struct buf *out)
{
    buf_append_str(out, introduction);
    for (const struct config_kind *kind = config_kinds; kind->name != NULL; kind++)
        describe_section(kind, out);
}
