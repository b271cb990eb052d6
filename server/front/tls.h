/* TLS for a listener: its certificates and settings.
 *
 * Versions 1.2 and 1.3, forward secrecy only, no compression, no renegotiation, no early data. A
 * client says which name it wants (SNI) and gets the certificate that names it, exactly or by a
 * wildcard; without a match it gets the first. Sessions are resumed by tickets alone, whose keys
 * live here, change every 12 hours, and survive a reload: nothing is kept for each client.
 *
 * A struct tls is counted: the listener holds it and so does every connection made from it, so that
 * a listener may go before its connections do. What was loaded is immutable; a reload loads anew
 * beside it and swaps, and a connection keeps what it began with. Threads: any, unless said
 * otherwise. */
#ifndef GALLEY_SERVER_FRONT_TLS_H
#define GALLEY_SERVER_FRONT_TLS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"

#define TLS_WHY_SIZE  600
#define TLS_PAIRS_MAX 64 /* certificates of one listener */
#define TLS_NAMES_MAX 16 /* names that are shown of one certificate; all are served */

struct tls;

enum tls_client {
    TLS_CLIENT_NONE,
    TLS_CLIENT_OPTIONAL, /* asked for; what is shown must be valid */
    TLS_CLIENT_REQUIRED,
};

struct tls_pair {
    const char *cert; /* path, PEM: the certificate, then those that lead to its root */
    const char *key;  /* path, PEM, without a password */
};

struct tls_options {
    const struct tls_pair *pairs; /* the first is for clients that ask for no known name */
    size_t count;                 /* 1 to TLS_PAIRS_MAX */
    const char *client_ca;        /* path, PEM: who signs client certificates; NULL with NONE */
    enum tls_client client;
    int64_t
        hsts_s; /* how long browsers are told to come back with TLS only (RFC 6797); 0: nothing */
    const struct clock *clock;
};

/* Loads the files; the options are copied, the clock is borrowed. On an error *out is NULL and why
 * says which file and what is wrong with it. On ERR_OK why is "" or a warning that the certificate
 * has expired, is not valid yet, or that everybody may read its key. */
enum err tls_create(const struct tls_options *options, struct tls **out, char *why,
                    size_t why_size);

/* Loads the files as tls_create does and forgets them again: whether a new configuration is right
 * can be known before anything is changed. */
enum err tls_check(const struct tls_options *options, char *why, size_t why_size);

struct tls *tls_hold(struct tls *tls);

/* Lets go of it and sets NULL; the last one frees it. */
void tls_destroy(struct tls **tls);

/* Loads the files again, or with `changed` those instead; the ticket keys stay. On an error what
 * was loaded before goes on to be used, and why says what is wrong, as tls_create does. Connections
 * that exist are not touched. Blocks on files. */
enum err tls_reload(struct tls *tls, const struct tls_options *changed, char *why, size_t why_size);

/* True if a file is not the one that was last loaded or failed to load: by device, inode, size and
 * time of change. */
bool tls_files_changed(struct tls *tls);

/* To be called each second or so: loads changed files once they are whole. A certificate and its
 * key are replaced one after the other, so what does not load is tried again at each call; when the
 * files have stayed the same for 5 seconds and still do not load, that is a failure: it is
 * counted, logged once, and tried again only after the next change. Returns whether it reloaded.
 * Threads: one at a time. */
bool tls_watch(struct tls *tls, int64_t now_ns);

struct tls_certificate_status {
    char name[256];       /* its first name */
    char names[512];      /* the first TLS_NAMES_MAX of them, ", " between; cut where it is full */
    char path[256];       /* of its file; likewise */
    int64_t not_before_s; /* seconds since 1970 */
    int64_t not_after_s;
};

struct tls_status {
    size_t certificates;
    uint64_t reloads, reload_failures;
    int64_t loaded_wall_ms;        /* when what is used was loaded */
    char last_error[TLS_WHY_SIZE]; /* why the last reload failed; "" after one that did not */
    uint64_t handshakes, resumed,
        failed; /* finished, those of them by a ticket, and not finished */
};

void tls_read_status(struct tls *tls, struct tls_status *out);

/* The `i`th certificate; false if there are not so many (there may be fewer after a reload). */
bool tls_read_certificate(struct tls *tls, size_t i, struct tls_certificate_status *out);

#endif
