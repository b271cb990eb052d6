/* What each stage (gateway.c) makes of a request that takes a route, for people: only stages that
 * the route has something to say to. */
#include "server/gateway/gateway_private.h"
#include "server/gateway/route_show.h"
#include "server/gateway/route_table.h"

static void begin(struct json_writer *w, const char *stage)
{
    jw_begin(w, '{');
    jw_key(w, "stage");
    jw_str(w, slice_str(stage));
    jw_key(w, "says");
}

static void write_stage(struct json_writer *w, const char *stage, const char *says)
{
    begin(w, stage);
    jw_str(w, slice_str(says));
    jw_end(w, '}');
}

static void write_text(struct json_writer *w, const char *stage, const struct buf *says)
{
    begin(w, stage);
    jw_str(w, buf_slice(says));
    jw_end(w, '}');
}

static void write_guard(const struct route *route, const struct request *request,
                        struct json_writer *w)
{
    if (route->addresses && !address_rules_let(route->addresses, request))
        write_stage(w, "guard", "allow and deny refuse its address: 403");
    else if (route->addresses)
        write_stage(w, "guard", "allow and deny let its address");
}

static void write_auth(const struct route_spec *spec, struct json_writer *w)
{
    struct buf text = BUF_INIT;
    if (spec->signed_in)
        buf_append_str(&text, "a token is required, else 401");
    else if (spec->may_sign_in)
        buf_append_str(&text, "a token is looked at if there is one");
    for (unsigned i = 0; i < spec->role_count; i++)
        buf_printf(&text, "%s%s", i == 0 ? "; the user needs the role " : " or ", spec->roles[i]);
    if (spec->role_count > 0)
        buf_append_str(&text, ", else 403");
    if (text.len > 0)
        write_text(w, "auth", &text);
    buf_release(&text);
}

static void write_limit(const struct route_spec *spec, struct json_writer *w)
{
    static const char *const shares[] = {[RATE_BY_USER] = "each user",
                                         [RATE_BY_IP] = "each address",
                                         [RATE_BY_HEADER] = "each value of ",
                                         [RATE_BY_ROUTE] = "all together"};
    const struct rate_limit *limit = &spec->limit;
    if (limit->count == 0)
        return;
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s%s: %u requests in %u s", shares[limit->by],
               limit->by == RATE_BY_HEADER ? limit->header : "", limit->count, limit->window_s);
    if (limit->kind == RATE_TOKEN && limit->burst != limit->count)
        buf_printf(&text, ", %u at once", limit->burst);
    for (unsigned i = 0; i < spec->tier_count; i++)
        buf_printf(&text, "; with the role %s %u in %u s", spec->tiers[i].role,
                   spec->tiers[i].limit.count, spec->tiers[i].limit.window_s);
    buf_append_str(&text, ", else 429");
    write_text(w, "limit", &text);
    buf_release(&text);
}

static void write_body(const struct route_spec *spec, struct json_writer *w)
{
    uint64_t max = spec->body_max > 0 ? spec->body_max : spec->passed_body_max;
    if (max == 0)
        return;
    struct buf text = BUF_INIT;
    buf_append_str(&text, "up to ");
    buf_append_u64(&text, max);
    buf_append_str(&text, " bytes, else 413");
    write_text(w, "body", &text);
    buf_release(&text);
}

static void write_target(const struct route_spec *spec, struct json_writer *w)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, spec->leads_to ? spec->leads_to : "Galley itself");
    if (spec->rewrite)
        buf_printf(&text, " as %s", spec->rewrite);
    if (spec->fallback)
        buf_append_str(&text, "; the fallback, if no server has an answer");
    write_text(w, "target", &text);
    buf_release(&text);
}

void route_stages_write(const struct route *route, const struct request *request,
                        struct json_writer *w)
{
    const struct route_spec *spec = &route->spec;
    jw_begin(w, '[');
    write_guard(route, request, w);
    write_auth(spec, w);
    write_limit(spec, w);
    write_body(spec, w);
    if (spec->transform)
        write_stage(w, "transform", "request and answer are changed");
    if (spec->schema)
        write_stage(w, "validate", "the body has to fit its schema, else 422");
    if (spec->idempotent_key)
        write_stage(w, "idempotency", "who repeats an Idempotency-Key gets the same answer");
    if (spec->cache.enabled)
        write_stage(w, "cache", "what is stored is given, what may be is stored");
    write_target(spec, w);
    jw_end(w, ']');
}
