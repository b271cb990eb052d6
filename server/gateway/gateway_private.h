/* What the stages find in the gateway. */
#ifndef GALLEY_SERVER_GATEWAY_GATEWAY_PRIVATE_H
#define GALLEY_SERVER_GATEWAY_GATEWAY_PRIVATE_H

#include "server/gateway/gateway.h"
#include "server/gateway/idempotency_private.h"

struct gateway {
    const struct clock *clock;
    struct jwt *jwt;
    struct route_table *routes;
    struct rate_table *rates;
    struct keys_in_flight *in_flight;
    struct answer_records answers;
    struct traffic *traffic; /* observe.c */
};

/* rate_limit.c: appends the part of a limit's headers that is the same on every answer. */
void rate_limit_write_head(const struct rate_limit *limit, struct buf *out);

/* observe.c: what passed, by route; the last of route_count + 1 is for requests without one. */
struct traffic *traffic_create(unsigned route_count);
void traffic_destroy(struct traffic **traffic);

#endif
