#include "base/ip.h"

#include <arpa/inet.h>
#include <assert.h>

static struct in6_addr from_v4(struct in_addr v4)
{
    struct in6_addr ip = IN6ADDR_ANY_INIT;
    ip.s6_addr[10] = ip.s6_addr[11] = 0xFF;
    memcpy(ip.s6_addr + 12, &v4, sizeof v4);
    return ip;
}

bool ip_parse(struct slice text, struct in6_addr *out)
{
    char copy[IP_TEXT_SIZE];
    struct in_addr v4;
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, &v4) != 1)
        return inet_pton(AF_INET6, copy, out) == 1;
    *out = from_v4(v4);
    return true;
}

size_t ip_format(const struct in6_addr *ip, char out[IP_TEXT_SIZE])
{
    const char *text = ip_is_v4(ip) ? inet_ntop(AF_INET, ip->s6_addr + 12, out, IP_TEXT_SIZE)
                                    : inet_ntop(AF_INET6, ip, out, IP_TEXT_SIZE);
    assert(text); /* the room is enough for all */
    return strlen(text);
}

bool ip_is_v4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

struct in6_addr ip_network(const struct in6_addr *ip)
{
    struct in6_addr network = *ip;
    if (!ip_is_v4(ip))
        memset(network.s6_addr + 8, 0, 8);
    return network;
}
