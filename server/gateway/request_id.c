#include "server/gateway/exchange.h"

static bool id_is_formed(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!letter && !other)
            return false;
    }
    return id.len >= 1 && id.len < sizeof(((struct request *)0)->id);
}

/* A trusted peer's id goes on, so that one request has one name in all logs; else the front's
 * stays. */
enum stage_result stage_request_id(struct exchange *exchange)
{
    struct request *request = exchange->request;
    if (!request->peer_trusted)
        return STAGE_NEXT;
    struct slice id = request_header(request, "X-Request-Id");
    if (id_is_formed(id)) {
        memcpy(request->id, id.ptr, id.len);
        request->id[id.len] = '\0';
    }
    return STAGE_NEXT;
}
