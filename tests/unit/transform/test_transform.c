/* What a route changes, without a server. */
#include "server/transform/transform.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct asked {
    struct request request;
    struct header headers[HEADERS_MAX];
    struct transform_request seen;
};

static void ask(struct asked *asked, const char *const *headers, unsigned count)
{
    *asked = (struct asked){.request = {.path = slice_str("/a"),
                                        .address = slice_str("192.0.2.1"),
                                        .id = "the-id",
                                        .header_count = count}};
    asked->request.headers = asked->headers;
    for (unsigned i = 0; i < count; i++)
        asked->headers[i] =
            (struct header){slice_str(headers[2 * i]), slice_str(headers[2 * i + 1])};
}

static struct transform *make(enum transform_kind kind, const char *text)
{
    char why[200] = "";
    struct transform *transform;
    const struct transform_line line = {kind, text};
    if (transform_create(&line, 1, NULL, &transform, why, sizeof why))
        fail_msg("%s", why);
    return transform;
}

static struct slice seen_value(const struct asked *asked, const char *name)
{
    const struct request as_seen = {.headers = asked->seen.headers,
                                    .header_count = asked->seen.header_count};
    return request_header(&as_seen, name);
}

#define CHANGE(asked, text) change((asked), TRANSFORM_REQUEST_HEADER, (text))

static struct transform *change(struct asked *asked, enum transform_kind kind, const char *text)
{
    struct transform *transform = make(kind, text);
    assert_int_equal(transform_request(transform, &asked->request, &asked->seen), ERR_OK);
    return transform;
}

static void end(struct asked *asked, struct transform *transform)
{
    transform_request_release(&asked->seen);
    transform_destroy(&transform);
}

static void test_transform_of_no_line_is_none(void **state)
{
    (void)state;
    struct transform *transform;
    assert_int_equal(transform_create(NULL, 0, NULL, &transform, NULL, 0), ERR_OK);
    assert_null(transform);
}

static void test_transform_lets_no_client_take_a_header_away(void **state)
{
    (void)state;
    struct asked asked;
    ask(&asked, (const char *[]){"Connection", "x-tenant, close", "X_Tenant", "mine"}, 2);
    struct transform *transform = CHANGE(&asked, "set X-Tenant {client}");
    assert_true(slice_is(seen_value(&asked, "X-Tenant"), "192.0.2.1"));
    assert_int_equal(asked.seen.header_count, 1);
    end(&asked, transform);
}

static void test_transform_keeps_what_asks_for_a_websocket(void **state)
{
    (void)state;
    struct asked asked;
    ask(&asked, (const char *[]){"Connection", "keep-alive, Upgrade", "Upgrade", "websocket"}, 2);
    struct transform *transform = CHANGE(&asked, "remove Cookie");
    assert_true(slice_is(seen_value(&asked, "Connection"), "upgrade"));
    assert_true(slice_is(seen_value(&asked, "Upgrade"), "websocket"));
    end(&asked, transform);
}

static void test_transform_makes_one_line_of_any_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'b', '\0'};
        struct asked asked;
        ask(&asked, (const char *[]){"X-From", text}, 1);
        struct transform *transform = CHANGE(&asked, "set X-To {header.X-From}");
        struct slice value = seen_value(&asked, "X-To");
        for (size_t i = 0; i < value.len; i++)
            assert_true((unsigned char)value.ptr[i] >= ' ' && value.ptr[i] != 0x7f);
        end(&asked, transform);
    }
}

static void test_transform_makes_one_parameter_of_any_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'b', '\0'};
        struct asked asked;
        ask(&asked, (const char *[]){"X-From", text}, 1);
        struct transform *transform =
            change(&asked, TRANSFORM_REQUEST_QUERY, "set to {header.X-From}");
        struct slice rest = asked.seen.query;
        assert_true(slice_is(slice_cut(&rest, '='), "to"));
        const struct request as_seen = {.query = asked.seen.query};
        struct buf scratch = BUF_INIT;
        struct slice value = request_query(&as_seen, "to", &scratch);
        assert_true(byte >= 0x80 || slice_is(value, text));
        assert_null(memchr(rest.ptr, '&', rest.len));
        buf_release(&scratch);
        end(&asked, transform);
    }
}

static void test_transform_refuses_more_headers_than_a_request_may_have(void **state)
{
    (void)state;
    static const char *headers[2 * HEADERS_MAX];
    for (unsigned i = 0; i < 2 * HEADERS_MAX; i++)
        headers[i] = "x";
    struct asked asked;
    ask(&asked, headers, HEADERS_MAX);
    struct transform *transform = make(TRANSFORM_REQUEST_HEADER, "add X-One more");
    assert_int_equal(transform_request(transform, &asked.request, &asked.seen),
                     ERR_HEADER_TOO_LARGE);
    end(&asked, transform);
}

static void test_transform_tells_answers_apart_by_what_the_url_does_not_say(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has;
    } cases[] = {{"set X-A fixed {query.q} {path} {id} {method} {host}", false},
                 {"set X-A {header.X-B}", true},
                 {"set X-A {client}", true},
                 {"set X-A {user.id}", true},
                 {"remove X-A", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked asked;
        struct buf key = BUF_INIT;
        ask(&asked, (const char *[]){"X-B", "v"}, 1);
        struct transform *transform = make(TRANSFORM_REQUEST_HEADER, cases[i].text);
        transform_write_key(transform, &asked.request, &key);
        assert_int_equal(transform_has_key(transform), cases[i].has);
        assert_int_equal(key.len > 0, cases[i].has);
        buf_release(&key);
        end(&asked, transform);
    }
}

static void test_transform_drops_the_body_of_what_becomes_204(void **state)
{
    (void)state;
    struct asked asked;
    struct response response = {.status = 404};
    ask(&asked, NULL, 0);
    buf_append_str(&response.body, "text");
    struct transform *transform = make(TRANSFORM_RESPONSE_STATUS, "404 as 204");
    transform_response(transform, &asked.request, &response);
    assert_int_equal(response.status, 204);
    assert_int_equal(response_bytes(&response).len, 0);
    buf_release(&response.body);
    end(&asked, transform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transform_of_no_line_is_none),
        cmocka_unit_test(test_transform_lets_no_client_take_a_header_away),
        cmocka_unit_test(test_transform_keeps_what_asks_for_a_websocket),
        cmocka_unit_test(test_transform_makes_one_line_of_any_bytes),
        cmocka_unit_test(test_transform_makes_one_parameter_of_any_bytes),
        cmocka_unit_test(test_transform_refuses_more_headers_than_a_request_may_have),
        cmocka_unit_test(test_transform_tells_answers_apart_by_what_the_url_does_not_say),
        cmocka_unit_test(test_transform_drops_the_body_of_what_becomes_204),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
