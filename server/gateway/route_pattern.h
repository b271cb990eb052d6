/* Path patterns: "/users/{id}/files/" and a final "*" for all that remains. Pure. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_ROUTE_PATTERN_H
#define GALLEY_SERVER_GATEWAY_ROUTE_PATTERN_H

#include "base/slice.h"

enum segment_kind {
    SEGMENT_LITERAL,
    SEGMENT_PARAM, /* any one segment that is not empty */
    SEGMENT_REST,  /* all that remains, at least an empty segment */
    SEGMENT_BAD
};

enum segment_kind segment_kind(struct slice segment, bool last);

/* The "id" of "{id}". */
struct slice segment_param(struct slice segment);

/* True for one with its slash, and at most PARAMS_MAX parameters. */
bool pattern_ok(const char *pattern);

/* True if they fit the same paths: "/orders/{id}" and "/orders/{number}". */
bool pattern_same_shape(const char *a, const char *b);

/* True if the path fits; `place`: "/files/" with a star fits "/files" as well. */
bool pattern_fits(const char *pattern, bool place, struct slice path);

#endif
