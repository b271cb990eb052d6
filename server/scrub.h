/* Reading everything stored, over and over, as a slow walk in the background, so that damage is
 * found before somebody needs what it sits in; and at full speed when somebody asks (`galley
 * verify` on a running server). It repairs nothing but what a part mends at once (verify.h). */
#ifndef GALLEY_SERVER_SCRUB_H
#define GALLEY_SERVER_SCRUB_H

#include "base/json.h"
#include "base/ticker.h"
#include "storage/verify.h"

struct scrub;

struct scrub_options {
    struct store *store;
    struct ticker *maintenance;
    unsigned percent; /* of the time that it may read; 0: only when asked */
    void (*add_all)(struct verifier *v, void *arg);  /* adds everybody's parts */
    void (*add_soon)(struct verifier *v, void *arg); /* of whom scrub_soon is called for */
    void *arg;
};

/* Reads nothing before scrub_start. */
struct scrub *scrub_create(const struct scrub_options *options);
void scrub_start(struct scrub *scrub);
/* NULL-safe; the store is still open. */
void scrub_destroy(struct scrub **scrub);

/* Goes on at full speed until a pass that has not begun yet has ended; returns its number, from 1
 * on. Threads: any. */
uint64_t scrub_hurry(struct scrub *scrub);

/* Damage was met by somebody who mends it: what else there may be of the kind (add_soon) is read
 * once, before the rest. Threads: any. */
void scrub_soon(struct scrub *scrub);

/* As an object: {"passes": whole ones so far, "running", "part", "lookedAt", "found", "mended",
 * "findings": [up to 100 texts], "lastEnded": time or null}; of the present pass, or of the last
 * one. Threads: any. */
void scrub_write(struct scrub *scrub, struct json_writer *w);

struct scrub_figures {
    uint64_t looked_at, found, passes; /* entries and findings since the start; whole passes */
    uint64_t damaged; /* what the last whole pass, or the present one, found and did not mend */
};
/* Threads: any. */
void scrub_figures(struct scrub *scrub, struct scrub_figures *out);

#endif
