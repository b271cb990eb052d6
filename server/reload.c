/* DESIGN. A reload reads the file anew and checks it as a start does; what is wrong with it changes
 * nothing. Then everything that can fail is made beside what is in use (the plan), and only then
 * taken over. Keys that need a restart are compared with what the process was started with, all
 * others with what was loaded last: so a change that waits for a restart is named each time. The
 * first configuration stays for good, as modules hold on to their sections. */
#include "server/galley_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/changes/changes.h"
#include "server/config/schema.h"
#include "server/listeners.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a reload found, for the log and for whoever asked. */
struct findings {
    struct json_writer *w; /* of the report */
    unsigned changed;      /* taken over */
    unsigned waiting;      /* for a restart */
};

/* ---- The report */

static void write_value(struct json_writer *w, const char *key, const char *value)
{
    jw_key(w, key);
    if (value)
        jw_str(w, slice_str(value));
    else
        jw_null(w);
}

static void log_change(const struct config_change *change)
{
    bool waits = change->takes == CONFIG_RESTART;
    if (change->key)
        log_write(waits ? LOG_WARN : LOG_INFO, "config", "[%s] %s: %.100s -> %.100s%s",
                  change->section, change->key, change->from ? change->from : "(none)",
                  change->to ? change->to : "(none)", waits ? "; takes a restart" : "");
    else
        log_write(waits ? LOG_WARN : LOG_INFO, "config", "[%s] is %s%s", change->section,
                  change->to ? "new" : "gone", waits ? "; takes a restart" : "");
}

static void note_change(const struct config_change *change, void *arg)
{
    struct findings *findings = arg;
    struct json_writer *w = findings->w;
    bool waits = change->takes == CONFIG_RESTART;
    findings->changed += !waits;
    findings->waiting += waits;
    log_change(change);
    jw_begin(w, '{');
    write_value(w, "section", change->section);
    write_value(w, "key", change->key);
    write_value(w, "from", change->from);
    write_value(w, "to", change->to);
    jw_end(w, '}');
}

/* {"changed": [...], "restart": [...]}: each change as {"section", "key", "from", "to"}. */
static struct findings write_changes(const struct galley *galley, const struct config *next,
                                     struct buf *report)
{
    struct json_writer w = {.out = report};
    struct findings findings = {.w = &w};
    jw_begin(&w, '{');
    jw_key(&w, "changed");
    jw_begin(&w, '[');
    config_diff(galley_config(galley), next, CONFIG_RELOADS, note_change, &findings);
    jw_end(&w, ']');
    jw_key(&w, "restart");
    jw_begin(&w, '[');
    config_diff(galley->config, next, CONFIG_RESTART, note_change, &findings);
    jw_end(&w, ']');
    jw_end(&w, '}');
    return findings;
}

/* [{"message": "config.ini:12: ..."}, ...] */
static void write_errors(struct slice errors, struct buf *report)
{
    struct json_writer w = {.out = report};
    log_write(LOG_WARN, "config", "not reloaded, nothing has changed; the file is wrong:");
    jw_begin(&w, '[');
    while (errors.len > 0) {
        struct slice line = slice_cut(&errors, '\n');
        log_write(LOG_WARN, "config", "%.*s", SLICE_ARG(line));
        jw_begin(&w, '{');
        jw_key(&w, "message");
        jw_str(&w, line);
        jw_end(&w, '}');
    }
    jw_end(&w, ']');
}

/* ---- Taking over */

static enum err load(struct galley *galley, struct config **out, struct buf *report)
{
    struct buf errors = BUF_INIT;
    enum err err = config_load(&galley->source, out, &errors);
    if (!err && !galley_check(*out, galley->source.path, &errors)) {
        config_destroy(out);
        err = ERR_VALIDATION;
    }
    if (err)
        write_errors(buf_slice(&errors), report);
    buf_release(&errors);
    return err;
}

/* The words of level and format stand in the order of their enums (section_process.c). */
void galley_log_options(const struct config *config, struct log_options *out)
{
    const struct config_section *section = config_section(config, "log");
    *out = (struct log_options){
        .path = config_text(section, "file"),
        .level = (enum log_level)config_choice(section, "level"),
        .format = (enum log_format)config_choice(section, "format"),
        .access = config_bool(section, "access"),
        .access_format = config_text(section, "access_format"),
    };
}

/* The file is opened anew even if nothing has changed: it may have been rotated. */
static bool reopen_log(const struct config *next, char *why, size_t why_size)
{
    struct log_options options;
    galley_log_options(next, &options);
    if (log_reopen(&options))
        return true;
    snprintf(why, why_size, "[log] file: %.200s cannot be opened: %s", options.path,
             strerror(errno));
    return false;
}

void reload_settings(struct galley *galley, const struct config *config)
{
    galley->token_ttl_ms = config_int(config_section(config, "auth"), "token_ttl");
}

/* Nothing here may fail. */
static void take_over(struct galley *galley, struct config *next, struct plan *plan,
                      struct upstreams_read **upstreams)
{
    proxying_take_over(galley, upstreams);
    feeding_take_over(galley, next);
    gateway_swap(galley->gateway, plan);
    changes_restart(galley->changes);
    listeners_reload(galley->listeners, next);
    reload_settings(galley, next);
    config_destroy(&galley->reloaded);
    galley->reloaded = next;
}

static enum err reload(struct galley *galley, struct buf *report)
{
    struct config *next;
    enum err err = load(galley, &next, report);
    if (err)
        return err;
    struct plan *plan;
    char why[300];
    err = routes_plan(galley, next, &plan, why, sizeof why);
    struct upstreams_read *upstreams = NULL;
    if (!err) {
        err = proxying_read(galley, next, &upstreams, why, sizeof why);
        if (!err && !reopen_log(next, why, sizeof why))
            err = ERR_VALIDATION;
        if (err)
            plan_destroy(galley->gateway, &plan);
    }
    if (err) {
        proxying_forget(&upstreams);
        write_errors(slice_str(why), report);
        config_destroy(&next);
        return ERR_VALIDATION;
    }
    struct findings findings = write_changes(galley, next, report);
    take_over(galley, next, plan, &upstreams);
    log_write(LOG_INFO, "config", "reloaded: %u taken over, %u waiting for a restart",
              findings.changed, findings.waiting);
    return ERR_OK;
}

/* With the time, as Type=notify-reload asks: so it can tell its own reload from an earlier one. */
static void tell_reloading(const struct galley *galley)
{
    char lines[80];
    snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             clock_mono_ns(&clock_system) / 1000);
    notify_tell(&galley->notify, lines);
}

enum err galley_reload(struct galley *galley, struct buf *report)
{
    lock_acquire(&galley->reload_lock);
    tell_reloading(galley);
    enum err err = galley->draining ? ERR_DRAINING : reload(galley, report);
    notify_tell(&galley->notify, "READY=1");
    galley->reloads[err ? 1 : 0]++;
    lock_leave(&galley->reload_lock);
    return err;
}

/* ---- Looking */

void galley_each_setting(struct galley *galley, config_setting_fn show, void *arg)
{
    lock_acquire(&galley->reload_lock);
    config_each(galley->config, galley_config(galley), show, arg);
    lock_leave(&galley->reload_lock);
}
