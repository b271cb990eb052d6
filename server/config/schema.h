/* The tables of every section and every key of config.ini. A kind of section is a table of rows in
 * a file of its own, section_NAME.c: to add a key, add a row; to add a kind, add a file and a line
 * in schema.c. Modules bring the rows of their own section (server/app/app.h). Static. Threads:
 * any. */
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
    CONFIG_CHOICE,   /* one of the words of `of` */
    CONFIG_REF,      /* the name of a section of the kind `of`, which must be in the file */
    CONFIG_ADDRESS,  /* to listen on: "127.0.0.1:8080", "[::1]:0", "unix:PATH" */
    CONFIG_CIDR,     /* "10.0.0.0/8", "::1" */
    CONFIG_HOST,     /* the name of a host, without a port */
    CONFIG_ORIGIN,   /* "https://HOST[:PORT]" */
    CONFIG_PAGES,    /* of pages: an origin as browsers write it, or one for all below a host, or a
                        star */
    CONFIG_TOKEN,    /* of HTTP: the name of a header or method; or "*" */
    CONFIG_RATE,     /* what rate_limit_parse reads */
    CONFIG_ROLE,     /* of a user: what text_is_role takes */
    CONFIG_TIER,     /* a role, a blank and a CONFIG_RATE */
    CONFIG_PATTERN,  /* of a path: "/orders/{id}", or all below with a final star */
    CONFIG_METHODS,  /* one or several methods, "GET, POST" */
    CONFIG_TARGET,   /* "app:MODULE", "static:DIR", "respond:STATUS" */
    CONFIG_HOSTS,    /* the name of a host, or "*.example.org" for all below */
    CONFIG_FIELD,    /* the value of a header: no control characters; min and max as of text */
    CONFIG_IF,       /* what condition_parse reads, of the kind `of`: "header", "query", "device",
                        "version", "client" */
    CONFIG_SERVER,   /* of an upstream: what config_parse_server reads */
    CONFIG_HASH_KEY, /* "address", "path", "header:NAME", "cookie:NAME" */
    CONFIG_PART,     /* of a composed answer: what config_parse_part reads */
    CONFIG_ACCESS,   /* how an access line looks: what log_access_format_check takes */
    CONFIG_KEY_PART, /* "user", "header:NAME", "cookie:NAME" */
    CONFIG_CHANGE, /* of requests or answers: what transform_create reads, of the kind that the key
                      names */
};

enum config_flag {
    /* One of these two on every key: what a change of it takes. */
    CONFIG_RELOADS = 1,
    CONFIG_RESTART = 2,

    CONFIG_SECRET = 4,   /* never printed */
    CONFIG_REQUIRED = 8, /* has no default */
    CONFIG_LIST = 16,    /* may be given several times, each time adding a value */
    CONFIG_COMMAS = 32,  /* of a list: one line may hold several, with commas between */
};

struct config_key {
    const char *name;
    enum config_type type;
    /* The default, written as in the file, a list with commas. "" stands for "not set" with every
     * type: 0 as a number, no value in a list. */
    const char *fallback;
    int64_t min, max; /* of int, size, duration; length of text */
    unsigned flags;
    const char *of; /* of CONFIG_CHOICE, CONFIG_REF and CONFIG_IF, else NULL */
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
    const struct config_key *keys;
    unsigned key_count;
};

/* What a table of rows is in a struct config_kind. */
#define CONFIG_KEYS(rows) (rows), sizeof(rows) / sizeof(rows)[0]

/* Kinds that modules bring, an array that ends with a NULL name; NULL stands for none. The i-th of
 * all kinds, our own first; NULL behind the last. */
const struct config_kind *config_kind_at(const struct config_kind *modules, unsigned i);

/* NULL if there is none. */
const struct config_kind *config_kind_find(const struct config_kind *modules, const char *name);

/* Units for bounds. */
#define CONFIG_KIB    (INT64_C(1) << 10)
#define CONFIG_MIB    (INT64_C(1) << 20)
#define CONFIG_GIB    (INT64_C(1) << 30)
#define CONFIG_TIB    (INT64_C(1) << 40)
#define CONFIG_SECOND INT64_C(1000)
#define CONFIG_MINUTE (60 * CONFIG_SECOND)
#define CONFIG_HOUR   (60 * CONFIG_MINUTE)
#define CONFIG_DAY    (24 * CONFIG_HOUR)

#endif
