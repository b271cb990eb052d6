/* [storage], [cache], [queue NAME]: what is kept, and where jobs wait. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: tables, a row a key */
static const struct config_key storage_keys[] = {
    {"map_size", CONFIG_SIZE, "64GiB", CONFIG_MIB, 16 * CONFIG_TIB, CONFIG_RESTART, NULL,
     "What the database may grow to; address space, not memory."},
    {"batch_max", CONFIG_INT, "512", 1, 4096, CONFIG_RESTART, NULL,
     "Write transactions that share one commit."},
    {"idempotency_keep", CONFIG_DURATION, "6h", CONFIG_SECOND, 30 * CONFIG_DAY, CONFIG_RESTART,
     NULL, "How long a repeated Idempotency-Key gets the answer of the first request."},
    {"idempotency_size", CONFIG_SIZE, "1GiB", CONFIG_MIB, 16 * CONFIG_TIB, CONFIG_RESTART, NULL,
     "What these answers may take of the database; beyond it the oldest go earlier."},
    {"feed", CONFIG_TEXT, "", 1, 64, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Collections of modules that the change feed tells of (docs/feed.md): orders, products. It "
     "makes writing to them dearer."},
    {"feed_keep", CONFIG_DURATION, "7d", CONFIG_SECOND, 3650 * CONFIG_DAY, CONFIG_RELOADS, NULL,
     "How long events of the change feed are kept."},
    {"feed_size", CONFIG_SIZE, "1GiB", CONFIG_KIB, 16 * CONFIG_TIB, CONFIG_RELOADS, NULL,
     "What they may take of the database; beyond it the oldest go earlier."},
    {"scrub", CONFIG_INT, "5", 0, 90, CONFIG_RESTART, NULL,
     "Percent of the time in which everything stored may be read, over and over, to find damage."},
};

const struct config_kind config_storage = {
    "storage",
    0,
    "The database.",
    CONFIG_KEYS(storage_keys),
};

static const struct config_key cache_keys[] = {
    {"size", CONFIG_SIZE, "64MiB", CONFIG_MIB, CONFIG_TIB, CONFIG_RESTART, NULL,
     "Memory for keys, values and tables."},
    {"response_max", CONFIG_SIZE, "1MiB", CONFIG_KIB, CONFIG_GIB, CONFIG_RELOADS, NULL,
     "The largest answer that a route with cache = yes stores."},
};

const struct config_kind config_cache = {
    "cache",
    0,
    "The cache in memory.",
    CONFIG_KEYS(cache_keys),
};

static const struct config_key queue_keys[] = {
    {"concurrency", CONFIG_INT, "2", 1, 256, CONFIG_RESTART, NULL, "Worker threads."},
    {"batch", CONFIG_INT, "256", 1, 4096, CONFIG_RESTART, NULL,
     "Jobs that a worker takes at once."},
    {"attempts", CONFIG_INT, "25", 1, 1000, CONFIG_RESTART, NULL,
     "How often a job is tried before it is dead."},
    {"lease", CONFIG_DURATION, "5min", CONFIG_SECOND, CONFIG_DAY, CONFIG_RESTART, NULL,
     "How soon a job whose worker has vanished is given to others."},
    {"keep_payload", CONFIG_BOOL, "no", 0, 0, CONFIG_RESTART, NULL,
     "Whether completed jobs keep their payload; dead ones do."},
    {"enqueue", CONFIG_TEXT, "nobody", 1, 4096, CONFIG_RELOADS, NULL,
     "Who may add jobs over HTTP, in a transaction (docs/collections.md): nobody, public, user, "
     "role:NAME, several of these with commas, or an expression about the job's payload."},
};

const struct config_kind config_queue = {
    "queue",
    CONFIG_NAMED,
    "A job queue and its worker threads.",
    CONFIG_KEYS(queue_keys),
};
/* clang-format on */
