/* Keeps what a history has of the longer steps over restarts, in the store: one small commit a
 * minute. A history is worth no trouble: what cannot be read or written is left out in silence, for
 * who writes to a store that fails has said so already. */
#ifndef GALLEY_SERVER_ADMIN_HISTORY_KEEPER_H
#define GALLEY_SERVER_ADMIN_HISTORY_KEEPER_H

#include "server/admin/history.h"
#include "storage/store.h"

struct history_keeper;
struct verifier;

/* Fills the history with what was kept. Both live longer than it. Threads: main. */
struct history_keeper *history_keeper_create(struct store *store, struct history *history);
void history_keeper_destroy(struct history_keeper **keeper);

/* Writes what has come since the last time. Threads: one at a time; it waits for a commit. */
void history_keeper_save(struct history_keeper *keeper);

/* Opens what was kept for verifying alone (storage/verify.h); a sample that is damaged is dropped
 * at once. The table stays where it is as long as the verifier. */
enum err history_table_open(struct store *store, struct table *out);
void history_table_verify(struct table *table, struct verifier *v);

#endif
