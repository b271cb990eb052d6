/* Loading: what the file says becomes sections and values, and every mistake one line. */
#include "server/config/config_private.h"
#include "server/config/suggest.h"

#include <assert.h>
#include <string.h>

struct loader {
    struct config_sink sink; /* first: the sink's functions get the loader through it */
    struct config *config;
    struct config_section *section; /* that keys belong to now; NULL: none, or an unknown one */
    bool in_section;
    struct config_errors errors;
};

/* ---- Reading */

static void unknown_section(struct loader *loader, unsigned line, const char *kind)
{
    struct suggestion near = suggestion_for(kind);
    const struct config_kind *known;
    for (unsigned i = 0; (known = config_kind_at(loader->config->modules, i)); i++)
        suggestion_offer(&near, known->name);
    char hint[SUGGESTION_TEXT_SIZE];
    config_complain(&loader->errors, line, NULL, "[%s] unknown section%s", kind,
                    suggestion_text(&near, hint));
}

static void open_section(struct loader *loader, unsigned line, const struct config_kind *kind,
                         const char *name)
{
    bool named = kind->flags & CONFIG_NAMED;
    if (named && !config_name_ok(name))
        config_complain(&loader->errors, line, NULL,
                        "[%s] wants a name of 1 to 64 of a-z, 0-9 and -: [%s NAME]", kind->name,
                        kind->name);
    if (!named && name[0] != '\0')
        config_complain(&loader->errors, line, NULL, "[%s %s] takes no name: [%s]", kind->name,
                        name, kind->name);
    struct config_section *present = config_find_section(loader->config, kind->name, name);
    if (present && present->line > 0) {
        config_complain(&loader->errors, line, present, "is there already, in line %u",
                        present->line);
        present = NULL; /* its keys are checked all the same, in a section of their own */
    }
    loader->section = present ? present : config_add_section(loader->config, kind, name, line);
    loader->section->line = line;
}

static void on_section(struct config_sink *sink, unsigned line, const char *kind, const char *name)
{
    struct loader *loader = (struct loader *)sink;
    const struct config_kind *known = config_kind_find(loader->config->modules, kind);
    loader->in_section = true;
    loader->section = NULL;
    if (!known)
        unknown_section(loader, line, kind);
    else
        open_section(loader, line, known, name);
}

static void unknown_key(struct loader *loader, unsigned line, const char *key)
{
    const struct config_kind *kind = loader->section->kind;
    struct suggestion near = suggestion_for(key);
    for (unsigned i = 0; i < kind->key_count; i++)
        suggestion_offer(&near, kind->keys[i].name);
    char hint[SUGGESTION_TEXT_SIZE];
    config_complain(&loader->errors, line, loader->section, "%s: unknown key%s", key,
                    suggestion_text(&near, hint));
}

/* INI has no quotes: they would be part of the value, which nobody means. */
static bool is_quoted(const char *written)
{
    size_t len = strlen(written);
    return len >= 2 && (written[0] == '"' || written[0] == '\'') && written[len - 1] == written[0];
}

/* Gives a key a value, or of a list some more, from the text in the file. */
static void set_value(struct loader *loader, unsigned line, const struct config_key *row,
                      struct config_values *values, const char *written)
{
    struct buf text = BUF_INIT, why = BUF_INIT;
    bool secret = row->flags & CONFIG_SECRET;
    struct config_field field = {row, loader->config->modules};
    if (is_quoted(written)) {
        config_complain(&loader->errors, line, loader->section,
                        "%s: a value stands without quotes around it", row->name);
    } else if (!config_expand(written, &text, &why)) {
        config_complain(&loader->errors, line, loader->section, "%s: %.*s", row->name,
                        SLICE_ARG(buf_slice(&why)));
    } else if (!config_values_parse(&field, text.data, line, values, &why)) {
        config_complain(&loader->errors, line, loader->section,
                        "%s: read %s%.100s%s; allowed: %.*s", row->name, secret ? "" : "\"",
                        secret ? "a secret that does not fit" : text.data, secret ? "" : "\"",
                        SLICE_ARG(buf_slice(&why)));
    }
    buf_release(&text);
    buf_release(&why);
}

static void on_pair(struct config_sink *sink, unsigned line, const char *key, const char *written)
{
    struct loader *loader = (struct loader *)sink;
    if (key[0] == '\0') {
        config_complain(&loader->errors, line, NULL, "the name of a key is missing before =");
        return;
    }
    if (!loader->in_section) {
        config_complain(&loader->errors, line, NULL, "%s: stands before the first [SECTION]", key);
        return;
    }
    if (!loader->section)
        return; /* unknown, and said so */
    const struct config_key *row;
    struct config_values *values = config_find_values(loader->section, key, &row);
    if (!values) {
        unknown_key(loader, line, key);
        return;
    }
    if (values->line > 0 && !(row->flags & CONFIG_LIST)) {
        config_complain(&loader->errors, line, loader->section, "%s: is there already, in line %u",
                        key, values->line);
        return;
    }
    if (values->line == 0)
        values->line = line;
    set_value(loader, line, row, values, written);
}

static void on_error(struct config_sink *sink, unsigned line, const char *what)
{
    config_complain(&((struct loader *)sink)->errors, line, NULL, "%s", what);
}

/* ---- After reading */

/* The command line's value of a key of [server], which wins over the file's. */
static void override(struct loader *loader, const char *option, const char *key, const char *given)
{
    if (!given)
        return;
    struct config_field field = {.modules = loader->config->modules};
    struct config_values *values =
        config_find_values(config_find_section(loader->config, "server", ""), key, &field.key);
    struct buf allowed = BUF_INIT;
    unsigned line = values->line;
    config_values_release(values);
    if (!config_values_parse(&field, given, line, values, &allowed))
        config_complain_of_option(&loader->errors, option, "read \"%.100s\"; allowed: %.*s", given,
                                  SLICE_ARG(buf_slice(&allowed)));
    buf_release(&allowed);
}

static void fill_default(const struct config_field *field, struct config_values *values)
{
    struct buf allowed = BUF_INIT;
    bool ok = config_values_parse(field, field->key->fallback, 0, values, &allowed);
    assert(ok && "a default does not fit its own row");
    buf_release(&allowed);
}

/* Gives the keys that nobody named their defaults. */
static void fill_section(struct loader *loader, const struct config_section *section)
{
    for (unsigned i = 0; i < section->kind->key_count; i++) {
        struct config_field field = {&section->kind->keys[i], loader->config->modules};
        struct config_values *values = &section->values[i];
        if (values->line > 0 || values->count > 0)
            continue;
        if (field.key->flags & CONFIG_REQUIRED)
            config_complain(&loader->errors, section->line, section, "%s: is missing",
                            field.key->name);
        else
            fill_default(&field, values);
    }
}

/* A module is called as its file; sections that say the same name could not be told apart. */
static bool kinds_differ(struct loader *loader)
{
    const struct config_kind *modules = loader->config->modules;
    bool differ = true;
    for (unsigned i = 0; modules && modules[i].name; i++) {
        if (config_kind_find(modules, modules[i].name) == &modules[i])
            continue;
        config_complain(&loader->errors, 0, NULL,
                        "the module %s of this build has the name of another section, [%s]; call "
                        "it otherwise, its file too",
                        modules[i].name, modules[i].name);
        differ = false;
    }
    return differ;
}

static void read_all(struct loader *loader, const struct config_source *source)
{
    config_file_read(source->path, &loader->sink);
    override(loader, "--listen", "listen", source->listen);
    override(loader, "--data", "data", source->data);
    for (unsigned i = 0; i < loader->config->count; i++)
        fill_section(loader, loader->config->sections[i]);
    config_check(loader->config, &loader->errors);
}

enum err config_load(const struct config_source *source, struct config **out, struct buf *errors)
{
    struct loader loader = {
        .sink = {.section = on_section, .pair = on_pair, .error = on_error},
        .config = config_create(source->modules),
        .errors = {.path = source->path},
    };
    if (kinds_differ(&loader))
        read_all(&loader, source);
    bool failed = loader.errors.count > 0;
    config_errors_report(&loader.errors, errors);
    if (failed)
        config_destroy(&loader.config);
    *out = loader.config;
    return failed ? ERR_VALIDATION : ERR_OK;
}
