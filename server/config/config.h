/* The configuration: one INI file, read with inih, checked against tables (schema.h) that know
 * every key's type, unit, default and bounds. ${NAME} reads the environment, a value that begins
 * with @ names a file that holds it. Every error is reported, with file and line, at once.
 * Immutable after loading. Threads: any. */
#ifndef GALLEY_SERVER_CONFIG_CONFIG_H
#define GALLEY_SERVER_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

struct config;
struct config_section;
struct config_kind; /* schema.h */

/* What a configuration is read from. The strings and kinds are borrowed for its life. */
struct config_source {
    const char *path;
    /* The kinds of sections that modules bring; ends with a NULL name; NULL: none. */
    const struct config_kind *modules;
    /* [server] listen and data as the command line gives them: they win over the file. Or NULL. */
    const char *listen, *data;
};

/* ERR_OK, or ERR_VALIDATION with *out NULL and one line for each error in `errors`:
 * "config.ini:12: [server] worker: unknown key; did you mean workers?". */
enum err config_load(const struct config_source *source, struct config **out, struct buf *errors);
void config_destroy(struct config **config);

/* A section that exists once; its keys have their defaults if the file does not name them. */
const struct config_section *config_section(const struct config *config, const char *name);

/* Sections with a name: [queue mail], in the order of the file. */
unsigned config_named_count(const struct config *config, const char *kind);
const struct config_section *config_named(const struct config *config, const char *kind,
                                          unsigned i);
const char *config_name(const struct config_section *section); /* "mail" */
unsigned config_line(const struct config_section *section);    /* that it begins in */
/* That a key first stands in; else that the section begins in; 0: neither is in the file. */
unsigned config_key_line(const struct config_section *section, const char *key);

/* The section of that kind that a CONFIG_REF value names. NULL for "". */
const struct config_section *config_referred(const struct config *config, const char *kind,
                                             const char *name);

/* True if the file has no section at all. */
bool config_is_empty(const struct config *config);

/* Values. A key that the schema does not know is a bug and asserts. Durations are milliseconds,
 * sizes bytes. Text is "" when not set. */
int64_t config_int(const struct config_section *section, const char *key);
bool config_bool(const struct config_section *section, const char *key);
const char *config_text(const struct config_section *section, const char *key);

/* The values of a list, in the order of the file. */
unsigned config_list_count(const struct config_section *section, const char *key);
const char *config_list_at(const struct config_section *section, const char *key, unsigned i);

/* The place of a CONFIG_CHOICE value among the words of its row. */
unsigned config_choice(const struct config_section *section, const char *key);

/* ---- Comparing */

struct config_change {
    const char *section; /* "server", "route shop" */
    const char *key;     /* NULL: the section as a whole */
    /* The values as they are written, lists with commas, secrets as "(secret)"; NULL: the section
     * is not there. Of a section as a whole the other one is "". */
    const char *from, *to;
    unsigned line;  /* in the file of `to`; 0: not in it */
    unsigned takes; /* CONFIG_RELOADS or CONFIG_RESTART (schema.h) */
};

/* Borrows for the call. */
typedef void (*config_change_fn)(const struct config_change *change, void *arg);

/* Reports, in the order of the file, each change from `before` to `after` that takes a reload, or
 * each that takes a restart. A section that comes or goes takes a restart if one of its keys does.
 * Both were read with the same kinds of sections. */
void config_diff(const struct config *before, const struct config *after, unsigned takes,
                 config_change_fn report, void *arg);

/* ---- Showing */

struct config_setting {
    const char *section; /* "server", "route shop" */
    const char *key;
    const char *value;    /* that holds now; secrets as "(secret)" */
    const char *waiting;  /* what the file says, if that takes a restart; else NULL */
    const char *fallback; /* the default; NULL: there is none, the file has to say it */
    unsigned line;        /* in the file; 0: not in it */
    bool reloads;         /* a change takes a reload; else a restart */
    const char *help;
};
typedef void (*config_setting_fn)(const struct config_setting *setting, void *arg);

/* Shows each key of each section in the order of the file, those that it does not name behind:
 * `started` is what the process was started with, `loaded` what was read last (perhaps the same).
 */
void config_each(const struct config *started, const struct config *loaded, config_setting_fn show,
                 void *arg);

/* Appends the value of a key, a list with commas: "server.body_max", "upstream users.balance".
 * False, and nothing appended, if there is no such key or section, or it is secret. */
bool config_setting_find(const struct config *config, const char *name, struct buf *out);

/* ---- The manual */

/* Appends docs/config.md: every section and key with its default, what is allowed, and its help. */
void config_describe(const struct config_kind *modules, struct buf *out);

/* ---- Addresses */

/* An address to listen on, taken apart: "127.0.0.1:8080", "[::1]:0", "unix:/run/galley.sock". */
struct config_address {
    char host[64]; /* "" with a path */
    uint16_t port;
    char path[108]; /* of a Unix socket, or "" */
};

/* False if it is not of that form. */
bool config_parse_address(const char *text, struct config_address *out);

/* A server of an upstream: "10.0.0.1:80 weight=2 zone=a backup". */
struct config_server {
    struct config_address address; /* with a port, or a path */
    char name[256];  /* or "": to be looked up, and its host is ""; no port: for SRV */
    unsigned weight; /* from 1 */
    char zone[33];   /* or "" */
    bool backup;
    unsigned max_conns; /* 0: any number */
    unsigned max_fails; /* 0: it is never taken out for them */
    int64_t fail_timeout_ms;
};

/* False if it is not of that form. */
bool config_parse_server(const char *text, struct config_server *out);

/* A part of a composed answer: "orders /orders?limit=3 optional". */
struct config_part {
    char name[65];
    char upstream[65]; /* "" for a path of this server */
    char path[1024];   /* and query */
    bool optional;
    int64_t timeout_ms;   /* 0: not said */
    const char *fallback; /* the end of the text that was read; NULL: none */
};

/* False if it is not of that form. */
bool config_parse_part(const char *text, struct config_part *out);

/* "200" or "200-399": a range of statuses. False if it is not of that form. */
bool config_parse_statuses(const char *text, unsigned *least, unsigned *most);

#endif
