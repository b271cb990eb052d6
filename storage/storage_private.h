/* What the files of storage/ share about records. */
#ifndef GALLEY_STORAGE_PRIVATE_H
#define GALLEY_STORAGE_PRIVATE_H

#include "storage/key.h"
#include "storage/store.h"

/* A record's bytes, for values that are more than a record; record_write fills record_size of them.
 */
size_t record_size(struct slice payload);
void record_write(uint8_t *place, struct slice key, uint64_t version, struct slice payload);

/* What is wrong with the record, as a clause; NULL if nothing is. */
const char *record_fault(struct slice key, struct slice value);

/* Takes apart what record_decode has checked. */
struct record record_parts(struct slice value);

/* sizes.c: makes the sum this number, whatever it is, damaged or not there. */
enum err sum_set(struct txn *txn, struct table table, struct slice key, uint64_t value);

/* ---- Journals, for journal.c and verify_journals.c: what a head and the sums beside it say. */

enum journal_sum { SUM_SEQUENCE, SUM_PAYLOADS };

/* The key of a sum of the journal whose keys begin with `prefix`, in the table `sums`. */
struct key journal_sum_key(const struct key *prefix, enum journal_sum which);

struct journal_span;
/* ERR_DAMAGED, which neither sticks nor is logged, unless all of it can be read. *is_old: as an
 * older program has left it, with all numbers in the head. */
enum err journal_numbers_get(struct txn *txn, struct table table, struct table sums,
                             const struct key *prefix, struct journal_span *out, bool *is_old);
/* Whatever is there now. */
enum err journal_numbers_set(struct txn *txn, struct table table, struct table sums,
                             const struct key *prefix, const struct journal_span *span);

/* The version of an entry, without a payload, that stands for one that was lost (journal.c). */
#define JOURNAL_LOST 0

#endif
