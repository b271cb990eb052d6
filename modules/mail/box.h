/* The development mail box: a file of messages, DATA/mail/outbox.mbox, that mail readers open, and
 * when that is full the one before it, outbox.old.mbox.
 *
 * Each message is "From " and a date on a line, headers that end with Content-Length, an empty
 * line, the body with its "From " lines quoted (mboxrd), and an empty line (docs/format.md). A kill
 * may cut the last one, as a write to a file is not one step: opening the box cuts such a rest off.
 * Its job was not acknowledged, so it writes the message again. Threads: any, after opening. */
#ifndef GALLEY_MODULES_MAIL_BOX_H
#define GALLEY_MODULES_MAIL_BOX_H

#include "base/err.h"
#include "base/slice.h"

struct mail_box;

/* Opens or makes it; a file has at most `max_bytes`, unless that is too little for what one sync
 * writes. On an error *out is NULL and why says what. */
enum err mail_box_open(const char *data_dir, int64_t max_bytes, struct mail_box **out, char *why,
                       size_t why_size);
void mail_box_close(struct mail_box **box);

/* Adds one whole message, which is written by the next sync, or by enough others. */
enum err mail_box_append(struct mail_box *box, struct slice message, char *why, size_t why_size);

/* What this thread has appended since its last call is on disk; so is what others had appended, who
 * need not do it again. After a failure nothing counts any more that was not synced, whoever
 * appended it. If the disk was full the box goes on when there is room; after any other failure it
 * takes no messages until a restart. */
enum err mail_box_sync(struct mail_box *box);

/* What keeps it from taking messages, a clause; NULL: nothing. */
const char *mail_box_trouble(const struct mail_box *box);

#endif
