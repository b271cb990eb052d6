/* What passed each route in the last minute or a little more, and since the start. Components only
 * count up; so what had passed is noted twice a minute, and the last minute is what came since.
 * Threads: any. */
#ifndef GALLEY_SERVER_ADMIN_ROUTE_FIGURES_H
#define GALLEY_SERVER_ADMIN_ROUTE_FIGURES_H

#include "base/json.h"
#include "server/gateway/gateway.h"

#define ROUTE_FIGURES_STEP_MS 30000

struct route_figures;

struct route_figures *route_figures_create(struct gateway *gateway);
void route_figures_destroy(struct route_figures **figures);

/* Every ROUTE_FIGURES_STEP_MS. */
void route_figures_note(struct route_figures *figures, int64_t mono_ns);

/* Writes the members "seconds", how long the last minute is, and "data": for each route what came
 * in them and what has come since the start. */
void route_figures_write(struct route_figures *figures, int64_t mono_ns, struct json_writer *w);

#endif
