/* Asking for a new password. Threads: main. */
#ifndef GALLEY_SERVER_CLI_PASSWORD_H
#define GALLEY_SERVER_CLI_PASSWORD_H

#include "base/buf.h"

/* From the terminal, twice and without echo, or the first line of what comes through a pipe. False,
 * and a line on standard error, if there is none or the two differ. */
bool password_ask(const char *command, struct buf *out);

#endif
