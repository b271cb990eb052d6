#include "server/http/proxy_protocol.h"

#include <arpa/inet.h>
#include <assert.h>

static struct slice after(struct slice text, size_t len)
{
    return slice_of(text.ptr + len, text.len - len);
}

/* True if `bytes` begin with the signature, as far as they go. */
static bool may_begin(struct slice bytes, struct slice signature)
{
    size_t len = bytes.len < signature.len ? bytes.len : signature.len;
    return slice_eq(slice_of(bytes.ptr, len), slice_of(signature.ptr, len));
}

/* ---- Version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n" */

#define V1_MAX 107 /* bytes of a line, by the specification */

static const struct slice v1_signature = {"PROXY ", 6};

static bool read_port(struct slice text, uint16_t *out)
{
    int64_t value;
    if (!slice_to_i64(text, &value) || value < 0 || value > UINT16_MAX || text.ptr[0] == '-')
        return false;
    *out = (uint16_t)value;
    return true;
}

static bool read_address(struct slice text, bool ipv6, struct in6_addr *out)
{
    return text.len > 0 && !memchr(text.ptr, ':', text.len) == !ipv6 && ip_parse(text, out);
}

/* What follows "PROXY TCP4 " or "PROXY TCP6 ". */
static bool read_v1_addresses(struct slice rest, bool ipv6, struct proxy_header *out)
{
    out->known = true;
    return read_address(slice_cut(&rest, ' '), ipv6, &out->source) &&
           read_address(slice_cut(&rest, ' '), ipv6, &out->destination) &&
           read_port(slice_cut(&rest, ' '), &out->source_port) &&
           read_port(rest, &out->destination_port);
}

static enum err parse_v1(struct slice bytes, struct proxy_header *out)
{
    size_t seen = bytes.len < V1_MAX ? bytes.len : V1_MAX;
    const char *end = memchr(bytes.ptr, '\n', seen);
    if (!end)
        return seen < V1_MAX ? ERR_OK : ERR_MALFORMED;
    if (end[-1] != '\r')
        return ERR_MALFORMED;
    out->size = (size_t)(end - bytes.ptr) + 1;
    struct slice rest = slice_of(bytes.ptr + v1_signature.len, out->size - 2 - v1_signature.len);
    struct slice family = slice_cut(&rest, ' ');
    if (slice_is(family, "UNKNOWN")) /* whatever else it says does not count */
        return ERR_OK;
    bool ipv6 = slice_is(family, "TCP6");
    if (!ipv6 && !slice_is(family, "TCP4"))
        return ERR_MALFORMED;
    return read_v1_addresses(rest, ipv6, out) ? ERR_OK : ERR_MALFORMED;
}

/* ---- Version 2: signature, version and command, family and protocol, length, addresses, then
 * optional parts of type, length and value */

enum {
    V2_FIXED = 16,
    V2_LOCAL = 0x20, /* version 2 and command */
    V2_PROXY = 0x21,
    V2_UNSPEC = 0x00, /* family and protocol */
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_UNIX_STREAM = 0x31,
};

static const struct slice v2_signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

static uint16_t big_endian(struct slice bytes, size_t at)
{
    return (uint16_t)((unsigned char)bytes.ptr[at] << 8 | (unsigned char)bytes.ptr[at + 1]);
}

/* The bytes of a family's addresses; -1: not one for a connection of ours. */
static int address_size(unsigned char family)
{
    switch (family) {
    case V2_UNSPEC:
        return 0;
    case V2_TCP4:
        return 12;
    case V2_TCP6:
        return 36;
    case V2_UNIX_STREAM:
        return 216;
    default:
        return -1;
    }
}

static void read_v2_addresses(struct slice bytes, size_t ip_size, struct proxy_header *out)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    size_t skip = sizeof out->source - ip_size;
    memcpy(&out->source, mapped, skip < sizeof mapped ? skip : sizeof mapped);
    memcpy(&out->destination, mapped, skip < sizeof mapped ? skip : sizeof mapped);
    memcpy(out->source.s6_addr + skip, bytes.ptr, ip_size);
    memcpy(out->destination.s6_addr + skip, bytes.ptr + ip_size, ip_size);
    out->source_port = big_endian(bytes, 2 * ip_size);
    out->destination_port = big_endian(bytes, 2 * ip_size + 2);
    out->known = true;
}

/* Nothing in the optional parts is for us, but they must be such parts. */
static bool check_parts(struct slice rest)
{
    while (rest.len > 0) {
        if (rest.len < 3 || rest.len - 3 < big_endian(rest, 1))
            return false;
        rest = after(rest, 3 + (size_t)big_endian(rest, 1));
    }
    return true;
}

static enum err read_v2(struct slice rest, unsigned char family, struct proxy_header *out)
{
    int size = address_size(family);
    if (size < 0 || rest.len < (size_t)size || !check_parts(after(rest, (size_t)size)))
        return ERR_MALFORMED;
    if (family == V2_TCP4 || family == V2_TCP6)
        read_v2_addresses(rest, family == V2_TCP4 ? 4 : 16, out);
    return ERR_OK;
}

static enum err parse_v2(struct slice bytes, struct proxy_header *out)
{
    unsigned char command = bytes.len > 12 ? (unsigned char)bytes.ptr[12] : V2_PROXY;
    if (command != V2_PROXY && command != V2_LOCAL)
        return ERR_MALFORMED;
    if (bytes.len < V2_FIXED)
        return ERR_OK;
    size_t len = big_endian(bytes, 14);
    if (V2_FIXED + len > PROXY_HEADER_MAX)
        return ERR_MALFORMED;
    if (bytes.len < V2_FIXED + len)
        return ERR_OK;
    out->size = V2_FIXED + len;
    if (command == V2_LOCAL) /* the rest is to be ignored */
        return ERR_OK;
    return read_v2(slice_of(bytes.ptr + V2_FIXED, len), (unsigned char)bytes.ptr[13], out);
}

/* ---- Both */

enum err proxy_header_parse(struct slice bytes, struct proxy_header *out)
{
    *out = (struct proxy_header){0};
    if (bytes.len == 0)
        return ERR_OK;
    bool v1 = may_begin(bytes, v1_signature);
    if (!v1 && !may_begin(bytes, v2_signature))
        return ERR_MALFORMED;
    if (bytes.len < (v1 ? v1_signature.len : v2_signature.len))
        return ERR_OK;
    return v1 ? parse_v1(bytes, out) : parse_v2(bytes, out);
}

/* ---- Writing */

/* Both addresses are of one family in a header: where they differ both go as IPv6. */
static bool both_v4(const struct proxy_header *header)
{
    return ip_is_v4(&header->source) && ip_is_v4(&header->destination);
}

static void append_address(struct buf *out, const struct in6_addr *ip, bool v4)
{
    char text[INET6_ADDRSTRLEN];
    const char *written = v4 ? inet_ntop(AF_INET, ip->s6_addr + 12, text, sizeof text)
                             : inet_ntop(AF_INET6, ip, text, sizeof text);
    assert(written); /* the room is enough for all */
    buf_append_str(out, written);
    buf_append_char(out, ' ');
}

void proxy_header_write_v1(struct buf *out, const struct proxy_header *header)
{
    bool v4 = both_v4(header);
    if (!header->known) {
        buf_append_str(out, "PROXY UNKNOWN\r\n");
        return;
    }
    buf_append_str(out, v4 ? "PROXY TCP4 " : "PROXY TCP6 ");
    append_address(out, &header->source, v4);
    append_address(out, &header->destination, v4);
    buf_append_u64(out, header->source_port);
    buf_append_char(out, ' ');
    buf_append_u64(out, header->destination_port);
    buf_append_str(out, "\r\n");
}

static void append_u16(struct buf *out, uint16_t value)
{
    buf_append_char(out, (char)(value >> 8));
    buf_append_char(out, (char)value);
}

void proxy_header_write_v2(struct buf *out, const struct proxy_header *header)
{
    bool v4 = both_v4(header);
    size_t skip = v4 ? 12 : 0, ip_size = 16 - skip;
    buf_append_slice(out, v2_signature);
    buf_append_char(out, header->known ? V2_PROXY : V2_LOCAL);
    if (!header->known) {
        buf_append_char(out, V2_UNSPEC);
        append_u16(out, 0);
        return;
    }
    buf_append_char(out, v4 ? V2_TCP4 : V2_TCP6);
    append_u16(out, (uint16_t)(2 * ip_size + 4));
    buf_append(out, header->source.s6_addr + skip, ip_size);
    buf_append(out, header->destination.s6_addr + skip, ip_size);
    append_u16(out, header->source_port);
    append_u16(out, header->destination_port);
}
