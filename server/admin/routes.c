/* GET /_/api/routes: what passes each route, and single answers that somebody may ask about. */
#include "server/admin/admin_private.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static void write_notable(struct json_writer *w, const struct notable *one)
{
    jw_begin(w, '{');
    jw_key(w, "at");
    jw_i64(w, one->at_ms);
    jw_key(w, "method");
    jw_str(w, slice_str(method_name(one->method)));
    jw_key(w, "path");
    jw_str(w, slice_str(one->path));
    jw_key(w, "route");
    jw_str(w, slice_str(one->pattern ? one->pattern : ""));
    jw_key(w, "status");
    jw_i64(w, one->status);
    jw_key(w, "ms");
    jw_f64(w, round((double)one->duration_ns / 1e3) / 1e3);
    jw_key(w, "user");
    jw_str(w, slice_str(one->user));
    jw_key(w, "requestId");
    jw_str(w, slice_str(one->request_id));
    jw_end(w, '}');
}

static void write_notables(struct json_writer *w, const char *key, const struct notable *list,
                           unsigned count)
{
    jw_key(w, key);
    jw_begin(w, '[');
    for (unsigned i = 0; i < count; i++)
        write_notable(w, &list[i]);
    jw_end(w, ']');
}

void serve_routes(struct visit *visit)
{
    struct gateway *gateway = visit->admin->options.gateway;
    struct notable *list = mem_alloc(NOTABLES_MAX * sizeof *list);
    struct json_writer w = {.out = &visit->response->body};
    jw_begin(&w, '{');
    route_figures_write(visit->admin->route_figures, visit->request->started_ns, &w);
    write_notables(&w, "slowest", list, gateway_slowest(gateway, list));
    write_notables(&w, "errors", list, gateway_errors(gateway, list));
    jw_end(&w, '}');
    free(list);
    response_json(visit->response, 200);
}
