/* Stored answers: under which keys they are, how they lie in the cache, and which of them have been
 * purged. Knows fields and bytes, no exchange: stage_cache (cache_stage.c) decides what is stored
 * and what will do.
 *
 * DESIGN. An answer is found by its primary key, the text of scheme, host, path, query and what the
 * route adds, under a hash of it; the text lies beside the answer and is compared. Where the answer
 * has a Vary, the primary key leads to a signpost instead: the names of those fields and a random
 * generation, which with the values of a request make the key of its variant. A new signpost has a
 * new generation, so what was invalidated with the old one is never found again.
 *
 * Purging makes marks: a table of numbers, one for each hash of a URL, a path's prefix or a tag. A
 * purge counts on and writes its number there; an answer has the places of its own marks with it
 * and the count when it was asked for, and is void where a mark has a larger number. Two that share
 * a place cost a look-up, never a stale answer; and nothing grows with what is stored.
 *
 * Threads: any. Times are monotonic milliseconds. */
#ifndef GALLEY_SERVER_GATEWAY_RESPONSE_CACHE_H
#define GALLEY_SERVER_GATEWAY_RESPONSE_CACHE_H

#include "cache/cache.h"
#include "server/gateway/gateway.h"
#include "server/http/freshness.h"

#define CACHED_NAME_SIZE 17 /* of a key in the cache */
#define CACHED_MARKS_MAX 96 /* of one answer: an answer with more tags is not stored */

struct response_cache;

/* The cache lives longer. */
struct response_cache *response_cache_create(struct cache *cache);
void response_cache_destroy(struct response_cache **cache);

/* ---- Keys */

struct cached_name {
    char bytes[CACHED_NAME_SIZE];
};

/* Appends the text of a request's URL as keys and purges know it: "http://host/path?query". */
void response_cache_url(bool secure, struct slice host, struct slice path, struct slice query,
                        struct buf *out);

struct cached_name response_cache_name(struct slice key);

/* ---- Looking up */

enum stored_kind {
    STORED_ANSWER,
    STORED_SIGNPOST, /* variants are elsewhere: `names` is what they vary by */
    STORED_PASS,     /* answers to it are not stored: do not wait for one */
};

/* What is stored under a key; slices point into `value`, which is held. */
struct stored {
    struct cache_value *value;
    enum stored_kind kind;
    int status;
    bool passed_on;      /* as the response's */
    uint64_t generation; /* of a signpost */
    struct caching caching;
    struct slice key, names, fields, body;
};

/* False if there is none, or it is void. Else to be released. */
bool response_cache_find(struct response_cache *cache, struct slice key, int64_t now_ms,
                         struct stored *out);
void stored_release(struct stored *stored); /* NULL-safe value */

/* ---- Storing */

/* How many purges there were: an answer that is asked for now is void after the next one. */
uint64_t response_cache_purges(const struct response_cache *cache);

/* The right to store under a key; NULL: somebody else has it. */
struct cache_lease *response_cache_lease(struct response_cache *cache, struct slice key);
void response_cache_lease_end(struct response_cache *cache, struct cache_lease *lease);

/* Room for so many bytes of answers that are collected while they stream: all together have a
 * quarter of the cache's budget beside it. False: there is none, and nothing is taken. */
bool response_cache_take_room(struct response_cache *cache, size_t bytes);
void response_cache_give_room(struct response_cache *cache, size_t bytes);

/* What is to be stored; all is copied. */
struct to_store {
    enum stored_kind kind;
    int status;
    bool passed_on;
    uint64_t generation;
    struct caching caching;
    uint64_t purges;    /* response_cache_purges before it was asked for */
    struct slice key;   /* of the lease */
    struct slice url;   /* its beginning, for marks: behind the scheme */
    struct slice tags;  /* with white space or commas between */
    struct slice names; /* of Vary */
    struct slice fields, body;
};

/* Ends the lease. False if it was voided meanwhile, or there is no room, or there are too many
 * tags. */
bool response_cache_store(struct response_cache *cache, struct cache_lease *lease,
                          const struct to_store *what, int64_t now_ms, int64_t keep_ms);

/* ---- Voiding */

/* Drops what is under the key, with its variants, and what is being fetched for it. */
void response_cache_invalidate(struct response_cache *cache, struct slice key);

/* As gateway_purge, with "host/path" and an encoded path. What is asked for after this is stored
 * again. */
bool response_cache_purge(struct response_cache *cache, enum purge_kind kind, struct slice text);

#endif
