/* S3-FIFO as the paper has it (Yang et al., SOSP 2023), over keys 0 to REFERENCE_KEYS - 1 of one
 * size each: no shards, an exact ghost, nothing but queues of numbers. What the cache is measured
 * by. */
#ifndef GALLEY_TESTS_S3FIFO_REFERENCE_H
#define GALLEY_TESTS_S3FIFO_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum reference_place { NOWHERE, IN_SMALL, IN_MAIN };

/* A ring of numbers. */
struct reference_queue {
    unsigned *numbers;
    size_t head, count, capacity;
};

struct reference {
    size_t keys, small_max, all_max; /* in values */
    struct reference_queue small, main, ghost;
    uint8_t *place, *freq;
    uint8_t *remembered; /* how often the ghost holds it */
    uint64_t hits, misses;
};

static inline struct reference_queue reference_queue(size_t capacity)
{
    return (struct reference_queue){calloc(capacity, sizeof(unsigned)), 0, 0, capacity};
}

static inline void reference_push(struct reference_queue *queue, unsigned number)
{
    queue->numbers[(queue->head + queue->count++) % queue->capacity] = number;
}

static inline unsigned reference_pop(struct reference_queue *queue)
{
    unsigned number = queue->numbers[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return number;
}

/* Room for `values` of them. */
static inline struct reference *reference_create(size_t keys, size_t values)
{
    struct reference *r = calloc(1, sizeof *r);
    r->keys = keys;
    r->all_max = values;
    r->small_max = values / 10 > 0 ? values / 10 : 1;
    r->small = reference_queue(keys + 1);
    r->main = reference_queue(keys + 1);
    r->ghost = reference_queue(values + 1);
    r->place = calloc(keys, 1);
    r->freq = calloc(keys, 1);
    r->remembered = calloc(keys, 1);
    return r;
}

static inline void reference_destroy(struct reference *r)
{
    free(r->small.numbers);
    free(r->main.numbers);
    free(r->ghost.numbers);
    free(r->place);
    free(r->freq);
    free(r->remembered);
    free(r);
}

static inline void reference_remember(struct reference *r, unsigned key)
{
    if (r->ghost.count == r->all_max - r->small_max)
        r->remembered[reference_pop(&r->ghost)] = 0;
    if (r->all_max > r->small_max) {
        reference_push(&r->ghost, key);
        r->remembered[key] = 1;
    }
}

static inline bool reference_evict_small(struct reference *r)
{
    while (r->small.count > 0) {
        unsigned key = reference_pop(&r->small);
        if (r->freq[key] > 1) {
            r->freq[key] = 0;
            r->place[key] = IN_MAIN;
            reference_push(&r->main, key);
            continue;
        }
        r->place[key] = NOWHERE;
        reference_remember(r, key);
        return true;
    }
    return false;
}

static inline void reference_evict_main(struct reference *r)
{
    for (;;) {
        unsigned key = reference_pop(&r->main);
        if (r->freq[key] == 0) {
            r->place[key] = NOWHERE;
            return;
        }
        r->freq[key]--;
        reference_push(&r->main, key);
    }
}

static inline void reference_evict(struct reference *r)
{
    bool small = r->small.count >= r->small_max || r->main.count == 0;
    if (!small || !reference_evict_small(r))
        reference_evict_main(r);
}

/* Looks a key up, and fills it if it is not there. */
static inline bool reference_get(struct reference *r, unsigned key)
{
    if (r->place[key] != NOWHERE) {
        if (r->freq[key] < 3)
            r->freq[key]++;
        r->hits++;
        return true;
    }
    r->misses++;
    while (r->small.count + r->main.count >= r->all_max)
        reference_evict(r);
    r->freq[key] = 0;
    r->place[key] = r->remembered[key] ? IN_MAIN : IN_SMALL;
    r->remembered[key] = 0;
    reference_push(r->place[key] == IN_MAIN ? &r->main : &r->small, key);
    return false;
}

/* ---- What is asked for: the key of rank n with a share of 1/n. */

struct zipf {
    double *upto; /* the sum of the shares, by rank */
    size_t keys;
    uint64_t random;
};

static inline void zipf_init(struct zipf *zipf, size_t keys)
{
    *zipf = (struct zipf){calloc(keys, sizeof(double)), keys, 88172645463325252};
    double sum = 0;
    for (size_t i = 0; i < keys; i++)
        zipf->upto[i] = sum += 1.0 / (double)(i + 1);
}

static inline void zipf_release(struct zipf *zipf)
{
    free(zipf->upto);
}

static inline unsigned zipf_next(struct zipf *zipf)
{
    zipf->random ^= zipf->random << 13;
    zipf->random ^= zipf->random >> 7;
    zipf->random ^= zipf->random << 17;
    double at = (double)(zipf->random >> 11) / 9007199254740992.0 * zipf->upto[zipf->keys - 1];
    size_t low = 0, high = zipf->keys - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zipf->upto[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return (unsigned)low;
}

#endif
