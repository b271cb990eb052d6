/* The target respond:STATUS: an answer that the configuration holds. For what is closed, moved, or
 * not there yet. Immutable. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_RESPOND_H
#define GALLEY_SERVER_GATEWAY_RESPOND_H

#include "server/http/message.h"

struct respond;

struct respond_options {
    int status;
    struct slice body;        /* empty: none; of 4xx and 5xx then our error body, if there is one */
    const char *content_type; /* "": by what the body looks like */
    const char *location;     /* "": none */
};

/* Copies all of it. */
struct respond *respond_create(const struct respond_options *options);
void respond_drop(void *respond);

/* Its arg is a struct respond, which outlives the answer (the plan does). */
void respond_target(struct request *request, struct response *response, void *respond);

#endif
