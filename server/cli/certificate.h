/* Makes a certificate for development, for a server or a client: of an authority that signs this
 * one certificate and whose key is then forgotten. A browser that trusts the authority trusts
 * nothing else by it, whoever gets hold of the files. */
#ifndef GALLEY_SERVER_CLI_CERTIFICATE_H
#define GALLEY_SERVER_CLI_CERTIFICATE_H

#include "base/buf.h"

#define CERTIFICATE_DAYS     "730"
#define CERTIFICATE_DAYS_MAX 825 /* browsers refuse more */

/* In PEM. */
struct certificate {
    struct buf chain;     /* the certificate, then its authority's */
    struct buf key;       /* ECDSA P-256 */
    struct buf authority; /* for clients to trust */
};

/* `hosts` are names or addresses, checked by certificate_host_ok. */
void certificate_make(const char *const *hosts, size_t count, int days, struct certificate *out);

/* Wipes the key. */
void certificate_release(struct certificate *certificate);

/* A name (also "*.example.test"), an IPv4 or an IPv6 address. */
bool certificate_host_ok(const char *host);

#endif
