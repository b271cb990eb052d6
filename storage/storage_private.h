/* What the files of storage/ share about records. */
#ifndef GALLEY_STORAGE_PRIVATE_H
#define GALLEY_STORAGE_PRIVATE_H

#include "storage/store.h"

/* A record's bytes, for values that are more than a record; record_write fills record_size of them.
 */
size_t record_size(struct slice payload);
void record_write(uint8_t *place, struct slice key, uint64_t version, struct slice payload);

/* What is wrong with the record, as a clause; NULL if nothing is. */
const char *record_fault(struct slice key, struct slice value);

/* Takes apart what record_decode has checked. */
struct record record_parts(struct slice value);

/* The version of an entry, without a payload, that stands for one that was lost (journal.c). */
#define JOURNAL_LOST 0

#endif
