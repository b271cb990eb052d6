/* Whom the operators' pages are for: the admin UI and the metrics.
 *
 * DESIGN. Two walls before the password. By their address only some clients may ask at all: those
 * of loopback and private networks, if the configuration does not say otherwise. And the admin UI
 * answers only under hosts that it is known by. That keeps out what a browser lets in: to the
 * browser a page of evil.example may talk to evil.example, and its owner may from one moment to the
 * next let that name lead to our address (DNS rebinding). Only names can be led elsewhere, so who
 * asks for an address is as good as the address: it is one of ours, or we listen on all that the
 * machine has. Immutable once it is in a plan. */
#ifndef GALLEY_SERVER_GATEWAY_OPERATORS_H
#define GALLEY_SERVER_GATEWAY_OPERATORS_H

#include "base/cidr.h"

/* Zeroed: nobody, under no host but loopback's. */
struct operators {
    struct cidr_list clients; /* owned */
    char **hosts;             /* owned, as host_normalise writes them */
    unsigned host_count;
    bool any_address; /* as a host */
};

/* Adds a host, "admin.example.org", "192.0.2.1" or "::1": that of [server] hosts or of a listener.
 * 0.0.0.0 and :: stand for all addresses. False if it is none. */
bool operators_add_host(struct operators *operators, const char *host);

/* Whether a client may ask: `address` is struct request's. Who comes over a Unix socket has none
 * and is as near as one of loopback. */
bool operators_have_client(const struct operators *operators, struct slice address);

/* Whether the value of a Host field names us; the port does not matter. */
bool operators_know_host(const struct operators *operators, struct slice host);

void operators_release(struct operators *operators);

#endif
