#include "server/gateway/split.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* About the golden part of SPLIT_BUCKETS, and prime to it: neighbours spread. */
#define STRIDE 6181

struct share {
    target_fn target;
    void *arg;
    void (*drop)(void *arg);
    unsigned weight;
};

struct split {
    enum split_by by;
    char *name;
    char cookie[64];
    struct share shares[SPLIT_TARGETS_MAX];
    unsigned count, weights; /* the sum */
    _Atomic uint32_t turn;
};

struct split *split_create(enum split_by by, const char *name)
{
    struct split *split = mem_zalloc(sizeof *split);
    split->by = by;
    split->name = mem_strdup(name);
    snprintf(split->cookie, sizeof split->cookie, "galley-%.40s", name);
    return split;
}

void split_add(struct split *split, target_fn target, void *arg, void (*drop)(void *arg),
               unsigned weight)
{
    assert(split->count < SPLIT_TARGETS_MAX);
    split->shares[split->count++] = (struct share){target, arg, drop, weight};
    split->weights += weight;
}

void split_drop(void *arg)
{
    struct split *split = arg;
    for (unsigned i = 0; i < split->count; i++) {
        if (split->shares[i].drop)
            split->shares[i].drop(split->shares[i].arg);
    }
    free(split->name);
    free(split);
}

/* ---- Which bucket */

static unsigned bucket_of_text(const struct split *split, struct slice text)
{
    return (unsigned)(hash_bytes2(slice_str(split->name), text) % SPLIT_BUCKETS);
}

static unsigned next_bucket(struct split *split)
{
    return (unsigned)((uint64_t)atomic_fetch_add(&split->turn, 1) * STRIDE % SPLIT_BUCKETS);
}

/* That of the cookie that we have given; false: there is none. */
static bool bucket_of_cookie(const struct split *split, const struct request *request,
                             unsigned *out)
{
    int64_t bucket;
    struct slice value = request_cookie(request, split->cookie);
    if (!slice_to_i64(value, &bucket) || bucket < 0 || bucket >= SPLIT_BUCKETS)
        return false;
    *out = (unsigned)bucket;
    return true;
}

static unsigned bucket_of(struct split *split, const struct request *request, bool *fresh)
{
    unsigned bucket;
    *fresh = false;
    if (split->by == SPLIT_BY_USER && request->user.id[0])
        return bucket_of_text(split, slice_str(request->user.id));
    if (split->by == SPLIT_BY_USER || split->by == SPLIT_BY_ADDRESS)
        return bucket_of_text(split, request->address);
    if (split->by == SPLIT_BY_COOKIE && bucket_of_cookie(split, request, &bucket))
        return bucket;
    *fresh = split->by == SPLIT_BY_COOKIE;
    return next_bucket(split);
}

/* ---- Whose it is */

static unsigned share_of(const struct split *split, unsigned bucket)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < split->count; i++) {
        sum += split->shares[i].weight;
        if ((uint64_t)bucket * split->weights < sum * SPLIT_BUCKETS)
            return i;
    }
    return split->count - 1;
}

static void add_cookie(const struct split *split, const struct request *request, unsigned bucket,
                       struct response *response)
{
    char text[128];
    snprintf(text, sizeof text, "%s=%u; Path=/; HttpOnly; SameSite=Lax%s", split->cookie, bucket,
             request->secure ? "; Secure" : "");
    response_header(response, "Set-Cookie", slice_str(text));
}

/* The choice holds for as long as the target is called again for the request: its place, and for
 * who gets a cookie its bucket, in one number. */
#define FRESH (SPLIT_TARGETS_MAX + 1)

static unsigned choose(struct split *split, const struct request *request)
{
    bool fresh;
    unsigned bucket = bucket_of(split, request, &fresh);
    unsigned place = share_of(split, bucket) + 1;
    return fresh ? place + FRESH * (bucket + 1) : place;
}

void split_target(struct request *request, struct response *response, void *arg)
{
    struct split *split = arg;
    if (request->choice == 0)
        request->choice = choose(split, request);
    unsigned choice = request->choice, place = choice % FRESH - 1;
    assert(place < split->count);
    const struct share *share = &split->shares[place];
    share->target(request, response, share->arg);
    if (!request->awaiting && response->status != 0 && choice >= FRESH)
        add_cookie(split, request, choice / FRESH - 1, response);
}
