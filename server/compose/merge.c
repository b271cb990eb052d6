/* What the parts came to, as one answer. */
#include "server/compose/compose_private.h"

#include <stdio.h>

bool is_json(struct slice text)
{
    json_t *json;
    char why[128];
    bool good = json_read(text, &json, why, sizeof why) == ERR_OK;
    if (good)
        json_decref(json);
    return good;
}

/* What stands in the answer for it; empty: nothing does. */
static struct slice text_of(const struct part_run *run)
{
    if (run->err == ERR_OK)
        return buf_slice(&run->text);
    const char *fallback = run->part->spec.fallback;
    return fallback ? slice_str(fallback) : slice_of(NULL, 0);
}

static void write_named(const struct run *run, struct buf *out)
{
    struct json_writer w = {.out = out};
    jw_begin(&w, '{');
    for (unsigned i = 0; i < run->compose->count; i++) {
        struct slice text = text_of(&run->parts[i]);
        if (text.len == 0)
            continue;
        jw_key(&w, run->parts[i].part->spec.name);
        jw_raw(&w, text);
    }
    jw_end(&w, '}');
}

/* An array has no members: it stays under its part's name. */
static void add_members(json_t *all, const struct part_run *run, struct slice text)
{
    json_t *json;
    char why[128];
    if (text.len == 0 || json_read(text, &json, why, sizeof why) != ERR_OK)
        return;
    if (json_is_object(json))
        json_object_update_missing(all, json);
    else if (!json_object_get(all, run->part->spec.name))
        json_object_set(all, run->part->spec.name, json);
    json_decref(json);
}

static void write_flat(const struct run *run, struct buf *out)
{
    json_t *all = json_object();
    for (unsigned i = 0; i < run->compose->count; i++)
        add_members(all, &run->parts[i], text_of(&run->parts[i]));
    json_append(out, all);
    json_decref(all);
}

/* The error that the whole is answered with; ERR_OK: none. *part is whose it is. */
static enum err worst(const struct run *run, const struct part_run **part)
{
    enum err worst = ERR_OK;
    for (unsigned i = 0; i < run->compose->count; i++) {
        const struct part_run *one = &run->parts[i];
        if (one->err == ERR_OK || one->part->spec.optional || one->part->spec.fallback)
            continue;
        if (worst == ERR_OK || one->err == ERR_UPSTREAM_TIMEOUT)
            *part = one;
        worst = (*part)->err == ERR_UPSTREAM_TIMEOUT ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM;
    }
    return worst;
}

static void answer_error(const struct run *run, const struct part_run *part, enum err err)
{
    char message[160];
    if (err == ERR_UPSTREAM_TIMEOUT)
        snprintf(message, sizeof message, "The part %s has not come in time.",
                 part->part->spec.name);
    else if (part->status >= 300)
        snprintf(message, sizeof message, "The part %s was answered with %d.",
                 part->part->spec.name, part->status);
    else
        snprintf(message, sizeof message, "The part %s is not what it should be.",
                 part->part->spec.name);
    response_error(run->response, run->request, err, NULL, message, NULL);
}

static void tell_missing(const struct run *run)
{
    struct buf missing = BUF_INIT;
    for (unsigned i = 0; i < run->compose->count; i++) {
        if (run->parts[i].err == ERR_OK)
            continue;
        if (missing.len > 0)
            buf_append_str(&missing, ", ");
        buf_append_str(&missing, run->parts[i].part->spec.name);
    }
    bool completed = missing.len == 0;
    response_header(run->response, "X-Galley-Completed", slice_str(completed ? "true" : "false"));
    if (!completed)
        response_header(run->response, "X-Galley-Missing", buf_slice(&missing));
    buf_release(&missing);
}

/* By a cache: all of it is there, and none of it is for somebody alone. */
static bool may_be_kept(const struct run *run)
{
    for (unsigned i = 0; i < run->compose->count; i++) {
        if (run->parts[i].err != ERR_OK || run->parts[i].personal)
            return false;
    }
    return true;
}

void merge(const struct run *run)
{
    const struct part_run *part = NULL;
    enum err err = worst(run, &part);
    if (err != ERR_OK) {
        answer_error(run, part, err);
    } else {
        (run->compose->options.flat ? write_flat : write_named)(run, &run->response->body);
        response_json(run->response, 200);
    }
    tell_missing(run);
    if (!may_be_kept(run))
        response_header(run->response, "Cache-Control", slice_str("no-store"));
}
