#include "tests/unit/base/log_fixture.h"

static struct log_access order(void)
{
    return (struct log_access){
        .level = LOG_INFO,
        .wall_ms = 1769855400123,
        .request_id = slice_str("req-1"),
        .method = slice_str("POST"),
        .path = slice_str("/place-order"),
        .route = "/place-order",
        .address = slice_str("127.0.0.1"),
        .status = 201,
        .duration_ns = 1234567,
        .bytes_out = 321,
    };
}

/* What the log makes of one access line. */
static struct slice say(struct fixture *f, const char *format, const struct log_access *access)
{
    assert_true(log_open(&(struct log_options){
        .path = f->path, .format = LOG_JSON, .access = true, .access_format = format}));
    log_access(access);
    return read_log(f);
}

#define assert_says(said, text) assert_true(slice_is(said, text "\n"))

static void test_log_combined_is_what_apache_writes(void **state)
{
    struct log_access access = order();
    access.user = slice_str("alice");
    access.referer = slice_str("https://example.org/");
    access.user_agent = slice_str("curl/7.88");
    assert_says(say(*state, "combined", &access),
                "127.0.0.1 - alice [31/Jan/2026:10:30:00 +0000] \"POST /place-order HTTP/1.1\" "
                "201 321 \"https://example.org/\" \"curl/7.88\"");
}

static void test_log_template_fills_in_its_fields(void **state)
{
    struct log_access access = order();
    access.tried = slice_str("10.0.0.1:80 unreachable, 10.0.0.2:80 201");
    access.target = "orders";
    access.tries = 2;
    access.first_byte_ns = 2500000;
    access.cache = "stored";
    access.http10 = true;
    assert_says(say(*state,
                    "<{time} {protocol} {target} \"{upstream}\" {server} {tries} {first_byte_ms} "
                    "{duration_ms} {cache} {outcome} {route} {request_id}>",
                    &access),
                "<2026-01-31T10:30:00.123Z HTTP/1.0 orders \"10.0.0.1:80 unreachable, 10.0.0.2:80 "
                "201\" 10.0.0.2:80 2 2.500 1.234 stored - /place-order req-1>");
}

static void test_log_template_says_where_there_is_nothing(void **state)
{
    struct log_access access = order();
    assert_says(
        say(*state, "{user} {server} {tries} {first_byte_ms} {cache} \"{referer}\"", &access),
        "- - 0 - - \"-\"");
}

/* A client chooses paths, names of users and headers. */
static void test_log_template_lets_no_field_end_its_field_or_line(void **state)
{
    struct log_access access = order();
    access.path = slice_str("/a b\"c\\d|e\n127.0.0.1 - root\x1B[2J\xC2\x9B\xFF\xC3\xA4");
    access.user_agent = access.path;
    struct slice said = say(*state, "{path} \"{user_agent}\" {path}|{status}", &access);
    assert_says(said, "/a\\x20b\\\"c\\\\d|e\\x0A127.0.0.1\\x20-\\x20root\\x1B[2J\\xC2\\x9B\\xFF"
                      "\xC3\xA4 \"/a b\\\"c\\\\d|e\\x0A127.0.0.1 - root\\x1B[2J\\xC2\\x9B\\xFF"
                      "\xC3\xA4\" /a\\x20b\\\"c\\\\d\\x7Ce\\x0A127.0.0.1\\x20-\\x20root\\x1B[2J"
                      "\\xC2\\x9B\\xFF\xC3\xA4|201");
}

static void test_log_template_leaves_other_lines_as_they_are(void **state)
{
    struct fixture *f = *state;
    assert_true(log_open(&(struct log_options){
        .path = f->path, .format = LOG_JSON, .access = true, .access_format = "{status}"}));
    log_write(LOG_WARN, "store", "full");
    struct slice rest = read_log(f);
    json_t *line = next_line(&rest);
    assert_string_equal(json_str(line, "message", ""), "full");
    json_decref(line);
}

static void test_log_goes_on_in_another_format(void **state)
{
    struct fixture *f = *state;
    struct log_access access = order();
    const char *const formats[] = {"{status}", "{method}", "json", "text", "combined"};
    struct log_options options = {.path = f->path, .format = LOG_JSON, .access = true};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        options.access_format = formats[i];
        assert_true(i == 0 ? log_open(&options) : log_reopen(&options));
        assert_int_equal(log_wants_client(), strcmp(formats[i], "combined") == 0);
        log_access(&access);
        log_settle();
    }
    struct slice rest = read_log(f);
    assert_true(slice_is(slice_cut(&rest, '\n'), "201"));
    assert_true(slice_is(slice_cut(&rest, '\n'), "POST"));
    json_decref(next_line(&rest));
    assert_non_null(memmem(rest.ptr, rest.len, "POST   /place-order", 19));
    assert_non_null(memmem(rest.ptr, rest.len, "\"POST /place-order HTTP/1.1\"", 28));
}

static void test_log_access_format_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "it has no field"},
        {"jsno", "it has no field"},
        {"{statsu}", "\"{statsu}\" is none of {time} "},
        {"{status} {", "\"{\" is none of "},
        {"{status} {method", "\"{method\" is none of "},
        {"{}", "\"{}\" is none of "},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf why = BUF_INIT;
        assert_false(log_access_format_check(wrong[i].text, &why));
        assert_true(slice_starts(buf_slice(&why), slice_str(wrong[i].why)));
        buf_release(&why);
    }
    struct buf many = BUF_INIT, why = BUF_INIT;
    for (int i = 0; i < 41; i++)
        buf_append_str(&many, "{status}");
    buf_append_char(&many, '\0');
    assert_false(log_access_format_check(many.data, &why));
    assert_true(slice_is(buf_slice(&why), "it has more than 40 fields"));
    many.data[40 * strlen("{status}")] = '\0';
    assert_true(log_access_format_check(many.data, &why));
    buf_release(&many);
    buf_release(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_log_combined_is_what_apache_writes),
        UNIT(test_log_template_fills_in_its_fields),
        UNIT(test_log_template_says_where_there_is_nothing),
        UNIT(test_log_template_lets_no_field_end_its_field_or_line),
        UNIT(test_log_template_leaves_other_lines_as_they_are),
        UNIT(test_log_goes_on_in_another_format),
        UNIT(test_log_access_format_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
