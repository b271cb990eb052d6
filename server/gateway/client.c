/* Who a request comes from when proxies stand before us. */
#include "server/gateway/gateway_private.h"

#include "server/http/forwarded.h"

bool gateway_trusts(struct gateway *gateway, const struct in6_addr *peer)
{
    struct plan *plan = plan_hold(gateway);
    bool trusted = cidr_list_has(&plan->trusted, peer);
    plan_release(plan);
    return trusted;
}

static enum err believe(struct request *request, const struct plan *plan, struct in6_addr *client)
{
    struct forwarded said;
    enum err err =
        forwarded_read(request->headers, request->header_count, client, &plan->trusted, &said);
    if (err)
        return err;
    request->peer_trusted = true;
    if (said.proto_said)
        request->secure = said.https;
    if (said.host.len > 0)
        request->forwarded_host = said.host;
    *client = said.client;
    return ERR_OK;
}

enum err gateway_identify(struct gateway *gateway, struct request *request, struct in6_addr *client)
{
    struct plan *plan = plan_hold(gateway);
    enum err err = ERR_OK;
    if (plan->trusted.count > 0 && cidr_list_has(&plan->trusted, client))
        err = believe(request, plan, client);
    plan_release(plan);
    return err;
}
