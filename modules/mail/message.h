/* A message as text: RFC 5322 with MIME, in the form of the mail box or of the wire.
 *
 * Lines are folded at 78 characters, header text that is not ASCII stands in encoded words of 75
 * (RFC 2047). What could end a header, or show another text than it is, becomes a space.
 * Threads: any. */
#ifndef GALLEY_MODULES_MAIL_MESSAGE_H
#define GALLEY_MODULES_MAIL_MESSAGE_H

#include "base/buf.h"
#include "base/id.h"

/* "Jörg <joerg@example.org>", or the address alone. Points into what was parsed. */
struct mail_address {
    struct slice name; /* may be empty */
    struct slice address;
};

/* False if the address is none that every server takes (text_is_email). */
bool mail_address_parse(struct slice text, struct mail_address *out);

struct message {
    const struct id *id; /* of the job: the Message-ID is made of it */
    int64_t now_ms;
    struct mail_address from, to;
    struct slice subject, text; /* UTF-8; lines of the text end as they like */
};

/* "From " and a date, lines that end with \n, Content-Length, the text as it is with its "From "
 * lines quoted, an empty line: the mboxrd form (RFC 4155 names the default mbox). */
void message_append_mbox(struct buf *out, const struct message *message);

/* Lines end with \r\n. A text that is not ASCII, or has long lines, is in Base64. */
void message_append_wire(struct buf *out, const struct message *message);

#endif
