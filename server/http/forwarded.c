#include "server/http/forwarded.h"

#include "server/http/host.h"

/* ---- Lists: the last members of all fields of a name */

struct list {
    struct slice members[FORWARDED_HOPS_MAX]; /* a ring */
    unsigned seen;
};

static void list_add(struct list *list, struct slice member)
{
    member = slice_trim(member);
    if (member.len > 0)
        list->members[list->seen++ % FORWARDED_HOPS_MAX] = member;
}

/* Member i counted from the right; empty if there are not so many. */
static struct slice list_at(const struct list *list, unsigned i)
{
    if (i >= list->seen)
        return slice_of(NULL, 0);
    return list->members[(list->seen - 1 - i) % FORWARDED_HOPS_MAX];
}

/* The length of what stands before the next `sep` that is outside quotes; SIZE_MAX if the quotes
 * do not end. */
static size_t part_length(struct slice text, char sep)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < text.len && (quoted || text.ptr[i] != sep); i++) {
        if (text.ptr[i] == '"')
            quoted = !quoted;
        else if (quoted && text.ptr[i] == '\\')
            i++;
    }
    return quoted ? SIZE_MAX : i;
}

/* slice_cut that minds quotes. */
static bool cut_part(struct slice *rest, char sep, struct slice *out)
{
    size_t len = part_length(*rest, sep);
    if (len == SIZE_MAX)
        return false;
    *out = slice_of(rest->ptr, len);
    len += len < rest->len;
    *rest = slice_of(rest->ptr + len, rest->len - len);
    return true;
}

static bool list_collect(struct list *list, const struct header *headers, unsigned count,
                         const char *name)
{
    list->seen = 0;
    for (unsigned i = 0; i < count; i++) {
        struct slice rest = headers[i].value, member;
        if (!slice_eq_nocase(headers[i].name, slice_str(name)))
            continue;
        while (rest.len > 0) {
            if (!cut_part(&rest, ',', &member))
                return false;
            list_add(list, member);
        }
    }
    return true;
}

/* ---- What one proxy says about who came to it */

struct hop {
    struct slice node, proto, host; /* empty: not said */
};

/* Takes the quotes away. What we look for needs no escapes, so that none is read. */
static bool unquote(struct slice *value)
{
    if (value->len >= 2 && value->ptr[0] == '"')
        *value = slice_of(value->ptr + 1, value->len - 2);
    return !memchr(value->ptr, '"', value->len) && !memchr(value->ptr, '\\', value->len);
}

static struct slice *hop_member(struct hop *hop, struct slice name)
{
    if (slice_eq_nocase(name, slice_str("for")))
        return &hop->node;
    if (slice_eq_nocase(name, slice_str("proto")))
        return &hop->proto;
    return slice_eq_nocase(name, slice_str("host")) ? &hop->host : NULL;
}

/* Names beyond those that we know are ignored, but must be names. */
static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return text.len > 0;
}

/* "name=value"; a name that we know may be there once, with a value. */
static bool read_pair(struct slice pair, struct hop *out)
{
    struct slice value = slice_trim(pair);
    if (value.len == 0)
        return true;
    struct slice name = slice_cut(&value, '=');
    struct slice *member = hop_member(out, name);
    if (!is_name(name) || value.len == 0)
        return false;
    if (!member)
        return true;
    if (member->len > 0 || !unquote(&value) || value.len == 0)
        return false;
    *member = value;
    return true;
}

/* for=192.0.2.60;proto=http;host="shop.example" */
static bool read_element(struct slice element, struct hop *out)
{
    struct slice pair;
    *out = (struct hop){0};
    while (element.len > 0) {
        if (!cut_part(&element, ';', &pair) || !read_pair(pair, out))
            return false;
    }
    return true;
}

/* ---- Nodes */

enum node { NODE_ADDRESS, NODE_HIDDEN, NODE_MALFORMED };

static bool is_port(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return text.ptr[0] == '_'; /* hidden too */
    }
    return text.len >= 1 && text.len <= 5;
}

/* An address with or without a port, as both kinds of fields have it: 192.0.2.1, 192.0.2.1:80,
 * [::1], [::1]:80, and ::1, which X-Forwarded-For has without brackets. */
static bool read_address(struct slice text, struct in6_addr *out)
{
    struct slice rest = text;
    bool brackets = text.len > 0 && text.ptr[0] == '[';
    if (ip_parse(text, out))
        return true;
    if (brackets)
        rest = slice_of(text.ptr + 1, text.len - 1);
    struct slice address = slice_cut(&rest, brackets ? ']' : ':');
    if (!rest.ptr || !ip_parse(address, out))
        return false;
    if (!brackets)
        return is_port(rest);
    if (!memchr(address.ptr, ':', address.len))
        return false;
    return rest.len == 0 || (rest.ptr[0] == ':' && is_port(slice_of(rest.ptr + 1, rest.len - 1)));
}

static enum node read_node(struct slice text, struct in6_addr *out)
{
    struct in6_addr address;
    struct slice port = text, name = slice_cut(&port, ':');
    if (text.len == 0 || text.ptr[0] == '_' || slice_eq_nocase(name, slice_str("unknown")))
        return NODE_HIDDEN;
    if (!read_address(text, &address))
        return NODE_MALFORMED;
    *out = address;
    return NODE_ADDRESS;
}

/* ---- The walk */

/* Both kinds of fields, as hops. */
struct trail {
    bool standard; /* of Forwarded, all of it in `nodes` */
    struct list nodes, protos, hosts;
};

static bool trail_open(struct trail *trail, bool standard, const struct header *headers,
                       unsigned count)
{
    trail->standard = standard;
    trail->protos.seen = trail->hosts.seen = 0;
    if (standard)
        return list_collect(&trail->nodes, headers, count, "Forwarded");
    return list_collect(&trail->nodes, headers, count, "X-Forwarded-For") &&
           list_collect(&trail->protos, headers, count, "X-Forwarded-Proto") &&
           list_collect(&trail->hosts, headers, count, "X-Forwarded-Host");
}

static unsigned trail_length(const struct trail *trail)
{
    unsigned len = trail->nodes.seen;
    len = len > trail->protos.seen ? len : trail->protos.seen;
    return len > trail->hosts.seen ? len : trail->hosts.seen;
}

static bool trail_hop(const struct trail *trail, unsigned i, struct hop *out)
{
    if (i == FORWARDED_HOPS_MAX)
        return false;
    if (trail->standard)
        return read_element(list_at(&trail->nodes, i), out);
    *out = (struct hop){list_at(&trail->nodes, i), list_at(&trail->protos, i),
                        list_at(&trail->hosts, i)};
    return true;
}

/* ws and wss: what some proxies say of a WebSocket's request. */
static bool take_proto(struct slice proto, struct forwarded *out)
{
    bool secure =
        slice_eq_nocase(proto, slice_str("https")) || slice_eq_nocase(proto, slice_str("wss"));
    if (proto.len == 0)
        return true;
    out->proto_said = true;
    out->https = secure;
    return secure || slice_eq_nocase(proto, slice_str("http")) ||
           slice_eq_nocase(proto, slice_str("ws"));
}

static bool take_host(struct slice text, struct forwarded *out)
{
    struct host host;
    if (text.len == 0)
        return true;
    out->host = text;
    return host_parse(text, &host);
}

static enum err walk(const struct trail *trail, const struct in6_addr *peer,
                     const struct cidr_list *trusted, struct forwarded *out)
{
    unsigned length = trail_length(trail);
    *out = (struct forwarded){.client = *peer};
    for (unsigned i = 0; i < length && cidr_list_has(trusted, &out->client); i++) {
        struct hop hop;
        if (!trail_hop(trail, i, &hop) || !take_proto(hop.proto, out) || !take_host(hop.host, out))
            return ERR_MALFORMED;
        enum node node = read_node(hop.node, &out->client);
        if (node != NODE_ADDRESS)
            return node == NODE_HIDDEN ? ERR_OK : ERR_MALFORMED;
    }
    return ERR_OK;
}

/* ---- Both kinds */

/* What one kind of fields says. */
struct story {
    bool of_who; /* there are fields that may name the client */
    struct forwarded forwarded;
};

static enum err read_story(bool standard, const struct header *headers, unsigned count,
                           const struct in6_addr *peer, const struct cidr_list *trusted,
                           struct story *out)
{
    struct trail trail;
    if (!trail_open(&trail, standard, headers, count))
        return ERR_MALFORMED;
    out->of_who = trail.nodes.seen > 0;
    return walk(&trail, peer, trusted, &out->forwarded);
}

static bool same_host(struct slice a, struct slice b)
{
    struct host host_a, host_b;
    char name_a[HOST_NAME_MAX + 1], name_b[HOST_NAME_MAX + 1];
    if (!host_parse(a, &host_a) || !host_parse(b, &host_b) || host_a.port != host_b.port)
        return false;
    host_normalise(&host_a, name_a);
    host_normalise(&host_b, name_b);
    return strcmp(name_a, name_b) == 0;
}

static bool contradict(const struct story *a, const struct story *b)
{
    const struct forwarded *x = &a->forwarded, *y = &b->forwarded;
    if (a->of_who && b->of_who && memcmp(&x->client, &y->client, sizeof x->client) != 0)
        return true;
    if (x->proto_said && y->proto_said && x->https != y->https)
        return true;
    return x->host.len > 0 && y->host.len > 0 && !same_host(x->host, y->host);
}

/* The first, and what only the second says. */
static struct forwarded merge(const struct story *a, const struct story *b)
{
    struct forwarded merged = a->forwarded;
    if (!a->of_who)
        merged.client = b->forwarded.client;
    merged.proto_said = merged.proto_said || b->forwarded.proto_said;
    merged.https = merged.https || b->forwarded.https;
    if (merged.host.len == 0)
        merged.host = b->forwarded.host;
    return merged;
}

enum err forwarded_read(const struct header *headers, unsigned header_count,
                        const struct in6_addr *peer, const struct cidr_list *trusted,
                        struct forwarded *out)
{
    struct story standard, other;
    *out = (struct forwarded){.client = *peer};
    if (!cidr_list_has(trusted, peer))
        return ERR_OK;
    enum err err = read_story(true, headers, header_count, peer, trusted, &standard);
    if (!err)
        err = read_story(false, headers, header_count, peer, trusted, &other);
    if (err || contradict(&standard, &other))
        return ERR_MALFORMED;
    *out = merge(&standard, &other);
    return ERR_OK;
}
