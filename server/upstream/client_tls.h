/* TLS towards servers that we ask: OpenSSL, verified unless said otherwise. */
#ifndef GALLEY_SERVER_UPSTREAM_CLIENT_TLS_H
#define GALLEY_SERVER_UPSTREAM_CLIENT_TLS_H

#include "base/slice.h"

struct client_tls;      /* what the servers of one upstream have in common. Threads: any */
struct client_tls_link; /* of one connection. Threads: one at a time */
enum flow;

struct client_tls_options {
    bool verify;
    const char *ca;          /* a PEM file; "": the system's authorities */
    const char *cert, *key;  /* PEM files of our own certificate, or "" */
    const char *server_name; /* asked for, and that the certificate must be for */
};

/* NULL, with why, if a file cannot be read or does not fit. Reads files. */
struct client_tls *client_tls_create(const struct client_tls_options *options, char *why,
                                     size_t why_size);
void client_tls_destroy(struct client_tls **tls);

/* Of a socket that stays the caller's, and that may not be connected yet. */
struct client_tls_link *client_tls_begin(struct client_tls *tls, int fd);
void client_tls_end(struct client_tls_link **link);

/* As those of channel.h. */
enum flow client_tls_shake_hands(struct client_tls_link *link);
enum flow client_tls_receive(struct client_tls_link *link, void *out, size_t room, size_t *got);
enum flow client_tls_send(struct client_tls_link *link, struct slice bytes, size_t *sent);
bool client_tls_is_clean(struct client_tls_link *link);

#endif
