#include "server/listeners.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCH_MS    1000
#define DAY_S       INT64_C(86400)
#define WARN_DAYS   30 /* before the end; those who renew by themselves do it at a third of 90 */
#define LABELS_SIZE 600

struct listener {
    const struct config_section *section; /* of the start */
    struct tls *tls;                      /* or NULL */
};

struct listeners {
    struct listener *list;
    unsigned count;
    struct timer *timer;
    int64_t remind_at_ns; /* to log the warnings again, each day; the timer's alone */
};

/* ---- Options. */

/* The TLS of a section. The strings are the configuration's. False: it has none. */
struct wish {
    struct tls_pair pairs[TLS_PAIRS_MAX];
    struct tls_options options;
};

static bool read_wish(const struct config_section *section, struct wish *out)
{
    unsigned count = config_list_count(section, "tls_cert");
    assert(count == config_list_count(section, "tls_key")); /* the configuration checked it */
    for (unsigned i = 0; i < count && i < TLS_PAIRS_MAX; i++)
        out->pairs[i] = (struct tls_pair){config_list_at(section, "tls_cert", i),
                                          config_list_at(section, "tls_key", i)};
    out->options = (struct tls_options){
        .pairs = out->pairs,
        .count = count < TLS_PAIRS_MAX ? count : TLS_PAIRS_MAX,
        .client_ca = config_text(section, "tls_client_ca"),
        .client = (enum tls_client)config_choice(section, "tls_client"),
        .hsts_s = config_int(section, "hsts") / 1000,
        .clock = &clock_system,
    };
    return count > 0;
}

static bool check_section(const struct config_section *section, char *why, size_t why_size)
{
    struct wish wish;
    if (!read_wish(section, &wish))
        return true;
    if (config_list_count(section, "tls_cert") > TLS_PAIRS_MAX) {
        snprintf(why, why_size, "more than %d certificates", TLS_PAIRS_MAX);
        return false;
    }
    return tls_check(&wish.options, why, why_size) == ERR_OK;
}

bool listeners_check(const struct config *config, const char *path, struct buf *errors)
{
    bool right = config_named_count(config, "listener") <= LISTENERS_MAX;
    if (!right)
        buf_printf(errors, "%s: more than %d [listener] sections\n", path, LISTENERS_MAX);
    for (unsigned i = 0; i < config_named_count(config, "listener"); i++) {
        const struct config_section *section = config_named(config, "listener", i);
        char why[TLS_WHY_SIZE];
        if (check_section(section, why, sizeof why))
            continue;
        buf_printf(errors, "%s:%u: [listener %s] %s\n", path, config_line(section),
                   config_name(section), why);
        right = false;
    }
    return right;
}

/* ---- Reload. */

static const struct config_section *find_section(const struct config *config, const char *name)
{
    for (unsigned i = 0; i < config_named_count(config, "listener"); i++) {
        const struct config_section *section = config_named(config, "listener", i);
        if (strcmp(config_name(section), name) == 0)
            return section;
    }
    return NULL;
}

static void reload_one(const struct listener *listener, const struct config_section *section)
{
    const char *name = config_name(section);
    struct wish wish;
    char why[TLS_WHY_SIZE] = "";
    bool wanted = read_wish(section, &wish), present = listener->tls;
    enum err err = ERR_OK;
    if (wanted != present)
        log_write(LOG_WARN, "tls", "[listener %s] beginning or ending TLS takes a restart", name);
    else if (wanted)
        err = tls_reload(listener->tls, &wish.options, why, sizeof why);
    if (err)
        log_write(LOG_ERROR, "tls", "[listener %s] keeps its certificates: %s", name, why);
    else if (why[0] != '\0')
        log_write(LOG_WARN, "tls", "[listener %s] %s", name, why);
}

void listeners_reload(struct listeners *listeners, const struct config *next)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->list[i];
        const struct config_section *section = find_section(next, config_name(listener->section));
        if (section)
            reload_one(listener, section);
    }
}

/* ---- Metrics. */

/* `more` is further labels, with a comma in front. */
static void write_number(const struct listener *listener, struct buf *out, const char *name,
                         const char *more, uint64_t value)
{
    char labels[2 * LABELS_SIZE];
    snprintf(labels, sizeof labels, "listener=\"%s\"%s", config_name(listener->section), more);
    metrics_write_u64(out, name, labels, value);
}

static void write_ends(const struct listener *listener, struct buf *out, const char *name)
{
    struct tls_certificate_status certificate;
    for (size_t i = 0; tls_read_certificate(listener->tls, i, &certificate); i++) {
        char more[LABELS_SIZE];
        snprintf(more, sizeof more, ",name=\"%s\"", certificate.name);
        write_number(listener, out, name, more, (uint64_t)certificate.not_after_s);
    }
}

static void write_handshakes(const struct listener *listener, struct buf *out, const char *name)
{
    struct tls_status status;
    tls_read_status(listener->tls, &status);
    write_number(listener, out, name, ",result=\"full\"", status.handshakes - status.resumed);
    write_number(listener, out, name, ",result=\"resumed\"", status.resumed);
    write_number(listener, out, name, ",result=\"failed\"", status.failed);
}

static void write_reloads(const struct listener *listener, struct buf *out, const char *name)
{
    struct tls_status status;
    tls_read_status(listener->tls, &status);
    write_number(listener, out, name, "", status.reloads);
}

static void write_failures(const struct listener *listener, struct buf *out, const char *name)
{
    struct tls_status status;
    tls_read_status(listener->tls, &status);
    write_number(listener, out, name, "", status.reload_failures);
}

void listeners_metrics(const struct listeners *listeners, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        void (*write)(const struct listener *listener, struct buf *out, const char *name);
    } metrics[] = {
        {"galley_tls_certificate_not_after_seconds", "gauge",
         "When a certificate ends, since 1970.", write_ends},
        {"galley_tls_handshakes_total", "counter", "Handshakes by what became of them.",
         write_handshakes},
        {"galley_tls_reloads_total", "counter", "Certificates loaded again.", write_reloads},
        {"galley_tls_reload_failures_total", "counter",
         "Changed certificates that could not be loaded: the old ones stayed.", write_failures},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        metrics_write_help(out, metrics[i].name, metrics[i].type, metrics[i].help);
        for (unsigned k = 0; k < listeners->count; k++) {
            if (listeners->list[k].tls)
                metrics[i].write(&listeners->list[k], out, metrics[i].name);
        }
    }
}

/* ---- Warnings. */

/* False: there is nothing to say of it. */
static bool describe_end(const struct tls_certificate_status *certificate, int64_t now_s, char *out,
                         size_t size)
{
    int64_t left_s = certificate->not_after_s - now_s;
    if (left_s > WARN_DAYS * DAY_S)
        return false;
    if (left_s <= 0)
        snprintf(out, size, "The certificate of %s has expired.", certificate->name);
    else
        snprintf(out, size, "The certificate of %s expires in %" PRId64 " %s.", certificate->name,
                 left_s < 2 * DAY_S ? left_s / 3600 : left_s / DAY_S,
                 left_s < 2 * DAY_S ? "hours" : "days");
    return true;
}

static bool describe_failure(const struct listener *listener, char *out, size_t size)
{
    struct tls_status status;
    tls_read_status(listener->tls, &status);
    snprintf(out, size, "The certificates of listener %s could not be reloaded: %s",
             config_name(listener->section), status.last_error);
    return status.last_error[0] != '\0';
}

typedef void (*sentence_fn)(const char *text, void *arg);

static void tell_warnings(const struct listener *listener, int64_t now_ms, sentence_fn fn,
                          void *arg)
{
    struct tls_certificate_status certificate;
    char text[TLS_WHY_SIZE + 200];
    if (describe_failure(listener, text, sizeof text))
        fn(text, arg);
    for (size_t i = 0; tls_read_certificate(listener->tls, i, &certificate); i++) {
        if (describe_end(&certificate, now_ms / 1000, text, sizeof text))
            fn(text, arg);
    }
}

static void tell_all_warnings(const struct listeners *listeners, int64_t now_ms, sentence_fn fn,
                              void *arg)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        if (listeners->list[i].tls)
            tell_warnings(&listeners->list[i], now_ms, fn, arg);
    }
}

static void write_sentence(const char *text, void *w)
{
    jw_str(w, slice_str(text));
}

void listeners_write_warnings(const struct listeners *listeners, int64_t now_ms,
                              struct json_writer *w)
{
    tell_all_warnings(listeners, now_ms, write_sentence, w);
}

/* ---- The timer. */

static void log_sentence(const char *text, void *arg)
{
    (void)arg;
    log_write(LOG_WARN, "tls", "%s", text);
}

static int64_t watch(void *arg, int64_t now_ns)
{
    struct listeners *listeners = arg;
    for (unsigned i = 0; i < listeners->count; i++) {
        if (listeners->list[i].tls)
            tls_watch(listeners->list[i].tls, now_ns);
    }
    if (now_ns >= listeners->remind_at_ns) {
        tell_all_warnings(listeners, clock_wall_ms(&clock_system), log_sentence, NULL);
        listeners->remind_at_ns = now_ns + DAY_S * 1000000000;
    }
    return WATCH_MS;
}

/* ---- Open and close. */

static enum err open_one(const struct config_section *section, struct listener *out, char *why,
                         size_t why_size)
{
    struct wish wish;
    char text[TLS_WHY_SIZE];
    *out = (struct listener){section, NULL};
    if (!read_wish(section, &wish))
        return ERR_OK;
    enum err err = tls_create(&wish.options, &out->tls, text, sizeof text);
    if (err)
        snprintf(why, why_size, "[listener %s] %s", config_name(section), text);
    else if (text[0] != '\0')
        log_write(LOG_WARN, "tls", "[listener %s] %s", config_name(section), text);
    return err;
}

enum err listeners_open(const struct config *config, struct ticker *ticker, struct listeners **out,
                        char *why, size_t why_size)
{
    struct listeners *listeners = mem_zalloc(sizeof *listeners);
    unsigned count = config_named_count(config, "listener");
    enum err err = ERR_OK;
    listeners->list = mem_zalloc((count + 1) * sizeof *listeners->list);
    for (unsigned i = 0; i < count && !err; i++)
        err = open_one(config_named(config, "listener", i), &listeners->list[listeners->count++],
                       why, why_size);
    *out = listeners;
    if (err)
        listeners_close(out);
    else
        listeners->timer = ticker_add(ticker, watch, listeners, WATCH_MS);
    return err;
}

void listeners_close(struct listeners **out)
{
    struct listeners *listeners = *out;
    *out = NULL;
    if (!listeners)
        return;
    if (listeners->timer)
        timer_cancel(listeners->timer);
    for (unsigned i = 0; i < listeners->count; i++)
        tls_destroy(&listeners->list[i].tls);
    free(listeners->list);
    free(listeners);
}

unsigned listeners_count(const struct listeners *listeners)
{
    return listeners->count;
}

const struct config_section *listeners_section(const struct listeners *listeners, unsigned i)
{
    assert(i < listeners->count);
    return listeners->list[i].section;
}

struct tls *listeners_tls(const struct listeners *listeners, unsigned i)
{
    assert(i < listeners->count);
    return listeners->list[i].tls;
}
