/* Mail: the job type "send-email" {"to", "subject", "text"}. In development a message goes to the
 * mail box, DATA/mail/outbox.mbox.
 *
 * A job runs at least once, so a message may be there twice; its Message-ID is made from the job's
 * id, by which a reader tells. A batch of jobs is acknowledged only after the box was synced. */
#include "modules/mail/box.h"

#include "base/base64.h"
#include "base/mem.h"
#include "server/app/app.h"

#include <stdio.h>
#include <stdlib.h>

struct mail {
    const struct clock *clock;
    struct mail_box *box;
};

/* ---- Writing a message: RFC 5322, in the mboxrd form (RFC 4155 names the default mbox). */

/* A header's text: as it is if it is plain ASCII, else an encoded word (RFC 2047). Control
 * characters, which could end the header, become spaces. */
static void append_header_text(struct buf *out, struct slice text)
{
    bool plain = true;
    size_t begin = out->len;
    buf_append_slice(out, text);
    for (size_t i = begin; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        plain = plain && c < 0x80;
        if (c < ' ' || c == 0x7f)
            out->data[i] = ' ';
    }
    if (plain)
        return;
    struct buf clean = BUF_INIT;
    buf_append(&clean, out->data + begin, out->len - begin);
    out->len = begin;
    buf_append_str(out, "=?utf-8?B?");
    base64_append(out, buf_slice(&clean));
    buf_append_str(out, "?=");
    buf_release(&clean);
}

static bool is_from_line(struct slice line)
{
    while (line.len && *line.ptr == '>')
        line = slice_of(line.ptr + 1, line.len - 1);
    return slice_starts(line, slice_str("From "));
}

/* mboxrd: a line that could be taken for the next message's first gets one more '>'. */
static void append_body(struct buf *out, struct slice text)
{
    while (text.len) {
        struct slice line = slice_cut(&text, '\n');
        if (is_from_line(line))
            buf_append_char(out, '>');
        buf_append_slice(out, line);
        buf_append_char(out, '\n');
    }
}

/* "From galley@localhost Sun Nov  6 08:49:37 1994" and "Date: Sun, 06 Nov 1994 08:49:37 +0000", out
 * of the form of HTTP. */
static void append_dates(struct buf *out, int64_t now_ms)
{
    char date[CLOCK_HTTP_SIZE]; /* Sun, 06 Nov 1994 08:49:37 GMT */
    clock_http_date(now_ms, date);
    buf_append_str(out, "From galley@localhost ");
    buf_append(out, date, 3);
    buf_append_char(out, ' ');
    buf_append(out, date + 8, 4);
    buf_append_char(out, (char)(date[5] == '0' ? ' ' : date[5]));
    buf_append_char(out, date[6]);
    buf_append(out, date + 16, 10);
    buf_append(out, date + 12, 4);
    buf_append_str(out, "\nDate: ");
    buf_append(out, date, 26);
    buf_append_str(out, "+0000\n");
}

struct mail_text {
    struct buf decoded; /* that the others point into */
    struct slice to, subject, body;
};

static bool read_mail(struct slice payload, struct mail_text *out)
{
    static const char *const names[] = {"to", "subject", "text"};
    struct slice *const texts[] = {&out->to, &out->subject, &out->body};
    struct slice values[3];
    *out = (struct mail_text){0};
    json_find_all(payload, names, 3, values);
    buf_reserve(&out->decoded, payload.len); /* no text is longer than it was as JSON */
    for (int i = 0; i < 3; i++) {
        size_t begin = out->decoded.len;
        if (!json_append_unescaped(&out->decoded, values[i]))
            return false;
        *texts[i] = slice_of(out->decoded.data + begin, out->decoded.len - begin);
    }
    return true;
}

static void append_message(struct buf *out, const struct job *job, const struct mail_text *mail,
                           int64_t now_ms)
{
    char id[ID_TEXT_SIZE];
    struct buf body = BUF_INIT;
    id_format(&job->id, id);
    buf_reserve(&body, mail->body.len + 64);
    append_body(&body, mail->body);
    buf_reserve(out, mail->decoded.len + 512);
    append_dates(out, now_ms);
    buf_append_str(out, "From: Galley <galley@localhost>\nTo: ");
    append_header_text(out, mail->to);
    buf_append_str(out, "\nSubject: ");
    append_header_text(out, mail->subject);
    buf_append_str(out, "\nMessage-ID: <");
    buf_append_str(out, id);
    buf_append_str(out, "@galley>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 8bit\nContent-Length: ");
    buf_append_u64(out, body.len);
    buf_append_str(out, "\n\n");
    buf_append_slice(out, buf_slice(&body));
    buf_append_char(out, '\n');
    buf_release(&body);
}

/* ---- The job */

static enum err send_email(const struct job *job, void *arg, char *why, size_t why_size)
{
    struct mail *mail = arg;
    struct mail_text text;
    struct buf message = BUF_INIT;
    enum err err = ERR_MALFORMED;
    if (read_mail(job->payload, &text)) {
        append_message(&message, job, &text, clock_wall_ms(mail->clock));
        err = mail_box_append(mail->box, buf_slice(&message), why, why_size);
    } else {
        snprintf(why, why_size, "the payload lacks one of to, subject, text");
    }
    buf_release(&message);
    buf_release(&text.decoded);
    return err;
}

static enum err sync_mail(void *arg)
{
    struct mail *mail = arg;
    return mail_box_sync(mail->box);
}

/* ---- The module */

static enum err open_mail(struct app *app, const struct config_section *settings, void **state,
                          char *why, size_t why_size)
{
    (void)settings;
    struct mail *mail = mem_zalloc(sizeof *mail);
    *state = mail;
    mail->clock = app_clock(app);
    return mail_box_open(app_data_dir(app), &mail->box, why, why_size);
}

static const char *mail_trouble(const void *state)
{
    const struct mail *mail = state;
    return mail_box_trouble(mail->box);
}

static void close_mail(void *state)
{
    struct mail *mail = state;
    if (!mail)
        return;
    mail_box_close(&mail->box);
    free(mail);
}

static const struct job_handler jobs[] = {
    {.type = "send-email", .run = send_email, .sync = sync_mail},
};

const struct app_module mail_module = {
    .name = "mail",
    .jobs = jobs,
    .job_count = sizeof jobs / sizeof jobs[0],
    .queue = "mail",
    .open = open_mail,
    .close = close_mail,
    .trouble = mail_trouble,
};
