/* The table of every section and every key of config.ini. To add a key, add a row; to give a module
 * its own section, add a row to the kinds and one for each of its keys. Static. Threads: any. */
#ifndef GALLEY_SERVER_CONFIG_SCHEMA_H
#define GALLEY_SERVER_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

enum config_type {
    CONFIG_INT,
    CONFIG_SIZE,     /* bytes; "64KiB" */
    CONFIG_DURATION, /* milliseconds; "250ms", "5min" */
    CONFIG_BOOL,     /* yes, no */
    CONFIG_TEXT,     /* min and max: its length in bytes; the default may be shorter */
    CONFIG_CHOICE,   /* one of the words of `choices` */
    CONFIG_LISTEN,   /* "127.0.0.1:8080", "[::1]:0" */
    CONFIG_RATE,     /* what rate_limit_parse reads; empty: none */
    CONFIG_PATTERN,  /* of a path: "/orders/{id}", or all below with a final star */
    CONFIG_METHODS,  /* one or several methods, "GET, POST"; empty: all */
    CONFIG_TARGET,   /* "app:MODULE" */
};

enum config_flag {
    CONFIG_SECRET = 1,   /* never printed */
    CONFIG_REQUIRED = 2, /* has no default */
};

struct config_key {
    const char *section;
    const char *name;
    enum config_type type;
    const char *fallback; /* the default, written as in the file */
    int64_t min, max;     /* of int, size, duration; length of text */
    unsigned flags;
    const char *choices; /* of CONFIG_CHOICE, blanks between; else NULL */
    const char *help;
};

enum config_kind_flag {
    CONFIG_NAMED = 1,  /* exists any number of times, with a name: [queue mail] */
    CONFIG_MODULE = 2, /* of the app module of that name, which a route's target may be */
};

/* A kind of section. */
struct config_kind {
    const char *name;
    unsigned flags;
    const char *help;
};

/* Both end with a row whose name is NULL. A kind's keys stand in one run. */
extern const struct config_kind config_kinds[];
extern const struct config_key config_keys[];

/* NULL if there is none. */
const struct config_kind *config_kind_find(const char *name);

/* The kind's first key and how many there are. */
const struct config_key *config_kind_keys(const struct config_kind *kind, unsigned *count);

#endif
