/* What no single value shows: references to other sections, values that only fit together. */
#include "server/config/config_private.h"
#include "server/config/suggest.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- References */

static void check_ref(const struct config *config, struct config_errors *errors,
                      const struct config_section *section, const struct config_key *row,
                      const struct config_value *value)
{
    if (!value->text[0] || config_find_section(config, row->of, value->text))
        return;
    struct suggestion near = suggestion_for(value->text);
    const struct config_section *known;
    for (unsigned i = 0; (known = config_named(config, row->of, i)); i++)
        suggestion_offer(&near, known->name);
    char hint[SUGGESTION_TEXT_SIZE];
    config_complain(errors, value->line, section, "%s: read \"%s\", but there is no [%s %s]%s",
                    row->name, value->text, row->of, value->text, suggestion_text(&near, hint));
}

static void check_refs(const struct config *config, struct config_errors *errors,
                       const struct config_section *section)
{
    for (unsigned i = 0; i < section->kind->key_count; i++) {
        const struct config_key *row = &section->kind->keys[i];
        const struct config_values *values = &section->values[i];
        for (unsigned at = 0; row->type == CONFIG_REF && at < values->count; at++)
            check_ref(config, errors, section, row, &values->at[at]);
    }
}

/* ---- What fits together */

/* The values of a key of a section; none if it could not be read. */
static const struct config_values *values_of(const struct config_section *section, const char *key)
{
    const struct config_key *row;
    return config_find_values(section, key, &row);
}

/* The text of a key's only value; "" if it could not be read. */
static const char *text_of(const struct config_section *section, const char *key)
{
    const struct config_values *values = values_of(section, key);
    return values->count > 0 ? values->at[0].text : "";
}

static bool is_loopback(const char *listen)
{
    struct config_address address;
    if (!config_parse_address(listen, &address) || address.path[0])
        return true; /* not there or refused already, or a file, which has permissions */
    struct in_addr v4;
    if (inet_pton(AF_INET, address.host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    struct in6_addr v6;
    return inet_pton(AF_INET6, address.host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* The first address beyond loopback on which routes are served, or NULL. */
static const char *public_address(const struct config *config)
{
    const char *main = text_of(config_section(config, "server"), "listen");
    if (!is_loopback(main))
        return main;
    const struct config_section *listener;
    for (unsigned i = 0; (listener = config_named(config, "listener", i)); i++) {
        const char *address = text_of(listener, "address");
        if (!is_loopback(address))
            return address;
    }
    return NULL;
}

/* The development data has a user whose password is known to everybody. */
static void check_seed(const struct config *config, struct config_errors *errors)
{
    const struct config_section *shop = config_find_section(config, "shop", "");
    const struct config_key *row;
    const struct config_values *seed = shop ? config_find_values(shop, "seed", &row) : NULL;
    const char *address = public_address(config);
    if (seed && seed->count > 0 && seed->at->number != 0 && address)
        config_complain(errors, seed->line, shop,
                        "seed: read \"yes\", which makes a user with a known password, but the "
                        "server listens on %s, beyond loopback; allowed: no, or listen = "
                        "127.0.0.1:PORT",
                        address);
}

static void check_listener(struct config_errors *errors, const struct config_section *listener)
{
    unsigned certs = values_of(listener, "tls_cert")->count;
    unsigned keys = values_of(listener, "tls_key")->count;
    if (certs != keys)
        config_complain(errors, listener->line, listener,
                        "has %u tls_cert and %u tls_key: each certificate has "
                        "its key",
                        certs, keys);
    bool asks =
        text_of(listener, "tls_client")[0] && strcmp(text_of(listener, "tls_client"), "no") != 0;
    if (asks && certs == 0)
        config_complain(errors, values_of(listener, "tls_client")->line, listener,
                        "tls_client: without tls_cert nobody can be asked for a certificate");
    if (asks && !text_of(listener, "tls_client_ca")[0])
        config_complain(errors, values_of(listener, "tls_client")->line, listener,
                        "tls_client: wants tls_client_ca, the authorities to check against");
}

static bool names_everybody(const struct config_section *section, const char *key)
{
    const struct config_values *origins = values_of(section, key);
    for (unsigned i = 0; i < origins->count; i++) {
        if (strcmp(origins->at[i].text, "*") == 0)
            return true;
    }
    return false;
}

static void check_route_cors(struct config_errors *errors, const struct config_section *cors,
                             const struct config_section *route)
{
    const struct config_values *value = values_of(cors, "credentials");
    const char *own = text_of(route, "cors_credentials");
    bool all = value->count > 0 && value->at->number != 0;
    bool named = values_of(route, "cors_origins")->count > 0;
    bool with = strcmp(own, "yes") == 0 || (all && strcmp(own, "no") != 0);
    bool everybody =
        named ? names_everybody(route, "cors_origins") : !all && names_everybody(cors, "origins");
    if (with && everybody)
        config_complain(errors, route->line, route,
                        "cors_origins: * lets everybody's pages ask, but credentials may come "
                        "along; allowed: the origins by name, or cors_credentials = no");
}

/* gateway.h */
#define ROLES_MAX      16
#define TIERS_MAX      8
#define CACHE_KEYS_MAX 8

static void check_count(struct config_errors *errors, const struct config_section *route,
                        const char *key, unsigned most)
{
    const struct config_values *values = values_of(route, key);
    if (values->count > most)
        config_complain(errors, values->line, route, "%s: there are %u, at most %u are allowed",
                        key, values->count, most);
}

/* The standard forbids it, as it would give everybody's pages what is the user's alone. */
static void check_cors(const struct config *config, struct config_errors *errors)
{
    const struct config_section *cors = config_section(config, "cors"), *route;
    const struct config_values *value = values_of(cors, "credentials");
    if (value->count > 0 && value->at->number != 0 && names_everybody(cors, "origins"))
        config_complain(errors, value->line, cors,
                        "credentials: read \"yes\", but origins = * lets everybody's pages ask; "
                        "allowed: no, or the origins by name");
    for (unsigned i = 0; (route = config_named(config, "route", i)); i++)
        check_route_cors(errors, cors, route);
}

void config_check(const struct config *config, struct config_errors *errors)
{
    for (unsigned i = 0; i < config->count; i++)
        check_refs(config, errors, config->sections[i]);
    const struct config_section *listener;
    for (unsigned i = 0; (listener = config_named(config, "listener", i)); i++)
        check_listener(errors, listener);
    const struct config_section *route;
    for (unsigned i = 0; (route = config_named(config, "route", i)); i++) {
        check_count(errors, route, "roles", ROLES_MAX);
        check_count(errors, route, "rate_tier", TIERS_MAX);
        check_count(errors, route, "cache_key", CACHE_KEYS_MAX);
    }
    const struct config_section *upstream;
    for (unsigned i = 0; (upstream = config_named(config, "upstream", i)); i++)
        config_check_upstream(upstream, errors);
    config_check_addresses(config, errors);
    check_seed(config, errors);
    check_cors(config, errors);
}
