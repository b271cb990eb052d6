#include "crowd.h"

#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- Requests and answers */

static bool request(struct client *c, const char *method, const char *fields)
{
    char text[1024];
    int size = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method,
                        crowd.options.path, crowd.options.authority, fields);
    c->asking = true;
    c->in_body = false;
    c->have = 0;
    return link_send(c, text, (size_t)size);
}

static void ask(struct client *c)
{
    request(c, "GET", "");
}

/* The status and the length that the head in `text` tells of. */
static void read_head(struct client *c)
{
    c->status = (uint16_t)atoi(c->text + 9);
    c->left = -1;
    for (const char *line = c->text; (line = strstr(line, "\r\n")); line += 2) {
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            c->left = atoll(line + 17);
    }
    c->in_body = true;
}

/* Moves bytes into `text` until it ends with `end`; true when it does. Overlong text is cut. */
static bool gather(struct client *c, const char **bytes, size_t *size, const char *end)
{
    size_t wanted = strlen(end);
    while (*size > 0) {
        if (c->have < sizeof c->text - 1)
            c->text[c->have++] = **bytes;
        (*bytes)++;
        (*size)--;
        if (c->have >= wanted && memcmp(c->text + c->have - wanted, end, wanted) == 0) {
            c->text[c->have] = '\0';
            return true;
        }
    }
    return false;
}

/* True once the answer's head is there, and from then on. */
static bool take_head(struct client *c, const char **bytes, size_t *size)
{
    if (!c->in_body && gather(c, bytes, size, "\r\n\r\n")) {
        read_head(c);
        c->have = 0;
    }
    return c->in_body;
}

/* True when the bytes end an answer. What follows it is not looked at: we do not pipeline. */
static bool take_answer(struct client *c, const char *bytes, size_t size)
{
    if (!c->asking || !take_head(c, &bytes, &size) || c->left < 0)
        return false;
    c->left -= (int64_t)size;
    if (c->left > 0)
        return false;
    c->asking = false;
    crowd.answers++;
    crowd.errors += c->status >= 400;
    return true;
}

/* ---- idle: one request, then silence */

static void idle_received(struct client *c, const char *bytes, size_t size)
{
    if (take_answer(c, bytes, size))
        link_settle(c);
}

/* ---- ask: a request at each step */

/* Steps that a slow answer let go by are counted with the delay that they would have seen. */
static void ask_received(struct client *c, const char *bytes, size_t size)
{
    if (!take_answer(c, bytes, size))
        return;
    link_settle(c);
    for (int64_t delay = now_ns() - c->began_ns; delay > 0;
         delay -= crowd.options.every_ms * 1000000)
        stats_add(delay);
}

static void ask_step(struct client *c, int64_t planned_ns)
{
    if (c->phase == CLOSED)
        link_open(c);
    if (c->phase != OPEN || c->asking)
        return;
    c->began_ns = planned_ns;
    ask(c);
}

/* ---- open: connect, one request, close, again */

static void open_received(struct client *c, const char *bytes, size_t size)
{
    if (!take_answer(c, bytes, size))
        return;
    stats_add(now_ns() - c->began_ns);
    link_settle(c);
    link_close(c, false);
    link_open(c);
}

/* ---- sse: a stream whose events carry the time at which they were made, in Unix milliseconds */

static void sse_connected(struct client *c)
{
    request(c, "GET", "Accept: text/event-stream\r\n");
}

static void sse_line(struct client *c)
{
    if (strncmp(c->text, "data: ", 6) != 0)
        return;
    crowd.answers++;
    stats_add((wall_ms() - atoll(c->text + 6)) * 1000000);
}

static void sse_received(struct client *c, const char *bytes, size_t size)
{
    if (!take_head(c, &bytes, &size))
        return;
    if (!c->settled)
        crowd.errors += c->status >= 400;
    link_settle(c);
    while (gather(c, &bytes, &size, "\n")) {
        sse_line(c);
        c->have = 0;
    }
}

/* ---- Those that hold a server up: a byte at each step */

static void head_connected(struct client *c)
{
    char text[512];
    int size =
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nX-Slow: ", crowd.options.path,
                 crowd.options.authority);
    if (link_send(c, text, (size_t)size))
        link_settle(c);
}

static void body_connected(struct client *c)
{
    char fields[96];
    snprintf(fields, sizeof fields, "Content-Type: text/plain\r\nContent-Length: %lld\r\n",
             (long long)crowd.options.size);
    if (request(c, "POST", fields))
        link_settle(c);
}

/* The beginning of a ClientHello of 512 bytes. */
static void hello_connected(struct client *c)
{
    static const unsigned char begin[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    if (link_send(c, begin, sizeof begin))
        link_settle(c);
}

static void send_a_byte(struct client *c, int64_t planned_ns)
{
    (void)planned_ns;
    if (c->phase == OPEN)
        link_send(c, "x", 1);
}

static void reader_connected(struct client *c)
{
    ask(c);
    if (c->phase == OPEN)
        link_settle(c);
}

static void read_a_little(struct client *c, int64_t planned_ns)
{
    char bytes[64];
    (void)planned_ns;
    if (c->phase == OPEN)
        link_receive(c, bytes, sizeof bytes);
}

/* ---- gone: vanishes in the middle of an answer, without a FIN or RST */

static void gone_received(struct client *c, const char *bytes, size_t size)
{
    struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = 1, .filter = &drop_all};
    (void)bytes;
    (void)size;
    if (setsockopt(c->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        give_up("SO_ATTACH_FILTER");
    link_settle(c);
}

/* ---- The table */

static const struct kind kinds[] = {
    {.name = "idle",
     .help = "one request each, then silence",
     .connected = ask,
     .received = idle_received},
    {.name = "ask",
     .help = "a request each every_ms; delays of the answers",
     .connected = ask,
     .received = ask_received,
     .step = ask_step,
     .opens_again = true},
    {.name = "open",
     .help = "connect, one request, close, again; connections a second",
     .connected = ask,
     .received = open_received,
     .opens_again = true},
    {.name = "sse",
     .help = "streams; delays of events `data: UNIX_MS`",
     .connected = sse_connected,
     .received = sse_received},
    {.name = "gone",
     .help = "vanishes without a word once the answer has begun",
     .connected = ask,
     .received = gone_received},
    {.name = "heads",
     .help = "a head that grows by a byte every_ms",
     .connected = head_connected,
     .step = send_a_byte,
     .opens_again = true},
    {.name = "bodies",
     .help = "a body that grows by a byte every_ms",
     .connected = body_connected,
     .step = send_a_byte,
     .opens_again = true},
    {.name = "hellos",
     .help = "a TLS handshake that grows by a byte every_ms",
     .connected = hello_connected,
     .step = send_a_byte,
     .opens_again = true},
    {.name = "readers",
     .help = "answers read 64 bytes every_ms",
     .connected = reader_connected,
     .step = read_a_little,
     .reads_slowly = true,
     .opens_again = true},
};

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

void kind_print_all(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        fprintf(stderr, "  %-8s %s\n", kinds[i].name, kinds[i].help);
}
