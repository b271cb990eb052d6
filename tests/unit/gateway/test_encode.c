#include "gateway_fixture.h"

#define TAG "\"0123456789abcdef\""

/* What the target answers: a test changes it before it calls. */
static struct answer {
    int status;
    const char *type, *tag, *header, *value;
    size_t size;
} answer;

static const struct answer list = {200, "application/json", TAG, NULL, NULL, 4000};

static char bytes[4000];
static int released;

static void count_release(void *arg)
{
    (void)arg;
    released++;
}

static void answer_as_told(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response_borrow(response, answer.status, answer.type, slice_of(bytes, answer.size),
                    count_release, NULL);
    if (answer.tag)
        response_header(response, "ETag", slice_str(answer.tag));
    if (answer.header)
        response_header(response, answer.header, slice_str(answer.value));
}

static int64_t fill_nothing(void *arg, struct buf *out, int64_t now_ns)
{
    (void)arg;
    (void)out;
    (void)now_ns;
    return FEED_END;
}

static void answer_with_feed(struct request *request, struct response *response, void *arg)
{
    (void)request;
    (void)arg;
    response->status = 200;
    response->feed = (struct feed){.fill = fill_nothing, .sized = true, .length = 5000};
    response->release = count_release;
    response_header(response, "Content-Type", slice_str("text/plain"));
    response_header(response, "ETag", slice_str(TAG));
}

static int setup(void **state)
{
    static const struct route_spec routes[] = {
        {METHOD_GET, "/list", .target = answer_as_told},
        {METHOD_POST, "/list", .target = answer_as_told},
        {METHOD_GET, "/auth/list", .target = answer_as_told},
        {METHOD_GET, "/feed", .target = answer_with_feed},
    };
    char why[200] = "";
    struct plan *plan;
    struct fixture *f = fixture_create();
    fixture_open_gateway(f, routes, 4);
    struct plan_options options = {routes, 4, .compress = true, .compress_min_bytes = 1024};
    assert_int_equal(plan_create(f->gateway, &options, &plan, why, sizeof why), ERR_OK);
    gateway_swap(f->gateway, plan);
    memset(bytes, 'x', sizeof bytes);
    answer = list;
    released = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* Asks for `path` with this Accept-Encoding and perhaps one more header. */
static struct call *ask(struct fixture *f, enum method method, const char *path, const char *accept,
                        const char *name, const char *value)
{
    static struct call call;
    call_init(&call, method, path);
    call_header(&call, "Accept-Encoding", accept);
    if (name)
        call_header(&call, name, value);
    call_send(&call, f);
    return &call;
}

static struct call *get(struct fixture *f, const char *accept)
{
    return ask(f, METHOD_GET, "/list", accept, NULL, NULL);
}

static struct call *get_with(struct fixture *f, const char *name, const char *value)
{
    return ask(f, METHOD_GET, "/list", "gzip", name, value);
}

static bool is_coded(const struct call *call)
{
    char value[256];
    return answer_header(call, "Content-Encoding", value);
}

static void assert_plain(struct call *call, const char *vary)
{
    assert_false(is_coded(call));
    assert_int_equal(response_bytes(&call->response).len, answer.size);
    if (vary)
        assert_answer_header(call, "Vary", vary);
    else
        assert_no_answer_header(call, "Vary");
    call_release(call);
}

static void test_text_goes_out_as_the_client_likes_it(void **state)
{
    struct call *call = get(*state, "gzip, br");
    assert_answer_header(call, "Content-Encoding", "br");
    assert_answer_header(call, "Vary", "Accept-Encoding");
    assert_in_range(response_bytes(&call->response).len, 1, 200);
    call_release(call);
    call = get(*state, "gzip");
    assert_answer_header(call, "Content-Encoding", "gzip");
    assert_int_equal((unsigned char)call->response.body.data[0], 0x1F);
    call_release(call);
    assert_int_equal(released, 2);
}

static void test_who_asks_for_no_coding_gets_none_but_vary(void **state)
{
    assert_plain(get(*state, ""), "Accept-Encoding");
    assert_plain(get(*state, "gzip;q=0, *;q=0"), "Accept-Encoding");
}

static void test_small_answers_stay_as_they_are(void **state)
{
    answer.size = 1023;
    assert_plain(get(*state, "gzip"), NULL);
}

static void test_what_is_no_text_stays_as_it_is(void **state)
{
    static const char *const types[] = {"image/png", "application/octet-stream", "text",
                                        "",          "application/jsonx",        "audio/json"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        answer.type = types[i];
        assert_plain(get(*state, "gzip"), NULL);
    }
}

static void test_text_has_many_names(void **state)
{
    static const char *const types[] = {
        "text/html; charset=utf-8", "application/problem+json", "image/svg+xml",
        "APPLICATION/JSON",         "text/javascript",          "application/javascript;x=y"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        answer.type = types[i];
        struct call *call = get(*state, "gzip");
        assert_true(is_coded(call));
        call_release(call);
    }
}

static void test_what_is_not_ours_to_change_stays_as_it_is(void **state)
{
    answer.header = "Content-Encoding", answer.value = "zstd";
    struct call *call = get(*state, "gzip");
    assert_answer_header(call, "Content-Encoding", "zstd");
    assert_no_answer_header(call, "Vary");
    call_release(call);
    answer.header = "Vary", answer.value = "accept-encoding";
    assert_plain(get(*state, "gzip"), "accept-encoding");
    answer.header = "Cache-Control", answer.value = "private, no-transform";
    assert_plain(get(*state, "gzip"), NULL);
    answer = list;
    answer.status = 206;
    assert_plain(get(*state, "gzip"), NULL);
}

static void test_errors_and_answers_to_post_are_compressed_too(void **state)
{
    answer.status = 422;
    struct call *call = ask(*state, METHOD_POST, "/list", "gzip", NULL, NULL);
    assert_true(is_coded(call));
    call_release(call);
}

static void test_head_says_what_get_would(void **state)
{
    struct call *call = get(*state, "gzip");
    size_t size = response_bytes(&call->response).len;
    call_release(call);
    call = ask(*state, METHOD_HEAD, "/list", "gzip", NULL, NULL);
    assert_true(is_coded(call));
    assert_int_equal(response_bytes(&call->response).len, size);
    call_release(call);
}

/* BREACH: another's page makes the browser ask, cookies and all, and watches the size. */
static void test_others_pages_get_no_compressed_answers_for_cookies(void **state)
{
    static const struct {
        const char *site;
        bool coded;
    } cases[] = {
        {"cross-site", false}, {"same-site", false}, {"same-origin", true}, {"none", true}};
    assert_plain(get_with(*state, "Cookie", "a=b"), "Accept-Encoding");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call call;
        call_init(&call, METHOD_GET, "/list");
        call_header(&call, "Accept-Encoding", "gzip");
        call_header(&call, "Cookie", "a=b");
        call_header(&call, "Sec-Fetch-Site", cases[i].site);
        call_send(&call, *state);
        assert_int_equal(is_coded(&call), cases[i].coded);
        call_release(&call);
    }
    struct call *call = get_with(*state, "Sec-Fetch-Site", "cross-site");
    assert_true(is_coded(call)); /* without a cookie there is nothing to borrow */
    call_release(call);
}

static void test_tokens_are_never_compressed(void **state)
{
    assert_plain(ask(*state, METHOD_GET, "/auth/list", "gzip", NULL, NULL), NULL);
}

static void test_compression_can_be_switched_off(void **state)
{
    static const struct route_spec route = {METHOD_GET, "/list", .target = answer_as_told};
    fixture_swap(*state, &route, 1);
    assert_plain(get(*state, "gzip"), NULL);
}

/* ---- Tags */

static void test_each_form_has_its_own_strong_tag(void **state)
{
    struct call *call = get(*state, "gzip");
    assert_answer_header(call, "ETag", "\"0123456789abcdef-gzip\"");
    call_release(call);
    call = get(*state, "br");
    assert_answer_header(call, "ETag", "\"0123456789abcdef-br\"");
    call_release(call);
    call = get(*state, "");
    assert_answer_header(call, "ETag", TAG);
    call_release(call);
}

static void test_a_weak_tag_stands_for_all_forms(void **state)
{
    answer.tag = "W/\"a\"";
    struct call *call = get(*state, "gzip");
    assert_true(is_coded(call));
    assert_answer_header(call, "ETag", "W/\"a\"");
    call_release(call);
    call = get_with(*state, "If-None-Match", "W/\"a\"");
    assert_int_equal(call->response.status, 304);
    call_release(call);
}

static void assert_not_modified(struct call *call, const char *tag)
{
    assert_int_equal(call->response.status, 304);
    assert_int_equal(response_bytes(&call->response).len, 0);
    assert_answer_header(call, "ETag", tag);
    assert_no_answer_header(call, "Content-Type");
    assert_no_answer_header(call, "Content-Encoding");
    call_release(call);
}

static void test_who_has_it_gets_304(void **state)
{
    const char *coded = "\"0123456789abcdef-gzip\"";
    assert_not_modified(get_with(*state, "If-None-Match", coded), coded);
    assert_not_modified(get_with(*state, "If-None-Match", "\"a\", " TAG), TAG);
    assert_not_modified(get_with(*state, "If-None-Match", "*"), TAG);
    assert_not_modified(ask(*state, METHOD_HEAD, "/list", "", "If-None-Match", TAG), TAG);
    assert_int_equal(released, 4);
}

static void test_304_varies_as_200_does(void **state)
{
    struct call *call = get_with(*state, "If-None-Match", TAG);
    assert_answer_header(call, "Vary", "Accept-Encoding");
    call_release(call);
    answer.size = 100;
    call = get_with(*state, "If-None-Match", TAG);
    assert_int_equal(call->response.status, 304);
    assert_no_answer_header(call, "Vary");
    call_release(call);
}

static void test_who_has_another_form_or_version_gets_the_answer(void **state)
{
    assert_plain(ask(*state, METHOD_GET, "/list", "", "If-None-Match", "\"0123456789abcdef-gzip\""),
                 "Accept-Encoding");
    assert_plain(ask(*state, METHOD_GET, "/list", "", "If-None-Match", "\"a\""), "Accept-Encoding");
}

static void test_a_feed_is_not_compressed_and_not_asked_behind_304(void **state)
{
    struct call *call = ask(*state, METHOD_GET, "/feed", "gzip", NULL, NULL);
    assert_int_equal(call->response.status, 200);
    assert_false(is_coded(call));
    assert_true(call->response.feed.fill);
    call_release(call);
    call = ask(*state, METHOD_GET, "/feed", "gzip", "If-None-Match", TAG);
    assert_int_equal(call->response.status, 304);
    assert_false(call->response.feed.fill);
    assert_int_equal(released, 2);
    call_release(call);
}

static void test_only_a_whole_answer_to_a_read_can_be_known(void **state)
{
    struct call *call = ask(*state, METHOD_POST, "/list", "", "If-None-Match", TAG);
    assert_int_equal(call->response.status, 200);
    call_release(call);
    answer.status = 404;
    call = get_with(*state, "If-None-Match", TAG);
    assert_int_equal(call->response.status, 404);
    call_release(call);
    answer = list;
    answer.tag = NULL;
    call = get_with(*state, "If-None-Match", "*");
    assert_int_equal(call->response.status, 200);
    call_release(call);
}

static void test_a_tag_that_is_too_long_is_handed_on(void **state)
{
    char tag[200] = "\"";
    memset(tag + 1, 'a', 126);
    strcpy(tag + 127, "\"");
    answer.tag = tag;
    struct call *call = get_with(*state, "If-None-Match", tag);
    assert_int_equal(call->response.status, 304);
    call_release(call);
    call = get(*state, "gzip");
    assert_answer_header(call, "ETag", tag);
    call_release(call);
    strcpy(tag + 127, "b\"");
    call = get_with(*state, "If-None-Match", tag);
    assert_int_equal(call->response.status, 200);
    call_release(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_text_goes_out_as_the_client_likes_it),
        CLAIM(test_who_asks_for_no_coding_gets_none_but_vary),
        CLAIM(test_small_answers_stay_as_they_are),
        CLAIM(test_what_is_no_text_stays_as_it_is),
        CLAIM(test_text_has_many_names),
        CLAIM(test_what_is_not_ours_to_change_stays_as_it_is),
        CLAIM(test_errors_and_answers_to_post_are_compressed_too),
        CLAIM(test_head_says_what_get_would),
        CLAIM(test_others_pages_get_no_compressed_answers_for_cookies),
        CLAIM(test_tokens_are_never_compressed),
        CLAIM(test_compression_can_be_switched_off),
        CLAIM(test_each_form_has_its_own_strong_tag),
        CLAIM(test_a_weak_tag_stands_for_all_forms),
        CLAIM(test_who_has_it_gets_304),
        CLAIM(test_304_varies_as_200_does),
        CLAIM(test_who_has_another_form_or_version_gets_the_answer),
        CLAIM(test_a_feed_is_not_compressed_and_not_asked_behind_304),
        CLAIM(test_only_a_whole_answer_to_a_read_can_be_known),
        CLAIM(test_a_tag_that_is_too_long_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
