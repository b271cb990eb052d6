/* Asking the running server, through the socket in its data directory: whoever may open it is
 * trusted as an administrator. Threads: main. */
#ifndef GALLEY_SERVER_CLI_CONTROL_H
#define GALLEY_SERVER_CLI_CONTROL_H

#include "base/json.h"

struct control_answer {
    int status;
    json_t *json; /* owned; NULL: the body is no JSON */
};

/* Sends a request, "GET" or "POST", to `target`, "/_/api/reload", with `body` or NULL, and waits
 * for the answer. False with a sentence in why: there is no server (*running is false then), or it
 * does not speak as it should. `running` may be NULL. */
bool control_ask(const char *data_dir, const char *method, const char *target, const json_t *body,
                 struct control_answer *out, bool *running, char *why, size_t why_size);

/* control_ask with a POST without a body. */
static inline bool control_post(const char *data_dir, const char *target,
                                struct control_answer *out, char *why, size_t why_size)
{
    return control_ask(data_dir, "POST", target, NULL, out, NULL, why, why_size);
}

#endif
