/* Mail: the job type "send-email" {"to", "subject", "text"}. In development a message goes to the
 * mail box, DATA/mail/outbox.mbox.
 *
 * A job runs at least once, so a message may be there twice; its Message-ID is made from the job's
 * id, by which a reader tells. A batch of jobs is acknowledged only after the box was synced. */
#include "server/app/mail_box.h"
#include "server/app/modules.h"

#include "base/base64.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
    struct buf clean = BUF_INIT;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        plain = plain && c < 0x80;
        buf_append(&clean, c < ' ' || c == 0x7f ? " " : &text.ptr[i], 1);
    }
    if (plain) {
        buf_append_slice(out, buf_slice(&clean));
    } else {
        buf_append_str(out, "=?utf-8?B?");
        base64_append(out, buf_slice(&clean));
        buf_append_str(out, "?=");
    }
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

static void append_dates(struct buf *out, const char *format, int64_t now_ms)
{
    char text[64];
    struct tm tm;
    time_t seconds = now_ms / 1000;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, format, &tm);
    buf_append_str(out, text);
}

struct mail_text {
    struct buf to, subject, body;
};

static bool read_mail(struct slice payload, struct mail_text *out)
{
    *out = (struct mail_text){0};
    return json_find_str(payload, "to", &out->to) &&
           json_find_str(payload, "subject", &out->subject) &&
           json_find_str(payload, "text", &out->body);
}

static void release_mail(struct mail_text *mail)
{
    buf_release(&mail->to);
    buf_release(&mail->subject);
    buf_release(&mail->body);
}

static void append_message(struct buf *out, const struct job *job, const struct mail_text *mail,
                           int64_t now_ms)
{
    char id[ID_TEXT_SIZE];
    struct buf body = BUF_INIT;
    id_format(&job->id, id);
    append_body(&body, buf_slice(&mail->body));
    append_dates(out, "From galley@localhost %a %b %e %H:%M:%S %Y\n", now_ms);
    append_dates(out, "Date: %a, %d %b %Y %H:%M:%S +0000\n", now_ms);
    buf_append_str(out, "From: Galley <galley@localhost>\nTo: ");
    append_header_text(out, buf_slice(&mail->to));
    buf_append_str(out, "\nSubject: ");
    append_header_text(out, buf_slice(&mail->subject));
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
    release_mail(&text);
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
};
