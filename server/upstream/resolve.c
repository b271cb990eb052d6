/* DESIGN. glibc's resolver sends the queries and reads resolv.conf; its getaddrinfo() does not tell
 * how long an answer holds, so the answers are read here (ns_parserr checks every length). */
#include "server/upstream/resolve.h"

#include "base/ip.h"
#include "base/mem.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX   65536
#define PATIENCE_S   1 /* for each try */
#define TRIES        2
#define FILES_TTL_S  10 /* of what is in no DNS */
#define SRV_SIZE_MIN 7  /* priority, weight, port, and a name of a byte */

struct lookup {
    struct __res_state state;
    struct resolved *out;
    unsigned char answer[ANSWER_MAX];
};

static void add(struct resolved *out, struct resolved_server server)
{
    if (out->count < RESOLVED_MAX)
        out->servers[out->count++] = server;
}

static void set_v4(struct in6_addr *out, const void *four)
{
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&out->s6_addr[12], four, 4);
}

/* ---- Answers */

/* Of A and AAAA. */
static void take_address(const ns_rr *record, struct resolved_server server, struct resolved *out)
{
    if (ns_rr_type(*record) == ns_t_a && ns_rr_rdlen(*record) == 4)
        set_v4(&server.address, ns_rr_rdata(*record));
    else if (ns_rr_type(*record) == ns_t_aaaa && ns_rr_rdlen(*record) == 16)
        memcpy(&server.address, ns_rr_rdata(*record), 16);
    else
        return; /* an alias on the way */
    add(out, server);
}

/* Sends a query; returns the number of records in the answer, which *message reads. */
static int query(struct lookup *lookup, const char *name, int type, ns_msg *message)
{
    int len =
        res_nsearch(&lookup->state, name, ns_c_in, type, lookup->answer, sizeof lookup->answer);
    if (len < 0 || len > (int)sizeof lookup->answer ||
        ns_initparse(lookup->answer, len, message) < 0)
        return 0;
    return ns_msg_count(*message, ns_s_an);
}

static void note_ttl(struct resolved *out, const ns_rr *record)
{
    if (ns_rr_ttl(*record) < out->ttl_s)
        out->ttl_s = ns_rr_ttl(*record);
}

/* `like` has the port and the rest. */
static void look_up_addresses(struct lookup *lookup, const char *name, struct resolved_server like)
{
    static const int types[] = {ns_t_a, ns_t_aaaa};
    for (unsigned t = 0; t < 2; t++) {
        ns_msg message;
        ns_rr record;
        int count = query(lookup, name, types[t], &message);
        for (int i = 0; i < count && ns_parserr(&message, ns_s_an, i, &record) == 0; i++) {
            note_ttl(lookup->out, &record);
            take_address(&record, like, lookup->out);
        }
    }
}

struct target {
    struct resolved_server like;
    char name[NS_MAXDNAME];
};

static bool read_srv(const ns_msg *message, const ns_rr *record, struct target *out)
{
    const unsigned char *data = ns_rr_rdata(*record);
    if (ns_rr_type(*record) != ns_t_srv || ns_rr_rdlen(*record) < SRV_SIZE_MIN)
        return false;
    out->like = (struct resolved_server){.priority = (uint16_t)ns_get16(data),
                                         .weight = (uint16_t)ns_get16(data + 2),
                                         .port = (uint16_t)ns_get16(data + 4)};
    return out->like.port > 0 && ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message),
                                                    data + 6, out->name, sizeof out->name) >= 0;
}

/* The answer is read whole before the targets are looked up into the same memory. */
static void look_up_service(struct lookup *lookup, const char *name)
{
    ns_msg message;
    ns_rr record;
    unsigned targets = 0;
    int count = query(lookup, name, ns_t_srv, &message);
    struct target *list = mem_zalloc(RESOLVED_MAX * sizeof *list);
    for (int i = 0; i < count && ns_parserr(&message, ns_s_an, i, &record) == 0; i++) {
        note_ttl(lookup->out, &record);
        if (targets < RESOLVED_MAX && read_srv(&message, &record, &list[targets]))
            targets++;
    }
    for (unsigned i = 0; i < targets; i++)
        look_up_addresses(lookup, list[i].name, list[i].like);
    free(list);
}

/* ---- The system's own way */

static void look_up_in_files(const char *name, struct resolved *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return;
    out->ttl_s = FILES_TTL_S;
    for (const struct addrinfo *one = list; one; one = one->ai_next) {
        struct resolved_server server = {.port = 0};
        if (one->ai_family == AF_INET)
            set_v4(&server.address, &((const struct sockaddr_in *)one->ai_addr)->sin_addr);
        else if (one->ai_family == AF_INET6)
            server.address = ((const struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
        else
            continue;
        add(out, server);
    }
    freeaddrinfo(list);
}

/* ---- All */

static int by_place(const void *a, const void *b)
{
    const struct resolved_server *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority - y->priority;
    int order = memcmp(&x->address, &y->address, sizeof x->address);
    return order ? order : x->port - y->port;
}

static void ask_dns(struct lookup *lookup, const char *name, const struct sockaddr_in *resolver)
{
    if (res_ninit(&lookup->state) != 0)
        return;
    lookup->state.retrans = PATIENCE_S;
    lookup->state.retry = TRIES;
    if (resolver) {
        lookup->state.nscount = 1;
        lookup->state.nsaddr_list[0] = *resolver;
    }
    if (name[0] == '_')
        look_up_service(lookup, name);
    else
        look_up_addresses(lookup, name, (struct resolved_server){.port = 0});
    res_nclose(&lookup->state);
}

bool resolve(const char *name, const struct sockaddr_in *resolver, struct resolved *out, char *why,
             size_t why_size)
{
    struct lookup *lookup = mem_zalloc(sizeof *lookup);
    *out = (struct resolved){.ttl_s = UINT32_MAX};
    lookup->out = out;
    ask_dns(lookup, name, resolver);
    free(lookup);
    if (out->count == 0 && !resolver && name[0] != '_')
        look_up_in_files(name, out);
    qsort(out->servers, out->count, sizeof out->servers[0], by_place);
    if (out->count == 0)
        snprintf(why, why_size, "no address is found");
    return out->count > 0;
}

bool resolved_is_local(const struct in6_addr *address)
{
    if (!ip_is_v4(address))
        return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address) ||
               IN6_IS_ADDR_MULTICAST(address) || IN6_IS_ADDR_UNSPECIFIED(address);
    const uint8_t *v4 = &address->s6_addr[12];
    return v4[0] == 127 || v4[0] == 0 || v4[0] >= 224 || (v4[0] == 169 && v4[1] == 254);
}
