#include "server/http/host.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

static const bool in_name[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
    ['-'] = true,         ['_'] = true,         ['.'] = true,
};

static struct slice after(struct slice text, size_t len)
{
    return slice_of(text.ptr + len, text.len - len);
}

/* The length of the name that `text` begins with; 0 if there is none, or one with an empty label
 * before its end. */
static size_t name_length(struct slice text)
{
    char before = '.';
    size_t len = 0;
    for (; len < text.len && in_name[(unsigned char)text.ptr[len]]; len++) {
        if (text.ptr[len] == '.' && before == '.')
            return 0;
        before = text.ptr[len];
    }
    return len <= HOST_NAME_MAX ? len : 0;
}

static bool read_ipv6(struct slice text, struct in6_addr *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return strlen(copy) == text.len && inet_pton(AF_INET6, copy, out) == 1;
}

/* Cuts "[address]" off the front of *text. */
static bool take_ipv6(struct slice *text, struct host *out)
{
    struct in6_addr address;
    struct slice rest = after(*text, 1);
    out->ipv6 = true;
    out->name = slice_cut(&rest, ']');
    if (!rest.ptr || !read_ipv6(out->name, &address))
        return false;
    *text = rest;
    return true;
}

/* ":8080", whole. */
static bool read_port(struct slice text, uint16_t *out)
{
    unsigned value = 0;
    if (text.len < 2 || text.len > 6 || text.ptr[0] != ':' || text.ptr[1] == '0')
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *out = (uint16_t)value;
    return value <= UINT16_MAX;
}

bool host_parse(struct slice text, struct host *out)
{
    *out = (struct host){0};
    if (text.len > 0 && text.ptr[0] == '[') {
        if (!take_ipv6(&text, out))
            return false;
    } else {
        out->name = slice_of(text.ptr, name_length(text));
        text = after(text, out->name.len);
    }
    return out->name.len > 0 && (text.len == 0 || read_port(text, &out->port));
}

static size_t normalise_ipv6(struct slice name, char out[HOST_NAME_MAX + 1])
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    bool good = read_ipv6(name, &address) && inet_ntop(AF_INET6, &address, text, sizeof text);
    assert(good); /* host_parse has read it */
    return (size_t)snprintf(out, HOST_NAME_MAX + 1, "[%s]", text);
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return c;
}

size_t host_normalise(const struct host *host, char out[HOST_NAME_MAX + 1])
{
    struct slice name = host->name;
    assert(name.len > 0 && name.len <= HOST_NAME_MAX);
    if (host->ipv6)
        return normalise_ipv6(name, out);
    if (name.ptr[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < name.len; i++)
        out[i] = lower(name.ptr[i]);
    out[name.len] = '\0';
    return name.len;
}
