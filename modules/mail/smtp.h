/* The way out of the house: a mail server that takes our messages (RFC 5321), over TLS.
 *
 * Each thread that sends has a connection of its own, which stays open for the next message. A
 * server that does not answer holds its sender until the timeout, or until the queues stop.
 * Threads: any, after opening. */
#ifndef GALLEY_MODULES_MAIL_SMTP_H
#define GALLEY_MODULES_MAIL_SMTP_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct smtp;

struct smtp_options {
    /* smtps://[USER:PASSWORD@]HOST[:PORT], or smtp:// for a connection that STARTTLS makes safe. */
    const char *url;
    const char *user, *password; /* "": those of the url, or none */
    const char *ca;              /* a file of certificates to trust; "": the system's */
    bool plain;                  /* no TLS at all: for a server on the same machine */
    int64_t timeout_ms;          /* for one message */
    bool (*stopping)(void *arg); /* whether to give up */
    void *arg;
};

/* NULL, or what is wrong, "smtp" or "ca", with *out NULL and the reason in `why`. Connects to
 * nobody yet. */
const char *smtp_open(const struct smtp_options *options, struct smtp **out, char *why,
                      size_t why_size);
void smtp_close(struct smtp **smtp); /* nobody sends any more */

/* Hands one message over, whose lines end with \r\n. The addresses are ASCII (text_is_email).
 * ERR_MALFORMED: the server will never take it; ERR_DRAINING: stopping() was true; any other error:
 * perhaps later. It may have taken the message although there is an error. */
enum err smtp_send(struct smtp *smtp, struct slice from, struct slice to, struct slice message,
                   char *why, size_t why_size);

/* What keeps it from taking any message, a clause; NULL: nothing. */
const char *smtp_trouble(const struct smtp *smtp);

#endif
