/* Where several sections listen: no two of them at one place. */
#include "server/config/config_private.h"

#include <string.h>

struct place {
    const struct config_section *section;
    struct config_address address;
};

/* One that is for all of its family, in any writing that inet_pton takes: nothing but zeros. */
static bool is_any(const char *host)
{
    return strspn(host, "0.:") == strlen(host);
}

static bool same_place(const struct config_address *a, const struct config_address *b)
{
    if (a->path[0] || b->path[0])
        return strcmp(a->path, b->path) == 0;
    bool same_family = !strchr(a->host, ':') == !strchr(b->host, ':');
    return a->port != 0 && a->port == b->port && same_family &&
           (strcmp(a->host, b->host) == 0 || is_any(a->host) || is_any(b->host));
}

static void check_place(const struct place *places, unsigned count, const char *key,
                        struct config_errors *errors)
{
    const struct place *own = &places[count - 1];
    const struct config_key *row;
    const struct config_values *values = config_find_values(own->section, key, &row);
    for (unsigned i = 0; i + 1 < count; i++) {
        const struct config_section *other = places[i].section;
        if (!same_place(&places[i].address, &own->address))
            continue;
        config_complain(errors, values->line, own->section,
                        "%s: read \"%s\", but [%s%s%s] listens there", key, values->at->text,
                        other->kind->name, other->name[0] ? " " : "", other->name);
        return;
    }
}

/* False where nothing is that could be read. */
static bool read_place(const struct config_section *section, const char *key, struct place *out)
{
    const struct config_key *row;
    const struct config_values *values = config_find_values(section, key, &row);
    out->section = section;
    return values->count > 0 && config_parse_address(values->at->text, &out->address);
}

#define PLACES_MAX 66 /* [server], [admin] and as many listeners as anybody has */

void config_check_addresses(const struct config *config, struct config_errors *errors)
{
    struct place places[PLACES_MAX];
    const struct config_section *listener;
    unsigned count = 0;
    count += read_place(config_section(config, "server"), "listen", &places[count]);
    for (unsigned i = 0; (listener = config_named(config, "listener", i)) && count < PLACES_MAX - 1;
         i++) {
        if (read_place(listener, "address", &places[count]))
            check_place(places, ++count, "address", errors);
    }
    if (read_place(config_section(config, "admin"), "listen", &places[count]))
        check_place(places, ++count, "listen", errors);
}
