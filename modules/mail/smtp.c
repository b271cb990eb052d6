/* DESIGN. libcurl speaks SMTP. A handle is one thread's at a time and keeps its connection, so
 * handles wait in a list for whoever sends next. What a refusal means depends on what it answers:
 * only of the message (RCPT, DATA, its size) a 5xx is for ever. A server that does not know our
 * sender, wants another password, or has a certificate of somebody else's, is a trouble of ours,
 * and the messages wait for its end. */
#include "modules/mail/smtp.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOP_GRACE_NS 500000000LL /* for what is nearly handed over */

struct session {
    struct session *next; /* in smtp.idle */
    CURL *curl;
    struct smtp *smtp;
    char error[CURL_ERROR_SIZE];
    struct slice rest;   /* of the message */
    const char *verb;    /* of the last command: "RCPT"; or "" */
    char reply[160];     /* the server's last line */
    bool over;           /* QUIT was sent: what comes behind it says nothing */
    int64_t stopping_ns; /* since when the queues stop; 0: they do not */
};

struct smtp {
    char *url; /* without user and password */
    char *user, *password, *ca;
    bool plain;
    int64_t timeout_ms;
    bool (*stopping)(void *arg);
    void *arg;
    struct lock lock;              /* rank MAIL; guards idle */
    struct session *idle;          /* sessions that nobody uses */
    _Atomic(const char *) trouble; /* a literal, or NULL */
};

/* ---- What libcurl asks and tells */

static size_t give_message(char *out, size_t size, size_t count, void *arg)
{
    struct session *session = arg;
    size_t room = size * count;
    size_t len = session->rest.len < room ? session->rest.len : room;
    if (len > 0)
        memcpy(out, session->rest.ptr, len);
    session->rest = slice_of(session->rest.ptr + len, session->rest.len - len);
    return len;
}

/* At least once a second. Not 0 ends the transfer. */
static int give_up(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    struct session *session = arg;
    if (!session->smtp->stopping(session->smtp->arg))
        return 0;
    int64_t now_ns = clock_mono_ns(&clock_system);
    if (session->stopping_ns == 0)
        session->stopping_ns = now_ns;
    return now_ns - session->stopping_ns >= STOP_GRACE_NS;
}

/* Commands come by, and what AUTH is answered with, of which nothing is kept. */
static void note_command(struct session *session, struct slice line)
{
    static const char *const verbs[] = {"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"};
    for (unsigned i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (slice_starts(line, slice_str(verbs[i])))
            session->verb = verbs[i];
    }
}

static int note_talk(CURL *curl, curl_infotype type, char *text, size_t len, void *arg)
{
    (void)curl;
    struct session *session = arg;
    if (type == CURLINFO_HEADER_OUT && slice_starts(slice_of(text, len), slice_str("QUIT")))
        session->over = true;
    if (session->over)
        return 0;
    if (type == CURLINFO_HEADER_OUT)
        note_command(session, slice_of(text, len));
    if (type != CURLINFO_HEADER_IN)
        return 0;
    struct buf line = BUF_INIT;
    text_append_line(&line, slice_of(text, len));
    snprintf(session->reply, sizeof session->reply, "%.*s", (int)line.len, line.data);
    buf_release(&line);
    return 0;
}

static size_t ignore(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

/* ---- Sessions */

static void set_security(CURL *curl, const struct smtp *smtp)
{
    curl_easy_setopt(curl, CURLOPT_USE_SSL, smtp->plain ? CURLUSESSL_NONE : CURLUSESSL_ALL);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (smtp->ca[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, smtp->ca);
    if (smtp->user[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_USERNAME, smtp->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, smtp->password);
    }
}

/* A name server that does not answer must not hold the end of the process either: QUICK_EXIT. */
static void set_limits(CURL *curl, const struct smtp *smtp)
{
    long timeout_s = (long)((smtp->timeout_ms + 999) / 1000);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)smtp->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)smtp->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, timeout_s);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
}

static struct session *session_create(struct smtp *smtp)
{
    struct session *session = mem_zalloc(sizeof *session);
    CURL *curl = curl_easy_init();
    if (!curl) {
        free(session);
        return NULL;
    }
    session->curl = curl;
    session->smtp = smtp;
    set_security(curl, smtp);
    set_limits(curl, smtp);
    curl_easy_setopt(curl, CURLOPT_URL, smtp->url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, session->error);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_message);
    curl_easy_setopt(curl, CURLOPT_READDATA, session);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, give_up);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, session);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, note_talk);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, session);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    return session;
}

/* Cleaning up says QUIT. A server that does not answer it would hold us: so nobody listens. */
static void session_destroy(struct session *session)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(session->curl, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK &&
        fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RD);
    curl_easy_cleanup(session->curl);
    free(session);
}

static struct session *take_session(struct smtp *smtp)
{
    lock_acquire(&smtp->lock);
    struct session *session = smtp->idle;
    if (session)
        smtp->idle = session->next;
    lock_leave(&smtp->lock);
    return session ? session : session_create(smtp);
}

static void give_session(struct smtp *smtp, struct session *session)
{
    lock_acquire(&smtp->lock);
    session->next = smtp->idle;
    smtp->idle = session;
    lock_leave(&smtp->lock);
}

/* ---- Sending */

/* Whether a refusal is of us, whatever it answers: 421 is an end of service, 530, 534, 535 and 538
 * speak of signing in (RFC 4954). The sender is the same for all messages, so a 5xx to MAIL is too,
 * unless it says that this one is too large: 552. */
static bool is_about_us(const struct session *session, long code)
{
    if (strcmp(session->verb, "MAIL") == 0 && code >= 500 && code != 552)
        return true;
    return code == 421 || code == 530 || code == 534 || code == 535 || code == 538;
}

/* A refusal of this message alone; *for_ever: it will not be taken later either. */
static bool is_about_message(const struct session *session, bool *for_ever)
{
    static const char *const verbs[] = {"MAIL", "RCPT", "DATA"};
    long code = strtol(session->reply, NULL, 10);
    *for_ever = code >= 500;
    if (code < 400 || is_about_us(session, code))
        return false;
    for (unsigned i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(session->verb, verbs[i]) == 0)
            return true;
    }
    return false;
}

static const char *trouble_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_USE_SSL_FAILED:
        return "the connection to the mail server cannot be made safe";
    case CURLE_LOGIN_DENIED:
        return "the mail server refuses our user or password";
    case CURLE_OPERATION_TIMEDOUT:
        return "the mail server does not answer in time";
    default:
        return "the mail server cannot be reached or refuses us";
    }
}

/* Says it once, however many messages it concerns. */
static void note_trouble(struct smtp *smtp, const char *trouble, const char *why)
{
    if (atomic_exchange(&smtp->trouble, trouble) == trouble)
        return;
    if (trouble)
        log_write(LOG_ERROR, "mail", "%s: %s", trouble, why);
    else
        log_write(LOG_INFO, "mail", "the mail server takes messages again");
}

const char *smtp_trouble(const struct smtp *smtp)
{
    return atomic_load(&smtp->trouble);
}

static enum err outcome(struct session *session, CURLcode rc, char *why, size_t why_size)
{
    if (rc == CURLE_OK) {
        note_trouble(session->smtp, NULL, NULL);
        return ERR_OK;
    }
    if (rc == CURLE_ABORTED_BY_CALLBACK) {
        snprintf(why, why_size, "the server stops");
        return ERR_DRAINING;
    }
    bool replied = session->reply[0] >= '4';
    if (replied)
        snprintf(why, why_size, "the mail server answered %s with %s",
                 session->verb[0] ? session->verb : "the connection", session->reply);
    else
        snprintf(why, why_size, "the mail server: %s",
                 session->error[0] ? session->error : curl_easy_strerror(rc));
    bool for_ever, about_message = is_about_message(session, &for_ever);
    note_trouble(session->smtp, about_message ? NULL : trouble_of(rc), why);
    return about_message && for_ever ? ERR_MALFORMED : ERR_INTERNAL;
}

static CURLcode transfer(struct session *session, const char *from, const char *to,
                         struct slice message)
{
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    if (!recipients)
        return CURLE_OUT_OF_MEMORY;
    session->rest = message;
    session->error[0] = session->reply[0] = '\0';
    session->verb = "";
    session->over = false;
    session->stopping_ns = 0;
    curl_easy_setopt(session->curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(session->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)message.len);
    CURLcode rc = curl_easy_perform(session->curl);
    curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(recipients);
    return rc;
}

enum err smtp_send(struct smtp *smtp, struct slice from, struct slice to, struct slice message,
                   char *why, size_t why_size)
{
    struct session *session = take_session(smtp);
    if (!session)
        return ERR_INTERNAL;
    struct buf addresses = BUF_INIT;
    buf_printf(&addresses, "<%.*s>%c<%.*s>", SLICE_ARG(from), 0, SLICE_ARG(to));
    buf_append_char(&addresses, '\0');
    const char *sender = addresses.data;
    CURLcode rc = transfer(session, sender, sender + strlen(sender) + 1, message);
    enum err err = outcome(session, rc, why, why_size);
    buf_release(&addresses);
    give_session(smtp, session);
    return err;
}

/* ---- Opening */

static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return mem_strdup("");
    char *copy = mem_strdup(text);
    curl_free(text);
    return copy;
}

static bool is_loopback(CURLU *url)
{
    char *host = part_of(url, CURLUPART_HOST, 0);
    bool is = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
              strcmp(host, "[::1]") == 0;
    free(host);
    return is;
}

/* NULL, or what is wrong. */
static const char *read_url(struct smtp *smtp, CURLU *url, const char *text)
{
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return "it is no address of the form smtps://host:465 or smtp://host:587";
    char *scheme = part_of(url, CURLUPART_SCHEME, 0), *path = part_of(url, CURLUPART_PATH, 0);
    bool safe = strcmp(scheme, "smtps") == 0, known = safe || strcmp(scheme, "smtp") == 0;
    bool bare = strcmp(path, "/") == 0 || path[0] == '\0';
    free(scheme);
    free(path);
    if (!known || !bare)
        return "it is no address of the form smtps://host:465 or smtp://host:587";
    if (smtp->plain && safe)
        return "smtps:// is TLS from the beginning, which tls = no forbids";
    smtp->user = part_of(url, CURLUPART_USER, CURLU_URLDECODE);
    smtp->password = part_of(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    curl_url_set(url, CURLUPART_USER, NULL, 0);
    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    smtp->url = part_of(url, CURLUPART_URL, 0);
    return NULL;
}

static void replace(char **text, const char *by)
{
    if (by[0] == '\0')
        return;
    free(*text);
    *text = mem_strdup(by);
}

static const char *set_up(struct smtp *smtp, const struct smtp_options *options)
{
    CURLU *url = curl_url();
    if (!url)
        return "there is no memory";
    const char *wrong = read_url(smtp, url, options->url);
    if (!wrong) {
        replace(&smtp->user, options->user);
        replace(&smtp->password, options->password);
        if (smtp->plain && smtp->user[0] != '\0' && !is_loopback(url))
            wrong = "a password is not sent to another machine with tls = no";
    }
    curl_url_cleanup(url);
    return wrong;
}

const char *smtp_open(const struct smtp_options *options, struct smtp **out, char *why,
                      size_t why_size)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct smtp *smtp = mem_zalloc(sizeof *smtp);
    smtp->ca = mem_strdup(options->ca);
    smtp->plain = options->plain;
    smtp->timeout_ms = options->timeout_ms;
    smtp->stopping = options->stopping;
    smtp->arg = options->arg;
    lock_init(&smtp->lock, LOCK_RANK_MAIL);
    const char *wrong = set_up(smtp, options);
    bool trusts = smtp->ca[0] == '\0' || access(smtp->ca, R_OK) == 0;
    if (wrong)
        snprintf(why, why_size, "%s", wrong);
    else if (!trusts)
        snprintf(why, why_size, "%s: %s", smtp->ca, strerror(errno));
    if (wrong || !trusts)
        smtp_close(&smtp);
    *out = smtp;
    return wrong ? "smtp" : trusts ? NULL : "ca";
}

void smtp_close(struct smtp **smtp_ptr)
{
    struct smtp *smtp = *smtp_ptr;
    if (!smtp)
        return;
    while (smtp->idle) {
        struct session *session = smtp->idle;
        smtp->idle = session->next;
        session_destroy(session);
    }
    free(smtp->url);
    free(smtp->user);
    free(smtp->password);
    free(smtp->ca);
    lock_release(&smtp->lock);
    free(smtp);
    curl_global_cleanup();
    *smtp_ptr = NULL;
}
