/* The [listener NAME] sections: where else the process listens, with which certificates.
 *
 * Certificates that have changed on disk are loaded by a timer; settings that have changed in the
 * configuration by listeners_reload. In both cases what does not load leaves the old in use, and is
 * told: in the log, in the metrics and among the warnings of the admin pages. */
#ifndef GALLEY_SERVER_LISTENERS_H
#define GALLEY_SERVER_LISTENERS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/ticker.h"
#include "server/config/config.h"
#include "server/front/tls.h"

#define LISTENERS_MAX 30 /* sections; the front takes two more */

struct listeners;

/* Whether every certificate can be loaded: appends a line for each that cannot, as config_load
 * does, and returns false then. `path` is the file's. */
bool listeners_check(const struct config *config, const char *path, struct buf *errors);

/* Loads the certificates and begins to watch them. The configuration is borrowed. Threads: main. */
enum err listeners_open(const struct config *config, struct ticker *ticker, struct listeners **out,
                        char *why, size_t why_size);

/* NULL is fine. Sets NULL. Connections may outlive it. */
void listeners_close(struct listeners **listeners);

/* The sections, in the order of the file. */
unsigned listeners_count(const struct listeners *listeners);
const struct config_section *listeners_section(const struct listeners *listeners, unsigned i);

/* NULL: it speaks no TLS. Lives as long as the listeners; may be held longer (tls_hold). */
struct tls *listeners_tls(const struct listeners *listeners, unsigned i);

/* Takes over what a new, checked configuration says of certificates: of sections that keep their
 * name, and have had any. Threads: one at a time. */
void listeners_reload(struct listeners *listeners, const struct config *next);

/* ---- Telling. Threads: any. */

void listeners_metrics(const struct listeners *listeners, struct buf *out);

/* Writes sentences into an array that is open: certificates that end within 30 days, reloads that
 * have failed. */
void listeners_write_warnings(const struct listeners *listeners, int64_t now_ms,
                              struct json_writer *w);

#endif
