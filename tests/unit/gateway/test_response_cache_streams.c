/* Answers that stream are stored when they have ended. */
#include "response_cache_fixture.h"

static void test_a_stream_is_stored_when_it_has_ended(void **state)
{
    struct fixture *f = *state;
    struct call call;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    feed_all(f, &call, &bytes);
    assert_true(slice_is(buf_slice(&bytes), "body"));
    call_release(&call);
    buf_release(&bytes);
    assert_int_equal(origin.asked, 1);
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; hit; ttl=60");
}

/* Begins an answer that streams, and takes the first half. */
static void begin_stream(struct fixture *f, struct call *call, const char *path)
{
    struct buf bytes = BUF_INIT;
    assert_int_equal(get_with(f, call, path, NULL, NULL), 200);
    call->response.feed.fill(call->response.feed.arg, &bytes, 0);
    buf_release(&bytes);
}

static void end_stream(const struct fixture *f, struct call *call)
{
    struct buf bytes = BUF_INIT;
    feed_all(f, call, &bytes);
    call_release(call);
    buf_release(&bytes);
}

static void test_a_slow_stream_leaves_its_place_to_another(void **state)
{
    struct fixture *f = *state;
    struct call slow;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &slow, "/a", NULL, NULL), 200);
    clock_fake_advance(&f->time, 30000);
    slow.response.feed.fill(slow.response.feed.arg, &bytes, clock_mono_ns(&f->time.clock));
    assert_true(slice_is(buf_slice(&bytes), "bo")); /* its client gets what there is */
    origin.streams = false;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
    call_release(&slow);
    buf_release(&bytes);
}

/* Of 4 MiB they have one. */
static void test_streams_are_collected_within_a_part_of_the_budget(void **state)
{
    struct fixture *f = *state;
    struct call first, second, third;
    struct buf body = BUF_INIT;
    for (int i = 0; i < 60000; i++)
        buf_append_str(&body, "0123456789");
    buf_append_char(&body, '\0');
    origin.streams = true;
    origin.body = body.data;
    begin_stream(f, &first, "/a");
    begin_stream(f, &second, "/b/1");
    begin_stream(f, &third, "/b/2");
    end_stream(f, &second); /* finds no room */
    end_stream(f, &first);
    call_release(&third);
    assert_get(f, "/a", NULL, NULL, 200, body.data, "galley; hit; ttl=60");
    begin_stream(f, &second, "/b/1");
    end_stream(f, &second);
    assert_get(f, "/b/1", NULL, NULL, 200, body.data, "galley; hit; ttl=60");
    assert_int_equal(origin.asked, 4);
    buf_release(&body);
}

static void test_a_stream_that_is_dropped_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct call call;
    struct buf bytes = BUF_INIT;
    origin.streams = true;
    assert_int_equal(get_with(f, &call, "/a", NULL, NULL), 200);
    call.response.feed.fill(call.response.feed.arg, &bytes, 0);
    call_release(&call);
    buf_release(&bytes);
    origin.streams = false;
    assert_get(f, "/a", NULL, NULL, 200, "body", "galley; fwd=uri-miss; stored");
}

static void test_a_stream_without_an_end_is_not_stored(void **state)
{
    struct fixture *f = *state;
    origin.streams = origin.endless = true;
    assert_get(f, "/a", NULL, NULL, 200, NULL, "galley; fwd=uri-miss");
    assert_get(f, "/a", NULL, NULL, 200, NULL, "galley; fwd=uri-miss");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_a_stream_is_stored_when_it_has_ended),
        CLAIM(test_a_slow_stream_leaves_its_place_to_another),
        CLAIM(test_streams_are_collected_within_a_part_of_the_budget),
        CLAIM(test_a_stream_that_is_dropped_is_not_stored),
        CLAIM(test_a_stream_without_an_end_is_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
