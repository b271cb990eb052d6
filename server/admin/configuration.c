/* GET /_/api/configuration: what holds now, where it is said, and what would be if it were not. */
#include "server/admin/admin_private.h"

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    if (text)
        jw_str(w, slice_str(text));
    else
        jw_null(w);
}

static void write_setting(const struct config_setting *setting, void *arg)
{
    struct json_writer *w = arg;
    jw_begin(w, '{');
    write_text(w, "section", setting->section);
    write_text(w, "key", setting->key);
    write_text(w, "value", setting->value);
    write_text(w, "waiting", setting->waiting);
    write_text(w, "default", setting->fallback);
    jw_key(w, "line");
    if (setting->line > 0)
        jw_i64(w, setting->line);
    else
        jw_null(w);
    jw_key(w, "reloads");
    jw_bool(w, setting->reloads);
    write_text(w, "help", setting->help);
    jw_end(w, '}');
}

void serve_configuration(struct visit *visit)
{
    const struct admin_options *options = &visit->admin->options;
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    write_text(&w, "file", options->config_path);
    jw_key(&w, "data");
    jw_begin(&w, '[');
    options->each_setting(options->galley, write_setting, &w);
    jw_end(&w, ']');
    jw_end(&w, '}');
    response_json(visit->response, 200);
}
