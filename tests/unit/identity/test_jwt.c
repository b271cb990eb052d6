/* Tokens are forged here by hand, with OpenSSL's HMAC, so that each wrong one is signed rightly. */
#include "server/identity/jwt.h"

#include "base/base64.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define KEY   "an old key of exactly 32 bytes.."
#define OTHER "another key that has 32 bytes..."
#define NOW_S INT64_C(1800000000)
#define NOW   (NOW_S * 1000)
#define HOUR  (INT64_C(3600) * 1000)

#define CLAIMS_BUT_TIME "\"sub\":\"alice\",\"iss\":\"galley\",\"aud\":\"shop\""
#define CLAIMS          "{" CLAIMS_BUT_TIME ",\"exp\":1800003600}"

#define CLAIM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

struct fixture {
    struct jwt *jwt;
    char kid[32];
    struct buf token;
};

static struct jwt *create(const char *key)
{
    return jwt_create(&(struct jwt_options){slice_str(key), "galley", "shop"});
}

static struct principal alice(void)
{
    return (struct principal){.id = "alice", .roles = {"customer", "tester"}, .role_count = 2};
}

/* What the issued token's header says the key is called. */
static void learn_kid(struct fixture *f)
{
    struct principal user = alice();
    struct buf token = BUF_INIT, header = BUF_INIT;
    assert_int_equal(jwt_issue(f->jwt, &user, NOW, HOUR, &token), ERR_OK);
    struct slice rest = buf_slice(&token);
    assert_true(base64url_decode(slice_cut(&rest, '.'), &header));
    json_t *json;
    assert_int_equal(json_read_trusted(buf_slice(&header), &json), ERR_OK);
    snprintf(f->kid, sizeof f->kid, "%s", json_str(json, "kid", ""));
    json_decref(json);
    buf_release(&token);
    buf_release(&header);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    f->jwt = create(KEY);
    learn_kid(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    jwt_destroy(&f->jwt);
    buf_release(&f->token);
    free(f);
    return 0;
}

static void sign(struct buf *token, const EVP_MD *digest, const char *key)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len;
    HMAC(digest, key, (int)strlen(key), (unsigned char *)token->data, token->len, mac, &len);
    buf_append_char(token, '.');
    base64url_append(token, slice_of(mac, len));
}

/* A token of this header and these claims, signed with the key. */
static struct slice forge(struct fixture *f, const char *header, const char *claims)
{
    buf_clear(&f->token);
    base64url_append(&f->token, slice_str(header));
    buf_append_char(&f->token, '.');
    base64url_append(&f->token, slice_str(claims));
    sign(&f->token, EVP_sha256(), KEY);
    return buf_slice(&f->token);
}

/* A right header, with more members if wanted: ",\"crit\":[]". */
static const char *header_with(struct fixture *f, const char *more)
{
    static char header[256];
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"%s}", f->kid, more);
    return header;
}

static struct slice forge_claims(struct fixture *f, const char *claims)
{
    return forge(f, header_with(f, ""), claims);
}

static enum err check(struct fixture *f, struct slice token, int64_t now_ms)
{
    struct principal user;
    return jwt_check(f->jwt, token, now_ms, &user);
}

static void assert_passes(struct fixture *f, struct slice token)
{
    assert_int_equal(check(f, token, NOW), ERR_OK);
}

static void assert_refused(struct fixture *f, struct slice token)
{
    assert_int_equal(check(f, token, NOW), ERR_UNAUTHENTICATED);
}

/* ---- Issued tokens. */

static void test_jwt_passes_what_it_issued_and_tells_the_user(void **state)
{
    struct fixture *f = *state;
    struct principal user = alice(), read = {0};
    jwt_issue(f->jwt, &user, NOW, HOUR, &f->token);
    assert_int_equal(jwt_check(f->jwt, buf_slice(&f->token), NOW, &read), ERR_OK);
    assert_string_equal(read.id, "alice");
    assert_int_equal(read.role_count, 2);
    assert_string_equal(read.roles[0], "customer");
    assert_string_equal(read.roles[1], "tester");
}

static void test_jwt_issues_different_tokens_each_time(void **state)
{
    struct fixture *f = *state;
    struct principal user = alice();
    struct buf second = BUF_INIT;
    jwt_issue(f->jwt, &user, NOW, HOUR, &f->token);
    jwt_issue(f->jwt, &user, NOW, HOUR, &second);
    assert_false(slice_eq(buf_slice(&f->token), buf_slice(&second)));
    buf_release(&second);
}

static void test_jwt_refuses_what_another_key_issued(void **state)
{
    struct fixture *f = *state;
    struct jwt *other = create(OTHER);
    struct principal user = alice();
    jwt_issue(other, &user, NOW, HOUR, &f->token);
    assert_refused(f, buf_slice(&f->token));
    jwt_destroy(&other);
}

static void test_jwt_remembers_the_user_of_a_token(void **state)
{
    struct fixture *f = *state;
    struct principal first = {0}, again = {0};
    struct slice token =
        forge_claims(f, "{" CLAIMS_BUT_TIME ",\"exp\":1800003600,\"roles\":[\"admin\"]}");
    assert_int_equal(jwt_check(f->jwt, token, NOW, &first), ERR_OK);
    assert_int_equal(jwt_check(f->jwt, token, NOW, &again), ERR_OK);
    assert_memory_equal(&first, &again, sizeof first);
}

static void test_jwt_refuses_a_remembered_token_once_it_has_expired(void **state)
{
    struct fixture *f = *state;
    struct slice token = forge_claims(f, CLAIMS);
    assert_passes(f, token);
    assert_int_equal(check(f, token, NOW + HOUR + 60000 - 1), ERR_OK);
    assert_int_equal(check(f, token, NOW + HOUR + 60000), ERR_UNAUTHENTICATED);
}

static void test_jwt_refuses_a_remembered_token_with_another_signature(void **state)
{
    struct fixture *f = *state;
    struct slice token = forge_claims(f, CLAIMS);
    assert_passes(f, token);
    char *tenth_of_signature = f->token.data + f->token.len - 33;
    *tenth_of_signature = *tenth_of_signature == 'A' ? 'B' : 'A';
    assert_refused(f, token);
}

/* ---- Keys. */

static void test_jwt_needs_a_key_of_32_bytes(void **state)
{
    (void)state;
    struct jwt *jwt = create("a key that has only 31 bytes...");
    assert_null(jwt);
    jwt_destroy(&jwt);
}

static void test_jwt_refuses_a_pem_file_as_key(void **state)
{
    (void)state;
    assert_null(create("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"));
    assert_null(create("\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"));
}

/* ---- The form. */

static void test_jwt_refuses_two_parts(void **state)
{
    struct fixture *f = *state;
    struct slice token = forge_claims(f, CLAIMS);
    token.len = (size_t)((const char *)memrchr(token.ptr, '.', token.len) - token.ptr);
    assert_refused(f, token);
}

static void test_jwt_refuses_an_empty_signature(void **state)
{
    struct fixture *f = *state;
    struct slice token = forge_claims(f, CLAIMS);
    token.len = (size_t)((const char *)memrchr(token.ptr, '.', token.len) - token.ptr) + 1;
    assert_refused(f, token);
}

static void test_jwt_refuses_what_follows_the_signature(void **state)
{
    static const char *const tails[] = {".", ".e30", "=", "==", " ", "\n", "A", "AAAA", "&x=1"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof tails / sizeof *tails; i++) {
        forge_claims(f, CLAIMS);
        buf_append_str(&f->token, tails[i]);
        assert_refused(f, buf_slice(&f->token));
    }
}

static void test_jwt_refuses_nul_bytes_in_the_token(void **state)
{
    struct fixture *f = *state;
    forge_claims(f, CLAIMS);
    buf_append(&f->token, "\0", 1);
    assert_refused(f, buf_slice(&f->token));
    buf_append(&f->token, "garbage", 7);
    assert_refused(f, buf_slice(&f->token));
}

static void test_jwt_refuses_padding_within(void **state)
{
    struct fixture *f = *state;
    buf_clear(&f->token);
    base64_append(&f->token, slice_str(header_with(f, ",\"p\":1")));
    assert_int_equal(f->token.data[f->token.len - 1], '='); /* or this tests nothing */
    buf_append_char(&f->token, '.');
    base64url_append(&f->token, slice_str(CLAIMS));
    sign(&f->token, EVP_sha256(), KEY);
    assert_refused(f, buf_slice(&f->token));
}

static void test_jwt_refuses_an_empty_token_and_dots(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, slice_str(""));
    assert_refused(f, slice_str("."));
    assert_refused(f, slice_str(".."));
    assert_refused(f, slice_str("..."));
}

static void test_jwt_refuses_tokens_over_the_limit(void **state)
{
    struct fixture *f = *state;
    char claims[JWT_TOKEN_MAX];
    const char *form = "{" CLAIMS_BUT_TIME ",\"exp\":1800003600,\"x\":\"%0*d\"}";
    snprintf(claims, sizeof claims, form, 2900, 0);
    assert_in_range(forge_claims(f, claims).len, JWT_TOKEN_MAX - 100, JWT_TOKEN_MAX);
    assert_passes(f, buf_slice(&f->token));
    snprintf(claims, sizeof claims, form, 3000, 0);
    assert_in_range(forge_claims(f, claims).len, JWT_TOKEN_MAX + 1, JWT_TOKEN_MAX + 100);
    assert_refused(f, buf_slice(&f->token));
}

/* ---- The header. */

static void test_jwt_passes_typ_jwt_in_any_case(void **state)
{
    struct fixture *f = *state;
    assert_passes(f, forge(f, header_with(f, ",\"typ\":\"JWT\""), CLAIMS));
    assert_passes(f, forge(f, header_with(f, ",\"typ\":\"jwt\""), CLAIMS));
}

static void test_jwt_refuses_another_typ(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, forge(f, header_with(f, ",\"typ\":\"at+jwt\""), CLAIMS));
    assert_refused(f, forge(f, header_with(f, ",\"typ\":\"\""), CLAIMS));
    assert_refused(f, forge(f, header_with(f, ",\"typ\":1"), CLAIMS));
    assert_refused(f, forge(f, header_with(f, ",\"typ\":null"), CLAIMS));
}

static void test_jwt_refuses_every_other_algorithm_name(void **state)
{
    static const char *const names[] = {
        "\"none\"",  "\"None\"",  "\"\"",       "\"hs256\"", "\"Hs256\"", "\"HS384\"",  "\"HS512\"",
        "\"RS256\"", "\"ES256\"", "\"HS256 \"", "null",      "256",       "[\"HS256\"]"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":%s,\"kid\":\"%s\"}", names[i], f->kid);
        assert_refused(f, forge(f, header, CLAIMS));
    }
}

static void test_jwt_refuses_alg_none_without_a_signature(void **state)
{
    struct fixture *f = *state;
    char header[128];
    snprintf(header, sizeof header, "{\"alg\":\"none\",\"kid\":\"%s\"}", f->kid);
    struct slice token = forge(f, header, CLAIMS);
    token.len = (size_t)((const char *)memrchr(token.ptr, '.', token.len) - token.ptr) + 1;
    assert_refused(f, token);
}

static void test_jwt_refuses_hs512_made_with_the_key(void **state)
{
    struct fixture *f = *state;
    char header[128];
    snprintf(header, sizeof header, "{\"alg\":\"HS512\",\"kid\":\"%s\"}", f->kid);
    buf_clear(&f->token);
    base64url_append(&f->token, slice_str(header));
    buf_append_char(&f->token, '.');
    base64url_append(&f->token, slice_str(CLAIMS));
    sign(&f->token, EVP_sha512(), KEY);
    assert_refused(f, buf_slice(&f->token));
}

static void test_jwt_refuses_a_missing_algorithm(void **state)
{
    struct fixture *f = *state;
    char header[128];
    snprintf(header, sizeof header, "{\"kid\":\"%s\"}", f->kid);
    assert_refused(f, forge(f, header, CLAIMS));
}

static void test_jwt_refuses_a_missing_or_unknown_kid(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, forge(f, "{\"alg\":\"HS256\"}", CLAIMS));
    assert_refused(f, forge(f, "{\"alg\":\"HS256\",\"kid\":\"\"}", CLAIMS));
    assert_refused(f, forge(f, "{\"alg\":\"HS256\",\"kid\":\"AAAAAAAAAAA\"}", CLAIMS));
    assert_refused(f, forge(f, "{\"alg\":\"HS256\",\"kid\":7}", CLAIMS));
}

static void test_jwt_refuses_headers_that_bring_or_name_keys_or_demands(void **state)
{
    static const char *const members[] = {",\"crit\":[\"exp\"]",
                                          ",\"crit\":[]",
                                          ",\"b64\":false",
                                          ",\"b64\":true",
                                          ",\"jku\":\"https://example.com/keys\"",
                                          ",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}",
                                          ",\"x5u\":\"https://example.com/cert\"",
                                          ",\"x5c\":[]"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof members / sizeof *members; i++)
        assert_refused(f, forge(f, header_with(f, members[i]), CLAIMS));
}

static void test_jwt_refuses_duplicate_members_of_the_header(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, forge(f, header_with(f, ",\"alg\":\"HS256\""), CLAIMS));
    assert_refused(f, forge(f, header_with(f, ",\"alg\":\"none\""), CLAIMS));
}

static void test_jwt_refuses_a_header_that_is_no_object(void **state)
{
    static const char *const headers[] = {"", "[]", "\"HS256\"", "null", "{", "{} {}"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_refused(f, forge(f, headers[i], CLAIMS));
}

/* ---- The claims. */

static void assert_claims_refused(struct fixture *f, const char *claims)
{
    assert_refused(f, forge_claims(f, claims));
}

/* Claims that are right but for `more`. */
static struct slice forge_with(struct fixture *f, const char *more)
{
    char claims[512];
    snprintf(claims, sizeof claims, "{" CLAIMS_BUT_TIME "%s}", more);
    return forge_claims(f, claims);
}

static void test_jwt_requires_exp(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, forge_with(f, ""));
}

static void test_jwt_refuses_times_that_are_no_whole_seconds(void **state)
{
    static const char *const claims[] = {",\"exp\":1800003600.5",
                                         ",\"exp\":\"1800003600\"",
                                         ",\"exp\":null",
                                         ",\"exp\":1.8e9",
                                         ",\"exp\":-1",
                                         ",\"exp\":9223372036854775807",
                                         ",\"exp\":99999999999999999999",
                                         ",\"exp\":true",
                                         ",\"exp\":1800003600,\"nbf\":\"0\"",
                                         ",\"exp\":1800003600,\"nbf\":1.5",
                                         ",\"exp\":1800003600,\"iat\":null",
                                         ",\"exp\":1800003600,\"iat\":-9223372036854775808"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof claims / sizeof *claims; i++)
        assert_refused(f, forge_with(f, claims[i]));
}

static void test_jwt_expires_a_minute_after_exp(void **state)
{
    struct fixture *f = *state;
    assert_passes(f, forge_with(f, ",\"exp\":1799999941")); /* 59 s ago */
    assert_refused(f, forge_with(f, ",\"exp\":1799999940"));
    assert_refused(f, forge_with(f, ",\"exp\":0"));
}

static void test_jwt_begins_a_minute_before_nbf(void **state)
{
    struct fixture *f = *state;
    assert_passes(f, forge_with(f, ",\"exp\":1800003600,\"nbf\":1800000060"));
    assert_refused(f, forge_with(f, ",\"exp\":1800003600,\"nbf\":1800000061"));
}

static void test_jwt_refuses_a_token_issued_in_the_future(void **state)
{
    struct fixture *f = *state;
    assert_passes(f, forge_with(f, ",\"exp\":1800003600,\"iat\":1800000060"));
    assert_refused(f, forge_with(f, ",\"exp\":1800003600,\"iat\":1800000061"));
}

static void test_jwt_refuses_a_remembered_token_when_the_clock_steps_before_nbf(void **state)
{
    struct fixture *f = *state;
    struct slice token = forge_with(f, ",\"exp\":1800003600,\"nbf\":1800000000");
    assert_passes(f, token);
    assert_int_equal(check(f, token, NOW - 61000), ERR_UNAUTHENTICATED);
}

static void test_jwt_requires_its_issuer(void **state)
{
    struct fixture *f = *state;
    assert_claims_refused(f, "{\"sub\":\"alice\",\"aud\":\"shop\",\"exp\":1800003600}");
    assert_claims_refused(
        f, "{\"sub\":\"alice\",\"iss\":\"Galley\",\"aud\":\"shop\",\"exp\":1800003600}");
    assert_claims_refused(
        f, "{\"sub\":\"alice\",\"iss\":[\"galley\"],\"aud\":\"shop\",\"exp\":1800003600}");
}

static void test_jwt_requires_its_audience_alone_or_in_a_list(void **state)
{
    static const char *const wrong[] = {"\"\"",         "\"shops\"",    "[]",  "[\"sho\"]",
                                        "[[\"shop\"]]", "{\"shop\":1}", "null"};
    struct fixture *f = *state;
    char claims[256];
    const char *form = "{\"sub\":\"alice\",\"iss\":\"galley\",\"exp\":1800003600,\"aud\":%s}";
    snprintf(claims, sizeof claims, form, "[\"other\",\"shop\"]");
    assert_passes(f, forge_claims(f, claims));
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(claims, sizeof claims, form, wrong[i]);
        assert_claims_refused(f, claims);
    }
    assert_claims_refused(f, "{\"sub\":\"alice\",\"iss\":\"galley\",\"exp\":1800003600}");
}

static void test_jwt_requires_a_subject_of_1_to_128_bytes(void **state)
{
    struct fixture *f = *state;
    char claims[512];
    const char *form = "{\"sub\":\"%0*d\",\"iss\":\"galley\",\"exp\":1800003600,\"aud\":\"shop\"}";
    snprintf(claims, sizeof claims, form, 128, 0);
    assert_passes(f, forge_claims(f, claims));
    snprintf(claims, sizeof claims, form, 129, 0);
    assert_claims_refused(f, claims);
    assert_claims_refused(f,
                          "{\"sub\":\"\",\"iss\":\"galley\",\"aud\":\"shop\",\"exp\":1800003600}");
    assert_claims_refused(f, "{\"sub\":5,\"iss\":\"galley\",\"aud\":\"shop\",\"exp\":1800003600}");
    assert_claims_refused(f, "{\"iss\":\"galley\",\"aud\":\"shop\",\"exp\":1800003600}");
}

static void test_jwt_refuses_roles_that_are_no_short_strings(void **state)
{
    static const char *const wrong[] = {"\"admin\"",
                                        "[1]",
                                        "[\"\"]",
                                        "[null]",
                                        "{\"admin\":true}",
                                        "null",
                                        "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]",
                                        "[\"a role of thirty-three characters\"]"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char more[160];
        snprintf(more, sizeof more, ",\"exp\":1800003600,\"roles\":%s", wrong[i]);
        assert_refused(f, forge_with(f, more));
    }
    assert_passes(f, forge_with(f, ",\"exp\":1800003600,\"roles\":[]"));
}

static void test_jwt_refuses_duplicate_claims(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, forge_with(f, ",\"exp\":1800003600,\"exp\":1800003600"));
    assert_refused(f, forge_with(f, ",\"exp\":1800003600,\"sub\":\"root\""));
}

static void test_jwt_refuses_nul_in_claims(void **state)
{
    struct fixture *f = *state;
    assert_claims_refused(
        f, "{\"sub\":\"alice\\u0000\",\"iss\":\"galley\",\"aud\":\"shop\",\"exp\":1800003600}");
}

static void test_jwt_refuses_claims_that_are_no_object(void **state)
{
    static const char *const claims[] = {"", "[]", "\"alice\"", "null", "{", CLAIMS "x"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof claims / sizeof *claims; i++)
        assert_claims_refused(f, claims[i]);
}

static void test_jwt_refuses_changed_claims(void **state)
{
    struct fixture *f = *state;
    struct slice rest = forge_claims(f, CLAIMS);
    struct slice header = slice_cut(&rest, '.');
    slice_cut(&rest, '.');
    struct buf changed = BUF_INIT;
    buf_append_slice(&changed, header);
    buf_append_char(&changed, '.');
    base64url_append(&changed, slice_str("{\"sub\":\"admin\",\"iss\":\"galley\",\"aud\":\"shop\","
                                         "\"exp\":1800003600}"));
    buf_append_char(&changed, '.');
    buf_append_slice(&changed, rest);
    assert_refused(f, buf_slice(&changed));
    buf_release(&changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_jwt_passes_what_it_issued_and_tells_the_user),
        CLAIM(test_jwt_issues_different_tokens_each_time),
        CLAIM(test_jwt_refuses_what_another_key_issued),
        CLAIM(test_jwt_remembers_the_user_of_a_token),
        CLAIM(test_jwt_refuses_a_remembered_token_once_it_has_expired),
        CLAIM(test_jwt_refuses_a_remembered_token_with_another_signature),
        CLAIM(test_jwt_needs_a_key_of_32_bytes),
        CLAIM(test_jwt_refuses_a_pem_file_as_key),
        CLAIM(test_jwt_refuses_two_parts),
        CLAIM(test_jwt_refuses_an_empty_signature),
        CLAIM(test_jwt_refuses_what_follows_the_signature),
        CLAIM(test_jwt_refuses_nul_bytes_in_the_token),
        CLAIM(test_jwt_refuses_padding_within),
        CLAIM(test_jwt_refuses_an_empty_token_and_dots),
        CLAIM(test_jwt_refuses_tokens_over_the_limit),
        CLAIM(test_jwt_passes_typ_jwt_in_any_case),
        CLAIM(test_jwt_refuses_another_typ),
        CLAIM(test_jwt_refuses_every_other_algorithm_name),
        CLAIM(test_jwt_refuses_alg_none_without_a_signature),
        CLAIM(test_jwt_refuses_hs512_made_with_the_key),
        CLAIM(test_jwt_refuses_a_missing_algorithm),
        CLAIM(test_jwt_refuses_a_missing_or_unknown_kid),
        CLAIM(test_jwt_refuses_headers_that_bring_or_name_keys_or_demands),
        CLAIM(test_jwt_refuses_duplicate_members_of_the_header),
        CLAIM(test_jwt_refuses_a_header_that_is_no_object),
        CLAIM(test_jwt_requires_exp),
        CLAIM(test_jwt_refuses_times_that_are_no_whole_seconds),
        CLAIM(test_jwt_expires_a_minute_after_exp),
        CLAIM(test_jwt_begins_a_minute_before_nbf),
        CLAIM(test_jwt_refuses_a_token_issued_in_the_future),
        CLAIM(test_jwt_refuses_a_remembered_token_when_the_clock_steps_before_nbf),
        CLAIM(test_jwt_requires_its_issuer),
        CLAIM(test_jwt_requires_its_audience_alone_or_in_a_list),
        CLAIM(test_jwt_requires_a_subject_of_1_to_128_bytes),
        CLAIM(test_jwt_refuses_roles_that_are_no_short_strings),
        CLAIM(test_jwt_refuses_duplicate_claims),
        CLAIM(test_jwt_refuses_nul_in_claims),
        CLAIM(test_jwt_refuses_claims_that_are_no_object),
        CLAIM(test_jwt_refuses_changed_claims),
    };
    return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
