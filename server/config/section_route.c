/* [route NAME], [cors], [compression]: what the gateway does with a request and its answer. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: tables, a row a key */
static const struct config_key route_keys[] = {
    {"path", CONFIG_PATTERN, "", 0, 0, CONFIG_RELOADS | CONFIG_REQUIRED, NULL,
     "The paths it is about; /notes/* is /notes and all that is below it."},
    {"method", CONFIG_METHODS, "", 0, 0, CONFIG_RELOADS, NULL,
     "The methods it is about; empty: all."},
    {"host", CONFIG_HOSTS, "", 0, 0, CONFIG_RELOADS, NULL, "The host it is about; empty: any."},
    {"header", CONFIG_IF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, "header",
     "What a request must have among its headers; several lines: all of it."},
    {"query", CONFIG_IF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, "query",
     "What it must have among the parameters of its query."},
    {"device", CONFIG_IF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, "device",
     "What its client must be, by User-Agent."},
    {"version", CONFIG_IF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, "version",
     "Which version of the API it must ask for: by API-Version: 2, Accept: "
     "application/vnd.NAME.v2+json or application/json;version=2, or ?api-version=2."},
    {"client", CONFIG_IF, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, "client",
     "Where it must come from."},
    {"target", CONFIG_TARGET, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_REQUIRED, NULL,
     "Where requests go: to a module's routes (app:MODULE), to the servers of an upstream "
     "(upstream:NAME), to the files of a folder (static:DIR), or nowhere but to an answer that "
     "stands here (respond:STATUS). Several lines with a weight each share the requests."},
    {"sticky", CONFIG_CHOICE, "no", 0, 0, CONFIG_RELOADS, "no user address cookie",
     "What of several targets stays the same: for each user (without one, address), each address, "
     "or each browser, which gets a cookie galley-ROUTE; no: they take turns."},
    {"strip_prefix", CONFIG_PATTERN, "", 0, 0, CONFIG_RELOADS, NULL,
     "The beginning of path that the target does not see (not with app:)."},
    {"rewrite", CONFIG_PATTERN, "", 0, 0, CONFIG_RELOADS, NULL,
     "The path that the target sees instead, of the parameters of path and its * (not with app:)."},
    {"static_index", CONFIG_TEXT, "index.html", 1, 200, CONFIG_RELOADS, NULL,
     "The file of static:DIR that a folder is served as."},
    {"static_fallback", CONFIG_TEXT, "", 1, 1000, CONFIG_RELOADS, NULL,
     "The file that is served for pages that are not there, such as index.html of an application "
     "that routes by itself; empty: 404."},
    {"static_max_age", CONFIG_DURATION, "0s", 0, 3650 * CONFIG_DAY, CONFIG_RELOADS, NULL,
     "How long browsers and caches need not ask whether a file is still the same."},
    {"respond_body", CONFIG_TEXT, "", 1, CONFIG_MIB, CONFIG_RELOADS, NULL,
     "The body of respond:STATUS; empty: none, and our own of an error."},
    {"respond_type", CONFIG_FIELD, "", 3, 200, CONFIG_RELOADS, NULL,
     "Its Content-Type; empty: JSON, HTML or text, as it looks."},
    {"respond_location", CONFIG_FIELD, "", 1, 2000, CONFIG_RELOADS, NULL,
     "The Location of respond:STATUS, such as 301 or 308."},
    {"timeout", CONFIG_DURATION, "", 10, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long the servers of an upstream or the parts of a composed answer may take, instead of "
     "the upstream's timeout: beyond it 504; empty: as those say."},
    {"mirror", CONFIG_TEXT, "", 10, 100, CONFIG_RELOADS, NULL,
     "upstream:NAME gets a copy of each request too, and its answer is thrown away; bodies up to "
     "64 KiB; empty: none."},
    {"mirror_share", CONFIG_INT, "100", 1, 100, CONFIG_RELOADS, NULL,
     "Of how many of a hundred requests."},
    {"fallback", CONFIG_INT, "", 200, 599, CONFIG_RELOADS, NULL,
     "With target = upstream:NAME: the status of what is answered when no server has an answer "
     "(502, "
     "503, 504) and the cache has no stale one; empty: our error."},
    {"fallback_body", CONFIG_TEXT, "", 1, CONFIG_MIB, CONFIG_RELOADS, NULL, "Its body."},
    {"fallback_type", CONFIG_FIELD, "", 3, 200, CONFIG_RELOADS, NULL,
     "Its Content-Type; empty: JSON, HTML or text, as it looks."},
    {"request_header", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "A change of the headers that the target gets, a line for each, in order. A VALUE may have "
     "places, such as {user.id} (docs/gateway.md)."},
    {"request_query", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Likewise of the parameters of the query that it gets."},
    {"request_json", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Likewise of the body that it gets, if that is JSON (at most 1 MiB)."},
    {"response_header", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Likewise of the headers of all answers, also the security headers that the server adds."},
    {"response_json", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "A change of answers of JSON with a status of 200 to 299 (at most 1 MiB)."},
    {"fields", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "The members that such answers are cut to, for all clients or for some; the first line that "
     "fits counts, and where none does, all stays."},
    {"response_status", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Another status for answers with one; the first line that fits counts."},
    {"deprecated", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS, NULL,
     "Since when it should not be used any more, or from when on: Deprecation (RFC 9745)."},
    {"sunset", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS, NULL,
     "When it will be gone: Sunset (RFC 8594). The server says it, and goes on serving."},
    {"successor", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS, NULL,
     "What to use instead: Link with rel=successor-version."},
    {"deprecation_link", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS, NULL,
     "Where people read about the deprecation: Link with rel=deprecation."},
    {"sunset_link", CONFIG_CHANGE, "", 0, 0, CONFIG_RELOADS, NULL,
     "Where they read about the sunset: Link with rel=sunset."},
    {"allow", CONFIG_CIDR, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "The addresses that alone may use it, by networks; empty: all. Others get 403."},
    {"deny", CONFIG_CIDR, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Addresses that may not, also if allow has them."},
    {"signed_in", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether a token is required; routes of modules may want one anyway."},
    {"roles", CONFIG_ROLE, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Who may use it: users with one of these roles, also where nobody has to sign in otherwise; "
     "empty: whoever the module lets. At most 16."},
    {"rate_limit", CONFIG_RATE, "", 0, 0, CONFIG_RELOADS, NULL,
     "How many requests each user, address or value of a header may send, or all together (by "
     "route): "
     "as a bucket that fills evenly, or in a sliding or fixed window; empty: any number. Who has "
     "no "
     "user or no such header counts by address."},
    {"rate_tier", CONFIG_TIER, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Another limit for users with a role, a line for each, at most 8; the first that fits "
     "counts."},
    {"priority", CONFIG_CHOICE, "normal", 0, 0, CONFIG_RELOADS, "critical normal low",
     "Who is served when there is more to do than can be done: low is refused first, critical "
     "last."},
    {"body_max", CONFIG_SIZE, "", CONFIG_KIB, 16 * CONFIG_GIB, CONFIG_RELOADS, NULL,
     "The largest body of a request; empty: that of [server]."},
    {"cors_origins", CONFIG_PAGES, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Whose pages may use it, instead of those of [cors]; the other keys of [cors] hold here too."},
    {"cors_credentials", CONFIG_CHOICE, "as-cors", 0, 0, CONFIG_RELOADS, "as-cors yes no",
     "Instead of credentials of [cors]."},
    {"cache", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether answers to GET are stored in memory and given to others who ask the same, as far as "
     "HTTP allows (docs/gateway.md)."},
    {"cache_ttl", CONFIG_DURATION, "", CONFIG_SECOND, 365 * CONFIG_DAY, CONFIG_RELOADS, NULL,
     "For how long answers are fresh that do not say it; empty: a tenth of the time since they "
     "changed, if they say that."},
    {"cache_stale_if_error", CONFIG_DURATION, "", CONFIG_SECOND, 365 * CONFIG_DAY, CONFIG_RELOADS,
     NULL,
     "For how long an answer that is no longer fresh stands in for an origin that fails or cannot "
     "be "
     "reached, where answers do not say it; empty: not."},
    {"cache_stale_while_revalidate", CONFIG_DURATION, "", CONFIG_SECOND, 365 * CONFIG_DAY,
     CONFIG_RELOADS, NULL,
     "For how long it is given while a new one is being asked for, likewise."},
    {"cache_key", CONFIG_KEY_PART, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "What tells answers apart besides scheme, host, path, query and what their Vary names: a "
     "header, a cookie, or the user, which lets answers to users be stored. At most 8."},
};

static const struct config_key cors_keys[] = {
    {"origins", CONFIG_PAGES, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Whose pages may ask and read the answers; empty: no other's. Those of Galley itself need not "
     "be named."},
    {"methods", CONFIG_TOKEN, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "What they may send; empty: what the path answers."},
    {"headers", CONFIG_TOKEN,
     "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, "
     "X-API-Key, X-Request-Id",
     0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL, "The headers that they may send."},
    {"expose", CONFIG_TOKEN,
     "ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
     "X-Request-Id",
     0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "The headers of answers that they may see."},
    {"credentials", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether cookies may come along; tokens in Authorization need no such permission. Not with "
     "origins = *."},
    {"max_age", CONFIG_DURATION, "10min", 0, CONFIG_DAY, CONFIG_RELOADS, NULL,
     "How long a browser need not ask again."},
};

const struct config_kind config_cors = {
    "cors",
    0,
    "Pages of other origins, such as a front end on a port of its own (docs/cors.md). Never for "
    "/_/.",
    CONFIG_KEYS(cors_keys),
};

const struct config_kind config_route = {
    "route",
    CONFIG_NAMED,
    "Which requests go where (docs/gateway.md): of the routes that fit, the most particular one.",
    CONFIG_KEYS(route_keys),
};

static const struct config_key compression_keys[] = {
    {"enabled", CONFIG_BOOL, "yes", 0, 0, CONFIG_RELOADS, NULL,
     "Whether text is sent compressed to clients that take it so (gzip, br)."},
    {"min_size", CONFIG_SIZE, "1KiB", 0, CONFIG_GIB, CONFIG_RELOADS, NULL,
     "The smallest answer that is worth it."},
};

const struct config_kind config_compression = {
    "compression",
    0,
    "Answers made smaller.",
    CONFIG_KEYS(compression_keys),
};
/* clang-format on */
