/* Text that strangers choose and others see: names, addresses. Threads: any. */
#ifndef GALLEY_BASE_TEXT_H
#define GALLEY_BASE_TEXT_H

#include "base/buf.h"

/* One line of well-formed UTF-8 that shows what it is: no control characters, no line or paragraph
 * separators, nothing invisible, nothing that changes the direction of what is around it, and no
 * space at its ends. */
bool text_is_line(struct slice text);

/* Appends the text as such a line, whatever it is: what may not be in one becomes a space, bytes
 * that are no UTF-8 question marks. May be empty. */
void text_append_line(struct buf *out, struct slice text);

/* A line of letters and digits, of any language, and . _ @ + - alone: what people sign in as.
 * Beyond ASCII everything that a line may hold counts as a letter. */
bool text_is_name(struct slice text);

/* 1 to 32 letters, digits and _ . : -, of ASCII: what a user may be, and a route may ask for. */
#define TEXT_ROLE_MAX 32
bool text_is_role(struct slice text);

/* An e-mail address that any server takes: ASCII, one '@' between two parts, nothing that could end
 * a header or begin another address. */
bool text_is_email(struct slice text);

#endif
