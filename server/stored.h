/* Everything that is stored, table by table, for whoever verifies it (storage/verify.h): each table
 * has its owner's part. */
#ifndef GALLEY_SERVER_STORED_H
#define GALLEY_SERVER_STORED_H

#include "storage/verify.h"

struct queues;
struct stored;

/* `queues`, which live longer, are those that run; NULL if none do. Before threads use the store.
 */
enum err stored_open(struct store *store, struct queues *queues, struct stored **out);
void stored_close(struct stored **stored); /* NULL-safe; the store is still open */

void stored_verify(struct stored *stored, struct verifier *v);

#endif
