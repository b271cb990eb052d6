#include "storage/verify.h"

#include "base/mem.h"
#include "storage/key.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_ENTRIES 500
#define WHAT_MAX     300

struct finding {
    bool mended;
    char what[WHAT_MAX];
};

struct verifier {
    struct verify_options options;
    struct verify_part parts[VERIFY_PARTS_MAX];
    unsigned count;
    /* Of the pass. */
    unsigned part;
    struct verify_place place;
    struct verify_figures figures;
    bool ended; /* the next step begins another */
    bool whole; /* it reads all tables */
    struct pages_place shape;
    /* Of the step, which may run again from its beginning. */
    struct verify_place next;
    bool end;
    unsigned looked_at;
    bool mending, writing;
    struct finding *findings;
    unsigned found, room;
};

struct verifier *verifier_create(const struct verify_options *options)
{
    struct verifier *v = mem_zalloc(sizeof *v);
    v->options = *options;
    return v;
}

void verifier_destroy(struct verifier **verifier)
{
    if (!*verifier)
        return;
    free((*verifier)->findings);
    free(*verifier);
    *verifier = NULL;
}

void verifier_add(struct verifier *v, const struct verify_part *part)
{
    assert(v->count < VERIFY_PARTS_MAX);
    v->parts[v->count++] = *part;
}

/* ---- A step. */

static enum err shape_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                           bool *end, void *arg);

static enum err run_step(struct txn *txn, void *arg)
{
    struct verifier *v = arg;
    const struct verify_part *part = &v->parts[v->part];
    v->next = v->place;
    v->end = false;
    v->looked_at = v->found = 0;
    if (v->writing)
        txn_shrinking(txn);
    enum err err = part->step(txn, v, &v->next, &v->end, part->arg);
    return err ? err : txn_error(txn);
}

static void tell(struct verifier *v)
{
    for (unsigned i = 0; i < v->found; i++) {
        const struct finding *finding = &v->findings[i];
        v->figures.mended += finding->mended;
        if (v->options.found)
            v->options.found(finding->what, finding->mended, v->options.arg);
    }
    v->figures.found += v->found;
    v->figures.looked_at += v->looked_at;
}

/* On to what comes next. */
static void move_on(struct verifier *v, bool *end)
{
    v->place = v->next;
    *end = false;
    if (!v->end)
        return;
    v->place.len = 0;
    bool stopped = v->parts[v->part].step == shape_step && v->figures.found > 0;
    if (!stopped && ++v->part < v->count)
        return;
    v->part = 0;
    v->figures.passes++;
    *end = v->ended = true;
}

static enum err run_reading(struct verifier *v)
{
    v->mending = v->writing = false;
    return store_read(v->options.store, run_step, v);
}

static enum err run_in_writer(struct verifier *v, bool mending)
{
    v->mending = mending;
    v->writing = true;
    return store_write(v->options.store, run_step, v);
}

/* A store that takes no writes can still be looked at. */
static enum err run_looking(struct verifier *v, const struct verify_part *part)
{
    bool in_writer = part->mends == MENDS_IN_WRITER && v->options.mend;
    return in_writer && run_in_writer(v, false) == ERR_OK ? ERR_OK : run_reading(v);
}

enum err verifier_step(struct verifier *v, bool *end)
{
    *end = false;
    if (v->ended)
        v->figures.looked_at = v->figures.found = v->figures.mended = 0;
    v->ended = false;
    const struct verify_part *part = &v->parts[v->part];
    bool repair = v->options.repair && part->mends != MENDS_NEVER;
    enum err err = repair ? run_in_writer(v, true) : run_looking(v, part);
    bool at_once = part->mends == MENDS_AT_ONCE || part->mends == MENDS_IN_WRITER;
    bool mend = at_once && v->options.mend && !v->options.repair;
    if (!err && v->found > 0 && mend && run_in_writer(v, true))
        err = run_reading(v);
    if (err)
        return err;
    tell(v);
    move_on(v, end);
    return ERR_OK;
}

void verifier_figures(const struct verifier *v, struct verify_figures *out)
{
    *out = v->figures;
    out->part = v->parts[v->part].name;
}

/* ---- For parts. */

bool verify_found(struct verifier *v, const char *format, ...)
{
    if (v->found == v->room) {
        v->room = v->room ? v->room * 2 : 8;
        v->findings = mem_realloc(v->findings, v->room * sizeof *v->findings);
    }
    struct finding *finding = &v->findings[v->found++];
    va_list args;
    va_start(args, format);
    vsnprintf(finding->what, sizeof finding->what, format, args);
    va_end(args);
    finding->mended = v->mending;
    return finding->mended;
}

bool verify_mends(const struct verifier *v)
{
    return v->mending;
}

void verify_not_mended(struct verifier *v)
{
    assert(v->found > 0);
    v->findings[v->found - 1].mended = false;
}

bool verify_salvages(const struct verifier *v)
{
    return v->options.salvage;
}

bool verify_salvage(struct verifier *v, struct txn *txn, struct table table, struct slice key,
                    struct slice value)
{
    const struct verify_options *options = &v->options;
    const char *name = store_table_name(txn_store(txn), table);
    if (options->salvage && options->salvage(name, key, value, options->arg))
        return true;
    verify_not_mended(v);
    return false;
}

static bool is_behind(struct slice key, const struct verify_place *place)
{
    size_t len = key.len < place->len ? key.len : place->len;
    int order = memcmp(key.ptr, place->bytes, len);
    return order > 0 || (order == 0 && key.len > place->len);
}

/* A search may be led astray by what is damaged; what was seen is not seen again, so that a pass
 * ends. */
static enum err seek_behind(struct cursor *cursor, const struct verify_place *place)
{
    enum err err = cursor_seek(cursor, slice_of((const char *)place->bytes, place->len));
    while (!err && !is_behind(cursor->key, place))
        err = cursor_next(cursor);
    return err;
}

/* Its bytes may reach anywhere: it can neither be read nor taken out. */
static bool is_key(struct verifier *v, const struct cursor *at, struct table table)
{
    if (cursor_has_key(at))
        return true;
    if (verify_found(v, "the table %s has a key of %zu bytes",
                     store_table_name(txn_store(at->txn), table), at->key.len))
        verify_not_mended(v);
    return false;
}

static void note_place(struct verify_place *place, struct slice key)
{
    if (!is_behind(key, place))
        return;
    place->len = (uint16_t)key.len;
    memcpy(place->bytes, key.ptr, key.len);
}

enum err verify_walk(struct txn *txn, struct verifier *v, struct table table,
                     struct verify_place *place, bool *end, verify_entry_fn each, void *arg)
{
    struct cursor cursor;
    cursor_open(&cursor, txn, table);
    enum err err = seek_behind(&cursor, place);
    for (unsigned i = 0; !err && i < STEP_ENTRIES && !txn_out_of_time(txn); i++) {
        unsigned writes = txn_writes(txn);
        v->looked_at++;
        if (is_key(v, &cursor, table)) {
            note_place(place, cursor.key);
            err = each(v, &cursor, arg);
        }
        if (!err)
            err = txn_writes(txn) == writes ? cursor_next(&cursor) : seek_behind(&cursor, place);
    }
    cursor_close(&cursor);
    *end = err == ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? txn_error(txn) : err;
}

const char *verify_show(char out[VERIFY_SHOWN_SIZE], struct slice key)
{
    struct buf text = BUF_INIT;
    key_print(&text, key);
    snprintf(out, VERIFY_SHOWN_SIZE, "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
    return out;
}

/* ---- Tables that nobody reads. */

static bool is_read(const struct verifier *v, const char *table)
{
    for (unsigned i = 0; i < v->count; i++)
        for (unsigned t = 0; t < VERIFY_TABLES_MAX && v->parts[i].tables[t]; t++)
            if (strcmp(v->parts[i].tables[t], table) == 0)
                return true;
    return false;
}

static void check_table(const char *name, void *arg)
{
    struct verifier *v = arg;
    if (!is_read(v, name) &&
        verify_found(v, "the table %s: nobody knows what belongs into it", name))
        verify_not_mended(v);
}

static enum err rest_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                          bool *end, void *arg)
{
    (void)place, (void)arg;
    *end = true;
    return store_each_table(txn, check_table, v);
}

void verifier_add_rest(struct verifier *v)
{
    v->whole = true;
    verifier_add(v,
                 &(struct verify_part){.name = "tables", .step = rest_step, .mends = MENDS_NEVER});
}

/* ---- Pages. */

static void note_pages(const char *what, void *arg)
{
    struct verifier *v = arg;
    if (verify_found(v, "%s", what))
        verify_not_mended(v);
}

static enum err pages_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                           bool *end, void *arg)
{
    (void)place, (void)arg;
    *end = true;
    return txn_check_pages(txn, note_pages, v);
}

void verifier_add_pages(struct verifier *v)
{
    verifier_add(v,
                 &(struct verify_part){.name = "pages", .step = pages_step, .mends = MENDS_NEVER});
}

static bool is_wanted(const char *table, void *arg)
{
    const struct verifier *v = arg;
    return v->whole || is_read(v, table);
}

static enum err shape_step(struct txn *txn, struct verifier *v, struct verify_place *place,
                           bool *end, void *arg)
{
    (void)place, (void)arg;
    enum err err = txn_check_shape(txn, &v->shape, end, is_wanted, note_pages, v);
    if (*end)
        v->shape = (struct pages_place){0};
    return err;
}

void verifier_add_shape(struct verifier *v)
{
    verifier_add(v, &(struct verify_part){
                        .name = "the shape of pages", .step = shape_step, .mends = MENDS_NEVER});
}
