/* A gateway over a real store in a directory of its own, with a clock that tests move by hand, and
 * short ways to send a request and look at the answer. */
#ifndef GALLEY_TESTS_UNIT_GATEWAY_GATEWAY_FIXTURE_H
#define GALLEY_TESTS_UNIT_GATEWAY_GATEWAY_FIXTURE_H

#include "base/mem.h"
#include "cache/cache.h"
#include "server/gateway/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW_MS  INT64_C(1800000000000)
#define HOUR_MS (INT64_C(3600) * 1000)

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

struct fixture {
    char dir[64];
    struct clock_fake time;
    struct store *store;
    struct cache *cache; /* or NULL */
    int (*connect_inside)(void *arg);
    struct table table; /* the tests' own */
    struct jwt *jwt;
    struct gateway *gateway;
    struct buf token; /* of alice */
};

/* One exchange: fill, send, look. */
struct call {
    struct request request;
    struct response response;
    struct header headers[4];
};

static inline void fixture_open_store(struct fixture *f)
{
    char why[200] = "";
    struct store_options options = {.dir = f->dir, .clock = &f->time.clock};
    if (store_open(&options, &f->store, why, sizeof why) != ERR_OK)
        fail_msg("%s", why);
    assert_int_equal(store_table(f->store, "test", &f->table), ERR_OK);
}

static inline struct fixture *fixture_create(void)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    const char *parent = getenv("TMPDIR");
    snprintf(f->dir, sizeof f->dir, "%s/galley-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    clock_fake_init(&f->time, NOW_MS);
    fixture_open_store(f);
    struct slice key = slice_str("a key for tests of at least 32 bytes");
    f->jwt = jwt_create(&(struct jwt_options){key, "galley", "galley"});
    struct principal alice = {.id = "alice", .roles = {"customer"}, .role_count = 1};
    jwt_issue(f->jwt, &alice, NOW_MS, 1000 * HOUR_MS, &f->token);
    return f;
}

/* Another plan from now on. */
static inline void fixture_swap(struct fixture *f, const struct route_spec *routes, unsigned count)
{
    char why[200] = "";
    struct plan *plan;
    if (plan_create(f->gateway, &(struct plan_options){.routes = routes, .route_count = count},
                    &plan, why, sizeof why))
        fail_msg("%s", why);
    gateway_swap(f->gateway, plan);
}

static inline void fixture_open_gateway(struct fixture *f, const struct route_spec *routes,
                                        unsigned count)
{
    char why[200] = "";
    struct gateway_options options = {.store = f->store,
                                      .cache = f->cache,
                                      .connect_inside = f->connect_inside,
                                      .jwt = f->jwt,
                                      .clock = &f->time.clock};
    if (gateway_create(&options, &f->gateway, why, sizeof why) != ERR_OK)
        fail_msg("%s", why);
    fixture_swap(f, routes, count);
}

static inline void fixture_destroy(struct fixture *f)
{
    gateway_destroy(&f->gateway);
    cache_destroy(&f->cache);
    jwt_destroy(&f->jwt);
    store_close(&f->store);
    buf_release(&f->token);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
}

static inline void call_release(struct call *call)
{
    response_reset(&call->response);
    buf_release(&call->response.headers);
    buf_release(&call->response.body);
}

static inline void call_init(struct call *call, enum method method, const char *path)
{
    *call = (struct call){.request = {.method = method,
                                      .path = slice_str(path),
                                      .address = slice_str("192.0.2.1"),
                                      .network = slice_str("192.0.2.1"),
                                      .id = "made-by-the-front"}};
    call->request.headers = call->headers;
}

static inline void call_header(struct call *call, const char *name, const char *value)
{
    assert_in_range(call->request.header_count, 0, 3);
    call->headers[call->request.header_count++] =
        (struct header){slice_str(name), slice_str(value)};
}

static inline void call_json(struct call *call, const char *body)
{
    call_header(call, "Content-Type", "application/json");
    call->request.body = slice_str(body);
}

/* With alice's token; `buffer` holds the header until the call is made. */
static inline void call_as_alice(struct call *call, const struct fixture *f, struct buf *buffer)
{
    buf_clear(buffer);
    buf_append_str(buffer, "Bearer ");
    buf_append_slice(buffer, buf_slice(&f->token));
    buf_append_char(buffer, '\0');
    call_header(call, "Authorization", buffer->data);
}

static inline int call_send(struct call *call, struct fixture *f)
{
    call->request.received_ms = clock_wall_ms(&f->time.clock);
    call->request.started_ns = clock_mono_ns(&f->time.clock);
    gateway_handle(f->gateway, &call->request, &call->response);
    const struct sent sent = {.duration_ns =
                                  clock_mono_ns(&f->time.clock) - call->request.started_ns};
    gateway_sent(f->gateway, &call->request, &call->response, &sent);
    return call->response.status;
}

/* The value of the first answer header of that name in `out`, or NULL. */
static inline const char *answer_header(const struct call *call, const char *name, char out[256])
{
    struct slice rest = buf_slice(&call->response.headers);
    while (rest.len > 0) {
        struct slice value = slice_cut(&rest, '\n');
        struct slice found = slice_cut(&value, ':');
        if (!slice_is(found, name))
            continue;
        value = slice_trim(slice_of(value.ptr, value.len - 1));
        snprintf(out, 256, "%.*s", SLICE_ARG(value));
        return out;
    }
    return NULL;
}

static inline void assert_answer_header(const struct call *call, const char *name,
                                        const char *expected)
{
    char value[256];
    const char *found = answer_header(call, name, value);
    if (!found)
        fail_msg("no header %s in the answer", name);
    assert_string_equal(found, expected);
}

static inline void assert_no_answer_header(const struct call *call, const char *name)
{
    char value[256];
    assert_null(answer_header(call, name, value));
}

static inline void assert_answer_body(const struct call *call, const char *expected)
{
    struct slice body = buf_slice(&call->response.body);
    assert_int_equal(body.len, strlen(expected));
    assert_memory_equal(body.ptr ? body.ptr : "", expected, body.len);
}

/* That the answer is an error of this code. */
static inline void assert_answer_error(const struct call *call, const char *code)
{
    json_t *json;
    assert_int_equal(json_read_trusted(buf_slice(&call->response.body), &json), ERR_OK);
    assert_string_equal(json_str(json_object_get(json, "error"), "code", ""), code);
    json_decref(json);
}

#endif
