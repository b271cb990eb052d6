/* [upstream NAME]: servers that answer requests, how they are chosen, and what is done when they
 * fail. */
#include "server/config/config_private.h"

#include <stddef.h>

/* clang-format off: a table, a row a key */
static const struct config_key upstream_keys[] = {
    {"server", CONFIG_SERVER, "", 0, 0, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "One of its servers; a line for each. A name is looked up as often as DNS says, and each of "
     "its "
     "addresses is a server; one that begins with _ stands for a service (SRV). weight: its share; "
     "zone: where it is; backup: asked "
     "when no other can be; max_conns: requests at once, 0 for any number; max_fails within "
     "fail_timeout take it out for fail_timeout, 0 never."},

    {"servers_file", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS, NULL,
     "A JSON file with more servers, which is looked at every second: {\"servers\": [{\"address\": "
     "\"10.0.0.1:80\", \"weight\": 2, \"zone\": \"a\", \"backup\": false}]}; empty: none."},
    {"register_key", CONFIG_TEXT, "", 16, 200, CONFIG_RELOADS | CONFIG_SECRET, NULL,
     "The secret with which servers register themselves: POST /api/v1/upstreams/NAME/servers, "
     "from networks that [admin] allows; empty: they may not."},
    {"resolver", CONFIG_ADDRESS, "", 0, 0, CONFIG_RELOADS, NULL,
     "The name server that names are looked up at, ADDRESS:PORT of IPv4; empty: those of the "
     "system."},
    {"resolve_local", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether a name may lead to loopback and link-local addresses; if not they are left out."},

    {"balance", CONFIG_CHOICE, "round_robin", 0, 0, CONFIG_RELOADS,
     "round_robin least_conn random hash ewma",
     "Which server is asked next: by weight in turn; the one with the fewest requests for its "
     "weight; the better of two at random; always the same for the same hash_key; the one that "
     "has answered fastest."},
    {"hash_key", CONFIG_HASH_KEY, "address", 0, 0, CONFIG_RELOADS, NULL,
     "What balance = hash goes by."},
    {"zone", CONFIG_TEXT, "", 1, 32, CONFIG_RELOADS, NULL,
     "Where we are: servers of this zone are asked first, the others when none of it can be."},

    {"connect_timeout", CONFIG_DURATION, "1s", 10, CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "For a connection, and its TLS handshake."},
    {"first_byte_timeout", CONFIG_DURATION, "15s", 10, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "From the whole request to the first byte of the answer, and between two pieces of it."},
    {"timeout", CONFIG_DURATION, "30s", 10, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "For the head of an answer in all, retries too."},
    {"keepalive", CONFIG_INT, "32", 0, 10000, CONFIG_RELOADS, NULL,
     "Connections to each server that are kept open when nobody uses them."},
    {"keepalive_timeout", CONFIG_DURATION, "60s", 100, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long they are kept."},

    {"check", CONFIG_CHOICE, "tcp", 0, 0, CONFIG_RELOADS, "no tcp http",
     "How servers are asked whether they are well: not at all, by connecting, or by GET."},
    {"check_path", CONFIG_TEXT, "/", 1, 1000, CONFIG_RELOADS, NULL, "What check = http asks for."},
    {"check_status", CONFIG_TEXT, "200-399", 3, 7, CONFIG_RELOADS, NULL,
     "The status, or the least and the greatest, of a server that is well."},
    {"check_body", CONFIG_TEXT, "", 1, 200, CONFIG_RELOADS, NULL,
     "Text that its answer has in it, within the first 16 KiB; empty: whatever."},
    {"check_interval", CONFIG_DURATION, "2s", 100, CONFIG_HOUR, CONFIG_RELOADS, NULL, "How often."},
    {"check_timeout", CONFIG_DURATION, "1s", 10, CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "How long a check may take."},
    {"check_rise", CONFIG_INT, "2", 1, 100, CONFIG_RELOADS, NULL,
     "Checks in a row that must succeed before a server counts as well again."},
    {"check_fall", CONFIG_INT, "3", 1, 100, CONFIG_RELOADS, NULL,
     "Checks in a row that must fail before it does not."},

    {"outlier_errors", CONFIG_INT, "5", 0, 1000, CONFIG_RELOADS, NULL,
     "Answers of 500 and above in a row, or none at all, that eject a server; 0: never."},
    {"outlier_time", CONFIG_DURATION, "30s", 100, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "For how long, times the number of ejections so far"},
    {"outlier_time_max", CONFIG_DURATION, "300s", 100, CONFIG_DAY, CONFIG_RELOADS, NULL,
     "and at most."},
    {"outlier_share", CONFIG_INT, "50", 0, 100, CONFIG_RELOADS, NULL,
     "Percent of the servers that may be ejected at once. The last one never is."},
    {"slow_start", CONFIG_DURATION, "10s", 0, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long a server that comes back takes until it has its whole share; 0: none."},

    {"retries", CONFIG_INT, "1", 0, 10, CONFIG_RELOADS, NULL,
     "How often a request is sent again: when no connection came about, or with a method that may "
     "be repeated (GET, HEAD, PUT, DELETE, OPTIONS) after an error or 502, 503 or 504."},
    {"retry_delay", CONFIG_DURATION, "25ms", 0, CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "The least wait before a retry at the same server; it doubles"},
    {"retry_delay_max", CONFIG_DURATION, "250ms", 0, CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "up to this."},
    {"retry_budget", CONFIG_INT, "20", 0, 100, CONFIG_RELOADS, NULL,
     "Retries of the last ten seconds, at most in percent of their requests; three always may."},
    {"hedge_after", CONFIG_DURATION, "", 1, CONFIG_MINUTE, CONFIG_RELOADS, NULL,
     "A GET, HEAD or OPTIONS without a body that has no answer by then goes to another server, "
     "too, as far as retry_budget lasts; the first answer counts; empty: never."},
    {"retry_body_max", CONFIG_SIZE, "64KiB", 0, 16 * CONFIG_MIB, CONFIG_RELOADS, NULL,
     "The largest body that is kept to be sent again."},

    {"breaker_share", CONFIG_INT, "50", 0, 100, CONFIG_RELOADS, NULL,
     "Percent of failures that open the breaker: then all is answered with 503 at once; 0: never."},
    {"breaker_requests", CONFIG_INT, "20", 1, 100000, CONFIG_RELOADS, NULL,
     "The least number of requests within"},
    {"breaker_window", CONFIG_DURATION, "10s", CONFIG_SECOND, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "this time."},
    {"breaker_time", CONFIG_DURATION, "10s", 100, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long it stays open."},
    {"breaker_probes", CONFIG_INT, "3", 1, 1000, CONFIG_RELOADS, NULL,
     "Requests that are let through then; if all succeed it closes."},
    {"requests_max", CONFIG_INT, "256", 1, 1000000, CONFIG_RELOADS, NULL,
     "Requests to all of its servers at once, but for streams; those beyond get 503."},

    {"requests_per_address", CONFIG_INT, "", 1, 1000000, CONFIG_RELOADS, NULL,
     "How many of them one address may have; those beyond get 429; empty: a quarter of "
     "requests_max, at least 16."},
    {"queue", CONFIG_INT, "0", 0, 100000, CONFIG_RELOADS, NULL,
     "How many may wait, beyond requests_max or when every server has its max_conns; 0: none, they "
     "get 503 at once."},
    {"queue_timeout", CONFIG_DURATION, "2s", 10, CONFIG_HOUR, CONFIG_RELOADS, NULL,
     "How long, until 503."},

    {"proxy_protocol", CONFIG_CHOICE, "no", 0, 0, CONFIG_RELOADS, "no v1 v2",
     "Whether connections begin with the client's address, and in which version of the PROXY "
     "protocol; then each request has a connection of its own, whatever keepalive says."},
    {"tls", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL, "Whether its servers speak TLS."},
    {"tls_verify", CONFIG_BOOL, "yes", 0, 0, CONFIG_RELOADS, NULL,
     "Whether their certificates are checked."},
    {"tls_ca", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS, NULL,
     "A PEM file of the authorities that may have signed them; empty: those of the system."},
    {"tls_server_name", CONFIG_HOST, "", 0, 0, CONFIG_RELOADS, NULL,
     "The name that they must be for, and that is asked for; empty: the address of a server line."},
    {"tls_cert", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS, NULL,
     "A PEM file: the certificate that we show, and its chain; empty: none."},
    {"tls_key", CONFIG_TEXT, "", 1, 4000, CONFIG_RELOADS, NULL, "A PEM file: its key."},
};
/* clang-format on */

const struct config_kind config_upstream = {
    "upstream",
    CONFIG_NAMED,
    "Servers that requests are passed on to (docs/gateway.md): target = upstream:NAME of a route.",
    CONFIG_KEYS(upstream_keys),
};
