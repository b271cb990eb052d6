/* DESIGN. A sample's place is a function of its time: (grain, number of the step modulo how many
 * are kept). So the table never grows beyond what the history holds, nothing is ever deleted, and a
 * sample that is too old is known by the time in it. docs/format.md has the bytes. */
#include "server/admin/history_keeper.h"

#include "base/mem.h"
#include "storage/verify.h"

#include <endian.h>
#include <stdlib.h>

#define FORMAT 1

/* In front of the values, doubles; little-endian. Another number of series is another format to
 * whoever reads: what was kept is then forgotten. */
struct sample_head {
    uint16_t format;
    uint16_t count;
    uint32_t zero;
};

struct sample_key {
    uint8_t bytes[3]; /* grain, place in 2 bytes, big-endian */
};

struct history_keeper {
    struct store *store;
    struct history *history;
    bool open; /* the table is */
    struct table table;
    uint64_t next[GRAINS]; /* that is not written yet */

    /* Of a save: what it writes. */
    enum grain grain;
    struct sample samples[HISTORY_SAMPLES_MAX];
    unsigned count;
};

static struct sample_key key_of(enum grain grain, const struct sample *sample)
{
    int64_t step = (int64_t)sample->values[SERIES_TIME] / grain_step_ms(grain);
    unsigned place = (unsigned)(step % grain_samples(grain));
    return (struct sample_key){{(uint8_t)grain, (uint8_t)(place >> 8), (uint8_t)place}};
}

/* ---- Writing */

static void put_sample(struct txn *txn, struct history_keeper *keeper, const struct sample *sample)
{
    struct sample_key key = key_of(keeper->grain, sample);
    struct {
        struct sample_head head;
        uint64_t values[SERIES_COUNT];
    } payload = {.head = {htole16(FORMAT), htole16(SERIES_COUNT), 0}};
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        memcpy(&payload.values[i], &sample->values[i], sizeof payload.values[i]);
        payload.values[i] = htole64(payload.values[i]);
    }
    record_put(txn, keeper->table, slice_of(&key, sizeof key), 1,
               slice_of(&payload, sizeof payload));
}

static enum err put_samples(struct txn *txn, void *arg)
{
    struct history_keeper *keeper = arg;
    for (unsigned i = 0; i < keeper->count; i++)
        put_sample(txn, keeper, &keeper->samples[i]);
    return txn_error(txn);
}

void history_keeper_save(struct history_keeper *keeper)
{
    for (enum grain grain = GRAIN_TEN_SECONDS; grain < GRAINS; grain++) {
        keeper->grain = grain;
        keeper->count = history_read(keeper->history, grain, &keeper->next[grain], keeper->samples,
                                     HISTORY_SAMPLES_MAX);
        if (keeper->open && keeper->count > 0)
            store_write(keeper->store, put_samples, keeper);
    }
}

/* ---- Reading */

static bool read_sample(struct txn *txn, struct table table, struct sample_key key,
                        struct sample *out)
{
    struct record record;
    struct sample_head head;
    if (record_try(txn, table, slice_of(&key, sizeof key), &record) ||
        record.payload.len != sizeof head + sizeof out->values)
        return false;
    memcpy(&head, record.payload.ptr, sizeof head);
    if (le16toh(head.format) != FORMAT || le16toh(head.count) != SERIES_COUNT)
        return false;
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        uint64_t bits;
        memcpy(&bits, record.payload.ptr + sizeof head + i * sizeof bits, sizeof bits);
        bits = le64toh(bits);
        memcpy(&out->values[i], &bits, sizeof bits);
    }
    return true;
}

/* What is in the right place may still be of an earlier round. */
static enum err get_samples(struct txn *txn, void *arg)
{
    struct history_keeper *keeper = arg;
    unsigned kept = grain_samples(keeper->grain);
    double oldest_ms = (double)(txn_now_ms(txn) - kept * grain_step_ms(keeper->grain));
    keeper->count = 0;
    for (unsigned place = 0; place < kept; place++) {
        struct sample_key key = {{(uint8_t)keeper->grain, (uint8_t)(place >> 8), (uint8_t)place}};
        struct sample *sample = &keeper->samples[keeper->count];
        if (read_sample(txn, keeper->table, key, sample) &&
            sample->values[SERIES_TIME] > oldest_ms &&
            sample->values[SERIES_TIME] < (double)txn_now_ms(txn))
            keeper->count++;
    }
    return ERR_OK;
}

static int by_time(const void *a, const void *b)
{
    double x = ((const struct sample *)a)->values[SERIES_TIME];
    double y = ((const struct sample *)b)->values[SERIES_TIME];
    return (x > y) - (x < y);
}

static void load(struct history_keeper *keeper, enum grain grain)
{
    keeper->grain = grain;
    if (!keeper->open || store_read(keeper->store, get_samples, keeper))
        return;
    qsort(keeper->samples, keeper->count, sizeof keeper->samples[0], by_time);
    for (unsigned i = 0; i < keeper->count; i++)
        history_push(keeper->history, grain, &keeper->samples[i]);
    keeper->next[grain] = keeper->count;
}

enum err history_table_open(struct store *store, struct table *out)
{
    return store_table(store, "history", out);
}

struct history_keeper *history_keeper_create(struct store *store, struct history *history)
{
    struct history_keeper *keeper = mem_zalloc(sizeof *keeper);
    keeper->store = store;
    keeper->history = history;
    keeper->open = !history_table_open(store, &keeper->table);
    for (enum grain grain = GRAIN_TEN_SECONDS; grain < GRAINS; grain++)
        load(keeper, grain);
    return keeper;
}

void history_keeper_destroy(struct history_keeper **keeper)
{
    free(*keeper);
    *keeper = NULL;
}

/* ---- Verifying */

static enum err check_sample(struct verifier *v, struct cursor *at, void *arg)
{
    const struct table *table = arg;
    struct record record;
    if (record_try(at->txn, *table, at->key, &record) == ERR_OK ||
        !verify_found(v, "a sample of the dashboard's history is damaged"))
        return txn_error(at->txn);
    return cursor_del(at);
}

static enum err verify_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                            bool *end, void *arg)
{
    const struct table *table = arg;
    return verify_walk(txn, v, *table, place, end, check_sample, arg);
}

void history_table_verify(struct table *table, struct verifier *v)
{
    verifier_add(v, &(struct verify_part){.name = "the dashboard's history",
                                          .step = verify_step,
                                          .arg = table,
                                          .tables = {"history"},
                                          .mends = MENDS_AT_ONCE});
}
