/* What `galley user` and `galley admin` share: an action of docs/admin-api.md, done by the server
 * that runs on the data directory, or, if there is none, on the store itself. Threads: main. */
#ifndef GALLEY_SERVER_CLI_PEOPLE_H
#define GALLEY_SERVER_CLI_PEOPLE_H

#include "base/json.h"

struct people;

/* The directory is that of --data, else of the configuration. NULL after a line on standard error;
 * *status is the exit status then. */
struct people *people_open(const char *command, const char *config_path, const char *data,
                           int *status);
void people_close(struct people **people);

/* Does an action, "users/add"; *out is the server's answer, the caller's. False after a line on
 * standard error. */
bool people_act(struct people *people, const char *action, const json_t *body, json_t **out);

/* All users, or all administrators: {"data": [...]}. False after a line on standard error. */
bool people_list(struct people *people, const char *kind, json_t **out);

#endif
