/* [server], and what else says where we listen and to whom: [listener NAME], [admin]. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: tables, a row a key */
static const struct config_key server_keys[] = {
    {"listen", CONFIG_ADDRESS, "127.0.0.1:8080", 0, 0, CONFIG_RESTART, NULL,
     "Where the server listens; port 0 picks a free one. A [listener NAME] adds another."},
    {"data", CONFIG_TEXT, "./data", 1, 4000, CONFIG_RESTART, NULL,
     "The data directory, seen from the working directory; made if it is missing. "
     "It must be ours and closed to others."},
    {"user", CONFIG_TEXT, "", 1, 32, CONFIG_RESTART, NULL,
     "Whom to become when started as root, once the listeners are open; empty: stay root, and "
     "warn."},
    {"workers", CONFIG_INT, "256", 4, 1024, CONFIG_RESTART, NULL,
     "Threads that serve requests. A connection that waits holds none."},
    {"connections", CONFIG_INT, "10000", 64, 1000000, CONFIG_RESTART, NULL,
     "Connections that may be open at once."},
    {"connections_per_address", CONFIG_INT, "512", 1, 1000000, CONFIG_RESTART, NULL,
     "Connections that one address may hold open."},
    {"requests_per_address", CONFIG_INT, "64", 1, 100000, CONFIG_RESTART, NULL,
     "Requests of one address that run at once; those beyond wait. One that waits for the disk "
     "or an upstream counts a quarter."},
    {"allow", CONFIG_CIDR, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "The addresses that alone are served anything, /healthz too; empty: all. Others get 403."},
    {"deny", CONFIG_CIDR, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Addresses that are served nothing, also if allow has them."},
    {"address_limit", CONFIG_RATE, "", 0, 0, CONFIG_RELOADS, NULL,
     "How many requests each address may send in all, whatever becomes of them; empty: any "
     "number."},
    {"rate_limit_headers", CONFIG_CHOICE, "standard", 0, 0, CONFIG_RELOADS, "standard all",
     "standard: RateLimit and RateLimit-Policy; all: X-RateLimit-Limit, -Remaining and -Reset "
     "too."},
    {"queue_timeout", CONFIG_DURATION, "1s", 10, CONFIG_MINUTE, CONFIG_RESTART, NULL,
     "A request that has waited so long for a thread is answered with 503."},
    {"head_timeout", CONFIG_DURATION, "10s", 100, CONFIG_HOUR, CONFIG_RESTART, NULL,
     "From the first byte of a request to the end of its head."},
    {"body_timeout", CONFIG_DURATION, "30s", 100, CONFIG_HOUR, CONFIG_RESTART, NULL,
     "Between two pieces of a body, or of an answer."},
    {"body_rate", CONFIG_SIZE, "1KiB", 0, CONFIG_GIB, CONFIG_RESTART, NULL,
     "What a body must bring, and a client take of an answer, each second on average; 0: any."},
    {"body_max", CONFIG_SIZE, "1MiB", CONFIG_KIB, 16 * CONFIG_MIB, CONFIG_RELOADS, NULL,
     "The largest body of a request, if its route does not say otherwise."},
    {"body_memory", CONFIG_SIZE, "256MiB", CONFIG_MIB, CONFIG_TIB, CONFIG_RESTART, NULL,
     "Bytes of bodies that are held at once, of all connections; 503 beyond."},
    {"idle_timeout", CONFIG_DURATION, "60s", 100, CONFIG_HOUR, CONFIG_RESTART, NULL,
     "Between two requests of a connection."},
    {"drain_delay", CONFIG_DURATION, "0ms", 0, 10 * CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "How long a stop goes on serving with /readyz at 503 before it accepts no more."},
    {"drain_timeout", CONFIG_DURATION, "10s", 0, 10 * CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "How long a stop waits for requests in flight and running jobs."},
    {"trusted_proxies", CONFIG_CIDR, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Who is believed about whom a request is from: Forwarded, X-Forwarded-*, X-Request-Id, the "
     "PROXY protocol."},
    {"acme_webroot", CONFIG_TEXT, "", 1, 4000, CONFIG_RESTART, NULL,
     "A directory where an ACME client (certbot --webroot) puts its answers, which are then served "
     "under /.well-known/acme-challenge/, also by listeners that redirect; empty: they are not."},
    {"landing", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "A page at / that leads on, for development, unless a route serves / itself."},
    {"openapi", CONFIG_CHOICE, "admin", 0, 0, CONFIG_RELOADS, "admin public off",
     "Who sees the description of the API at /openapi.json: who sees the administration ([admin] "
     "allow, listen), everybody, or nobody."},
    {"development", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether answers say more to who develops: X-Galley-Tried, the servers that a request was "
     "passed on to and what came of it. Not for the world outside."},
    {"hosts", CONFIG_HOST, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Names that /_/ answers to, besides localhost; addresses are always good."},
};

const struct config_kind config_server = {
    "server",
    0,
    "Where the server listens and what it takes from a client.",
    CONFIG_KEYS(server_keys),
};

static const struct config_key listener_keys[] = {
    {"address", CONFIG_ADDRESS, "", 0, 0, CONFIG_RESTART | CONFIG_REQUIRED, NULL,
     "Where to listen; port 0 picks a free one."},
    {"tls_cert", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "A file with a certificate and its chain (PEM). Given several times, each with its tls_key, "
     "the name that a client asks for (SNI) decides; the first is for all others. Empty: no TLS."},
    {"tls_key", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "The file with the private key of the certificate in the same place."},
    {"tls_client", CONFIG_CHOICE, "no", 0, 0, CONFIG_RELOADS, "no optional required",
     "Whether clients are asked for a certificate of their own."},
    {"tls_client_ca", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS, NULL,
     "A file with the authorities that those are checked against (PEM)."},
    {"hsts", CONFIG_DURATION, "365d", 0, 730 * CONFIG_DAY, CONFIG_RELOADS, NULL,
     "Under TLS, how long browsers are told to come back with TLS only (HSTS); 0ms: they are not "
     "told."},
    {"redirect_to", CONFIG_ORIGIN, "", 0, 0, CONFIG_RESTART, NULL,
     "Where every request is sent with 308, the path kept; empty: they are served."},
    {"proxy_protocol", CONFIG_BOOL, "no", 0, 0, CONFIG_RESTART, NULL,
     "Whether each connection begins with a PROXY protocol header (v1 or v2); "
     "only server.trusted_proxies may then connect."},
};

const struct config_kind config_listener = {
    "listener",
    CONFIG_NAMED,
    "One more place to listen on.",
    CONFIG_KEYS(listener_keys),
};

static const struct config_key admin_keys[] = {
    {"listen", CONFIG_ADDRESS, "", 0, 0, CONFIG_RESTART, NULL,
     "Where /_/ and /metrics are served, and then only there, with health; empty: on the other "
     "listeners."},
    {"allow", CONFIG_CIDR, "loopback, private", 0, 0, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS,
     NULL, "Who may see /_/ and /metrics."},
};

const struct config_kind config_admin = {
    "admin",
    0,
    "The admin pages and the metrics.",
    CONFIG_KEYS(admin_keys),
};
/* clang-format on */
