/* What the files of the configuration keep to themselves: file.c reads lines,
 * value.c understands values, load.c makes sections of them, config.c answers,
 * help.c writes the manual. */
#ifndef GALLEY_SERVER_CONFIG_CONFIG_PRIVATE_H
#define GALLEY_SERVER_CONFIG_CONFIG_PRIVATE_H

#include "server/config/config.h"
#include "server/config/schema.h"

/* ---- file.c */

/* Is told what a file holds, line by line, in order. Strings are valid during the call. */
struct config_sink {
    void (*section)(struct config_sink *sink, unsigned line, const char *kind, const char *name);
    void (*pair)(struct config_sink *sink, unsigned line, const char *key, const char *value);
    void (*error)(struct config_sink *sink, unsigned line, const char *what);
};

/* Line 0 stands for the file as a whole. */
void config_file_read(const char *path, struct config_sink *sink);

/* A value as written, with ${NAME} replaced from the environment and @file by the file's text.
 * Appends it to out with a final NUL, or returns false with a sentence in why. */
bool config_expand(const char *written, struct buf *out, struct buf *why);

/* ---- value.c */

struct config_value {
    int64_t number; /* int, size, duration, bool */
    char *text;     /* all others */
    unsigned line;  /* 0: not in the file */
};

/* Reads `text` as the key's type; the value's text is a copy. Otherwise false, and `allowed` gets
 * what would have been right: "a whole number from 4 to 10000". */
bool config_value_parse(const struct config_key *key, const char *text, struct config_value *out,
                        struct buf *allowed);

/* Appends what a value may be: "a whole number from 4 to 10000". */
void config_value_describe(const struct config_key *key, struct buf *out);

/* 1 to 64 of a-z, 0-9 and '-': the names of queues and routes. */
bool config_name_ok(const char *name);

/* ---- config.c */

struct config_section {
    const struct config_kind *kind;
    const struct config_key *keys; /* the kind's */
    unsigned key_count;
    char *name;                  /* "" for sections without one */
    unsigned line;               /* 0: not in the file */
    struct config_value *values; /* one for each key */
};

struct config {
    struct config_section **sections;
    unsigned count;
};

/* With the sections that exist once, for their defaults. */
struct config *config_create(void);

/* `line` 0: not in the file. */
struct config_section *config_add_section(struct config *config, const struct config_kind *kind,
                                          const char *name, unsigned line);

/* NULL if there is none. */
struct config_section *config_find_section(const struct config *config, const char *kind,
                                           const char *name);
struct config_value *config_find_value(const struct config_section *section, const char *key,
                                       const struct config_key **row);

#endif
