/* The manual of config.ini, made of the tables that also read it: docs/config.md is this text. */
#include "server/config/config_private.h"

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "One file, `config.ini` in the working directory, else `/etc/galley/config.ini`, or what `-c` "
    "names. Every key has a default and may be left out, unless\n"
    "it says *required*. `galley check` tells all errors with their "
    "lines. A key or section that is not on this page is one.\n"
    "\n"
    "`${NAME}` in a value stands for a variable of the environment; "
    "a value that begins with `@` names a file that holds it.\n"
    "A comment begins with `;` or `#`. Amounts have their unit "
    "right behind them: `10s`, `5min`, `64KiB`.\n"
    "A *list* may be given in several lines, or in one with commas "
    "where the table says so.\n"
    "\n"
    "The column *change* says what a changed value takes: a "
    "*reload* (`galley reload`, docs/reload.md) or a *restart*.\n"
    "\n"
    "This page is made by `make docs`. `galley help config` prints it with the sections that the "
    "modules of the build bring.\n";

static void describe_default(const struct config_key *key, struct buf *out)
{
    if (key->flags & CONFIG_REQUIRED)
        buf_append_str(out, "*required*");
    else if (!key->fallback[0])
        buf_append_str(out, "*empty*");
    else
        buf_printf(out, "`%s`", key->fallback);
}

static const char *describe_list(const struct config_key *key)
{
    if (!(key->flags & CONFIG_LIST))
        return "";
    return key->flags & CONFIG_COMMAS ? "a list, with commas: " : "a list: ";
}

static void describe_key(const struct config_field *field, struct buf *out)
{
    const struct config_key *key = field->key;
    buf_printf(out, "| `%s` | ", key->name);
    describe_default(key, out);
    buf_printf(out, " | %s", describe_list(key));
    config_value_describe(field, out);
    buf_printf(out, " | %s | %s%s |\n", key->flags & CONFIG_RELOADS ? "reload" : "restart",
               key->help, key->flags & CONFIG_SECRET ? " Never printed or logged." : "");
}

static void describe_section(const struct config_kind *modules, const struct config_kind *kind,
                             struct buf *out)
{
    bool named = kind->flags & CONFIG_NAMED;
    buf_printf(out, "\n## [%s%s]\n\n%s%s\n", kind->name, named ? " NAME" : "", kind->help,
               named ? " There may be several, each with its name." : "");
    if (kind->key_count > 0)
        buf_append_str(out,
                       "\n| key | default | allowed | change | what |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < kind->key_count; i++)
        describe_key(&(struct config_field){&kind->keys[i], modules}, out);
}

void config_describe(const struct config_kind *modules, struct buf *out)
{
    buf_append_str(out, introduction);
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(modules, i)); i++)
        describe_section(modules, kind, out);
}
