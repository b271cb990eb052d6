/* One connection's TLS, and what the files of TLS share.
 *
 * DESIGN. A connection waits in a thread (blocking) at one time and in the hub (not at all) at
 * another, on one descriptor. So each call says whether it may wait, and OpenSSL reads and writes
 * through a BIO of our own that passes MSG_DONTWAIT to recv and send, or not.
 *
 * That BIO reports everything that keeps it from going on, the end of the connection too, as
 * "try again" to OpenSSL and remembers the truth for us: an error would end OpenSSL's session for
 * good, but a connection whose receiving side was shut down by a deadline still has an answer to
 * send. */
#ifndef GALLEY_SERVER_FRONT_TLS_PRIVATE_H
#define GALLEY_SERVER_FRONT_TLS_PRIVATE_H

#include "base/lock.h"
#include "server/front/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* ---- tls_link.c: a connection. */

enum tls_result {
    TLS_DONE,
    TLS_WANT_READ,  /* go on when the descriptor is readable */
    TLS_WANT_WRITE, /* likewise, writable */
    TLS_ENDED,      /* the client has said that it ends (close_notify); nothing more is received */
    TLS_GONE,       /* the connection ended without that: what came may lack its end */
    TLS_FAILED,     /* for good: tls_reason says why; an alert was sent if there is one for it */
};

/* Belongs to one thread at a time. */
struct tls_link;

/* Costs about 100 bytes until the first tls_handshake, so call that when something has come. The
 * descriptor stays the caller's and may be blocking or not. */
struct tls_link *tls_accept(struct tls *tls, int fd);

/* Goes on with the handshake: TLS_DONE once, then only receive and send. Never TLS_ENDED.
 * `wait`, here and below: may block for as long as the descriptor lets recv and send (SO_RCVTIMEO);
 * TLS_WANT_* then says that this time is over. */
enum tls_result tls_handshake(struct tls_link *link, bool wait);

/* Receives 1 to `room` bytes: TLS_DONE with *got > 0, else *got = 0. TLS_WANT_READ may also come
 * while a part of a record is inside; wait for the descriptor then. After TLS_GONE one may still
 * send. */
enum tls_result tls_receive(struct tls_link *link, void *out, size_t room, bool wait, size_t *got);

/* Sends: TLS_DONE when all of it is with the system. On TLS_WANT_WRITE *sent of it are, and the
 * next call must begin with the byte behind them and offer no fewer bytes than this one left (they
 * may have moved): a record of them may be half sent. */
enum tls_result tls_send(struct tls_link *link, struct slice bytes, bool wait, size_t *sent);

/* Bytes that tls_receive could deliver, or has not looked at, wait inside: the descriptor will not
 * become readable for them, so this connection must not be parked. False after TLS_WANT_READ. */
bool tls_has_pending(const struct tls_link *link);

/* Frees it and sets NULL. Graceful: says first that we end (close_notify), as far as the socket
 * takes it at once; not to be had where a record is half sent or TLS has failed. */
void tls_close(struct tls_link **link, bool graceful);

/* Why it failed, a few plain words ("no shared cipher") for the log; "" if it did not. Static. */
const char *tls_reason(const struct tls_link *link);

/* The handshake failed because the client speaks HTTP without TLS: one may answer it in plain. */
bool tls_is_plain_http(const struct tls_link *link);

/* What the handshake found. */
struct tls_facts {
    const char *version;     /* "TLSv1.3"; static */
    const char *cipher;      /* static */
    const char *server_name; /* what the client asked for, "" if nothing; until tls_close */
    bool resumed;
};

void tls_read_facts(const struct tls_link *link, struct tls_facts *out);

/* The client's verified certificate; false if it has shown none. */
struct tls_client_certificate {
    char subject[256];    /* RFC 2253: "CN=alice,O=Example"; cut where it is full */
    char fingerprint[65]; /* SHA-256, hexadecimal, small letters */
};

bool tls_read_client(const struct tls_link *link, struct tls_client_certificate *out);

/* "Strict-Transport-Security: ...\r\n" for each answer, or ""; until tls_close. */
const char *tls_hsts_line(const struct tls_link *link);

/* Bytes on the wire. */
void tls_read_bytes(const struct tls_link *link, uint64_t *received, uint64_t *sent);

/* ---- tls_bio.c: OpenSSL's way to the descriptor. */

enum tls_stop { TLS_STOP_NOT, TLS_STOP_READ, TLS_STOP_WRITE, TLS_STOP_GONE };

struct tls_wire {
    int fd;
    bool wait;
    enum tls_stop stop;  /* what kept the last call from going on */
    unsigned char first; /* byte received */
    uint64_t received, sent;
};

/* Borrows the wire. */
BIO *tls_bio_create(struct tls_wire *wire);

/* ---- tls_tickets.c: the keys that session tickets are encrypted with. */

struct tls_tickets;

struct tls_tickets *tls_tickets_create(const struct clock *clock);
void tls_tickets_destroy(struct tls_tickets **tickets);

/* SSL_CTX_set_tlsext_ticket_key_evp_cb's function, with the tickets in front. */
int tls_tickets_use(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt);

/* ---- tls_set.c: what was loaded together. */

struct tls_set; /* immutable and counted */

/* As tls_create. */
enum err tls_set_load(const struct tls_options *options, struct tls_set **out, char *why,
                      size_t why_size);
struct tls_set *tls_set_hold(struct tls_set *set);
void tls_set_let_go(struct tls_set **set);

/* The context of the certificate for this name; NULL if no certificate has it. */
SSL_CTX *tls_set_find(const struct tls_set *set, const char *name);
SSL_CTX *tls_set_first(const struct tls_set *set);
const char *tls_set_hsts_line(const struct tls_set *set);
size_t tls_set_count(const struct tls_set *set);
void tls_set_describe(const struct tls_set *set, size_t i, struct tls_certificate_status *out);

/* ---- tls_context.c: an SSL_CTX with our settings; no certificate in it yet. */

/* `clients` (those who sign client certificates) and their names are borrowed; NULL with NONE. */
SSL_CTX *tls_context_create(enum tls_client client, X509_STORE *clients,
                            const STACK_OF(X509_NAME) * names);

/* Why OpenSSL's last call failed, in its own words; static. Empties its queue of errors. */
const char *tls_openssl_reason(void);

/* ---- tls_certificate.c: a certificate's file, its key's, and its names. */

/* Puts both into the context. On an error why says what is wrong; a warning as tls_create. */
enum err tls_certificate_load(SSL_CTX *ctx, const struct tls_pair *pair, char *why,
                              size_t why_size);

/* Checks that it is a file that we can read, and how large it is. */
enum err tls_file_check(const char *path, struct stat *out, char *why, size_t why_size);

/* Calls back with each name that the certificate is for: small letters, without surprises in it. */
void tls_certificate_names(const X509 *certificate, void (*fn)(const char *name, void *arg),
                           void *arg);

/* Seconds since 1970. */
int64_t tls_time_s(const ASN1_TIME *time);

/* ---- tls.c */

struct tls_set *tls_present_set(struct tls *tls); /* held for the caller */
struct tls_tickets *tls_tickets_of(struct tls *tls);
void tls_count_handshake(struct tls *tls, bool finished, bool resumed);

/* ---- tls_link.c, for the contexts' callbacks. */

struct tls *tls_link_tls(const SSL *ssl);
struct tls_set *tls_link_set(const SSL *ssl);

#endif
