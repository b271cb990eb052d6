/* Verifying: all that is stored is read and compared with what it should be, so that damage is
 * found before somebody needs what it sits in.
 *
 * DESIGN. A pass goes through parts, each a table or what two tables have to do with each other,
 * in steps of a bounded number of entries; each step is a transaction of its own. So a pass holds
 * no snapshot for long, runs while others write, and may be as slow as one likes. Owners of tables
 * bring their parts; a part says what it found, and mends it if it is asked to: what can be derived
 * is made anew, what cannot is handed out, byte by byte, and taken away.
 *
 * Threads: one at a time. */
#ifndef GALLEY_STORAGE_VERIFY_H
#define GALLEY_STORAGE_VERIFY_H

#include "storage/store.h"

#define VERIFY_PARTS_MAX  20
#define VERIFY_TABLES_MAX 4

struct verifier;

/* Where a part stands between two steps: behind this key; at the beginning if it is empty. */
struct verify_place {
    uint16_t len;
    uint8_t bytes[STORE_KEY_MAX];
};

/* When a part's findings are mended. At once: where there is a server (options.mend), though no
 * repair was asked for, as nothing is lost by it. In the writer: at once, and there it looks in
 * write transactions as well. Never: it only looks, on a snapshot. */
enum verify_mends { MENDS_ON_REPAIR, MENDS_AT_ONCE, MENDS_IN_WRITER, MENDS_NEVER };

/* Goes on from the place, sets it, and *end once there is nothing behind it. Errors are the
 * transaction's. Looks first and calls verify_found for what is wrong. */
struct verify_part {
    const char *name; /* "documents", for people */
    enum err (*step)(struct txn *txn, struct verifier *v, struct verify_place *place, bool *end,
                     void *arg);
    void *arg;
    const char *tables[VERIFY_TABLES_MAX]; /* that it reads, for verifier_add_rest */
    enum verify_mends mends;
};

struct verify_options {
    struct store *store;
    bool repair;
    bool mend; /* what parts mend at once; a pass over a stopped server's data only looks */
    /* Told of each finding, in the thread of verifier_step; `what` is a clause. */
    void (*found)(const char *what, bool mended, void *arg);
    /* Keeps what is taken away because it cannot be mended. False: it could not be kept, and stays.
     */
    bool (*salvage)(const char *table, struct slice key, struct slice value, void *arg);
    void *arg;
};

struct verifier *verifier_create(const struct verify_options *options);
void verifier_destroy(struct verifier **verifier);
void verifier_add(struct verifier *v, const struct verify_part *part); /* copied */
/* As the first part: that the pages which the others read can be read. What it finds ends the pass,
 * as nothing else can be read without danger. */
void verifier_add_shape(struct verifier *v);
/* As the last part, once all others are added: names the tables that none of them reads. */
void verifier_add_rest(struct verifier *v);
/* That each page of the file is in one place. On a stopped server's data only. */
void verifier_add_pages(struct verifier *v);

/* One step of the pass; *end: that was the last one, and the next begins another pass. Errors are
 * those of store_read, or store_write for a repair; the next step then tries again. What a part
 * cannot mend at once, because the store takes no writes, stays a finding. */
enum err verifier_step(struct verifier *v, bool *end);

struct verify_figures {
    uint64_t looked_at, found, mended; /* of the present pass, or of the last one if it has ended */
    uint64_t passes;                   /* that have ended */
    const char *part;                  /* that is being read */
};
void verifier_figures(const struct verifier *v, struct verify_figures *out);

/* ---- For parts. */

/* Something is wrong, `format` makes a clause. True: mend it. */
bool verify_found(struct verifier *v, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether what is found now is mended. */
bool verify_mends(const struct verifier *v);
/* The last finding could not be mended, or not yet. */
void verify_not_mended(struct verifier *v);
/* Whether there is anybody to hand out to. */
bool verify_salvages(const struct verifier *v);
/* Hands out what is to be taken away; false: it stays. */
bool verify_salvage(struct verifier *v, struct txn *txn, struct table table, struct slice key,
                    struct slice value);

/* Calls each() for the entries behind the place, as many as one step may look at, in the order in
 * which they lie there, be it right or not. It may write, and delete what the cursor stands on.
 * Keys of a length that cannot be are found here. */
typedef enum err (*verify_entry_fn)(struct verifier *v, struct cursor *at, void *arg);
enum err verify_walk(struct txn *txn, struct verifier *v, struct table table,
                     struct verify_place *place, bool *end, verify_entry_fn each, void *arg);

/* The key as a person reads it, for a finding: escaped, at most so long as fits. */
#define VERIFY_SHOWN_SIZE 120
const char *verify_show(char out[VERIFY_SHOWN_SIZE], struct slice key);

/* ---- Documents: collection.h's tables. */

struct document_parts;

/* Before threads start. */
enum err document_parts_create(struct store *store, struct document_parts **out);
void document_parts_destroy(struct document_parts **parts);
void document_parts_add(struct document_parts *parts, struct verifier *v);

/* ---- Journals: journal.h's tables. As above. */

struct journal_parts;
enum err journal_parts_create(struct store *store, struct journal_parts **out);
void journal_parts_destroy(struct journal_parts **parts);
void journal_parts_add(struct journal_parts *parts, struct verifier *v);

#endif
