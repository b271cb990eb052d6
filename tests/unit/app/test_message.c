/* Messages as text: what strangers put into names and subjects. */
#include "modules/mail/message.h"

#include "base/base64.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct id id;

static void write_message(struct buf *out, const char *from, const char *subject, const char *text)
{
    struct message message = {
        .id = &id, .subject = slice_str(subject), .text = slice_str(text), .now_ms = 784111777000};
    assert_true(mail_address_parse(slice_str(from), &message.from));
    assert_true(mail_address_parse(slice_str("bob@example.org"), &message.to));
    buf_clear(out);
    message_append_wire(out, &message);
    buf_append_char(out, '\0');
}

/* The value of a header as it is read: lines unfolded, encoded words decoded. No line may be
 * longer than 78 characters, and none with an encoded word longer than 76. */
static void read_header(const struct buf *message, const char *name, struct buf *out)
{
    const char *at = strstr(message->data, name);
    assert_non_null(at);
    at += strlen(name);
    const char *line = at - strlen(name);
    buf_clear(out);
    bool between = false; /* two encoded words, whose space is none */
    for (;;) {
        const char *end = strstr(at, "\r\n");
        const char *word = strstr(at, "=?utf-8?B?");
        if (word && word < end) {
            if (!between || word - at > 1)
                buf_append(out, at, (size_t)(word - at));
            const char *close = strstr(word + 10, "?=");
            assert_true(close + 2 - word <= 75);
            assert_true(end - line <= 76);
            assert_true(base64_decode(slice_of(word + 10, (size_t)(close - word) - 10), out));
            at = close + 2;
            between = true;
            if (at != end)
                continue;
        } else {
            buf_append(out, at, (size_t)(end - at));
            between = false;
        }
        assert_true(end - line <= 78);
        if (end[2] != ' ')
            break;
        at = line = end + 2;
    }
    buf_append_char(out, '\0');
}

static void assert_subject(const char *given, const char *read)
{
    struct buf message = BUF_INIT, subject = BUF_INIT;
    write_message(&message, "a@b.c", given, "");
    read_header(&message, "Subject: ", &subject);
    assert_string_equal(subject.data, read);
    buf_release(&message);
    buf_release(&subject);
}

static void test_message_has_the_headers_of_rfc_5322(void **state)
{
    (void)state;
    struct buf message = BUF_INIT;
    write_message(&message, "Galley <galley@example.org>", "Your order", "hello\nbob\n");
    assert_string_equal(message.data, "Date: Sun, 06 Nov 1994 08:49:37 +0000\r\n"
                                      "From: Galley <galley@example.org>\r\n"
                                      "To: bob@example.org\r\n"
                                      "Subject: Your order\r\n"
                                      "Message-ID: <00000000-0000-0000-0000-000000000000@example."
                                      "org>\r\n"
                                      "MIME-Version: 1.0\r\n"
                                      "Content-Type: text/plain; charset=utf-8\r\n"
                                      "Content-Transfer-Encoding: 7bit\r\n"
                                      "\r\n"
                                      "hello\r\nbob\r\n");
    buf_release(&message);
}

static void test_message_subject_is_read_as_it_was_written(void **state)
{
    (void)state;
    assert_subject("Jörg", "Jörg");
    assert_subject("=?utf-8?B?SGk=?=", "=?utf-8?B?SGk=?=");
    assert_subject("👩 an order, 100 % \"yours\"", "👩 an order, 100 % \"yours\"");
    char text[901];
    memset(text, 'x', 900);
    text[900] = '\0';
    assert_subject(text, text);
    for (int i = 7; i < 900; i += 8)
        text[i] = ' ';
    text[899] = '!';
    assert_subject(text, text);
    for (int i = 0; i < 900; i += 3)
        memcpy(text + i, "山", 3);
    assert_subject(text, text);
    for (int i = 0; i < 900; i += 4)
        memcpy(text + i, "👩", 4);
    assert_subject(text, text);
}

static void test_message_subject_of_every_length_is_folded_rightly(void **state)
{
    (void)state;
    char text[301] = "";
    for (int i = 0; i < 100; i++) {
        memcpy(text + 3 * (size_t)i, i % 5 == 4 ? "a b" : "abc", 4);
        assert_subject(text, text);
    }
    memcpy(text, "\xc3\xb6", 2);
    for (size_t len = 3; len < 300; len += 3) {
        char cut[301];
        memcpy(cut, text, len);
        cut[len] = '\0';
        assert_subject(cut, cut);
    }
}

static void test_message_header_ends_where_it_should(void **state)
{
    (void)state;
    assert_subject("hi\r\nBcc: eve@example.org\r\n\r\nbuy", "hi Bcc: eve@example.org buy");
    assert_subject("a\xe2\x80\xae"
                   "b",
                   "a b"); /* right-to-left override */
    assert_subject("\xff"
                   "a",
                   "?a");
    assert_subject("\n", "");
}

static void assert_from(const char *name, const char *line)
{
    struct buf message = BUF_INIT, from = BUF_INIT;
    buf_append_str(&from, name);
    buf_append_str(&from, " <a@b.c>");
    buf_append_char(&from, '\0');
    char text[600];
    memcpy(text, from.data, from.len);
    write_message(&message, text, "s", "");
    if (line)
        assert_non_null(strstr(message.data, line));
    read_header(&message, "From: ", &from);
    assert_memory_equal(from.data, name, strlen(name));
    assert_string_equal(from.data + strlen(name), " <a@b.c>");
    buf_release(&message);
    buf_release(&from);
}

static void test_message_names_stand_in_front_of_addresses(void **state)
{
    (void)state;
    assert_from("Alice", "\r\nFrom: Alice <a@b.c>\r\n");
    assert_from("Jörg", "\r\nFrom: =?utf-8?B?SsO2cmc=?= <a@b.c>\r\n");
    assert_from("Smith, \"Al\" (x) <y", "From: =?utf-8?B?");
    char name[201];
    memset(name, 'n', 200);
    name[200] = '\0';
    assert_from(name, NULL);
    for (int i = 0; i < 200; i += 4)
        memcpy(name + i, "👩", 4);
    assert_from(name, NULL);
}

static void test_message_addresses_are_ascii_and_one(void **state)
{
    (void)state;
    struct mail_address address;
    static const char *const bad[] = {"",      "alice",     "jörg@x.org",   "a@b, c@d",
                                      "a@b c", "<a@b",      "A <a@b> <c@d", "a@b\r\nTo: c@d",
                                      "A <>",  "A <a@b> x", "a@b>",         "\"a b\"@c"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(mail_address_parse(slice_str(bad[i]), &address));
    assert_true(mail_address_parse(slice_str("  Al <a@b.c> "), &address));
    assert_true(slice_is(address.name, "Al"));
    assert_true(slice_is(address.address, "a@b.c"));
}

static void assert_text(const char *given, const char *coding, const char *text)
{
    struct buf message = BUF_INIT, decoded = BUF_INIT;
    write_message(&message, "a@b.c", "s", given);
    const char *body = strstr(message.data, "\r\n\r\n") + 4;
    assert_non_null(strstr(message.data, coding));
    if (strcmp(coding, "base64") == 0) {
        while (*body) {
            size_t len = strcspn(body, "\r");
            assert_true(len <= 76);
            assert_true(base64_decode(slice_of(body, len), &decoded));
            body += len + 2;
        }
        buf_append_char(&decoded, '\0');
        body = decoded.data;
    }
    assert_string_equal(body, text);
    buf_release(&message);
    buf_release(&decoded);
}

static void test_message_text_has_lines_that_every_server_takes(void **state)
{
    (void)state;
    char longest[1000], longer[1001];
    memset(longest, 'x', 998);
    strcpy(longest + 998, "\n");
    memset(longer, 'x', 999);
    strcpy(longer + 999, "\n");
    char with_end[1100];
    assert_text("a\r\nb\rc\n\nd", "7bit", "a\r\nb\r\nc\r\n\r\nd\r\n");
    assert_text("", "7bit", "");
    snprintf(with_end, sizeof with_end, "%.998s\r\n", longest);
    assert_text(longest, "7bit", with_end);
    snprintf(with_end, sizeof with_end, "%.999s\r\n", longer);
    assert_text(longer, "base64", with_end);
    assert_text("Grüße\nJörg\n", "base64", "Grüße\r\nJörg\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_has_the_headers_of_rfc_5322),
        cmocka_unit_test(test_message_subject_is_read_as_it_was_written),
        cmocka_unit_test(test_message_subject_of_every_length_is_folded_rightly),
        cmocka_unit_test(test_message_header_ends_where_it_should),
        cmocka_unit_test(test_message_names_stand_in_front_of_addresses),
        cmocka_unit_test(test_message_addresses_are_ascii_and_one),
        cmocka_unit_test(test_message_text_has_lines_that_every_server_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
