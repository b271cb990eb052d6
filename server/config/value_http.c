/* Values that name what HTTP knows: addresses, hosts, paths, methods, targets. */
#include "server/config/config_private.h"

#include "base/cidr.h"
#include "base/mem.h"
#include "base/rate_limit.h"
#include "base/text.h"
#include "server/http/condition.h"
#include "server/http/host.h"
#include "server/http/message.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Addresses */

/* Cuts "[::1]:80" or "127.0.0.1:80" at its last colon. */
static bool split_address(const char *text, struct slice *host, struct slice *port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    *host = slice_of(text, (size_t)(colon - text));
    *port = slice_str(colon + 1);
    bool bracketed = host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']';
    if (bracketed)
        *host = slice_of(host->ptr + 1, host->len - 2);
    return bracketed == !!memchr(host->ptr, ':', host->len);
}

static bool is_ip(const char *text)
{
    uint8_t binary[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

static bool parse_path(const char *text, struct config_address *out)
{
    size_t len = strlen(text);
    if (len == 0 || len >= sizeof out->path)
        return false;
    memcpy(out->path, text, len + 1);
    return true;
}

static bool parse_port(struct slice text, uint16_t *out)
{
    int64_t number;
    if (!slice_to_i64(text, &number) || number < 0 || number > UINT16_MAX)
        return false;
    *out = (uint16_t)number;
    return true;
}

bool config_parse_address(const char *text, struct config_address *out)
{
    *out = (struct config_address){0};
    if (strncmp(text, "unix:", 5) == 0)
        return parse_path(text + 5, out);
    struct slice host, port;
    if (!split_address(text, &host, &port) || host.len >= sizeof out->host ||
        !parse_port(port, &out->port))
        return false;
    if (host.len == 0 || slice_is(host, "localhost"))
        host = slice_str("127.0.0.1");
    memcpy(out->host, host.ptr, host.len);
    return is_ip(out->host);
}

static bool parse_address(const struct config_field *field, const char *text,
                          struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    struct config_address address;
    if (config_parse_address(text, &address))
        return true;
    const char *port = strrchr(text, ':');
    int64_t number;
    if (port && slice_to_i64(slice_str(port + 1), &number) && number > UINT16_MAX)
        buf_printf(why, " (a port is at most %u)", UINT16_MAX);
    return false;
}

static void describe_address(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080; :PORT, which is on "
                        "127.0.0.1; or unix:PATH");
}

/* ---- Networks */

static bool parse_cidr(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)out;
    struct cidr_list list = {0};
    char reason[200] = "";
    bool ok = cidr_list_parse(&list, slice_str(text), reason, sizeof reason);
    if (!ok)
        buf_printf(why, " (%s)", reason);
    cidr_list_release(&list);
    return ok;
}

static void describe_cidr(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(
        out, "an address, a network such as 10.0.0.0/8 or fd00::/8, loopback, private or all");
}

/* ---- Names of hosts */

static bool parse_host(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    struct host host;
    return is_ip(text) || (host_parse(slice_str(text), &host) && host.port == 0);
}

static void describe_host(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "the name of a host, such as admin.example.org, without a port");
}

static bool parse_origin(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    struct host host;
    return strncmp(text, "https://", 8) == 0 && host_parse(slice_str(text + 8), &host);
}

static void describe_origin(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "https://HOST or https://HOST:PORT");
}

/* As browsers write an origin: in lower case, without a path, and without the scheme's own port. */
static bool parse_pages(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    struct host host;
    bool tls = strncmp(text, "https://", 8) == 0;
    const char *rest = tls ? text + 8 : text + 7;
    if (strcmp(text, "*") == 0)
        return true;
    if (!tls && strncmp(text, "http://", 7) != 0)
        return false;
    if (strncmp(rest, "*.", 2) == 0)
        rest += 2;
    if (!host_parse(slice_str(rest), &host))
        return false;
    for (const char *c = rest; *c; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            buf_append_str(why, " (browsers write origins in lower case)");
            return false;
        }
    }
    if (host.port != (tls ? 443 : 80))
        return true;
    buf_printf(why, " (browsers leave :%u out)", (unsigned)host.port);
    return false;
}

static void describe_pages(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "https://HOST, http://HOST:PORT, https://*.HOST or *");
}

static bool parse_token(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    return text[0] && !text[strspn(text, token)];
}

static void describe_token(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "a name such as Content-Type");
}

/* ---- Routes */

static bool parse_rate(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)out;
    struct rate_limit limit;
    char reason[200] = "";
    if (rate_limit_parse(slice_str(text), &limit, reason, sizeof reason))
        return true;
    buf_printf(why, " (%s)", reason);
    return false;
}

static bool parse_tier(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    size_t role = strcspn(text, " ");
    return role >= 1 && role <= 32 && text[role] && parse_rate(field, text + role + 1, out, why);
}

static void describe_tier(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "a role and its limit, such as gold 1000/min by user");
}

static void describe_rate(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(
        out,
        "a limit such as 100/min by user burst 20, sliding 100/min by ip or fixed 1000/h by route");
}

static bool parse_role(const struct config_field *field, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    return text_is_role(slice_str(text));
}

static void describe_role(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "a role: 1 to 32 letters, digits and _ . : -");
}

/* One part of a path: plain characters of RFC 3986, or one whole {parameter}. */
static bool segment_ok(struct slice segment)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~!$&'()+,;=:@";
    if (segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}')
        segment = slice_of(segment.ptr + 1, segment.len - 2);
    for (size_t i = 0; i < segment.len; i++) {
        if (!strchr(plain, segment.ptr[i]))
            return false;
    }
    return segment.len > 0;
}

static bool parse_pattern(const struct config_field *field, const char *text,
                          struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    if (text[0] != '/')
        return false;
    struct slice rest = slice_str(text + 1);
    while (rest.len > 0) {
        struct slice segment = slice_cut(&rest, '/');
        bool last = !rest.ptr;
        if (!segment_ok(segment) && !(last && slice_is(segment, "*")))
            return false;
    }
    return true;
}

static void describe_pattern(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "a path such as /orders, /orders/{id}, or /files/* for all below");
}

static bool parse_methods(const struct config_field *field, const char *text,
                          struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    (void)why;
    struct slice rest = slice_str(text);
    bool ok = true;
    while (rest.len > 0 && ok) {
        enum method method;
        ok = method_parse(slice_trim(slice_cut(&rest, ',')), &method);
    }
    return ok;
}

static void describe_methods(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "one or several, with commas between, of");
    for (int method = 0; method < METHOD_COUNT; method++)
        buf_printf(out, " %s", method_name((enum method)method));
}

/* A status that is an answer, with a body or without. */
static bool status_ok(const char *text)
{
    int64_t status;
    return slice_to_i64(slice_str(text), &status) && status >= 200 && status <= 599 &&
           status != 304;
}

/* Cuts " weight=N" off. False: N is none. */
static bool cut_weight(char *text)
{
    int64_t weight;
    char *mark = strstr(text, " weight=");
    if (!mark)
        return true;
    bool read = slice_to_i64(slice_str(mark + 8), &weight) && weight >= 0 && weight <= 1000;
    *mark = '\0';
    return read;
}

static bool target_ok(const struct config_field *field, const char *text)
{
    if (strncmp(text, "upstream:", 9) == 0)
        return text[9] != '\0';
    if (strncmp(text, "compose:", 8) == 0)
        return text[8] != '\0';
    if (strncmp(text, "respond:", 8) == 0)
        return status_ok(text + 8);
    if (strncmp(text, "static:", 7) == 0)
        return text[7] != '\0';
    bool app = strncmp(text, "app:", 4) == 0;
    const struct config_kind *module = app ? config_kind_find(field->modules, text + 4) : NULL;
    return module && (module->flags & CONFIG_MODULE);
}

static bool parse_target(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)out;
    char *copy = mem_strdup(text);
    bool weighed = cut_weight(copy);
    bool ok = weighed && target_ok(field, copy);
    if (!weighed)
        buf_append_str(why, " (weight=0 to weight=1000)");
    free(copy);
    return ok;
}

static void describe_target(const struct config_field *field, struct buf *out)
{
    if (!field->modules) {
        buf_append_str(out, "app:auth, app:MODULE for each module of the build, upstream:NAME, "
                            "compose:NAME, static:DIR, "
                            "respond:STATUS");
        return;
    }
    buf_append_str(out, "one of:");
    const struct config_kind *kind;
    for (unsigned i = 0; (kind = config_kind_at(field->modules, i)); i++) {
        if (kind->flags & CONFIG_MODULE)
            buf_printf(out, " app:%s", kind->name);
    }
    buf_append_str(out, " upstream:NAME compose:NAME static:DIR respond:STATUS");
}

static bool parse_hosts(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *why)
{
    bool below = strncmp(text, "*.", 2) == 0;
    return parse_host(field, below ? text + 2 : text, out, why) && !(below && is_ip(text + 2));
}

static void describe_hosts(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_append_str(out, "the name of a host, such as api.example.org, without a port; or "
                        "*.example.org for all below");
}

static bool parse_field(const struct config_field *field, const char *text,
                        struct config_value *out, struct buf *why)
{
    (void)out;
    (void)why;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    }
    return strlen(text) <= (size_t)field->key->max;
}

static void describe_field(const struct config_field *field, struct buf *out)
{
    buf_printf(out, "text of one line, at most %lld bytes", (long long)field->key->max);
}

static enum condition_kind kind_of(const struct config_field *field)
{
    static const char *const kinds[] = {"header", "query", "device", "version", "client"};
    unsigned kind = 0;
    while (strcmp(kinds[kind], field->key->of) != 0)
        kind++;
    return (enum condition_kind)kind;
}

static bool parse_if(const struct config_field *field, const char *text, struct config_value *out,
                     struct buf *why)
{
    (void)out;
    struct condition condition;
    char reason[200] = "";
    bool ok = condition_parse(kind_of(field), slice_str(text), &condition, reason, sizeof reason);
    if (!ok)
        buf_printf(why, " (%s)", reason);
    condition_release(&condition);
    return ok;
}

static void describe_if(const struct config_field *field, struct buf *out)
{
    static const char *const words[] = {
        "Name: value, Name: begins-with*, Name (there), or !Name (not there)",
        "name=value, name=begins-with*, name (there), or !name (not there)",
        "one or several, with commas between, of mobile, tablet, desktop, bot",
        "one or several versions, such as 2, with commas between",
        "one or several networks, such as 10.0.0.0/8, loopback or private, with commas between",
    };
    buf_append_str(out, words[kind_of(field)]);
}

const struct config_type_row *config_http_type(enum config_type type)
{
    static const struct config_type_row types[] = {
        [CONFIG_ADDRESS] = {parse_address, describe_address},
        [CONFIG_CIDR] = {parse_cidr, describe_cidr},
        [CONFIG_HOST] = {parse_host, describe_host},
        [CONFIG_ORIGIN] = {parse_origin, describe_origin},
        [CONFIG_PAGES] = {parse_pages, describe_pages},
        [CONFIG_TOKEN] = {parse_token, describe_token},
        [CONFIG_RATE] = {parse_rate, describe_rate},
        [CONFIG_ROLE] = {parse_role, describe_role},
        [CONFIG_TIER] = {parse_tier, describe_tier},
        [CONFIG_PATTERN] = {parse_pattern, describe_pattern},
        [CONFIG_METHODS] = {parse_methods, describe_methods},
        [CONFIG_TARGET] = {parse_target, describe_target},
        [CONFIG_HOSTS] = {parse_hosts, describe_hosts},
        [CONFIG_FIELD] = {parse_field, describe_field},
        [CONFIG_IF] = {parse_if, describe_if},
        [CONFIG_SERVER] = {config_server_value, config_server_describe},
        [CONFIG_HASH_KEY] = {config_hash_key_value, config_hash_key_describe},
        [CONFIG_PART] = {config_part_value, config_part_describe},
        [CONFIG_KEY_PART] = {config_cache_key_value, config_cache_key_describe},
        [CONFIG_ACCESS] = {config_access_value, config_access_describe},
        [CONFIG_CHANGE] = {config_change_value, config_change_describe},
    };
    assert(type < sizeof types / sizeof types[0] && types[type].parse);
    return &types[type];
}
