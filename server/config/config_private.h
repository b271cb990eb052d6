/* What the files of the configuration keep to themselves: file.c reads lines, value.c,
 * value_http.c and value_upstream.c understand values, load.c makes sections of them, check.c
 * compares sections, errors.c collects what is wrong, config.c answers, help.c writes the manual.
 */
#ifndef GALLEY_SERVER_CONFIG_CONFIG_PRIVATE_H
#define GALLEY_SERVER_CONFIG_CONFIG_PRIVATE_H

#include "server/config/config.h"
#include "server/config/schema.h"

/* ---- section_*.c: our own kinds of sections. */

extern const struct config_kind config_server, config_listener, config_admin; /* section_server.c */
extern const struct config_kind config_storage, config_cache, config_queue;   /* section_data.c */
extern const struct config_kind config_auth, config_log; /* section_process.c */
extern const struct config_kind config_route, config_cors, config_compression; /* section_route.c */
extern const struct config_kind config_upstream;   /* section_upstream.c */
extern const struct config_kind config_compose;    /* section_compose.c */
extern const struct config_kind config_collection; /* section_collection.c */

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

/* ---- config.c */

struct config_value {
    int64_t number; /* int, size, duration, bool; the place of a choice */
    char *text;     /* as it was read */
    unsigned line;  /* 0: not in the file */
};

/* What a key has: one value, or of a list any number. */
struct config_values {
    struct config_value *at;
    unsigned count;
    unsigned line; /* of the first in the file, even if that made no value; 0: not there */
};

struct config_section {
    const struct config_kind *kind;
    char *name;                   /* "" for sections without one */
    unsigned line;                /* 0: not in the file */
    struct config_values *values; /* one for each key of the kind */
};

struct config {
    const struct config_kind *modules;
    struct config_section **sections;
    unsigned count;
};

/* With the sections that exist once, for their defaults. */
struct config *config_create(const struct config_kind *modules);

/* `line` 0: not in the file. */
struct config_section *config_add_section(struct config *config, const struct config_kind *kind,
                                          const char *name, unsigned line);

/* NULL if there is none. */
struct config_section *config_find_section(const struct config *config, const char *kind,
                                           const char *name);
struct config_values *config_find_values(const struct config_section *section, const char *key,
                                         const struct config_key **row);

/* ---- value.c, value_http.c */

/* A key and what its values may speak of. */
struct config_field {
    const struct config_key *key;
    const struct config_kind *modules;
};

/* Reads one value; its text is a copy. Otherwise false, and `allowed` gets what would have been
 * right: "a whole number from 4 to 10000". */
bool config_value_parse(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *allowed);

/* Reads the text of a line, which may make several values or, if it is empty, none, and adds them.
 */
bool config_values_parse(const struct config_field *field, const char *text, unsigned line,
                         struct config_values *out, struct buf *allowed);

/* Appends what a value may be: "a whole number from 4 to 10000". */
void config_value_describe(const struct config_field *field, struct buf *out);

/* Replaces what is in `out` by the values as they are written, lists with commas, secrets as
 * "(secret)"; returns it as a string. */
const char *config_values_show(const struct config_key *key, const struct config_values *values,
                               struct buf *out);
/* 1024KiB is 1MiB. */
bool config_values_same(const struct config_key *key, const struct config_values *a,
                        const struct config_values *b);

/* Forgets all values. */
void config_values_release(struct config_values *values);

/* 1 to 64 of a-z, 0-9 and '-': the names of queues and routes. */
bool config_name_ok(const char *name);

/* How a type is read and described; `why` may get a remark in brackets that says more than the
 * description. */
struct config_type_row {
    bool (*parse)(const struct config_field *field, const char *text, struct config_value *out,
                  struct buf *why);
    void (*describe)(const struct config_field *field, struct buf *out);
};

/* value_http.c's types: the row of one. */
const struct config_type_row *config_http_type(enum config_type type);

/* value_upstream.c's types. */
bool config_server_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why);
void config_server_describe(const struct config_field *field, struct buf *out);
bool config_hash_key_value(const struct config_field *field, const char *text,
                           struct config_value *out, struct buf *why);
void config_hash_key_describe(const struct config_field *field, struct buf *out);
bool config_cache_key_value(const struct config_field *field, const char *text,
                            struct config_value *out, struct buf *why);
void config_cache_key_describe(const struct config_field *field, struct buf *out);

/* value_change.c's type. */
/* section_process.c: CONFIG_ACCESS. */
bool config_access_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why);
void config_access_describe(const struct config_field *field, struct buf *out);

bool config_change_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why);
void config_change_describe(const struct config_field *field, struct buf *out);

/* value_compose.c's type. */
bool config_part_value(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why);
void config_part_describe(const struct config_field *field, struct buf *out);

/* ---- errors.c: what is wrong, in the order of lines, one line each. */

struct config_errors {
    const char *path;
    struct config_error *list;
    unsigned count;
};

/* "config.ini:12: [queue mail] " and the sentence. Line 0: the file; section may be NULL. */
void config_complain(struct config_errors *errors, unsigned line,
                     const struct config_section *section, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "--listen: " and the sentence. */
void config_complain_of_option(struct config_errors *errors, const char *option, const char *format,
                               ...) __attribute__((format(printf, 3, 4)));

/* Appends them to out and forgets them. */
void config_errors_report(struct config_errors *errors, struct buf *out);

/* ---- check.c: what no single value shows. */

/* Values that could not be read, and said so, are not there. */
void config_check(const struct config *config, struct config_errors *errors);

/* ---- check_addresses.c: two sections that listen at one place. */

void config_check_addresses(const struct config *config, struct config_errors *errors);

/* ---- check_upstream.c: what fits together in an [upstream NAME]. */

void config_check_upstream(const struct config_section *upstream, struct config_errors *errors);

#endif
