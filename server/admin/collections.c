/* /_/api/collections: what there is of documents. */
#include "server/admin/admin_private.h"

#define DECLARED "data/" /* what the name of a collection of the configuration begins with */

static void write_index(struct json_writer *w, const struct index_spec *index)
{
    jw_begin(w, '{');
    jw_key(w, "fields");
    jw_str(w, slice_str(index->fields));
    jw_key(w, "unique");
    jw_bool(w, index->unique);
    jw_end(w, '}');
}

static void write_collection(const struct collection_size *size, void *arg)
{
    struct json_writer *w = arg;
    bool declared = strncmp(size->name, DECLARED, strlen(DECLARED)) == 0;
    jw_begin(w, '{');
    jw_key(w, "name");
    jw_str(w, slice_str(declared ? size->name + strlen(DECLARED) : size->name));
    jw_key(w, "of");
    jw_str(w, slice_str(declared ? "configuration" : "modules"));
    jw_key(w, "documents");
    jw_i64(w, (int64_t)size->documents);
    jw_key(w, "bytes");
    jw_i64(w, (int64_t)size->bytes);
    jw_key(w, "indexes");
    jw_begin(w, '[');
    for (unsigned i = 0; i < size->index_count; i++)
        write_index(w, &size->indexes[i]);
    jw_end(w, ']');
    jw_end(w, '}');
}

/* Counts them: some seconds for millions. */
void serve_collections(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    jw_key(&w, "collections");
    jw_begin(&w, '[');
    enum err err = collections_measure(visit->admin->options.store, write_collection, &w);
    jw_end(&w, ']');
    jw_end(&w, '}');
    if (err)
        response_error(visit->response, visit->request, err, NULL, NULL, NULL);
    else
        response_json(visit->response, 200);
}
