#include "tests/unit/front/tls_fixture.h"

#include "base/log.h"
#include "server/listeners.h"

struct stage {
    struct fixture *f;
    struct config *config, *next;
    struct ticker *ticker;
    struct listeners *listeners;
    struct buf out;
    char path[128];
};

static int setup(void **state)
{
    struct stage *s = mem_zalloc(sizeof *s);
    s->f = fixture_create();
    s->ticker = ticker_create("ticker");
    log_open(&(struct log_options){.path = "/dev/null", .level = LOG_OFF});
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    listeners_close(&s->listeners);
    ticker_destroy(&s->ticker);
    config_destroy(&s->config);
    config_destroy(&s->next);
    buf_release(&s->out);
    log_close();
    fixture_destroy(s->f);
    free(s);
    return 0;
}

/* A listener's section with these certificates ("a b"), in lines of config.ini. */
static void write_section(struct stage *s, struct buf *out, const char *name, const char *pairs)
{
    struct slice rest = slice_str(pairs);
    buf_printf(out, "[listener %s]\naddress = 127.0.0.1:0\n", name);
    while (rest.len > 0) {
        struct slice pair = slice_cut(&rest, ' ');
        buf_printf(out, "tls_cert = %s/%.*s.crt\ntls_key = %s/%.*s.key\n", s->f->dir,
                   SLICE_ARG(pair), s->f->dir, SLICE_ARG(pair));
    }
}

static struct config *load(struct stage *s, const char *text)
{
    struct config *config;
    struct buf errors = BUF_INIT;
    snprintf(s->path, sizeof s->path, "%s/config.ini", s->f->dir);
    write_file(s->f, "config.ini", text);
    enum err err = config_load(&(struct config_source){.path = s->path}, &config, &errors);
    if (err)
        fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
    buf_release(&errors);
    return config;
}

/* A configuration with one listener, "web". */
static struct config *load_web(struct stage *s, const char *pairs)
{
    struct buf text = BUF_INIT;
    write_section(s, &text, "web", pairs);
    buf_append_char(&text, '\0');
    struct config *config = load(s, text.data);
    buf_release(&text);
    return config;
}

static void open_web(struct stage *s, const char *pairs)
{
    s->config = load_web(s, pairs);
    enum err err = listeners_open(s->config, s->ticker, &s->listeners, s->f->why, sizeof s->f->why);
    if (err)
        fail_msg("%s", s->f->why);
}

static const char *metrics(struct stage *s)
{
    buf_clear(&s->out);
    listeners_metrics(s->listeners, &s->out);
    buf_append_char(&s->out, '\0');
    return s->out.data;
}

static const char *warnings(struct stage *s)
{
    buf_clear(&s->out);
    struct json_writer w = {.out = &s->out};
    int64_t now_s = time(NULL) + 60; /* a minute later, days are not quite full */
    jw_begin(&w, '[');
    listeners_write_warnings(s->listeners, now_s * 1000, &w);
    jw_end(&w, ']');
    buf_append_char(&s->out, '\0');
    return s->out.data;
}

static void test_listeners_without_certificates_speak_no_tls(void **state)
{
    struct stage *s = *state;
    open_web(s, "");
    assert_int_equal(listeners_count(s->listeners), 1);
    assert_string_equal(config_name(listeners_section(s->listeners, 0)), "web");
    assert_null(listeners_tls(s->listeners, 0));
    assert_string_equal(warnings(s), "[]");
}

static void test_check_names_the_section_and_the_file(void **state)
{
    struct stage *s = *state;
    char expected[400];
    struct buf errors = BUF_INIT;
    write_pair(s->f, "shop", "DNS:shop.test", 90);
    s->config = load_web(s, "shop nosuch");
    assert_false(listeners_check(s->config, "config.ini", &errors));
    snprintf(expected, sizeof expected,
             "config.ini:1: [listener web] %s/nosuch.crt: No such file or directory\n", s->f->dir);
    buf_append_char(&errors, '\0');
    assert_string_equal(errors.data, expected);
    buf_release(&errors);
}

static void test_open_names_the_section_and_the_file(void **state)
{
    struct stage *s = *state;
    char expected[400];
    s->config = load_web(s, "nosuch");
    assert_int_not_equal(
        listeners_open(s->config, s->ticker, &s->listeners, s->f->why, sizeof s->f->why), ERR_OK);
    assert_null(s->listeners);
    snprintf(expected, sizeof expected, "[listener web] %s/nosuch.crt: No such file or directory",
             s->f->dir);
    assert_string_equal(s->f->why, expected);
}

static void test_metrics_tell_the_end_of_each_certificate(void **state)
{
    struct stage *s = *state;
    struct tls_certificate_status certificate;
    char expected[200];
    write_pair(s->f, "shop", "DNS:shop.test", 90);
    write_pair(s->f, "blog", "DNS:blog.test", 60);
    open_web(s, "shop blog");
    assert_true(tls_read_certificate(listeners_tls(s->listeners, 0), 1, &certificate));
    snprintf(expected, sizeof expected,
             "galley_tls_certificate_not_after_seconds{listener=\"web\",name=\"blog.test\"} %lld\n",
             (long long)certificate.not_after_s);
    assert_non_null(strstr(metrics(s), expected));
    assert_non_null(strstr(metrics(s), "{listener=\"web\",name=\"shop.test\"}"));
    assert_non_null(strstr(metrics(s), "galley_tls_reload_failures_total{listener=\"web\"} 0\n"));
}

static void test_warns_of_certificates_that_end_soon(void **state)
{
    struct stage *s = *state;
    write_pair(s->f, "fine", "DNS:fine.test", 31);
    write_pair(s->f, "soon", "DNS:soon.test", 20);
    write_pair(s->f, "now", "DNS:now.test", 1);
    write_pair(s->f, "late", "DNS:late.test", -1);
    open_web(s, "fine soon now late");
    assert_string_equal(warnings(s), "[\"The certificate of soon.test expires in 19 days.\","
                                     "\"The certificate of now.test expires in 23 hours.\","
                                     "\"The certificate of late.test has expired.\"]");
}

static void test_reload_takes_over_other_files(void **state)
{
    struct stage *s = *state;
    struct tls_certificate_status certificate;
    write_pair(s->f, "shop", "DNS:shop.test", 90);
    write_pair(s->f, "blog", "DNS:blog.test", 90);
    open_web(s, "shop");
    s->next = load_web(s, "blog");
    listeners_reload(s->listeners, s->next);
    assert_true(tls_read_certificate(listeners_tls(s->listeners, 0), 0, &certificate));
    assert_string_equal(certificate.name, "blog.test");
}

static void test_reload_that_fails_keeps_the_old_and_warns(void **state)
{
    struct stage *s = *state;
    struct tls_certificate_status certificate;
    write_pair(s->f, "shop", "DNS:shop.test", 90);
    open_web(s, "shop");
    s->next = load_web(s, "nosuch");
    listeners_reload(s->listeners, s->next);
    assert_true(tls_read_certificate(listeners_tls(s->listeners, 0), 0, &certificate));
    assert_string_equal(certificate.name, "shop.test");
    assert_non_null(strstr(metrics(s), "galley_tls_reload_failures_total{listener=\"web\"} 1\n"));
    assert_non_null(strstr(warnings(s), "nosuch.crt: No such file or directory"));
}

static void test_reload_without_the_section_leaves_it(void **state)
{
    struct stage *s = *state;
    write_pair(s->f, "shop", "DNS:shop.test", 90);
    open_web(s, "shop");
    s->next = load(s, "");
    listeners_reload(s->listeners, s->next);
    assert_string_equal(warnings(s), "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_listeners_without_certificates_speak_no_tls),
        CLAIM(test_check_names_the_section_and_the_file),
        CLAIM(test_open_names_the_section_and_the_file),
        CLAIM(test_metrics_tell_the_end_of_each_certificate),
        CLAIM(test_warns_of_certificates_that_end_soon),
        CLAIM(test_reload_takes_over_other_files),
        CLAIM(test_reload_that_fails_keeps_the_old_and_warns),
        CLAIM(test_reload_without_the_section_leaves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
