/* Loading: what the file says becomes sections and values, and every mistake one line. */
#include "base/mem.h"
#include "server/config/config_private.h"
#include "server/config/suggest.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_error {
    unsigned line;
    char *text;
};

struct loader {
    struct config_sink sink; /* first: the sink's functions get the loader through it */
    const char *path;
    struct config *config;
    struct config_section *section; /* that keys belong to now; NULL: none, or an unknown one */
    bool in_section;
    struct config_error *errors; /* by line */
    unsigned error_count;
};

/* ---- Errors. */

/* Keeps the text, in the order of lines: some errors are only known at the end of the file. */
static void add_error(struct loader *loader, unsigned line, char *text)
{
    loader->errors =
        mem_realloc(loader->errors, (loader->error_count + 1) * sizeof(*loader->errors));
    unsigned place = loader->error_count++;
    for (; place > 0 && loader->errors[place - 1].line > line; place--)
        loader->errors[place] = loader->errors[place - 1];
    loader->errors[place] = (struct config_error){line, text};
}

/* Takes what `text` holds already, the place, and adds the sentence. */
static void complain_in(struct loader *loader, unsigned line, struct buf *text, const char *format,
                        va_list args)
{
    char what[1000];
    vsnprintf(what, sizeof(what), format, args);
    buf_append_str(text, what);
    for (size_t i = 0; i < text->len; i++) {
        if (iscntrl((unsigned char)text->data[i]))
            text->data[i] = '?'; /* one error is one line, whatever a variable or file holds */
    }
    buf_append_char(text, '\0');
    add_error(loader, line, text->data);
}

/* "config.ini:12: [queue mail] " and the sentence. Line 0: the file; section may be NULL. */
__attribute__((format(printf, 4, 5))) static void complain(struct loader *loader, unsigned line,
                                                           const struct config_section *section,
                                                           const char *format, ...)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, loader->path);
    if (line > 0)
        buf_printf(&text, ":%u", line);
    buf_append_str(&text, ": ");
    if (section != NULL)
        buf_printf(&text, "[%s%s%s] ", section->kind->name, section->name[0] ? " " : "",
                   section->name);
    va_list args;
    va_start(args, format);
    complain_in(loader, line, &text, format, args);
    va_end(args);
}

/* "--listen: " and the sentence. */
__attribute__((format(printf, 3, 4))) static void
complain_of_option(struct loader *loader, const char *option, const char *format, ...)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s: ", option);
    va_list args;
    va_start(args, format);
    complain_in(loader, 0, &text, format, args);
    va_end(args);
}

static void report_errors(struct loader *loader, struct buf *out)
{
    for (unsigned i = 0; i < loader->error_count; i++) {
        buf_printf(out, "%s\n", loader->errors[i].text);
        free(loader->errors[i].text);
    }
    free(loader->errors);
}

/* ---- Reading. */

static void unknown_section(struct loader *loader, unsigned line, const char *kind)
{
    struct suggestion near = suggestion_for(kind);
    for (const struct config_kind *known = config_kinds; known->name != NULL; known++)
        suggestion_offer(&near, known->name);
    char hint[SUGGESTION_TEXT_SIZE];
    complain(loader, line, NULL, "[%s] unknown section%s", kind, suggestion_text(&near, hint));
}

static void open_section(struct loader *loader, unsigned line, const struct config_kind *kind,
                         const char *name)
{
    bool named = kind->flags & CONFIG_NAMED;
    if (named && !config_name_ok(name))
        complain(loader, line, NULL, "[%s] wants a name of 1 to 64 of a-z, 0-9 and -: [%s NAME]",
                 kind->name, kind->name);
    if (!named && name[0] != '\0')
        complain(loader, line, NULL, "[%s %s] takes no name: [%s]", kind->name, name, kind->name);
    struct config_section *present = config_find_section(loader->config, kind->name, name);
    if (present != NULL && present->line > 0) {
        complain(loader, line, present, "is there already, in line %u", present->line);
        present = NULL; /* its keys are checked all the same, in a section of their own */
    }
    loader->section = present ? present : config_add_section(loader->config, kind, name, line);
    loader->section->line = line;
}

static void on_section(struct config_sink *sink, unsigned line, const char *kind, const char *name)
{
    struct loader *loader = (struct loader *)sink;
    const struct config_kind *known = config_kind_find(kind);
    loader->in_section = true;
    loader->section = NULL;
    if (known == NULL)
        unknown_section(loader, line, kind);
    else
        open_section(loader, line, known, name);
}

static void unknown_key(struct loader *loader, unsigned line, const char *key)
{
    struct suggestion near = suggestion_for(key);
    for (unsigned i = 0; i < loader->section->key_count; i++)
        suggestion_offer(&near, loader->section->keys[i].name);
    char hint[SUGGESTION_TEXT_SIZE];
    complain(loader, line, loader->section, "%s: unknown key%s", key, suggestion_text(&near, hint));
}

/* Gives a key its value from the text in the file or on the command line. */
static void set_value(struct loader *loader, unsigned line, const struct config_key *row,
                      struct config_value *value, const char *written)
{
    struct buf text = BUF_INIT, why = BUF_INIT;
    bool secret = row->flags & CONFIG_SECRET;
    if (!config_expand(written, &text, &why)) {
        complain(loader, line, loader->section, "%s: %.*s", row->name, SLICE_ARG(buf_slice(&why)));
    } else if (!config_value_parse(row, text.data, value, &why)) {
        complain(loader, line, loader->section, "%s: read %s%.100s%s; allowed: %.*s", row->name,
                 secret ? "" : "\"", secret ? "a secret that does not fit" : text.data,
                 secret ? "" : "\"", SLICE_ARG(buf_slice(&why)));
    }
    buf_release(&text);
    buf_release(&why);
}

static void on_pair(struct config_sink *sink, unsigned line, const char *key, const char *written)
{
    struct loader *loader = (struct loader *)sink;
    if (!loader->in_section) {
        complain(loader, line, NULL, "%s: stands before the first [SECTION]", key);
        return;
    }
    if (loader->section == NULL)
        return; /* unknown, and said so */
    const struct config_key *row;
    struct config_value *value = config_find_value(loader->section, key, &row);
    if (value == NULL) {
        unknown_key(loader, line, key);
        return;
    }
    if (value->line > 0) {
        complain(loader, line, loader->section, "%s: is there already, in line %u", key,
                 value->line);
        return;
    }
    value->line = line;
    set_value(loader, line, row, value, written);
}

static void on_error(struct config_sink *sink, unsigned line, const char *what)
{
    complain((struct loader *)sink, line, NULL, "%s", what);
}

/* ---- After reading. */

/* The command line's value of a key of [server], which wins over the file's. */
static void override(struct loader *loader, const char *option, const char *key, const char *given)
{
    if (given == NULL)
        return;
    const struct config_key *row;
    struct config_value *value =
        config_find_value(config_find_section(loader->config, "server", ""), key, &row);
    struct buf allowed = BUF_INIT;
    free(value->text);
    value->text = NULL;
    if (!config_value_parse(row, given, value, &allowed)) {
        buf_append_char(&allowed, '\0');
        complain_of_option(loader, option, "read \"%.100s\"; allowed: %s", given, allowed.data);
    }
    buf_release(&allowed);
}

/* Gives the keys that nobody named their defaults. */
static void fill_section(struct loader *loader, const struct config_section *section)
{
    for (unsigned i = 0; i < section->key_count; i++) {
        const struct config_key *row = &section->keys[i];
        struct config_value *value = &section->values[i];
        if (value->line > 0 || value->text != NULL)
            continue;
        if (row->flags & CONFIG_REQUIRED) {
            complain(loader, section->line, section, "%s: is missing", row->name);
            continue;
        }
        struct buf allowed = BUF_INIT;
        bool ok = config_value_parse(row, row->fallback, value, &allowed);
        assert(ok && "a default does not fit its own row");
        buf_release(&allowed);
    }
}

static bool is_loopback(const char *listen)
{
    char address[64];
    uint16_t port;
    struct in_addr v4;
    if (!config_parse_listen(listen, address, &port))
        return true; /* refused already, for what it is */
    if (inet_pton(AF_INET, address, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    struct in6_addr v6;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* The development data has a user whose password is known to everybody. */
static void check_seed(struct loader *loader)
{
    const struct config_section *shop = config_find_section(loader->config, "shop", "");
    const struct config_section *server = config_find_section(loader->config, "server", "");
    const struct config_key *row;
    const struct config_value *seed = config_find_value(shop, "seed", &row);
    const char *listen = config_find_value(server, "listen", &row)->text;
    if (seed->number != 0 && listen != NULL && !is_loopback(listen))
        complain(loader, seed->line, shop,
                 "seed: read \"yes\", which makes a user with a known password, but the server "
                 "listens on %s, beyond loopback; allowed: no, or listen = 127.0.0.1:PORT",
                 listen);
}

static void read_all(struct loader *loader, const struct config_overrides *overrides)
{
    config_file_read(loader->path, &loader->sink);
    if (overrides != NULL) {
        override(loader, "--listen", "listen", overrides->listen);
        override(loader, "--data", "data", overrides->data);
    }
    for (unsigned i = 0; i < loader->config->count; i++)
        fill_section(loader, loader->config->sections[i]);
    check_seed(loader);
}

enum err config_load(const char *path, const struct config_overrides *overrides,
                     struct config **out, struct buf *errors)
{
    struct loader loader = {
        .sink = {.section = on_section, .pair = on_pair, .error = on_error},
        .path = path,
        .config = config_create(),
    };
    read_all(&loader, overrides);
    bool failed = loader.error_count > 0;
    report_errors(&loader, errors);
    if (failed)
        config_destroy(&loader.config);
    *out = loader.config;
    return failed ? ERR_VALIDATION : ERR_OK;
}
