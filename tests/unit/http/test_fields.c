#include "server/http/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct fields fields;

static int empty(void **state)
{
    (void)state;
    fields.count = 0;
    return 0;
}

static void add(const char *name, const char *value)
{
    assert_true(fields_add(&fields, name, slice_str(value)));
}

/* The fields as lines, without their CR. */
static const char *lines(void)
{
    static char text[8192];
    struct buf out = BUF_INIT;
    size_t to = 0;
    fields_write(&fields, &out);
    for (size_t i = 0; i < out.len; i++) {
        if (out.data[i] != '\r')
            text[to++] = out.data[i];
    }
    text[to] = '\0';
    buf_release(&out);
    return text;
}

static void test_get_finds_the_first_whatever_its_case(void **state)
{
    (void)state;
    add("Accept", "a");
    add("ACCEPT", "b");
    assert_true(slice_is(fields_get(&fields, "accept"), "a"));
    assert_null(fields_get(&fields, "Accep").ptr);
}

static void test_set_replaces_all_of_the_name(void **state)
{
    (void)state;
    add("A", "1");
    add("B", "2");
    add("a", "3");
    add("C", "4");
    assert_true(fields_set(&fields, "A", slice_str("5")));
    assert_true(fields_set(&fields, "D", slice_str("6")));
    assert_string_equal(lines(), "A: 5\nB: 2\nC: 4\nD: 6\n");
}

static void test_remove_says_how_many_there_were(void **state)
{
    (void)state;
    add("A", "1");
    add("B", "2");
    add("a", "3");
    assert_int_equal(fields_remove(&fields, "A"), 2);
    assert_int_equal(fields_remove(&fields, "A"), 0);
    assert_string_equal(lines(), "B: 2\n");
}

static void test_a_full_list_takes_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < FIELDS_MAX; i++)
        add("A", "1");
    assert_false(fields_add(&fields, "B", slice_str("2")));
    assert_false(fields_set(&fields, "B", slice_str("2")));
    assert_int_equal(fields.count, FIELDS_MAX);
    assert_true(fields_set(&fields, "A", slice_str("2")));
    assert_string_equal(lines(), "A: 2\n");
}

static void test_init_takes_what_a_message_has(void **state)
{
    struct header headers[HEADERS_MAX];
    (void)state;
    for (int i = 0; i < HEADERS_MAX; i++)
        headers[i] = (struct header){slice_str("A"), slice_str("1")};
    fields_init(&fields, headers, HEADERS_MAX);
    assert_int_equal(fields.count, HEADERS_MAX);
    add("B", "2");
}

static void test_what_is_for_one_hop_is_removed(void **state)
{
    (void)state;
    add("Host", "h");
    add("Connection", "keep-alive, X-One");
    add("Keep-Alive", "timeout=5");
    add("Proxy-Connection", "keep-alive");
    add("Proxy-Authorization", "Basic x");
    add("TE", "trailers");
    add("Trailer", "X");
    add("Transfer-Encoding", "chunked");
    add("Upgrade", "websocket");
    add("Proxy-Authenticate", "Basic");
    add("Accept", "*/*");
    assert_true(fields_remove_hop_by_hop(&fields));
    assert_string_equal(lines(), "Host: h\nAccept: */*\n");
}

static void test_what_connection_names_is_removed(void **state)
{
    (void)state;
    add("X-One", "1");
    add("Connection", "x-one,, X-Two ");
    add("X-Two", "2");
    add("x-two", "3");
    add("X-Twofold", "4");
    add("connection", "X-Three");
    add("X-Three", "5");
    assert_true(fields_remove_hop_by_hop(&fields));
    assert_string_equal(lines(), "X-Twofold: 4\n");
}

static void test_connection_cannot_remove_what_makes_the_message(void **state)
{
    (void)state;
    add("Connection", "Host, content-length, Content-Type");
    add("Host", "h");
    add("Content-Length", "5");
    add("Content-Type", "text/plain");
    assert_true(fields_remove_hop_by_hop(&fields));
    assert_string_equal(lines(), "Host: h\nContent-Length: 5\nContent-Type: text/plain\n");
}

static void test_connection_names_a_bounded_number(void **state)
{
    char value[256] = "a";
    (void)state;
    for (int i = 1; i < CONNECTION_OPTIONS_MAX; i++)
        strcat(value, ",a");
    add("Connection", value);
    add("A", "1");
    assert_true(fields_remove_hop_by_hop(&fields));
    assert_int_equal(fields.count, 0);
    add("Connection", value);
    add("Connection", "b");
    add("A", "1");
    assert_false(fields_remove_hop_by_hop(&fields));
    assert_int_equal(fields.count, 3);
}

static void test_nothing_for_one_hop_is_left_of_any_fields(void **state)
{
    static const char *const names[] = {"Connection", "A", "B", "Upgrade", "Host", "TE"};
    static const char *const values[] = {"a", "b,a", "", "close", "B , host", ",", "te"};
    (void)state;
    srand(1);
    for (int round = 0; round < 50000; round++) {
        fields.count = 0;
        for (int i = rand() % 20; i > 0; i--)
            add(names[rand() % 6], values[rand() % 7]);
        struct fields before = fields;
        assert_true(fields_remove_hop_by_hop(&fields));
        for (unsigned i = 0; i < fields.count; i++)
            assert_true(slice_is(fields.items[i].name, "Host") || fields.items[i].name.len == 1);
        for (unsigned i = 0; i < before.count; i++)
            if (slice_is(before.items[i].name, "Connection") &&
                slice_is(before.items[i].value, "b,a"))
                assert_false(fields_get(&fields, "A").ptr || fields_get(&fields, "B").ptr);
    }
}

static void test_connection_hides_what_would_go_on(void **state)
{
    (void)state;
    add("Connection", "close, te, host, x-gone");
    add("TE", "trailers");
    add("Host", "h");
    add("X-One", "1");
    assert_false(fields_connection_hides(fields.items, fields.count));
    add("connection", "keep-alive , x-one");
    assert_true(fields_connection_hides(fields.items, fields.count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_get_finds_the_first_whatever_its_case, empty),
        cmocka_unit_test_setup(test_set_replaces_all_of_the_name, empty),
        cmocka_unit_test_setup(test_remove_says_how_many_there_were, empty),
        cmocka_unit_test_setup(test_a_full_list_takes_no_more, empty),
        cmocka_unit_test_setup(test_init_takes_what_a_message_has, empty),
        cmocka_unit_test_setup(test_what_is_for_one_hop_is_removed, empty),
        cmocka_unit_test_setup(test_what_connection_names_is_removed, empty),
        cmocka_unit_test_setup(test_connection_hides_what_would_go_on, empty),
        cmocka_unit_test_setup(test_connection_cannot_remove_what_makes_the_message, empty),
        cmocka_unit_test_setup(test_connection_names_a_bounded_number, empty),
        cmocka_unit_test_setup(test_nothing_for_one_hop_is_left_of_any_fields, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
