/* The configuration: one INI file, read with inih, checked against one table (schema.c) that
 * knows every key's type, unit, default and bounds. ${NAME} reads the environment, a value that
 * begins with @ names a file that holds it. Every error is reported, with file and line, at once.
 * Immutable after loading. Threads: any. */
#ifndef GALLEY_SERVER_CONFIG_CONFIG_H
#define GALLEY_SERVER_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

struct config;
struct config_section;

/* Values of the command line, which win over the file; NULL: not given. */
struct config_overrides {
    const char *listen;
    const char *data;
};

/* ERR_OK, or ERR_VALIDATION with *out NULL and one line for each error in `errors`:
 * "config.ini:12: [server] worker: unknown key; did you mean workers?". */
enum err config_load(const char *path, const struct config_overrides *overrides,
                     struct config **out, struct buf *errors);
void config_destroy(struct config **config);

/* A section that exists once; its keys have their defaults if the file does not name them. */
const struct config_section *config_section(const struct config *config, const char *name);

/* Sections with a name: [queue mail], in the order of the file. */
unsigned config_named_count(const struct config *config, const char *kind);
const struct config_section *config_named(const struct config *config, const char *kind,
                                          unsigned i);
const char *config_name(const struct config_section *section); /* "mail" */
unsigned config_line(const struct config_section *section);    /* that it begins in */

/* Values. A key that the schema does not know is a bug and asserts. Durations are milliseconds,
 * sizes bytes. Text is "" when not set. */
int64_t config_int(const struct config_section *section, const char *key);
bool config_bool(const struct config_section *section, const char *key);
const char *config_text(const struct config_section *section, const char *key);

/* Appends docs/config.md: every section and key with its default, what is allowed, and its help. */
void config_describe(struct buf *out);

/* server.listen, taken apart: "127.0.0.1:8080", "[::1]:0". False if it is not of that form. */
bool config_parse_listen(const char *text, char address[64], uint16_t *port);

#endif
