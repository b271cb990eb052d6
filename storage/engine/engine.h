/* What storage/format.c needs of the engine besides store.h: the directory before anybody has
 * looked at what lies in it. Threads: main, before any other uses the store. */
#ifndef GALLEY_STORAGE_ENGINE_H
#define GALLEY_STORAGE_ENGINE_H

#include "storage/store.h"

/* As store_open, without a look at the format. */
enum err engine_open(const struct store_options *options, struct store **out, char *why,
                     size_t why_size);

bool engine_is_new(struct store *store); /* there is no table in it */

/* Opens `count` tables that are not open yet, makes those that are missing, and runs fn, if not
 * NULL, in the same transaction: an error of fn leaves neither tables nor handles. */
enum err engine_tables(struct store *store, const char *const names[], unsigned count,
                       struct table out[], store_fn fn, void *arg);

/* Removes the table with all that is in it. */
enum err engine_drop(struct store *store, struct table *table);

#endif
