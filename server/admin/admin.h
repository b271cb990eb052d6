/* The admin UI and its API, under /_/. Looks at every component, through their public headers. */
#ifndef GALLEY_SERVER_ADMIN_ADMIN_H
#define GALLEY_SERVER_ADMIN_ADMIN_H

#include "server/galley_private.h"

/* Opens the administrators' collection and begins to keep a history of the metrics (one sample a
 * second, ten minutes). Before the gateway and the front exist. */
enum err admin_open(struct galley *galley, struct admin **out, char *why, size_t why_size);
void admin_close(struct admin **admin);

/* Samples begin once the front listens, and end before it is torn down. Threads: main. */
void admin_started(struct admin *admin);
void admin_stopping(struct admin *admin); /* NULL-safe; also without admin_started */

/* "/_/setup?token=..." or NULL when an administrator exists. Valid until admin_close. */
const char *admin_setup_path(const struct admin *admin);

/* The gateway's target for all routes below /_/; arg is the struct admin. Threads: any. */
void admin_target(struct request *request, struct response *response, void *arg);

#endif
