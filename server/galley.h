/* The process: owns every component, knows the order in which they start and stop. */
#ifndef GALLEY_SERVER_GALLEY_H
#define GALLEY_SERVER_GALLEY_H

#include "base/log.h"
#include "server/config/config.h"

#include <jansson.h>
#include <stdbool.h>

struct galley;

/* The kinds of sections that the modules of this build bring, for struct config_source.
 * Threads: main. */
const struct config_kind *galley_sections(void);

/* What only the modules know of a configuration: false, and a line for each setting of theirs that
 * is wrong and each [route] section of the file at `path` that leads to nothing. */
bool galley_check(const struct config *config, const char *path, struct buf *errors);

/* Appends a line for what is right and yet perhaps not meant: routes of modules that no [route]
 * section mounts, a file that says nothing, a user or folder that this machine has not. Threads:
 * main. */
void galley_warn(const struct config *config, const char *path, struct buf *out);

/* The table of a configuration's routes, to look at (server/gateway/route_table.h); the caller
 * destroys it. ERR_EXISTS and ERR_VALIDATION, with why. Threads: main. */
struct route_table;
enum err galley_look_at_routes(const struct config *config, struct route_table **out, char *why,
                               size_t why_size);

/* The OpenAPI document of a configuration (server/api.h), the caller's; `path` is that of its file.
 * Threads: any. */
json_t *galley_describe_api(const struct config *config, const char *path);

/* What [log] says. The path is the configuration's. Threads: any. */
void galley_log_options(const struct config *config, struct log_options *out);

/* Starts everything; the configuration is what was read from the source, and has been checked; both
 * outlive the galley. On an error stops what was started and says why. Threads: main. */
enum err galley_start(const struct config_source *source, const struct config *config,
                      struct galley **out, char *why, size_t why_size);

/* Reads the configuration anew and takes over what needs no restart (docs/reload.md); logs what
 * changes. Appends JSON to the report: {"changed": [...], "restart": [...]}, each change
 * {"section", "key", "from", "to"}. Otherwise nothing has changed: ERR_VALIDATION, and the report
 * is
 * [{"message": "config.ini:12: ..."}, ...], or ERR_DRAINING. Threads: any; one at a time gets in.
 */
enum err galley_reload(struct galley *galley, struct buf *report);

/* Every setting that holds now (config_each). Threads: any; waits for a reload that runs. */
void galley_each_setting(struct galley *galley, config_setting_fn show, void *arg);

/* Stops accepting, answers what is in flight, finishes running jobs, closes the store; bounded by
 * server.drain_timeout. Sets NULL. True if nothing had to be cut. */
bool galley_stop(struct galley **galley);

/* What the banner says. */
const char *galley_authority(const struct galley *galley); /* "127.0.0.1:8080", "[::1]:8080" */
/* "https://127.0.0.1:8443 (web)" of the `i`th [listener]; false if there are not so many. */
bool galley_listener(const struct galley *galley, unsigned i, char *out, size_t size);
const char *galley_data_dir(const struct galley *galley); /* from the root */
/* The path of the one-time link for the first administrator, or NULL if there is one already. */
const char *galley_setup_path(const struct galley *galley);

#endif
