/* crowd: many clients in one thread, well-behaved and not. What is shared by its files.
 *
 * DESIGN. Every client is one non-blocking socket in one edge-triggered epoll set and one row of an
 * array. What a kind of client does when it is connected, when bytes come and once in every
 * `every_ms` stands in a table (kinds.c). The steps of N clients are spread evenly over that time,
 * so that a crowd never moves all at once. Nothing waits without a bound: opening ends after
 * `patience_s`, measuring after `seconds` or SIGTERM.
 *
 * Threads: one. Errors of the machine (no descriptors, no memory) end the program with a line. */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

/* What a kind of client does. Any of the functions may be NULL. */
struct kind {
    const char *name, *help;
    void (*connected)(struct client *c);                                /* TLS included */
    void (*received)(struct client *c, const char *bytes, size_t size); /* as they came */
    void (*step)(struct client *c, int64_t planned_ns);                 /* once in every_ms */
    bool reads_slowly; /* bytes are taken by steps alone */
    bool opens_again;  /* at the next step, when the server has cut it */
};

struct options {
    const struct kind *kind;
    struct sockaddr_in server;
    char authority[64];                 /* for the Host header */
    const char *path;                   /* of the request */
    int64_t clients, seconds, every_ms; /* how many, how long, how often each takes a step */
    int64_t sources, first_source;      /* they come from 127.1.0.first_source and the next ones */
    int64_t rate, at_once,
        patience_s;       /* of opening: new a second (0: any), under way, time for all */
    int64_t size, window; /* a slow body's length; a slow reader's SO_RCVBUF; bytes */
    int64_t tls;
};

enum phase { CLOSED, CONNECTING, SHAKING, OPEN };

struct client {
    int fd;
    enum phase phase;
    bool settled;     /* it has come as far as "ready" asks for; counted once */
    bool asking;      /* a request is under way */
    bool in_body;     /* of the answer that is being read */
    uint16_t status;  /* of that answer */
    uint32_t have;    /* bytes in `text` */
    uint32_t sent;    /* steps of a slow sender */
    int64_t left;     /* bytes of the body to come; -1: without an end */
    int64_t began_ns; /* opening, or asking */
    SSL *ssl;
    char text[1024]; /* an answer's head, or a line of a stream */
};

struct crowd {
    struct options options;
    struct client *clients;
    SSL_CTX *tls;
    int epoll;
    int64_t opening;         /* under way */
    int64_t settled, failed; /* of the first opening of each: ready, never got there */
    int64_t opened, lost; /* connections; ended by the server or an error after they were ready */
    int64_t answers, errors;  /* whole answers or events; those with a status of 400 and more */
    int64_t measured_from_ns; /* 0 while not all are ready */
};

extern struct crowd crowd;

/* kinds.c. The row of that name, or NULL; prints all rows with their help. */
const struct kind *kind_find(const char *name);
void kind_print_all(void);

/* link.c. Connections, with and without TLS. */

/* Begins to open a connection; its outcome comes through epoll. A socket that cannot even begin
 * counts as failed or lost. */
void link_open(struct client *c);
/* To be called for each epoll event: goes on connecting and shaking hands, then calls `connected`.
 * True if there may be bytes to read. */
bool link_advance(struct client *c);
/* Sends without waiting; what does not fit is dropped, which only slow senders can meet. False:
 * ended. */
bool link_send(struct client *c, const void *bytes, size_t size);
/* More than 0: bytes; 0: nothing now; -1: ended (the client is closed by then). */
long link_receive(struct client *c, void *out, size_t room);
/* Closes; `lost` says that it was not our wish. */
void link_close(struct client *c, bool lost);
/* Counts the client as ready. Only the first call for a client counts. */
void link_settle(struct client *c);

/* stats.c. Delays, in nanoseconds. Those before all are ready are left out. */
void stats_add(int64_t delay_ns);
double stats_quantile_ms(double quantile); /* 0 to 1; 0 if there are none */

int64_t now_ns(void);  /* CLOCK_MONOTONIC */
int64_t wall_ms(void); /* since 1970 */
_Noreturn void give_up(const char *what);
