/* DESIGN. The ring is of bytes, so that short lines take little room: a slot is a line's facts, the
 * lengths of its texts and the texts. No slot is broken in two: one that does not fit before the
 * ring's end begins at its start, and one of size 0 says so. */
#include "base/log_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define RING_SIZE (UINT64_C(1) << 20)

struct slot {
    uint32_t size;  /* with the texts, a multiple of 8; 0: the next one is at the ring's start */
    uint16_t count; /* of texts: those behind are empty, as mostly half of them are */
    uint16_t lens[LOG_TEXTS];
    struct log_facts facts;
};

void log_ring_init(struct log_ring *ring)
{
    *ring = (struct log_ring){.bytes = mem_alloc(RING_SIZE)};
}

void log_ring_release(struct log_ring *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

bool log_ring_half_full(const struct log_ring *ring)
{
    return ring->head - ring->tail >= RING_SIZE / 2;
}

static struct slot *slot_at(const struct log_ring *ring, uint64_t pos)
{
    return (struct slot *)(ring->bytes + pos % RING_SIZE);
}

static uint64_t left_to_end(uint64_t pos)
{
    return RING_SIZE - pos % RING_SIZE;
}

static unsigned count_texts(const struct log_line *line)
{
    unsigned count = LOG_TEXTS;
    while (count > 0 && line->texts[count - 1].len == 0)
        count--;
    return count;
}

static uint32_t slot_size(const struct log_line *line, unsigned count)
{
    size_t size = sizeof(struct slot) + 7;
    for (unsigned i = 0; i < count; i++)
        size += line->texts[i].len;
    return (uint32_t)size & ~7u;
}

static void fill_slot(struct slot *slot, uint32_t size, const struct log_line *line, unsigned count)
{
    char *at = (char *)(slot + 1);
    slot->size = size;
    slot->count = (uint16_t)count;
    slot->facts = line->facts;
    for (unsigned i = 0; i < count; i++) {
        struct slice text = line->texts[i];
        slot->lens[i] = (uint16_t)text.len;
        if (text.len > 0)
            memcpy(at, text.ptr, text.len);
        at += text.len;
    }
}

bool log_ring_put(struct log_ring *ring, const struct log_line *line)
{
    unsigned count = count_texts(line);
    uint32_t size = slot_size(line, count);
    uint64_t unused = left_to_end(ring->head) < size ? left_to_end(ring->head) : 0;
    if (RING_SIZE - (ring->head - ring->tail) < unused + size)
        return false;
    if (unused > 0)
        slot_at(ring, ring->head)->size = 0;
    ring->head += unused;
    fill_slot(slot_at(ring, ring->head), size, line, count);
    ring->head += size;
    return true;
}

uint64_t log_ring_line(const struct log_ring *ring, uint64_t pos, struct log_line *out)
{
    if (slot_at(ring, pos)->size == 0)
        pos += left_to_end(pos);
    const struct slot *slot = slot_at(ring, pos);
    const char *at = (const char *)(slot + 1);
    out->facts = slot->facts;
    for (unsigned i = 0; i < slot->count; i++) {
        out->texts[i] = slice_of(at, slot->lens[i]);
        at += slot->lens[i];
    }
    memset(out->texts + slot->count, 0, (LOG_TEXTS - slot->count) * sizeof *out->texts);
    return pos + slot->size;
}
