/* /_/api/storage: the file and what is known of its health. /_/api/verify: everything stored is
 * read and compared with what it should be. POST begins at full speed and answers {"pass": N}; GET
 * says how far it is: pass N is over when "passes" is N or more. */
#include "base/log.h"
#include "server/admin/admin_private.h"

void serve_verify(struct visit *visit)
{
    struct buf *out = &visit->response->body;
    log_write(LOG_INFO, "admin", "%s has everything verified", visit_who(visit));
    buf_printf(out, "{\"pass\":%llu}",
               (unsigned long long)scrub_hurry(visit->admin->options.scrub));
    response_json(visit->response, 202);
}

void serve_verify_state(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    scrub_write(visit->admin->options.scrub, &w);
    response_json(visit->response, 200);
}

static void write_number(struct json_writer *w, const char *key, uint64_t value)
{
    jw_key(w, key);
    jw_i64(w, (int64_t)value);
}

static void write_text(struct json_writer *w, const char *key, const char *value)
{
    jw_key(w, key);
    jw_str(w, slice_str(value));
}

static void write_store(struct json_writer *w, const struct admin_options *process)
{
    struct store_stats store;
    store_stats(process->store, &store);
    write_text(w, "directory", process->data_dir);
    write_number(w, "fileBytes", store.file_bytes);
    write_number(w, "freeBytes", store.free_bytes);
    write_number(w, "mapBytes", store.map_bytes);
    write_number(w, "oldestReadMs", (uint64_t)store.oldest_read_ms);
    jw_key(w, "nearlyFull");
    jw_bool(w, store.nearly_full);
    write_text(w, "readOnly", store.read_only ? store.cause : "");
    write_number(w, "damagedMet", store.damaged);
    write_text(w, "damage", store.damage);
}

void serve_storage(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    write_store(&w, &visit->admin->options);
    jw_key(&w, "check");
    scrub_write(visit->admin->options.scrub, &w);
    jw_end(&w, '}');
    response_json(visit->response, 200);
}
