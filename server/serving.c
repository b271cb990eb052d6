/* Where the process listens, and how what comes there gets to the gateway. */
#include "server/galley_private.h"

#include "base/log.h"
#include "server/admin/admin.h"
#include "server/control.h"
#include "server/http/path.h"
#include "server/listeners.h"
#include "server/port_holder.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* ---- Where */

/* Besides those of [server], of [admin] and the control socket. */
#define SECTIONS_MAX (FRONT_LISTENERS_MAX - 3)

enum err serving_load(struct galley *galley, char *why, size_t why_size)
{
    if (config_named_count(galley->config, "listener") > SECTIONS_MAX) {
        snprintf(why, why_size, "more than %d [listener NAME] sections", SECTIONS_MAX);
        return ERR_VALIDATION;
    }
    return listeners_open(galley->config, galley->ticker, &galley->listeners, why, why_size);
}

void serving_unload(struct galley *galley)
{
    listeners_close(&galley->listeners);
}

/* The first place is the one that the banner names, then come the [listener NAME] sections, the
 * administration's own, and last the one for whoever can open files in the data directory. */
struct places {
    struct front_listener list[FRONT_LISTENERS_MAX];
    char control[5 + CONTROL_PATH_SIZE];
    char whole[FRONT_LISTENERS_MAX][32]; /* of those that are written ":PORT" */
    unsigned count;
};

static void add_place(struct places *out, struct front_listener place)
{
    if (place.address[0] == '\0')
        return;
    if (place.address[0] == ':') {
        char *whole = out->whole[out->count];
        snprintf(whole, sizeof out->whole[0], "127.0.0.1%s", place.address);
        place.address = whole;
    }
    out->list[out->count++] = place;
}

static const char *text_of(const struct galley *galley, const char *section, const char *key)
{
    return config_text(config_section(galley->config, section), key);
}

static void list_places(struct galley *galley, struct places *out)
{
    out->count = 0;
    memcpy(out->control, "unix:", 5);
    control_path(galley->data_fd, out->control + 5);
    add_place(out, (struct front_listener){.address = text_of(galley, "server", "listen")});
    for (unsigned i = 0; i < listeners_count(galley->listeners); i++) {
        const struct config_section *section = listeners_section(galley->listeners, i);
        add_place(out, (struct front_listener){
                           .address = config_text(section, "address"),
                           .tls = listeners_tls(galley->listeners, i),
                           .proxy_protocol = config_bool(section, "proxy_protocol"),
                       });
    }
    galley->admin_listener = text_of(galley, "admin", "listen")[0] ? out->count : 0;
    add_place(out, (struct front_listener){.address = text_of(galley, "admin", "listen")});
    add_place(out, (struct front_listener){.address = out->control, .local = true});
}

/* ---- What comes */

/* Of the listener that it came to: where all requests are sent, or NULL. */
static const char *redirect_of(const struct galley *galley, const struct request *request)
{
    if (request->listener == 0 || request->listener > listeners_count(galley->listeners))
        return NULL;
    const char *to =
        config_text(listeners_section(galley->listeners, request->listener - 1), "redirect_to");
    bool acme = slice_starts(request->path, slice_str(ACME_PATH));
    return *to && !acme ? to : NULL;
}

static void redirect(const struct request *request, struct response *response, const char *to)
{
    struct buf location = BUF_INIT;
    buf_append_str(&location, to);
    path_encode(request->path, &location);
    if (request->query.len > 0)
        buf_append_char(&location, '?');
    buf_append_slice(&location, request->query);
    response_header(response, "Location", buf_slice(&location));
    response->status = 308;
    buf_release(&location);
}

static void handle(struct request *request, struct response *response, void *arg)
{
    struct galley *galley = arg;
    const char *to = redirect_of(galley, request);
    if (to)
        redirect(request, response, to);
    else
        gateway_handle(galley->gateway, request, response);
}

static bool trusts(const struct in6_addr *peer, void *arg)
{
    struct galley *galley = arg;
    return gateway_trusts(galley->gateway, peer);
}

static bool over_limit(const struct request *request, struct response *response, void *arg)
{
    struct galley *galley = arg;
    return gateway_over_limit(galley->gateway, request, response);
}

static enum err identify(struct request *request, struct in6_addr *client, void *arg)
{
    struct galley *galley = arg;
    return gateway_identify(galley->gateway, request, client);
}

static void sent(struct request *request, const struct response *response, const struct sent *sent,
                 void *arg)
{
    struct galley *galley = arg;
    gateway_sent(galley->gateway, request, response, sent);
}

static enum priority priority(const struct request *request, void *arg)
{
    struct galley *galley = arg;
    return gateway_priority(galley->gateway, request);
}

/* ---- The front */

static struct front *make_front(struct galley *galley)
{
    const struct config_section *server = config_section(galley->config, "server");
    struct places places;
    list_places(galley, &places);
    struct front_options options = {
        .listeners = places.list,
        .listener_count = places.count,
        .connections = (unsigned)config_int(server, "connections"),
        .connections_per_address = (unsigned)config_int(server, "connections_per_address"),
        .workers = (unsigned)config_int(server, "workers"),
        .requests_per_address = (unsigned)config_int(server, "requests_per_address"),
        .queue_timeout_ms = config_int(server, "queue_timeout"),
        .head_timeout_ms = config_int(server, "head_timeout"),
        .body_timeout_ms = config_int(server, "body_timeout"),
        .idle_timeout_ms = config_int(server, "idle_timeout"),
        .body_rate = (uint64_t)config_int(server, "body_rate"),
        .body_memory = (uint64_t)config_int(server, "body_memory"),
        .ticker = galley->ticker,
        .clock = &clock_system,
        .handle = handle,
        .sent = sent,
        .priority = priority,
        .trusts = trusts,
        .identify = identify,
        .over_limit = over_limit,
        .arg = galley,
    };
    return front_create(&options);
}

/* What a place of the front is bound to: with the port that it has got. */
static void write_authority(const struct galley *galley, const char *listen, unsigned place,
                            char *out, size_t size)
{
    struct config_address address;
    bool valid = config_parse_address(listen, &address);
    assert(valid); /* the configuration checked it */
    if (address.path[0] != '\0')
        snprintf(out, size, "unix:%s", address.path);
    else
        snprintf(out, size, strchr(address.host, ':') ? "[%s]:%u" : "%s:%u", address.host,
                 front_port(galley->front, place));
}

static void note_authority(struct galley *galley)
{
    const char *listen = config_text(config_section(galley->config, "server"), "listen");
    write_authority(galley, listen, 0, galley->authority, sizeof galley->authority);
}

/* Names the place that somebody else listens on, and how to have another. */
static void explain_taken(struct galley *galley, char *why, size_t why_size)
{
    struct places places;
    struct config_address address;
    char who[120];
    list_places(galley, &places);
    for (unsigned i = 0; i < places.count; i++) {
        const char *text = places.list[i].address;
        if (!config_parse_address(text, &address) || address.path[0] || address.port == 0 ||
            !port_holder(address.port, who, sizeof who))
            continue;
        snprintf(why, why_size, "%s is taken by %s; %s another", text, who,
                 i == 0 ? "--listen ADDRESS:PORT, or [server] listen, names"
                        : "the configuration may name");
        return;
    }
}

/* Early, while we may still be root; connections wait until serve. */
enum err serving_open(struct galley *galley, char *why, size_t why_size)
{
    galley->front = make_front(galley);
    enum err err = front_listen(galley->front, why, why_size);
    if (err) {
        front_close(&galley->front);
        explain_taken(galley, why, why_size);
    } else {
        note_authority(galley);
    }
    return err;
}

/* All that requests meet is there before the first of them is served. */
enum err serving_begin(struct galley *galley, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    admin_started(galley->admin);
    front_serve(galley->front);
    return ERR_OK;
}

/* ---- Stopping */

/* A handler that does not come back still uses what would be closed now; what was acknowledged is
 * on disk, and the rest ends as if killed. */
static void end_with_handlers(const struct front_drained *drained)
{
    log_write(LOG_WARN, "galley",
              "stopped; %u handlers still ran, the oldest for %" PRId64 " ms, and %u connections "
              "had to be cut",
              drained->running, drained->oldest_ms, drained->cut);
    log_close();
    _exit(1);
}

void serving_end(struct galley *galley)
{
    struct front_drained drained;
    admin_stopping(galley->admin);
    front_drain(galley->front, galley_remaining_ms(galley), &drained);
    galley->connections_cut = drained.cut;
    if (drained.running > 0)
        end_with_handlers(&drained);
    gateway_stop_waiting(galley->gateway);
    front_close(&galley->front);
}

void serving_close(struct galley *galley)
{
    front_close(&galley->front);
}

/* ---- What the banner says */

const char *galley_authority(const struct galley *galley)
{
    return galley->authority;
}

bool galley_listener(const struct galley *galley, unsigned i, char *out, size_t size)
{
    char authority[128];
    if (i >= listeners_count(galley->listeners))
        return false;
    const struct config_section *section = listeners_section(galley->listeners, i);
    const char *address = config_text(section, "address");
    write_authority(galley, address, i + 1, authority, sizeof authority);
    bool secure = listeners_tls(galley->listeners, i);
    snprintf(out, size, "%s%s (%s)", secure ? "https://" : "http://", authority,
             config_name(section));
    return true;
}
