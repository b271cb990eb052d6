/* DESIGN. Who sends the most is found as "space saving" does (Metwally 2005): a few places, each
 * with an address and a count; an address without a place takes that of the smallest count, and
 * goes on counting from there. Whoever sends more than one in PLACES of all has one in the end. */
#include "server/gateway/log_sampling.h"

#include "base/lock.h"
#include "base/mem.h"

#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
#define KINDS     256 /* counted apart; those that meet in one share its lines */
#define PLACES    16
#define TEXT_SIZE 46 /* of an IPv6 address, with its terminator */

static const int refusals[] = {400, 401, 403, 404, 405, 406, 408, 410, 411, 413,
                               414, 415, 417, 421, 425, 426, 428, 429, 431, 503};

#define REFUSALS (sizeof refusals / sizeof *refusals)

struct place {
    char address[TEXT_SIZE];
    uint64_t count;
};

struct log_sampling {
    struct lock lock;
    /* guarded by lock */
    int64_t second;
    uint16_t written[KINDS]; /* in this second */
    uint64_t left_out[REFUSALS];
    struct place places[PLACES];
    uint64_t total;
};

struct log_sampling *log_sampling_create(void)
{
    struct log_sampling *sampling = mem_zalloc(sizeof *sampling);
    lock_init(&sampling->lock, LOCK_RANK_SAMPLING);
    return sampling;
}

void log_sampling_destroy(struct log_sampling **sampling)
{
    if (!*sampling)
        return;
    lock_release(&(*sampling)->lock);
    free(*sampling);
    *sampling = NULL;
}

/* Its place among the refusals, or REFUSALS. */
static unsigned find_refusal(int status)
{
    unsigned i = 0;
    while (i < REFUSALS && refusals[i] != status)
        i++;
    return i;
}

static bool take_line(struct log_sampling *sampling, unsigned kind, int64_t now_ns)
{
    lock_assert_held(&sampling->lock);
    if (now_ns / SECOND_NS != sampling->second) {
        sampling->second = now_ns / SECOND_NS;
        memset(sampling->written, 0, sizeof sampling->written);
    }
    if (sampling->written[kind] == LOG_SAMPLING_LINES)
        return false;
    sampling->written[kind]++;
    return true;
}

static bool is_of(const struct place *place, struct slice address)
{
    return slice_is(address, place->address);
}

static void note_address(struct log_sampling *sampling, struct slice address)
{
    struct place *place = sampling->places;
    for (unsigned i = 0; i < PLACES && !is_of(place, address); i++) {
        if (is_of(&sampling->places[i], address) || sampling->places[i].count < place->count)
            place = &sampling->places[i];
    }
    if (!is_of(place, address)) {
        size_t len = address.len < TEXT_SIZE ? address.len : TEXT_SIZE - 1;
        memcpy(place->address, address.ptr, len);
        place->address[len] = '\0';
    }
    place->count++;
}

bool log_sampling_takes(struct log_sampling *sampling, int status, const void *route,
                        struct slice address, int64_t now_ns)
{
    if (status < 400 || status > 503)
        return true;
    unsigned refusal = find_refusal(status);
    if (refusal == REFUSALS)
        return true;
    unsigned kind = (unsigned)(((uintptr_t)route >> 4) * REFUSALS + refusal) % KINDS;
    lock_acquire(&sampling->lock);
    bool takes = take_line(sampling, kind, now_ns);
    if (!takes) {
        sampling->left_out[refusal]++;
        sampling->total++;
        note_address(sampling, address);
    }
    lock_leave(&sampling->lock);
    return takes;
}

/* ---- Telling */

static uint64_t count_all(const uint64_t *left_out)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < REFUSALS; i++)
        all += left_out[i];
    return all;
}

static const struct place *find_greatest(const struct place *places)
{
    const struct place *greatest = places;
    for (unsigned i = 1; i < PLACES; i++) {
        if (places[i].count > greatest->count)
            greatest = &places[i];
    }
    return greatest;
}

bool log_sampling_tell(struct log_sampling *sampling, struct buf *out)
{
    uint64_t left_out[REFUSALS];
    lock_acquire(&sampling->lock);
    memcpy(left_out, sampling->left_out, sizeof left_out);
    struct place greatest = *find_greatest(sampling->places);
    memset(sampling->left_out, 0, sizeof sampling->left_out);
    memset(sampling->places, 0, sizeof sampling->places);
    lock_leave(&sampling->lock);
    uint64_t all = count_all(left_out);
    if (all == 0)
        return false;
    buf_append_u64(out, all);
    buf_append_str(out, " more requests were refused:");
    for (unsigned i = 0; i < REFUSALS; i++) {
        if (left_out[i] > 0)
            buf_printf(out, " %llu with %d,", (unsigned long long)left_out[i], refusals[i]);
    }
    buf_printf(out, " most of them from %s.", greatest.address);
    return true;
}

uint64_t log_sampling_left_out(struct log_sampling *sampling)
{
    lock_acquire(&sampling->lock);
    uint64_t total = sampling->total;
    lock_leave(&sampling->lock);
    return total;
}
