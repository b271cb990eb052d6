/* Values of [upstream NAME]: its servers, and what a request is spread by. */
#include "server/config/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A server: an address, and words behind it */

/* What may stand behind the address, but for `backup`, which has no value. */
static const struct config_key words[] = {
    {.name = "weight", .type = CONFIG_INT, .fallback = "1", .min = 1, .max = 1000},
    {.name = "zone", .type = CONFIG_TEXT, .fallback = "", .min = 1, .max = 32},
    {.name = "max_conns", .type = CONFIG_INT, .fallback = "0", .min = 0, .max = 1000000},
    {.name = "max_fails", .type = CONFIG_INT, .fallback = "1", .min = 0, .max = 1000},
    {.name = "fail_timeout",
     .type = CONFIG_DURATION,
     .fallback = "10s",
     .min = 100,
     .max = CONFIG_DAY},
};

static const struct config_server defaults = {
    .weight = 1, .max_fails = 1, .fail_timeout_ms = 10 * CONFIG_SECOND};

static void set_word(struct config_server *server, const char *name,
                     const struct config_value *value)
{
    if (strcmp(name, "weight") == 0)
        server->weight = (unsigned)value->number;
    else if (strcmp(name, "zone") == 0)
        snprintf(server->zone, sizeof server->zone, "%s", value->text);
    else if (strcmp(name, "max_conns") == 0)
        server->max_conns = (unsigned)value->number;
    else if (strcmp(name, "max_fails") == 0)
        server->max_fails = (unsigned)value->number;
    else
        server->fail_timeout_ms = value->number;
}

/* "weight=2" or "backup". */
static bool read_word(char *word, struct config_server *server, struct buf *why)
{
    if (strcmp(word, "backup") == 0)
        return server->backup = true;
    char *equals = strchr(word, '=');
    if (equals)
        *equals = '\0';
    for (size_t i = 0; equals && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].name, word) != 0)
            continue;
        struct config_field field = {.key = &words[i]};
        struct config_value value = {0};
        struct buf allowed = BUF_INIT;
        bool ok = config_value_parse(&field, equals + 1, &value, &allowed);
        if (ok)
            set_word(server, word, &value);
        else
            buf_printf(why, " (%s is %.*s)", word, SLICE_ARG(buf_slice(&allowed)));
        free(value.text);
        buf_release(&allowed);
        return ok;
    }
    buf_printf(why,
               " (\"%.40s\" is none of weight=, zone=, max_conns=, max_fails=, "
               "fail_timeout=, backup)",
               word);
    return false;
}

/* Of DNS: labels of letters, digits, - and _, the last one no number, which would be an address. */
static bool is_name(struct slice text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    struct slice label = {0};
    if (text.len == 0 || text.len > 253)
        return false;
    while (text.ptr) {
        label = slice_cut(&text, '.');
        for (size_t i = 0; i < label.len; i++) {
            if (!memchr(plain, label.ptr[i], sizeof plain - 1))
                return false;
        }
        if (label.len == 0 || label.len > 63)
            return false;
    }
    return label.ptr[0] < '0' || label.ptr[0] > '9';
}

/* "api.internal:80", or "_http._tcp.internal", whose ports DNS knows. */
static bool read_name(const char *text, struct config_server *server)
{
    const char *colon = strrchr(text, ':');
    struct slice name = colon ? slice_of(text, (size_t)(colon - text)) : slice_str(text);
    int64_t port = 0;
    bool service = text[0] == '_';
    bool good = service ? !colon : colon && slice_to_i64(slice_str(colon + 1), &port) && port > 0;
    if (!good || port > UINT16_MAX || !is_name(name))
        return false;
    server->address = (struct config_address){.port = (uint16_t)port};
    memcpy(server->name, name.ptr, name.len);
    server->name[name.len] = '\0';
    return true;
}

static bool read_address(const char *text, struct config_server *server, struct buf *why)
{
    if (config_parse_address(text, &server->address) &&
        (server->address.path[0] || server->address.port > 0))
        return true;
    if (read_name(text, server))
        return true;
    buf_printf(why,
               strstr(text, "://") ? " (an address has no scheme: tls = yes says that its "
                                     "servers speak TLS)"
                                   : " (\"%.60s\" is no address)",
               text);
    return false;
}

static bool read_server(const char *text, struct config_server *out, struct buf *why)
{
    char line[512];
    *out = defaults;
    if ((size_t)snprintf(line, sizeof line, "%s", text) >= sizeof line)
        return false;
    char *save;
    char *word = strtok_r(line, " \t", &save);
    if (!word || !read_address(word, out, why))
        return false;
    while ((word = strtok_r(NULL, " \t", &save))) {
        if (!read_word(word, out, why))
            return false;
    }
    return true;
}

bool config_parse_server(const char *text, struct config_server *out)
{
    struct buf why = BUF_INIT;
    bool ok = read_server(text, out, &why);
    buf_release(&why);
    return ok;
}

bool config_server_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    struct config_server server;
    return read_server(text, &server, why);
}

void config_server_describe(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "ADDRESS:PORT, NAME:PORT, _SERVICE._tcp.NAME or unix:PATH, and behind it "
                        "any of weight=1 zone=NAME backup "
                        "max_conns=0 max_fails=1 fail_timeout=10s");
}

/* ---- What a request is spread by */

/* "header:NAME" or "cookie:NAME" */
static bool is_named_part(const char *text)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    bool named = strncmp(text, "header:", 7) == 0 || strncmp(text, "cookie:", 7) == 0;
    return named && text[7] && strlen(text) <= 100 && !text[7 + strspn(text + 7, token)];
}

bool config_hash_key_value(const struct config_field *field, const char *text,
                           struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    return strcmp(text, "address") == 0 || strcmp(text, "path") == 0 || is_named_part(text);
}

void config_hash_key_describe(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "address, path, header:NAME or cookie:NAME");
}

/* ---- What stored answers are told apart by */

bool config_cache_key_value(const struct config_field *field, const char *text,
                            struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    return strcmp(text, "user") == 0 || is_named_part(text);
}

void config_cache_key_describe(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "user, header:NAME or cookie:NAME");
}
