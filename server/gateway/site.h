/* The target static:DIR: the files of a folder. Nothing outside of it is served whatever a path or
 * a symbolic link says, nor what begins with a dot, but for .well-known. Small files go out as a
 * body, larger ones as a feed from an open descriptor, in constant memory.
 *
 * A file FILE.br or FILE.gz beside a text goes out in its place to those who take it so, if it is
 * not older. Threads: any. */
#ifndef GALLEY_SERVER_GATEWAY_SITE_H
#define GALLEY_SERVER_GATEWAY_SITE_H

#include "server/http/message.h"

struct site;

struct site_options {
    const char *dir;
    const char *index;    /* the file of a folder: "index.html"; "": none */
    const char *fallback; /* that is served for pages that are not there, with 200; "": none */
    int64_t max_age_s;    /* that caches need not ask again */
    bool shared;          /* they may keep it for everybody */
};

/* ERR_NOT_FOUND, with why, if the folder cannot be opened. Copies all of it. */
enum err site_open(const struct site_options *options, struct site **out, char *why,
                   size_t why_size);
void site_drop(void *site);

/* Serves what the parameter "*" of the path names; without one, and where the route rewrites it,
 * the path. */
void site_target(struct request *request, struct response *response, void *site);

#endif
