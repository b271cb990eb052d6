/* Where the servers of an upstream come from: those that the configuration has by address, those
 * behind names, those in a file. What was found is kept until something else is: a name server that
 * is away, or a file that is damaged, takes nothing. Threads: one at a time, but for looking. */
#ifndef GALLEY_SERVER_UPSTREAM_SOURCES_H
#define GALLEY_SERVER_UPSTREAM_SOURCES_H

#include "server/upstream/upstream.h"

#include <sys/stat.h>

struct found_server {
    char name[BALANCER_NAME_SIZE];
    char zone[BALANCER_ZONE_SIZE];
    unsigned weight;
    bool backup;
};

/* What looking has brought; zeroed: nothing. */
struct finding {
    struct found_server *servers; /* owned; sorted, so that the same are equal */
    unsigned count;
    int64_t good_for_ns; /* then it is looked again */
};

void finding_release(struct finding *finding);

/* A name or a file. */
struct source {
    char *name;                       /* or NULL: a file */
    char *path;                       /* or NULL */
    uint16_t port;                    /* of a name; 0: of a service, whose ports DNS has */
    struct balancer_server_spec like; /* its servers, but for name, and of a file but for more */
    bool has_resolver, local_allowed;
    struct sockaddr_in resolver;

    struct finding found;
    int64_t due_ns;    /* when it is looked at again; 0: now */
    struct stat seen;  /* of a file, when it was read last */
    char failure[200]; /* that was said; "": it goes well */
};

/* A server that said so itself. */
struct registered {
    struct found_server server;
    int64_t until_ns;
};

struct sources {
    char *upstream;                   /* its name */
    struct balancer_settings balance; /* owns what it points to, but open, close, arg */
    struct source *list;
    unsigned count;
    char *register_key; /* "": nobody may */
    struct registered *registered;
    unsigned registered_count;
};

struct sources *sources_create(const struct upstream_options *options);
void sources_destroy(struct sources **sources); /* NULL is fine */

/* Takes what `before` has found in the same names and files. */
void sources_inherit(struct sources *sources, const struct sources *before);

/* Looks into one: reads a file, or asks a name server, which may take seconds. 1: *out is new and
 * the caller's; 0: it is as it was; -1 with why. Touches nothing but `seen`. */
int source_look(struct source *source, struct finding *out, char *why, size_t why_size);

/* "10.0.0.1:80", "[fd00::1]:80" or "unix:/path"; no name, which would have to be looked up. */
bool source_is_address(const char *text);

bool findings_equal(const struct finding *a, const struct finding *b);

/* registry.c: drops those who have been silent for too long; true if there were some. */
bool registry_expire(struct sources *sources, int64_t now_ns);

/* The settings with all servers that are known now, which point into sources and into `specs`, and
 * of which no two have the same name. */
struct balancer_settings sources_settings(const struct sources *sources,
                                          struct balancer_server_spec specs[BALANCER_SERVERS_MAX]);

#endif
