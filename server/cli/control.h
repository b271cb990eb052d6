/* Asking the running server, through the socket in its data directory: whoever may open it is
 * trusted as an administrator. Threads: main. */
#ifndef GALLEY_SERVER_CLI_CONTROL_H
#define GALLEY_SERVER_CLI_CONTROL_H

#include "base/json.h"

struct control_answer {
    int status;
    json_t *json; /* owned; NULL: the body is no JSON */
};

/* Sends a POST without a body to `target`, "/_/api/reload", and waits for the answer. False with a
 * sentence in why: there is no server, or it does not speak as it should. */
bool control_post(const char *data_dir, const char *target, struct control_answer *out, char *why,
                  size_t why_size);

#endif
