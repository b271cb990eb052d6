#include "server/http/freshness.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define WALL_MS INT64_C(1767225600000) /* 2026-01-01 */
#define NOW_MS  INT64_C(5000000)

/* A GET and its answer; fields as "Name: value" texts, those of the request behind "> ". */
struct given {
    struct request request;
    struct header asked[8];
    struct fields fields;
    struct answered answered;
    struct cache_policy policy;
    struct caching caching;
};

static void split(const char *text, struct header *out)
{
    const char *colon = strstr(text, ": ");
    *out = (struct header){slice_of(text, (size_t)(colon - text)), slice_str(colon + 2)};
}

static enum storable read_lines(struct given *given, int status, const char *const *lines)
{
    given->fields.count = 0;
    given->request.headers = given->asked;
    given->request.header_count = 0;
    for (; *lines; lines++) {
        if (strncmp(*lines, "> ", 2) == 0)
            split(*lines + 2, &given->asked[given->request.header_count++]);
        else
            split(*lines, &given->fields.items[given->fields.count++]);
    }
    given->answered = (struct answered){.request = &given->request,
                                        .status = status,
                                        .fields = &given->fields,
                                        .asked_ms = NOW_MS,
                                        .answered_ms = NOW_MS,
                                        .answered_wall_ms = WALL_MS};
    return caching_read(&given->answered, &given->policy, &given->caching);
}

#define READ(given, status, ...) read_lines(given, status, (const char *const[]){__VA_ARGS__, NULL})

/* "Name: date" of so many seconds from now, in one of four places. */
static const char *dated(const char *name, int64_t seconds)
{
    static char texts[4][80];
    static unsigned at;
    char date[CLOCK_HTTP_SIZE];
    char *text = texts[at++ % 4];
    clock_http_date(WALL_MS + seconds * 1000, date);
    snprintf(text, sizeof texts[0], "%s: %s", name, date);
    return text;
}

static struct cache_control asking(const char *value)
{
    struct header header = {slice_str("Cache-Control"), slice_str(value)};
    struct cache_control control;
    cache_control_read(&header, 1, &control);
    return control;
}

/* ---- 4.2.1: freshness lifetime */

static void test_lifetime_is_s_maxage_then_max_age_then_expires(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, "Cache-Control: max-age=60, s-maxage=30", dated("Expires", 90));
    assert_int_equal(given.caching.lifetime_s, 30);
    READ(&given, 200, "Cache-Control: max-age=60", dated("Expires", 90));
    assert_int_equal(given.caching.lifetime_s, 60);
    READ(&given, 200, dated("Expires", 90), dated("Date", -10));
    assert_int_equal(given.caching.lifetime_s, 100);
    READ(&given, 200, "Cache-Control: max-age=0", dated("Expires", 90));
    assert_int_equal(given.caching.lifetime_s, 0);
}

static void test_expires_that_is_no_date_is_past(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Expires: 0", dated("Date", 0)), NOT_SAID);
    assert_int_equal(READ(&given, 200, dated("Expires", 90), dated("Expires", 91)), NOT_SAID);
    assert_int_equal(READ(&given, 200, dated("Expires", 90), "Date: foo"), STORABLE);
    assert_int_equal(given.caching.lifetime_s, 90);
}

static void test_the_targeted_field_alone_counts_where_there_is_one(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Cache-Control: no-store", "CDN-Cache-Control: max-age=5"),
                     STORABLE);
    assert_int_equal(given.caching.lifetime_s, 5);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "CDN-Cache-Control: private"),
                     NOT_PRIVATE);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "CDN-Cache-Control: &"),
                     STORABLE);
    assert_int_equal(given.caching.lifetime_s, 60);
}

/* ---- 4.2.2: heuristics */

static void test_a_tenth_of_the_time_since_the_change_is_assumed(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, dated("Last-Modified", -1000), dated("Date", 0));
    assert_int_equal(given.caching.lifetime_s, 100);
    READ(&given, 200, dated("Last-Modified", -100000000));
    assert_int_equal(given.caching.lifetime_s, 86400);
    READ(&given, 200, dated("Last-Modified", 1000));
    assert_int_equal(given.caching.lifetime_s, 0);
    READ(&given, 403, dated("Last-Modified", -1000));
    assert_int_equal(given.caching.lifetime_s, 0);
    READ(&given, 403, dated("Last-Modified", -1000), "Cache-Control: public");
    assert_int_equal(given.caching.lifetime_s, 100);
}

static void test_the_route_says_what_the_origin_does_not(void **state)
{
    (void)state;
    struct given given = {.policy = {.ttl_s = 20}};
    assert_int_equal(READ(&given, 200, dated("Last-Modified", -1000)), STORABLE);
    assert_int_equal(given.caching.lifetime_s, 20);
    READ(&given, 200, "Cache-Control: max-age=5");
    assert_int_equal(given.caching.lifetime_s, 5);
    assert_int_equal(READ(&given, 500, "A: b"), NOT_SAID);
}

static void test_the_route_says_how_stale_an_answer_may_be_where_the_origin_does_not(void **state)
{
    (void)state;
    const struct cache_control asks = {.stale_if_error_s = SECONDS_NONE};
    struct given given = {.policy = {.stale_if_error_s = 100, .stale_while_revalidate_s = 10}};
    READ(&given, 200, "Cache-Control: max-age=5");
    assert_true(caching_survives_error(&given.caching, &asks, NOW_MS + 104000));
    assert_false(caching_survives_error(&given.caching, &asks, NOW_MS + 106000));
    assert_int_equal(given.caching.stale_while_revalidate_s, 10);
    READ(&given, 200, "Cache-Control: max-age=5, stale-if-error=0, stale-while-revalidate=3");
    assert_false(caching_survives_error(&given.caching, &asks, NOW_MS + 6000));
    assert_int_equal(given.caching.stale_while_revalidate_s, 3);
    READ(&given, 200, "Cache-Control: max-age=5, must-revalidate");
    assert_false(caching_survives_error(&given.caching, &asks, NOW_MS + 6000));
    READ(&given, 200, "Cache-Control: s-maxage=5");
    assert_false(caching_survives_error(&given.caching, &asks, NOW_MS + 6000));
}

/* ---- 4.2.3: age */

static void test_age_is_the_larger_of_what_is_said_and_what_dates_show(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, "Cache-Control: max-age=60", "Age: 10", dated("Date", -5));
    assert_int_equal(caching_age_s(&given.caching, NOW_MS), 10);
    READ(&given, 200, "Cache-Control: max-age=60", "Age: 10", dated("Date", -15));
    assert_int_equal(caching_age_s(&given.caching, NOW_MS), 15);
    assert_int_equal(caching_age_s(&given.caching, NOW_MS + 3000), 18);
    assert_int_equal(caching_ttl_s(&given.caching, NOW_MS + 3000), 42);
    given.answered.asked_ms = NOW_MS - 7000;
    caching_read(&given.answered, &given.policy, &given.caching);
    assert_int_equal(caching_age_s(&given.caching, NOW_MS), 17); /* its way took 7 of them */
}

static void test_an_age_that_is_no_number_is_old(void **state)
{
    (void)state;
    static const char *const ages[] = {"Age: abc",  "Age: -7200", "Age: 0.0",
                                       "Age: 0, 0", "Age: 0;a",   "Age: "};
    struct given given = {0};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", ages[i]), NOT_SAID);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "Age: 0", "Age: 0"), NOT_SAID);
}

/* ---- 3: storing */

static void test_what_must_not_be_kept(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, no-store"), NOT_NO_STORE);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "> Cache-Control: no-store"),
                     NOT_ASKED);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, private"), NOT_PRIVATE);
    assert_int_equal(READ(&given, 206, "Cache-Control: max-age=60"), NOT_STATUS);
    assert_int_equal(READ(&given, 304, "Cache-Control: max-age=60"), NOT_STATUS);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "Vary: a, *"), NOT_VARY);
    assert_int_equal(READ(&given, 200, "A: b"), NOT_SAID);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, no-cache"), NOT_SAID);
}

static void test_a_validator_is_enough_to_keep_it(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Cache-Control: no-cache", "ETag: \"a\""), STORABLE);
    assert_true(given.caching.validate_always);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=0", dated("Last-Modified", -5)),
                     STORABLE);
}

/* RFC 9111 section 5.2.2.3: who understands the status ignores the no-store beside it. */
static void test_must_understand(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 599, "Cache-Control: max-age=60, must-understand"), NOT_STATUS);
    assert_int_equal(READ(&given, 599, "Cache-Control: max-age=60"), STORABLE);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, must-understand, no-store"),
                     STORABLE);
}

/* Section 3.5. */
static void test_answers_to_credentials_are_kept_only_if_they_say_so(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "> Authorization: a"),
                     NOT_ASKED);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, public", "> Authorization: a"),
                     STORABLE);
    assert_int_equal(READ(&given, 200, "Cache-Control: s-maxage=60", "> Authorization: a"),
                     STORABLE);
    assert_int_equal(
        READ(&given, 200, "Cache-Control: max-age=60, must-revalidate", "> Authorization: a"),
        STORABLE);
    strcpy(given.request.user.id, "alice");
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60"), NOT_ASKED);
}

static void test_a_key_of_the_user_keeps_what_is_the_users(void **state)
{
    (void)state;
    struct given given = {.policy = {.per_user = true}};
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "> Authorization: a"),
                     NOT_ASKED); /* of nobody that we know */
    strcpy(given.request.user.id, "alice");
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "> Authorization: a"),
                     STORABLE);
}

static void test_an_answer_that_sets_a_cookie_is_kept_only_if_it_is_for_all(void **state)
{
    (void)state;
    struct given given = {0};
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60", "Set-Cookie: a=b"), NOT_COOKIE);
    assert_int_equal(READ(&given, 200, "Cache-Control: max-age=60, public", "Set-Cookie: a=b"),
                     STORABLE);
}

/* ---- 4.2.4 and 5.2.1: serving */

static enum reuse judge(struct given *given, const char *request, int64_t after_s)
{
    struct cache_control control = asking(request);
    return caching_judge(&given->caching, &control, NOW_MS + after_s * 1000);
}

static void test_fresh_is_used_and_stale_is_not(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, "Cache-Control: max-age=60");
    assert_int_equal(judge(&given, "", 59), REUSE);
    assert_int_equal(judge(&given, "", 60), REVALIDATE);
}

static void test_requests_have_terms(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, "Cache-Control: max-age=60");
    assert_int_equal(judge(&given, "no-cache", 0), REVALIDATE);
    assert_int_equal(judge(&given, "max-age=0", 0), REVALIDATE);
    assert_int_equal(judge(&given, "max-age=10", 10), REUSE);
    assert_int_equal(judge(&given, "max-age=10", 11), REVALIDATE);
    assert_int_equal(judge(&given, "min-fresh=20", 40), REUSE);
    assert_int_equal(judge(&given, "min-fresh=20", 41), REVALIDATE);
    assert_int_equal(judge(&given, "max-stale=5", 65), REUSE);
    assert_int_equal(judge(&given, "max-stale=5", 66), REVALIDATE);
    assert_int_equal(judge(&given, "max-stale", 6000), REUSE);
}

static void test_what_must_be_revalidated_is_never_stale(void **state)
{
    (void)state;
    struct cache_control none = asking("");
    static const char *const controls[] = {
        "Cache-Control: max-age=60, stale-while-revalidate=9, stale-if-error=9, must-revalidate",
        "Cache-Control: max-age=60, stale-while-revalidate=9, stale-if-error=9, proxy-revalidate",
        "Cache-Control: s-maxage=60",
    };
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        struct given given = {0};
        READ(&given, 200, controls[i]);
        assert_int_equal(judge(&given, "max-stale", 61), REVALIDATE);
        assert_int_equal(judge(&given, "", 61), REVALIDATE);
        assert_false(caching_survives_error(&given.caching, &none, NOW_MS + 61000));
    }
}

/* RFC 5861. */
static void test_stale_is_used_while_it_is_asked_anew(void **state)
{
    (void)state;
    struct given given = {0};
    READ(&given, 200, "Cache-Control: s-maxage=60, stale-while-revalidate=10");
    assert_int_equal(judge(&given, "", 60), REUSE_AND_REFRESH);
    assert_int_equal(judge(&given, "", 69), REUSE_AND_REFRESH);
    assert_int_equal(judge(&given, "", 70), REVALIDATE);
    assert_int_equal(judge(&given, "max-age=100", 60), REVALIDATE);
}

static void test_stale_stands_in_for_an_error_as_long_as_either_side_says(void **state)
{
    (void)state;
    struct cache_control none = asking(""), seven = asking("stale-if-error=7");
    struct given given = {0};
    READ(&given, 200, "Cache-Control: max-age=60, stale-if-error=5");
    assert_true(caching_survives_error(&given.caching, &none, NOW_MS + 64000));
    assert_false(caching_survives_error(&given.caching, &none, NOW_MS + 65000));
    assert_true(caching_survives_error(&given.caching, &seven, NOW_MS + 66000));
    READ(&given, 200, "Cache-Control: max-age=60");
    assert_false(caching_survives_error(&given.caching, &none, NOW_MS + 60000));
}

static void test_pragma_counts_without_cache_control(void **state)
{
    (void)state;
    struct header headers[] = {{slice_str("Pragma"), slice_str("no-cache")},
                               {slice_str("Cache-Control"), slice_str("max-age=5")}};
    struct request request = {.headers = headers, .header_count = 1};
    struct cache_control control;
    cache_control_of_request(&request, &control);
    assert_true(control.no_cache);
    request.header_count = 2;
    cache_control_of_request(&request, &control);
    assert_false(control.no_cache);
}

/* ---- 3.2: a 304 */

static void test_a_304_changes_the_fields_but_those_of_the_bytes(void **state)
{
    (void)state;
    struct given stored = {0}, fresh = {0};
    READ(&stored, 200, "A: 1", "A: 2", "B: 1", "Content-Length: 5", "ETag: \"a\"", "D: 1");
    READ(&fresh, 304, "a: 3", "C: 1", "Content-Length: 6", "ETag: \"b\"", "B: 2", "B: 3");
    assert_true(fields_freshen(&stored.fields, &fresh.fields));
    struct buf lines = BUF_INIT;
    fields_write(&stored.fields, &lines);
    assert_true(slice_is(buf_slice(&lines), "Content-Length: 5\r\nETag: \"a\"\r\nD: 1\r\n"
                                            "a: 3\r\nC: 1\r\nB: 2\r\nB: 3\r\n"));
    buf_release(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetime_is_s_maxage_then_max_age_then_expires),
        cmocka_unit_test(test_expires_that_is_no_date_is_past),
        cmocka_unit_test(test_the_targeted_field_alone_counts_where_there_is_one),
        cmocka_unit_test(test_a_tenth_of_the_time_since_the_change_is_assumed),
        cmocka_unit_test(test_the_route_says_what_the_origin_does_not),
        cmocka_unit_test(test_the_route_says_how_stale_an_answer_may_be_where_the_origin_does_not),
        cmocka_unit_test(test_age_is_the_larger_of_what_is_said_and_what_dates_show),
        cmocka_unit_test(test_an_age_that_is_no_number_is_old),
        cmocka_unit_test(test_what_must_not_be_kept),
        cmocka_unit_test(test_a_validator_is_enough_to_keep_it),
        cmocka_unit_test(test_must_understand),
        cmocka_unit_test(test_answers_to_credentials_are_kept_only_if_they_say_so),
        cmocka_unit_test(test_a_key_of_the_user_keeps_what_is_the_users),
        cmocka_unit_test(test_an_answer_that_sets_a_cookie_is_kept_only_if_it_is_for_all),
        cmocka_unit_test(test_fresh_is_used_and_stale_is_not),
        cmocka_unit_test(test_requests_have_terms),
        cmocka_unit_test(test_what_must_be_revalidated_is_never_stale),
        cmocka_unit_test(test_stale_is_used_while_it_is_asked_anew),
        cmocka_unit_test(test_stale_stands_in_for_an_error_as_long_as_either_side_says),
        cmocka_unit_test(test_pragma_counts_without_cache_control),
        cmocka_unit_test(test_a_304_changes_the_fields_but_those_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
