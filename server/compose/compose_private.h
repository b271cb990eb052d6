/* What a composed request is made of. */
#ifndef GALLEY_SERVER_COMPOSE_COMPOSE_PRIVATE_H
#define GALLEY_SERVER_COMPOSE_COMPOSE_PRIVATE_H

#include "server/compose/compose.h"

struct template;

struct part {
    struct compose_part spec; /* strings are its own */
    struct template *target;
    unsigned after; /* a set: which parts it needs values of */
};

struct compose {
    struct compose_options options; /* without parts */
    unsigned count;
    struct part parts[COMPOSE_PARTS_MAX];
};

/* ---- A request on its way. */

struct run;

struct part_run {
    struct request request;
    struct response response;
    struct run *run;
    const struct part *part;
    enum {
        PART_WAITING, /* for values of others */
        PART_RUNNING,
        PART_FEEDING, /* its answer comes bit by bit */
        PART_OVER
    } state;
    enum err err;      /* ERR_OK: `text` is its answer */
    int status;        /* that it was answered with; 0: not at all */
    bool begun;        /* there is a request */
    bool told;         /* that nobody waits for it any more: it ends by itself */
    bool personal;     /* its answer is not for everybody, or not for always */
    bool awaits;       /* somebody has it (request_await) */
    bool polls;        /* or a descriptor has to become ready */
    int fd;            /* the last one of those, or -1 */
    int64_t until_ns;  /* it is over, at the latest */
    int64_t wait_ns;   /* what it waits for is, at the latest */
    struct buf target; /* path and query of the request */
    struct buf text;   /* its answer */
};

struct run {
    struct compose *compose;
    struct request *request;
    struct response *response;
    int epoll_fd; /* awaited by the request; in it are: */
    int timer_fd; /* the next of the parts' times, */
    int event_fd; /* parts that were resumed, and the parts' descriptors */
    enum err err; /* there is no composed answer, whatever the parts come to */
    unsigned left;
    int64_t until_ns; /* all parts are over, at the latest */
    unsigned header_count;
    struct header headers[HEADERS_MAX]; /* of each part's request */
    struct part_run parts[];
};

/* ---- template.c */

/* NULL, with why. `parts` are those before: *after is set to those that it needs. */
struct template *template_read(const char *text, const struct part *parts, unsigned count,
                               unsigned *after, char *why, size_t why_size);
void template_free(struct template *template);
/* Appends the target. False: a value is missing, or none that may stand there. */
bool template_fill(const struct template *template, const struct run *run, struct buf *out);

/* ---- merge.c */

/* Answers the request with what the parts came to. */
void merge(const struct run *run);
/* Is it one whole value? */
bool is_json(struct slice text);

#endif
