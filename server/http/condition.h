/* What a request has to be, besides its host, path and method: a header, a parameter of its query,
 * a device, an API version, an address that it comes from. Immutable after parsing. Threads: any.
 *
 *   CONDITION_HEADER   "X-Beta: yes", "X-Beta: y*", "X-Beta" (there, with any value), "!X-Beta"
 *   CONDITION_QUERY    "debug=1", "debug=*", "debug", "!debug"
 *   CONDITION_DEVICE   "mobile", "tablet", "desktop", "bot", or several with commas between
 *   CONDITION_VERSION  "2", or several: what the client names in API-Version, in Accept, or in
 *                      the parameter api-version of the query; "v2" is 2
 *   CONDITION_CLIENT   networks as base/cidr.h reads them */
#ifndef GALLEY_SERVER_HTTP_CONDITION_H
#define GALLEY_SERVER_HTTP_CONDITION_H

#include "base/cidr.h"
#include "server/http/message.h"

enum condition_kind {
    CONDITION_HEADER,
    CONDITION_QUERY,
    CONDITION_DEVICE,
    CONDITION_VERSION,
    CONDITION_CLIENT,
    CONDITION_KINDS
};

struct condition {
    enum condition_kind kind;
    bool absent;  /* it must not be there */
    bool present; /* any value will do */
    bool begins;  /* `value` is what it begins with */
    char *name;   /* of the header or parameter; owned */
    char *value;  /* owned; "" if none is asked for */
    struct cidr_list networks;
};

/* Reads one; the caller releases *out in any case. False, with one line in `why`, for what is none.
 */
bool condition_parse(enum condition_kind kind, struct slice text, struct condition *out, char *why,
                     size_t why_size);
void condition_release(struct condition *condition);

bool condition_holds(const struct condition *condition, const struct request *request);

/* True if both ask for the same, written in whichever way. */
bool condition_same(const struct condition *a, const struct condition *b);

/* Appends it as it is written in a configuration: "header X-Beta: yes". */
void condition_write(const struct condition *condition, struct buf *out);

/* What CONDITION_DEVICE compares with: never NULL. */
const char *request_device(const struct request *request);

/* What CONDITION_VERSION compares with, without a leading "v"; a NULL slice if the client names
 * none. Valid for as long as the request and `scratch`. */
struct slice request_version(const struct request *request, struct buf *scratch);

#endif
