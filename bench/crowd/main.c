/* crowd KIND PORT [KEY=NUMBER...] [path=PATH]   Many clients of one kind on 127.0.0.1:PORT.
 *
 * Prints "ready SETTLED FAILED" when all are there (or patience ends), goes on for `seconds` or
 * until SIGTERM or SIGINT, then prints one line of names and numbers and ends with 0. */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define TICK_MS   2
#define NS_PER_MS 1000000

struct crowd crowd;

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    (void)signal;
    stopped = 1;
}

void give_up(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Opening and taking steps */

static int64_t opened_so_far; /* of the clients' first openings, in order */

static int64_t openings_due(int64_t began_ns)
{
    const struct options *o = &crowd.options;
    if (o->rate == 0)
        return o->clients;
    return 1 + (now_ns() - began_ns) / NS_PER_MS * o->rate / 1000;
}

static void open_more(int64_t began_ns)
{
    int64_t due = openings_due(began_ns);
    while (opened_so_far < due && opened_so_far < crowd.options.clients &&
           crowd.opening < crowd.options.at_once)
        link_open(&crowd.clients[opened_so_far++]);
}

static int64_t steps_taken;

/* Client 0 takes its step at the beginning of each every_ms, the last one shortly before its end.
 */
static void take_steps(int64_t began_ns)
{
    const struct options *o = &crowd.options;
    int64_t gap_ns = o->every_ms * NS_PER_MS / o->clients;
    int64_t now = now_ns();
    for (; began_ns + steps_taken * gap_ns <= now; steps_taken++) {
        struct client *c = &crowd.clients[steps_taken % o->clients];
        bool opened = c - crowd.clients < opened_so_far;
        if (opened && c->phase == CLOSED && o->kind->opens_again && crowd.opening < o->at_once)
            link_open(c);
        else if (opened && o->kind->step)
            o->kind->step(c, began_ns + steps_taken * gap_ns);
    }
}

/* ---- Events */

static void take_bytes(struct client *c)
{
    static char bytes[65536];
    long n;
    while (c->phase == OPEN && (n = link_receive(c, bytes, sizeof bytes)) > 0) {
        if (crowd.options.kind->received)
            crowd.options.kind->received(c, bytes, (size_t)n);
    }
}

/* A slow reader is not woken by bytes, but it does notice the end. */
static void take_event(struct client *c, uint32_t events)
{
    if (c->phase == CLOSED)
        return; /* it ended earlier in this batch */
    if (link_advance(c)) {
        if (!crowd.options.kind->reads_slowly)
            take_bytes(c);
        else if (events & (EPOLLHUP | EPOLLERR))
            link_close(c, true);
    }
}

static void wait_for_events(void)
{
    struct epoll_event events[512];
    int n = epoll_wait(crowd.epoll, events, 512, TICK_MS);
    for (int i = 0; i < n; i++)
        take_event(events[i].data.ptr, events[i].events);
}

static void run(int64_t began_ns, int64_t until_ns, bool until_ready)
{
    while (!stopped && now_ns() < until_ns) {
        if (until_ready && crowd.settled + crowd.failed >= crowd.options.clients)
            break;
        open_more(began_ns);
        wait_for_events();
        take_steps(began_ns);
    }
}

/* ---- Options and report */

static bool set_number(struct options *o, const char *key, size_t key_size, int64_t value)
{
    const struct {
        const char *key;
        int64_t *value;
    } all[] = {{"clients", &o->clients},
               {"seconds", &o->seconds},
               {"every_ms", &o->every_ms},
               {"sources", &o->sources},
               {"first_source", &o->first_source},
               {"rate", &o->rate},
               {"at_once", &o->at_once},
               {"patience_s", &o->patience_s},
               {"size", &o->size},
               {"window", &o->window},
               {"tls", &o->tls}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strlen(all[i].key) == key_size && memcmp(all[i].key, key, key_size) == 0) {
            *all[i].value = value;
            return true;
        }
    }
    return false;
}

static bool set_option(struct options *o, const char *text)
{
    const char *value = strchr(text, '=');
    if (!value)
        return false;
    if (strncmp(text, "path=", 5) == 0) {
        o->path = value + 1;
        return true;
    }
    char *end;
    int64_t number = strtoll(value + 1, &end, 10);
    return *end == '\0' && number >= 0 && set_number(o, text, (size_t)(value - text), number);
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.path = "/healthz",
                          .clients = 100,
                          .seconds = 10,
                          .every_ms = 1000,
                          .sources = 100,
                          .first_source = 1,
                          .at_once = 256,
                          .patience_s = 60,
                          .size = 1 << 20,
                          .window = 4096};
    if (argc < 3)
        return false;
    o->kind = kind_find(argv[1]);
    int port = atoi(argv[2]);
    o->server = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(o->authority, sizeof o->authority, "127.0.0.1:%d", port);
    for (int i = 3; i < argc; i++) {
        if (!set_option(o, argv[i]))
            return false;
    }
    return o->kind && port > 0 && o->clients > 0 && o->sources > 0 && o->every_ms > 0;
}

static void usage(void)
{
    fprintf(stderr,
            "usage: crowd KIND PORT [clients=100] [seconds=10] [every_ms=1000] [sources=100]\n"
            "    [first_source=1] [rate=0] [at_once=256] [patience_s=60] [size=1048576]\n"
            "    [window=4096] [tls=0] [path=/healthz]\n");
    kind_print_all();
    exit(2);
}

static void set_up(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd.clients = calloc((size_t)crowd.options.clients, sizeof *crowd.clients);
    if (crowd.epoll < 0 || !crowd.clients)
        give_up("cannot begin");
    if (crowd.options.tls) {
        crowd.tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(crowd.tls, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(crowd.tls, SSL_SESS_CACHE_OFF);
    }
}

static int64_t count_standing(void)
{
    int64_t n = 0;
    for (int64_t i = 0; i < crowd.options.clients; i++)
        n += crowd.clients[i].phase == OPEN;
    return n;
}

static void report(int64_t answers, int64_t opened)
{
    double seconds = (double)(now_ns() - crowd.measured_from_ns) / 1e9;
    printf("standing %lld lost %lld answers %lld errors %lld p50_ms %.2f p99_ms %.2f max_ms %.2f "
           "answers_s %.0f opened_s %.0f\n",
           (long long)count_standing(), (long long)crowd.lost, (long long)answers,
           (long long)crowd.errors, stats_quantile_ms(0.5), stats_quantile_ms(0.99),
           stats_quantile_ms(1), (double)answers / seconds, (double)opened / seconds);
}

int main(int argc, char **argv)
{
    struct options *o = &crowd.options;
    if (!read_options(argc, argv, o))
        usage();
    set_up();
    int64_t began_ns = now_ns();
    run(began_ns, began_ns + o->patience_s * 1000 * NS_PER_MS, true);
    printf("ready %lld %lld\n", (long long)crowd.settled, (long long)crowd.failed);
    fflush(stdout);
    int64_t answers = crowd.answers, opened = crowd.opened;
    crowd.measured_from_ns = now_ns();
    run(began_ns, crowd.measured_from_ns + o->seconds * 1000 * NS_PER_MS, false);
    report(crowd.answers - answers, crowd.opened - opened);
    return 0;
}
