#include "server/gateway/exchange.h"
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

static enum stage_result challenge(struct exchange *exchange, const char *message,
                                   const char *parameters)
{
    exchange_refuse(exchange, ERR_UNAUTHENTICATED, message);
    response_header(exchange->response, "WWW-Authenticate", slice_str(parameters));
    return STAGE_ANSWERED;
}

/* The credentials of "Bearer <token>"; false for another scheme. */
static bool bearer_token(struct slice authorization, struct slice *token)
{
    *token = authorization;
    struct slice scheme = slice_cut(token, ' ');
    *token = slice_trim(*token);
    return slice_eq_nocase(scheme, slice_str("Bearer"));
}

static bool token_passes(struct gateway *gateway, struct slice token, struct request *request)
{
    struct principal *user = &request->user;
    return jwt_check(gateway->jwt, token, request->received_ms, user) == ERR_OK &&
           (!gateway->users || users_admit(gateway->users, user));
}

static bool has_role(const struct principal *user, const struct route_spec *spec)
{
    for (unsigned i = 0; i < spec->role_count; i++) {
        if (principal_has_role(user, spec->roles[i]))
            return true;
    }
    return spec->role_count == 0;
}

/* Looks at credentials only where a route asks for them (RFC 6750 says what it answers). */
enum stage_result stage_authenticate(struct exchange *exchange)
{
    struct request *request = exchange->request;
    const struct route_spec *spec = &request->route->spec;
    if (!spec->signed_in && !spec->may_sign_in)
        return STAGE_NEXT;
    struct slice token;
    unsigned count = request_header_count(request, "Authorization");
    if (count == 0 && !spec->signed_in)
        return STAGE_NEXT;
    if (count == 0 || !bearer_token(request_header(request, "Authorization"), &token))
        return challenge(exchange, "A bearer token is required.", "Bearer realm=\"galley\"");
    if (count > 1 || !token_passes(exchange->gateway, token, request))
        return challenge(exchange, "The token is not valid, or not any more.",
                         "Bearer realm=\"galley\", error=\"invalid_token\"");
    if (!has_role(&request->user, spec))
        return exchange_refuse(exchange, ERR_FORBIDDEN, "None of your roles allows this.");
    return STAGE_NEXT;
}
