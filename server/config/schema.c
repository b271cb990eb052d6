#include "server/config/schema.h"

#include <stddef.h>
#include <string.h>

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define TIB (INT64_C(1) << 40)

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* clang-format off: a table, a row a thing */
const struct config_kind config_kinds[] = {
    {"server", 0, "Where the server listens and what it takes from a client."},
    {"storage", 0, "The database."},
    {"cache", 0, "The cache in memory."},
    {"queue", CONFIG_NAMED, "A job queue and its worker threads."},
    {"auth", 0, "The tokens that users sign in with."},
    {"log", 0, "What is logged, and where."},
    {"route", CONFIG_NAMED, "Paths that are handed to a module."},
    {"shop", CONFIG_MODULE, "The reference application."},
    {NULL, 0, NULL},
};

const struct config_key config_keys[] = {
    {"server", "listen", CONFIG_LISTEN, "127.0.0.1:8080", 0, 0, 0, NULL,
     "Address and port; port 0 picks a free one."},
    {"server", "data", CONFIG_TEXT, "./data", 1, 4000, 0, NULL,
     "The data directory, seen from the working directory; made if it is missing."},
    {"server", "workers", CONFIG_INT, "1024", 4, 10000, 0, NULL,
     "Threads that serve connections, one connection each."},
    {"server", "connections_per_address", CONFIG_INT, "512", 1, 10000, 0, NULL,
     "Connections that one address may hold open."},
    {"server", "head_timeout", CONFIG_DURATION, "10s", 100, HOUR, 0, NULL,
     "From the first byte of a request to the end of its head."},
    {"server", "body_timeout", CONFIG_DURATION, "30s", 100, HOUR, 0, NULL, "For the whole body."},
    {"server", "idle_timeout", CONFIG_DURATION, "60s", 100, HOUR, 0, NULL,
     "Between two requests of a connection."},
    {"server", "body_max", CONFIG_SIZE, "1MiB", KIB, 16 * MIB, 0, NULL,
     "The largest body of a request."},
    {"server", "drain_timeout", CONFIG_DURATION, "10s", 0, 10 * MINUTE, 0, NULL,
     "How long a stop waits for requests in flight and running jobs."},

    {"storage", "map_size", CONFIG_SIZE, "64GiB", MIB, 16 * TIB, 0, NULL,
     "What the database may grow to; address space, not memory."},
    {"storage", "batch_max", CONFIG_INT, "512", 1, 4096, 0, NULL,
     "Write transactions that share one commit."},

    {"cache", "size", CONFIG_SIZE, "64MiB", MIB, TIB, 0, NULL,
     "Memory for keys, values and tables."},

    {"queue", "concurrency", CONFIG_INT, "2", 1, 256, 0, NULL, "Worker threads."},
    {"queue", "batch", CONFIG_INT, "256", 1, 4096, 0, NULL, "Jobs that a worker takes at once."},
    {"queue", "attempts", CONFIG_INT, "25", 1, 1000, 0, NULL,
     "How often a job is tried before it is dead."},
    {"queue", "lease", CONFIG_DURATION, "5min", SECOND, DAY, 0, NULL,
     "A batch that is not finished in this time is given to others."},

    {"auth", "key", CONFIG_TEXT, "", 32, 1024, CONFIG_SECRET, NULL,
     "The secret that signs tokens; empty: made at the first start, in the data directory."},
    {"auth", "issuer", CONFIG_TEXT, "galley", 1, 200, 0, NULL, "The claim iss of a token."},
    {"auth", "audience", CONFIG_TEXT, "galley", 1, 200, 0, NULL, "The claim aud of a token."},
    {"auth", "token_ttl", CONFIG_DURATION, "1h", SECOND, 30 * DAY, 0, NULL,
     "How long a token is valid."},

    {"log", "level", CONFIG_CHOICE, "info", 0, 0, 0, "debug info warn error off",
     "The least important line that is written."},
    {"log", "format", CONFIG_CHOICE, "auto", 0, 0, 0, "auto json text",
     "auto: text on a terminal, else JSON."},
    {"log", "file", CONFIG_TEXT, "-", 1, 4000, 0, NULL,
     "The file that is appended to; - is standard error."},
    {"log", "access", CONFIG_BOOL, "yes", 0, 0, 0, NULL, "Whether every request is logged."},

    {"route", "path", CONFIG_PATTERN, "", 0, 0, CONFIG_REQUIRED, NULL,
     "The paths it is about; a final * stands for all that follows."},
    {"route", "method", CONFIG_METHODS, "", 0, 0, 0, NULL, "The methods it is about; empty: all."},
    {"route", "target", CONFIG_TARGET, "", 0, 0, CONFIG_REQUIRED, NULL,
     "Where requests go: app:MODULE."},
    {"route", "rate_limit", CONFIG_RATE, "", 0, 0, 0, NULL,
     "How many requests each user or address may send; empty: any number."},

    {"shop", "seed", CONFIG_BOOL, "no", 0, 0, 0, NULL,
     "Development data, with a user whose password is known: only on a loopback address."},

    {NULL, NULL, CONFIG_INT, NULL, 0, 0, 0, NULL, NULL},
};
/* clang-format on */

const struct config_kind *config_kind_find(const char *name)
{
    for (const struct config_kind *kind = config_kinds; kind->name != NULL; kind++) {
        if (strcmp(kind->name, name) == 0)
            return kind;
    }
    return NULL;
}

const struct config_key *config_kind_keys(const struct config_kind *kind, unsigned *count)
{
    const struct config_key *first = config_keys;
    while (first->name != NULL && strcmp(first->section, kind->name) != 0)
        first++;
    *count = 0;
    while (first[*count].name != NULL && strcmp(first[*count].section, kind->name) == 0)
        (*count)++;
    return first;
}
