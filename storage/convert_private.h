/* From the data directory's older formats to today's. */
#ifndef GALLEY_STORAGE_CONVERT_PRIVATE_H
#define GALLEY_STORAGE_CONVERT_PRIVATE_H

#include "storage/collection_private.h"

/* Of the whole directory; docs/format.md says when it is counted up. */
#define STORE_FORMAT 2

/* ---- format.c */

/* What lies in the directory is of STORE_FORMAT, or becomes so. */
enum err format_write(struct txn *txn, struct table meta, bool converting);

/* ---- convert.c */

/* The first step from format 1: its entries of the table meta become the catalog. */
enum err convert_catalog(struct txn *txn, struct table meta);

/* The rest, until it is done; goes on where an earlier start was interrupted. Threads: main. */
enum err convert(struct store *store, const struct collection *tables);

#endif
