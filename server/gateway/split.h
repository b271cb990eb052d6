/* A route with several targets, each with a share of the requests: canaries, and versions beside
 * each other. Who has got one stays there if the split is sticky, over restarts too, as long as the
 * shares stay; when they change, as few as need be move.
 *
 * DESIGN. A request falls into one of SPLIT_BUCKETS buckets, and the shares divide those in the
 * order of the targets. Sticky means that the bucket is made of the user, the address or a cookie;
 * else they are taken in turn, in steps that spread, so that a tenth is one of ten and not ten of a
 * hundred in a row. Threads: any, after making. */
#ifndef GALLEY_SERVER_GATEWAY_SPLIT_H
#define GALLEY_SERVER_GATEWAY_SPLIT_H

#include "server/gateway/gateway.h"

#define SPLIT_BUCKETS     10000
#define SPLIT_TARGETS_MAX 8

struct split;

/* The words of the key `sticky`, in this order. */
enum split_by { SPLIT_BY_TURN, SPLIT_BY_USER, SPLIT_BY_ADDRESS, SPLIT_BY_COOKIE };

/* `name` is that of the route: splits of different names divide users differently, and have cookies
 * of their own. Copied. */
struct split *split_create(enum split_by by, const char *name);

/* Takes arg over as route_spec does. At most SPLIT_TARGETS_MAX. */
void split_add(struct split *split, target_fn target, void *arg, void (*drop)(void *arg),
               unsigned weight);

/* A route's target: arg is a struct split. */
void split_target(struct request *request, struct response *response, void *split);
void split_drop(void *split);

#endif
