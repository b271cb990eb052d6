#include "server/stored.h"

#include "base/mem.h"
#include "queue/queue.h"
#include "server/admin/history_keeper.h"
#include "server/gateway/gateway.h"

#include <stdlib.h>

struct stored {
    struct document_parts *documents;
    struct journal_parts *journals;
    struct answer_parts *answers;
    struct queues *queues;
    struct queues *own_queues; /* the same, if none run */
    struct table history;
};

static enum err open_queues(struct store *store, struct queues *running, struct stored *stored)
{
    struct queues_options options = {.store = store, .clock = &clock_system};
    enum err err = running ? ERR_OK : queues_create(&options, &stored->own_queues);
    stored->queues = running ? running : stored->own_queues;
    return err;
}

enum err stored_open(struct store *store, struct queues *queues, struct stored **out)
{
    struct stored *stored = *out = mem_zalloc(sizeof *stored);
    enum err err = document_parts_create(store, &stored->documents);
    if (!err)
        err = journal_parts_create(store, &stored->journals);
    if (!err)
        err = answer_parts_create(store, &stored->answers);
    if (!err)
        err = history_table_open(store, &stored->history);
    if (!err)
        err = open_queues(store, queues, stored);
    if (err)
        stored_close(out);
    return err;
}

void stored_close(struct stored **out)
{
    struct stored *stored = *out;
    if (!stored)
        return;
    document_parts_destroy(&stored->documents);
    journal_parts_destroy(&stored->journals);
    answer_parts_destroy(&stored->answers);
    queues_destroy(&stored->own_queues);
    free(stored);
    *out = NULL;
}

void stored_verify(struct stored *stored, struct verifier *v)
{
    queues_verify(stored->queues, v);
    document_parts_add(stored->documents, v);
    answer_parts_add(stored->answers, v);
    journal_parts_add(stored->journals, v);
    history_table_verify(&stored->history, v);
    verifier_add_rest(v);
}
