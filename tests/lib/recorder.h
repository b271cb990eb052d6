/* What a disk was told to do, and what it has of that after a power cut.
 *
 * A test defines the functions of the C library by which the code under test writes; they are found
 * before the library's and note what they are called with. From the record images are made, of
 * random moments and random luck: what was written before the last sync is there, of what came
 * later each sector is or is not. Threads: one at a time. */
#ifndef GALLEY_TESTS_LIB_RECORDER_H
#define GALLEY_TESTS_LIB_RECORDER_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define SECTOR 512

struct event {
    int kind; /* the test's; SYNC is everybody's */
    int file; /* likewise, if it has several */
    off_t at;
    size_t size;
    char *bytes; /* and a NUL */
};

enum { SYNC = 0 };

struct recorder {
    bool on;
    struct event *events;
    size_t count, capacity;
};

static inline void recorder_note(struct recorder *r, int kind, int file, off_t at,
                                 const void *bytes, size_t size)
{
    if (!r->on)
        return;
    if (r->count == r->capacity) {
        r->capacity = r->capacity * 2 + 1024;
        r->events = realloc(r->events, r->capacity * sizeof *r->events);
    }
    struct event *event = &r->events[r->count++];
    *event = (struct event){kind, file, at, size, calloc(1, size + 1)};
    if (size > 0)
        memcpy(event->bytes, bytes, size);
}

static inline void recorder_release(struct recorder *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->events[i].bytes);
    free(r->events);
}

/* Before how many of the first `cut` events all that was told to this file has arrived. */
static inline size_t recorder_synced(const struct recorder *r, size_t cut, int file)
{
    while (cut > 0 && (r->events[cut - 1].kind != SYNC || r->events[cut - 1].file != file))
        cut--;
    return cut;
}

/* A file's bytes after the cut. */
struct image {
    char *bytes;
    size_t size;
};

static inline void image_put(struct image *image, off_t at, const char *bytes, size_t size)
{
    size_t end = (size_t)at + size;
    if (end > image->size) {
        image->bytes = realloc(image->bytes, end);
        memset(image->bytes + image->size, 0, end - image->size);
        image->size = end;
    }
    memcpy(image->bytes + at, bytes, size);
}

/* Whole, not at all, or some of its sectors. */
static inline void image_gamble(struct image *image, const struct event *event)
{
    int luck = rand() % 3;
    for (size_t done = 0; done < event->size;) {
        size_t left = SECTOR - ((size_t)event->at + done) % SECTOR;
        size_t size = event->size - done < left ? event->size - done : left;
        if (luck == 0 || (luck == 1 && rand() % 2))
            image_put(image, event->at + (off_t)done, event->bytes + done, size);
        done += size;
    }
}

#endif
