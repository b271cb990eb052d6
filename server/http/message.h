/* A request and its response, as plain data: what every layer above the sockets works on.
 *
 * Slices of a request point into memory of its connection and are valid until the response has been
 * sent. One thread at a time has an exchange: a worker until the answer stands, then perhaps the
 * front's hub, which sends what the client does not take at once. Nothing here locks. */
#ifndef GALLEY_SERVER_HTTP_MESSAGE_H
#define GALLEY_SERVER_HTTP_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "server/http/feed.h"

#define HEADERS_MAX         64
#define PARAMS_MAX          8
#define PRINCIPAL_ID_MAX    128
#define REQUEST_TRIED_SIZE  104
#define PRINCIPAL_ROLES_MAX 8

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_COUNT
};

const char *method_name(enum method method);
bool method_parse(struct slice text, enum method *out);

struct header {
    struct slice name, value; /* value without surrounding white space */
};

struct param {
    struct slice name, value; /* decoded */
};

/* Who asks. Empty id: nobody signed in. Filled by the gateway's authenticate stage. */
struct principal {
    char id[PRINCIPAL_ID_MAX + 1];
    char roles[PRINCIPAL_ROLES_MAX][33];
    unsigned role_count;
    /* Of the token: what identity/users.h needs to stop it. */
    int64_t generation; /* 0 at first */
    struct id token;    /* names it */
    int64_t until_ms;   /* it ends, wall clock */
};

bool principal_has_role(const struct principal *principal, const char *role);

struct txn;
struct response;
struct route;    /* the gateway's */
struct plan;     /* the gateway's */
struct exchange; /* the gateway's */

/* Work that a layer above the handler wants inside the handler's write transaction, after the
 * handler succeeded: the idempotency record. An error aborts the whole transaction. */
struct commit_hook {
    enum err (*fn)(struct txn *txn, const struct response *response, void *arg); /* or NULL */
    void *arg;
};

/* How much a request matters when there are too many. */
enum priority { PRIORITY_CRITICAL, PRIORITY_NORMAL, PRIORITY_LOW };

/* Where the body of a request comes from: implemented by the front. One thread at a time. */
struct body_source {
    int64_t length;             /* as announced; -1: in chunks, its end will show */
    const struct buf *trailers; /* lines behind its last chunk, once it has ended; or NULL */
    /* As request_body_read, request_body_gather and request_body_some. */
    enum err (*read)(struct body_source *source, void *out, size_t room, size_t *got);
    enum err (*gather)(struct body_source *source, size_t max, struct slice *out, bool *whole);
    enum err (*some)(struct body_source *source, void *out, size_t room, size_t *got, bool *whole);
};

/* Why a request that has awaited a descriptor is called again. */
enum wake {
    WAKE_READY,
    WAKE_TIMEOUT,
    WAKE_GONE,     /* the client has closed, or will send nothing more */
    WAKE_STOPPING, /* the front closes: nobody will be called again */
};

#define AWAIT_RING (UINT64_C(1) << 32) /* is added to a bell */

struct descriptor_wait {
    bool wanted, write, body;
    int fd;
    int bell;         /* an eventfd, or -1 */
    int64_t until_ns; /* monotonic */
};

struct request {
    enum method method;
    struct slice path;  /* decoded once, dot segments removed, begins with '/' */
    struct slice query; /* raw, without '?' */
    const struct header *headers;
    unsigned header_count;
    struct slice body; /* whole, once it has been gathered; empty if none */
    uint64_t body_max; /* of a body that its target reads itself; set by the gateway */
    size_t json_max;   /* an answer of JSON is wanted whole, up to so many bytes; 0: as it comes */
    struct body_source *body_source; /* NULL: there is nothing but `body` */
    struct slice forwarded_host;     /* as request_host; NULL: no trusted proxy says it */
    struct slice address;            /* text of the client's IP address */
    struct slice network; /* bytes of what counts as one client: the IPv4 address or IPv6 /64 */
    char id[65];          /* request id; made by the front, may be replaced by the gateway */
    int64_t received_ms;  /* wall clock */
    int64_t started_ns;   /* monotonic, when the head was complete */
    bool peer_trusted;    /* the peer may set X-Request-Id and forwarding headers */
    unsigned listener;    /* that it came to, in the order of the front's */
    bool local;           /* came over the control socket: whoever can open it owns the data */
    unsigned depth;       /* of a part of a composed answer: it is not a client's own; 0: it is */
    bool http10;          /* it says so itself */
    bool secure;          /* the client speaks TLS, to us or to a trusted proxy */
    uint16_t local_port;  /* that it came to; 0 over a Unix socket */

    /* What has come of the request line when it cannot be read, for the log; else NULL. */
    struct slice first_line;

    /* Of who passes it on: the servers that were asked, and what came of it, cut at the end:
     * "10.0.0.1:80 unreachable, 10.0.0.2:80 200". */
    char tried[REQUEST_TRIED_SIZE];
    unsigned tries;        /* how many were asked */
    const char *upstream;  /* that they are of; static; NULL: none */
    int64_t first_byte_ns; /* that the last of them took to the head of its answer; 0: none came */
    const char *cached;    /* what the response cache did; static; NULL: nothing */

    /* Filled on the way through the gateway. */
    struct param params[PARAMS_MAX]; /* of the route's pattern */
    unsigned param_count;
    struct principal user;
    json_t *json; /* the parsed and validated body, owned by the exchange, or NULL */
    struct commit_hook before_commit;
    const struct route *route; /* NULL until one is found */
    struct slice inner;        /* the path that its target is to see, if not `path`; else NULL */
    int64_t target_ns; /* that its target may take (route_spec's timeout); 0: as its own word is */
    unsigned choice;   /* of several targets, one more than its place; 0: none is chosen yet */
    bool mirrored;     /* a copy has been made, or was not to be */
    bool preflight;    /* a browser asks for a page whether it may send something (CORS) */
    struct plan *plan; /* held until the answer was sent; or NULL */
    struct exchange *exchange; /* until it is answered; or NULL */
    bool leads; /* others wait for its answer, so its parts wait for nobody's: it may be its own */

    /* Says the head of an answer below 200 to the client, which may come from its server before the
     * answer itself (103). By who has the request; the bytes are whole, and copied as far as the
     * client does not take them at once. NULL: nobody would hear it. */
    void (*interim)(struct request *request, struct slice head);

    /* An answer that comes later: request_await. */
    void (*resume)(struct request *request); /* the front's */
    bool awaiting;
    struct descriptor_wait wait; /* request_await_fd's */
    enum wake woken;             /* how the last of these ended */
    void *awaited; /* its target's own: what it left for when it is called again; or NULL */
};

/* Reads on in the body: *got bytes into out[room]; 0: it has ended. Blocks for as long as the
 * client keeps up the least rate. The first call says "100 Continue" to a client that waits for it.
 * ERR_TIMEOUT, ERR_MALFORMED, ERR_OVERLOADED (evicted), ERR_DRAINING. */
enum err request_body_read(struct request *request, void *out, size_t room, size_t *got);

/* Gathers what has come of the body into request->body, in place if it came with the head; does not
 * wait. *whole: that was all. Else the handler returns without an answer and is called again, with
 * the same request, when more has come. ERR_BODY_TOO_LARGE beyond `max`, ERR_OVERLOADED beyond what
 * all bodies together may take, and as request_body_read. */
enum err request_body_gather(struct request *request, size_t max, bool *whole);

/* Reads on without waiting: *got bytes into out[room]; *whole: the body has ended. With neither the
 * handler returns without an answer and is called again, with the same request, when more has come.
 * Errors as request_body_read's. */
enum err request_body_some(struct request *request, void *out, size_t room, size_t *got,
                           bool *whole);

/* Says that the answer comes later. Then the handler may give the request to another thread,
 * touches neither it nor its response any more, and returns; it is called again, with the same
 * request, after request_resume, which the other thread calls once as the last thing it does. No
 * thread is held meanwhile, and the client's going is not noticed. */
void request_await(struct request *request);
void request_resume(struct request *request);
/* It did not come to that: nobody has got the request. */
void request_await_no_more(struct request *request);

/* As request_await, but the handler is called again when the descriptor (a socket) can be read, or
 * written to, at until_ns, or when the client goes, whichever comes first; request->woken says
 * which. In all cases but the first the socket has been shut down. It may stay registered with the
 * front's epoll set, disarmed, until it is closed. */
void request_await_fd(struct request *request, int fd, bool write, int64_t until_ns);

/* Likewise for what is no socket, such as an epoll set that `bell`, an eventfd, is in: that is rung
 * instead of shutting the descriptor down. */
void request_await_set(struct request *request, int fd, int bell, int64_t until_ns);

/* After request_body_some has found nothing: likewise until more of the body has come, or the
 * descriptor can be read. The client has the time that bodies have. */
void request_await_body_or_fd(struct request *request, int fd);

/* The path as a target is to see it: without what the route strips off, or rewritten. */
static inline struct slice request_inner_path(const struct request *request)
{
    return request->inner.ptr ? request->inner : request->path;
}

/* The value of the first header of that name (any case), or a NULL slice. */
struct slice request_header(const struct request *request, const char *name);
/* Whom the client has asked for: "host[:port]", by a trusted proxy's word if there is one. */
struct slice request_host(const struct request *request);
/* The number of headers of that name. */
unsigned request_header_count(const struct request *request, const char *name);
/* The value of a cookie, or a NULL slice. */
struct slice request_cookie(const struct request *request, const char *name);
/* A parameter of the path pattern, or a NULL slice. */
struct slice request_param(const struct request *request, const char *name);
/* A parameter of the query, percent-decoded into `scratch`; a NULL slice if it is missing, an empty
 * one if it is malformed: not absent, and not a value that anything asks for. */
struct slice request_query(const struct request *request, const char *name, struct buf *scratch);

/* Whether a server might take one name for the other: X_User_Id is X-User-Id to those that make
 * variables of fields, as CGI does. */
bool header_name_stands_for(struct slice name, const char *other);

/* application/json or application/anything+json; parameters do not matter. */
bool content_type_is_json(struct slice content_type);

struct schema;

/* Reads the body, which must be JSON that fits the schema: *out is the caller's (json_decref).
 * False after answering what is wrong with it; *out is NULL then. */
bool request_read_json(const struct request *request, const struct schema *schema,
                       struct response *response, json_t **out);

struct response {
    int status;         /* 0: not answered yet; stays so while something is awaited */
    struct buf headers; /* "Name: value\r\n" lines, without those that the front writes itself:
                           Date, Content-Length, Connection, X-Request-Id, security headers */
    struct buf body;
    struct slice
        borrowed; /* instead of body, when ptr is set: bytes that stay valid until release */
    void (*release)(void *arg); /* called once after sending or dropping, a feed too; or NULL */
    void *release_arg;
    struct feed feed;   /* instead of a body, when feed.fill is set; not asked for HEAD */
    bool close;         /* close the connection after this */
    bool passed_on;     /* of another server: Date and the security headers are its own */
    bool says_security; /* what there is of SECURITY_HEADERS is among the headers */
    bool quiet;   /* unless it is an error, logged at debug: asked for often, and by machines */
    enum err err; /* what went wrong, for log and metrics; ERR_OK otherwise */
};

/* Of every answer of ours that does not say otherwise. */
#define SECURITY_HEADERS                                                                           \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "X-Frame-Options: DENY\r\n"                                                                    \
    "Referrer-Policy: no-referrer\r\n"

/* Of pages of ours that do not say otherwise: nobody turns their links elsewhere, and no plug-ins.
 */
#define PAGE_POLICY "base-uri 'self'; object-src 'none'"

/* What became of an answer. */
enum outcome {
    SENT_WHOLE,
    SENT_GONE,    /* the client has closed or broken the connection */
    SENT_TIMEOUT, /* the client did not take it in time */
    SENT_CUT,     /* by us: evicted, or stopping */
    OUTCOMES
};

struct sent {
    enum outcome outcome;
    uint64_t
        body_bytes; /* that the socket took, without the head; more than it got if it is gone */
    int64_t duration_ns; /* from the end of the request's head to the last byte */
};

/* Back to unanswered; releases what was borrowed, keeps the buffers' memory. */
void response_reset(struct response *response);

/* Adds a header line. Name and value must be free of CR, LF and NUL (asserted). */
void response_header(struct response *response, const char *name, struct slice value);

/* The value of the first header of that name (any case), or a NULL slice; valid until a header is
 * added or removed. */
struct slice response_header_value(const struct response *response, const char *name);
/* Removes all headers of that name. */
void response_header_remove(struct response *response, const char *name);

/* Lets the client keep the answer, and ask each time whether it is still the same: adds a strong
 * ETag made of `hash`, of the bytes, and Cache-Control; `shared`: caches on the way may keep it
 * too, as it is the same for everybody. The gateway answers 304 to who asks (encode.c). */
void response_revalidate(struct response *response, uint64_t hash, bool shared);

/* The bytes of the answer, wherever they are. */
struct slice response_bytes(const struct response *response);
/* Drops them, or what would have fed them; status and headers stay. */
void response_drop_bytes(struct response *response);

/* Adds Retry-After. */
void response_retry_after(struct response *response, uint32_t seconds);

/* Answers with JSON text of the response's body buffer: sets status and Content-Type. The caller
 * appends the text to response->body before or after. */
void response_json(struct response *response, int status);

/* Answers with bytes that live elsewhere until release(arg). */
void response_borrow(struct response *response, int status, const char *content_type,
                     struct slice bytes, void (*release)(void *), void *arg);

/* Answers with the error body of docs/errors.md (application/json, or problem+json when the request
 * prefers it). `code` NULL: the table's. `message` NULL: the table's. `details`: a JSON array or
 * NULL, not consumed. What was in the response before is dropped. 503 gets Retry-After: 1 and 401
 * gets WWW-Authenticate: Bearer unless such headers are added afterwards by the caller's own. */
void response_error(struct response *response, const struct request *request, enum err err,
                    const char *code, const char *message, const json_t *details);

#endif
