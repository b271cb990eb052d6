#include "server/config/config_private.h"

#include "base/mem.h"
#include "server/gateway/rate_limit.h"
#include "server/http/message.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Smallest first; each table ends with a NULL name. */
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1},          {"KiB", 1 << 10},          {"MiB", 1 << 20},
    {"GiB", 1 << 30}, {"TiB", INT64_C(1) << 40}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"min", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

/* `why` may get a remark in brackets that says more than the type's description. */
typedef bool (*parse_fn)(const struct config_key *key, const char *text, struct config_value *out,
                         struct buf *why);
typedef void (*describe_fn)(const struct config_key *key, struct buf *out);

/* With the largest unit that divides it. */
static void append_amount(struct buf *out, const struct unit *units, int64_t amount)
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (amount != 0 && amount % unit->factor == 0)
            best = unit;
    }
    buf_printf(out, "%" PRId64 "%s", amount / best->factor, best->name);
}

static bool read_amount(const struct config_key *key, const struct unit *units, const char *text,
                        int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    int64_t count;
    if (!slice_to_i64(slice_of(text, digits), &count))
        return false;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, text + digits) == 0) {
            *out = count > key->max / unit->factor ? key->max + 1 : count * unit->factor;
            return *out >= key->min && *out <= key->max;
        }
    }
    return false;
}

static void describe_amount(const struct config_key *key, const struct unit *units,
                            const char *what, struct buf *out)
{
    buf_printf(out, "%s from ", what);
    append_amount(out, units, key->min);
    buf_append_str(out, " to ");
    append_amount(out, units, key->max);
}

static bool parse_int(const struct config_key *key, const char *text, struct config_value *out,
                      struct buf *why)
{
    (void)why;
    return read_amount(key, no_units, text, &out->number);
}

static void describe_int(const struct config_key *key, struct buf *out)
{
    describe_amount(key, no_units, "a whole number", out);
}

static bool parse_size(const struct config_key *key, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)why;
    return read_amount(key, size_units, text, &out->number);
}

static void describe_size(const struct config_key *key, struct buf *out)
{
    describe_amount(key, size_units, "a size in bytes, KiB, MiB, GiB or TiB", out);
}

static bool parse_duration(const struct config_key *key, const char *text, struct config_value *out,
                           struct buf *why)
{
    (void)why;
    return read_amount(key, duration_units, text, &out->number);
}

static void describe_duration(const struct config_key *key, struct buf *out)
{
    describe_amount(key, duration_units, "a duration in ms, s, min, h or d", out);
}

static bool parse_bool(const struct config_key *key, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)key, (void)why;
    out->number = strcmp(text, "yes") == 0;
    return out->number != 0 || strcmp(text, "no") == 0;
}

static void describe_bool(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "yes or no");
}

static bool parse_text(const struct config_key *key, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)out, (void)why;
    int64_t len = (int64_t)strlen(text);
    bool is_default = strcmp(text, key->fallback) == 0;
    return is_default || (len >= key->min && len <= key->max && slice_is_utf8(slice_str(text)));
}

static void describe_text(const struct config_key *key, struct buf *out)
{
    buf_printf(out, "UTF-8 text of %" PRId64 " to %" PRId64 " bytes", key->min, key->max);
}

static bool parse_choice(const struct config_key *key, const char *text, struct config_value *out,
                         struct buf *why)
{
    (void)out, (void)why;
    struct slice rest = slice_str(key->choices);
    while (rest.ptr != NULL) {
        if (slice_is(slice_cut(&rest, ' '), text))
            return true;
    }
    return false;
}

static void describe_choice(const struct config_key *key, struct buf *out)
{
    buf_printf(out, "one of: %s", key->choices);
}

static bool parse_listen(const struct config_key *key, const char *text, struct config_value *out,
                         struct buf *why)
{
    (void)key, (void)out, (void)why;
    char address[64];
    uint16_t port;
    return config_parse_listen(text, address, &port);
}

static void describe_listen(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080");
}

static bool parse_rate(const struct config_key *key, const char *text, struct config_value *out,
                       struct buf *why)
{
    (void)key, (void)out;
    struct rate_limit limit;
    char reason[200] = "";
    if (text[0] == '\0' || rate_limit_parse(slice_str(text), &limit, reason, sizeof(reason)))
        return true;
    buf_printf(why, " (%s)", reason);
    return false;
}

static void describe_rate(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "a limit such as 100/min by user burst 20");
}

/* One part of a path: plain characters of RFC 3986, or one whole {parameter}. */
static bool segment_ok(struct slice segment)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~!$&'()+,;=:@";
    if (segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}')
        segment = slice_of(segment.ptr + 1, segment.len - 2);
    for (size_t i = 0; i < segment.len; i++) {
        if (strchr(plain, segment.ptr[i]) == NULL)
            return false;
    }
    return segment.len > 0;
}

static bool pattern_ok(const char *text)
{
    if (text[0] != '/')
        return false;
    struct slice rest = slice_str(text + 1);
    while (rest.len > 0) {
        struct slice segment = slice_cut(&rest, '/');
        bool last = rest.ptr == NULL;
        if (!segment_ok(segment) && !(last && slice_is(segment, "*")))
            return false;
    }
    return true;
}

static bool parse_pattern(const struct config_key *key, const char *text, struct config_value *out,
                          struct buf *why)
{
    (void)key, (void)out, (void)why;
    return pattern_ok(text);
}

static void describe_pattern(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "a path such as /orders, /orders/{id}, or /files/* for all below");
}

static bool methods_ok(const char *text)
{
    struct slice rest = slice_str(text);
    bool ok = true;
    while (rest.len > 0 && ok) {
        enum method method;
        ok = method_parse(slice_trim(slice_cut(&rest, ',')), &method);
    }
    return ok;
}

static bool parse_methods(const struct config_key *key, const char *text, struct config_value *out,
                          struct buf *why)
{
    (void)key, (void)out, (void)why;
    return methods_ok(text);
}

static void describe_methods(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "one or several, with commas between, of");
    for (int method = 0; method < METHOD_COUNT; method++)
        buf_printf(out, " %s", method_name((enum method)method));
}

static bool parse_target(const struct config_key *key, const char *text, struct config_value *out,
                         struct buf *why)
{
    (void)key, (void)out, (void)why;
    bool app = strncmp(text, "app:", 4) == 0;
    const struct config_kind *module = app ? config_kind_find(text + 4) : NULL;
    return module != NULL && (module->flags & CONFIG_MODULE);
}

static void describe_target(const struct config_key *key, struct buf *out)
{
    (void)key;
    buf_append_str(out, "one of:");
    for (const struct config_kind *kind = config_kinds; kind->name != NULL; kind++) {
        if (kind->flags & CONFIG_MODULE)
            buf_printf(out, " app:%s", kind->name);
    }
}

/* clang-format off: a table, a row a type */
static const struct {
    parse_fn parse;
    describe_fn describe;
} types[] = {
    [CONFIG_INT] = {parse_int, describe_int},
    [CONFIG_SIZE] = {parse_size, describe_size},
    [CONFIG_DURATION] = {parse_duration, describe_duration},
    [CONFIG_BOOL] = {parse_bool, describe_bool},
    [CONFIG_TEXT] = {parse_text, describe_text},
    [CONFIG_CHOICE] = {parse_choice, describe_choice},
    [CONFIG_LISTEN] = {parse_listen, describe_listen},
    [CONFIG_RATE] = {parse_rate, describe_rate},
    [CONFIG_PATTERN] = {parse_pattern, describe_pattern},
    [CONFIG_METHODS] = {parse_methods, describe_methods},
    [CONFIG_TARGET] = {parse_target, describe_target},
};
/* clang-format on */

bool config_value_parse(const struct config_key *key, const char *text, struct config_value *out,
                        struct buf *allowed)
{
    assert(out->text == NULL);
    struct buf why = BUF_INIT;
    bool ok = types[key->type].parse(key, text, out, &why);
    if (ok) {
        out->text = mem_strdup(text);
    } else {
        config_value_describe(key, allowed);
        buf_append_slice(allowed, buf_slice(&why));
    }
    buf_release(&why);
    return ok;
}

void config_value_describe(const struct config_key *key, struct buf *out)
{
    types[key->type].describe(key, out);
}

bool config_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Cuts "[::1]:80" or "127.0.0.1:80" at its last colon. */
static bool split_listen(const char *text, struct slice *host, struct slice *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return false;
    *host = slice_of(text, (size_t)(colon - text));
    *port = slice_str(colon + 1);
    bool bracketed = host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']';
    if (bracketed)
        *host = slice_of(host->ptr + 1, host->len - 2);
    return bracketed == (memchr(host->ptr, ':', host->len) != NULL);
}

bool config_parse_listen(const char *text, char address[64], uint16_t *port)
{
    struct slice host, port_text;
    int64_t number;
    if (!split_listen(text, &host, &port_text) || host.len >= 64 ||
        !slice_to_i64(port_text, &number) || number < 0 || number > UINT16_MAX)
        return false;
    if (slice_is(host, "localhost"))
        host = slice_str("127.0.0.1");
    memcpy(address, host.ptr, host.len);
    address[host.len] = '\0';
    *port = (uint16_t)number;
    uint8_t binary[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1;
}
