#include "base/cidr.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct cidr {
    struct in6_addr ip;
    unsigned bits; /* of the 16 bytes: an IPv4 prefix and 96 */
};

static const struct {
    const char *name, *networks;
} sets[] = {
    {"loopback", "127.0.0.0/8, ::1"},
    {"private", "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, fc00::/7, fe80::/10"},
    {"all", "0.0.0.0/0, ::/0"},
};

static bool refuse(struct slice item, const char *reason, char *why, size_t why_size)
{
    snprintf(why, why_size, "\"%.*s\" %s", item.len > 60 ? 60 : (int)item.len, item.ptr, reason);
    return false;
}

/* The first `bits` bits of both are the same. */
static bool same_prefix(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a, b, bytes) != 0)
        return false;
    return rest == 0 || (a->s6_addr[bytes] ^ b->s6_addr[bytes]) >> (8 - rest) == 0;
}

/* Nobody knows whether who writes 10.0.0.1/8 means the address or the network. */
static bool ends_at_prefix(const struct cidr *network)
{
    struct in6_addr clear = IN6ADDR_ANY_INIT;
    unsigned bytes = network->bits / 8;
    memcpy(&clear, &network->ip, bytes);
    if (network->bits % 8 != 0)
        clear.s6_addr[bytes] = network->ip.s6_addr[bytes] & (uint8_t)(0xFF00 >> network->bits % 8);
    return memcmp(&clear, &network->ip, sizeof clear) == 0;
}

static bool parse_network(struct slice item, struct cidr *out, char *why, size_t why_size)
{
    struct slice prefix = item;
    struct slice address = slice_cut(&prefix, '/');
    if (!ip_parse(address, &out->ip))
        return refuse(item, "is no address, network, or name of networks", why, why_size);
    /* An IPv4 address that is written as IPv6 has an IPv6 prefix. */
    int64_t most = memchr(address.ptr, ':', address.len) ? 128 : 32, bits = most;
    if (prefix.ptr && (!slice_to_i64(prefix, &bits) || bits < 0 || bits > most))
        return refuse(item, "has no prefix length that fits its address", why, why_size);
    out->bits = (unsigned)(128 - most + bits);
    if (!ends_at_prefix(out))
        return refuse(item, "has bits set beyond its prefix length", why, why_size);
    return true;
}

static bool add(struct cidr_list *list, struct slice item, char *why, size_t why_size)
{
    struct cidr network;
    if (!parse_network(item, &network, why, why_size))
        return false;
    if (list->count == CIDR_LIST_MAX)
        return refuse(item, "is one network too many", why, why_size);
    list->networks = mem_realloc(list->networks, (list->count + 1) * sizeof *list->networks);
    list->networks[list->count++] = network;
    return true;
}

/* What the name of a set stands for; anything else stands for itself. */
static struct slice resolve(struct slice item)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (slice_is(item, sets[i].name))
            return slice_str(sets[i].networks);
    }
    return item;
}

bool cidr_list_parse(struct cidr_list *list, struct slice text, char *why, size_t why_size)
{
    do {
        struct slice networks = resolve(slice_trim(slice_cut(&text, ',')));
        do {
            if (!add(list, slice_trim(slice_cut(&networks, ',')), why, why_size))
                return false;
        } while (networks.ptr);
    } while (text.ptr);
    return true;
}

bool cidr_list_has(const struct cidr_list *list, const struct in6_addr *ip)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct cidr *network = &list->networks[i];
        if (ip_is_v4(&network->ip) == ip_is_v4(ip) && same_prefix(&network->ip, ip, network->bits))
            return true;
    }
    return false;
}

void cidr_list_release(struct cidr_list *list)
{
    free(list->networks);
    *list = (struct cidr_list){0};
}
