/* Mail: the job type "send-email" {"to", "subject", "text"}. A message goes to the mail server of
 * [mail] smtp, or without one, in development, to the mail box, DATA/mail/outbox.mbox.
 *
 * A job runs at least once, so a message may come twice; its Message-ID is made from the job's id,
 * by which a reader tells. A batch of jobs is acknowledged only after the box was synced. */
#include "base/mem.h"
#include "base/text.h"
#include "modules/mail/box.h"
#include "modules/mail/message.h"
#include "modules/mail/smtp.h"
#include "server/app/app.h"

#include <stdio.h>
#include <stdlib.h>

#define FROM_OF_BOX "Galley <galley@localhost>"

struct mail {
    struct app *app;
    char *from_text;
    struct mail_address from; /* points into it */
    struct mail_box *box;     /* one of these two */
    struct smtp *smtp;
};

/* ---- The job */

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

static enum err hand_over(const struct mail *mail, const struct message *message, char *why,
                          size_t why_size)
{
    struct buf text = BUF_INIT;
    enum err err;
    if (mail->smtp) {
        message_append_wire(&text, message);
        err = smtp_send(mail->smtp, message->from.address, message->to.address, buf_slice(&text),
                        why, why_size);
    } else {
        message_append_mbox(&text, message);
        err = mail_box_append(mail->box, buf_slice(&text), why, why_size);
    }
    buf_release(&text);
    return err;
}

static enum err send_email(const struct job *job, void *arg, char *why, size_t why_size)
{
    const struct mail *mail = arg;
    struct mail_text text;
    struct message message = {.id = &job->id, .from = mail->from};
    enum err err = ERR_MALFORMED;
    if (!read_mail(job->payload, &text)) {
        snprintf(why, why_size, "the payload lacks one of to, subject, text");
    } else if (!mail_address_parse(text.to, &message.to)) {
        snprintf(why, why_size, "to is no e-mail address (ASCII, NAME@HOST)");
    } else {
        message.now_ms = clock_wall_ms(app_clock(mail->app));
        message.subject = text.subject;
        message.text = text.body;
        err = hand_over(mail, &message, why, why_size);
    }
    buf_release(&text.decoded);
    return err;
}

static enum err sync_mail(void *arg)
{
    struct mail *mail = arg;
    return mail->box ? mail_box_sync(mail->box) : ERR_OK;
}

/* ---- The module */

/* clang-format off: a table, a row a key */
static const struct config_key settings_rows[] = {
    {"smtp", CONFIG_TEXT, "", 1, 1000, CONFIG_RESTART | CONFIG_SECRET, NULL,
     "The mail server: smtps://HOST:465, or smtp://HOST:587 (STARTTLS); USER:PASSWORD@ may be "
     "before "
     "HOST. Empty: messages go to the development mail box, mail/outbox.mbox in the data "
     "directory."},
    {"user", CONFIG_TEXT, "", 1, 500, CONFIG_RESTART, NULL, "Who signs in at the mail server."},
    {"password", CONFIG_TEXT, "", 1, 1000, CONFIG_RESTART | CONFIG_SECRET, NULL,
     "Their password, such as ${SMTP_PASSWORD} or @/etc/galley/smtp-password."},
    {"from", CONFIG_TEXT, "", 3, 500, CONFIG_RESTART, NULL,
     "Whom messages are from: NAME <ADDRESS> or an address. Needed with smtp."},
    {"timeout", CONFIG_DURATION, "30s", 100, 10 * CONFIG_MINUTE, CONFIG_RESTART, NULL,
     "How long the mail server may take for a message; then it is tried again later."},
    {"tls", CONFIG_BOOL, "yes", 0, 0, CONFIG_RESTART, NULL,
     "no: smtp:// without STARTTLS, for a mail server on the same machine."},
    {"box_size", CONFIG_SIZE, "64MiB", 16 * CONFIG_KIB, CONFIG_TIB, CONFIG_RESTART, NULL,
     "What the development mail box may have: then it goes on as outbox.old.mbox, in the place of "
     "the "
     "one before, and a new one begins."},
    {"ca", CONFIG_TEXT, "", 1, 4000, CONFIG_RESTART, NULL,
     "A file (PEM) with the authorities that may vouch for the mail server; empty: the system's."},
};
/* clang-format on */

static bool is_stopping(void *app)
{
    return app_stopping(app);
}

static const char *open_smtp(struct mail *mail, const struct config_section *settings, char *why,
                             size_t why_size)
{
    struct smtp_options options = {
        .url = config_text(settings, "smtp"),
        .user = config_text(settings, "user"),
        .password = config_text(settings, "password"),
        .ca = config_text(settings, "ca"),
        .plain = !config_bool(settings, "tls"),
        .timeout_ms = config_int(settings, "timeout"),
        .stopping = is_stopping,
        .arg = mail->app,
    };
    return smtp_open(&options, &mail->smtp, why, why_size);
}

static bool read_from(struct mail *mail, const char *text)
{
    mail->from_text = mem_strdup(text);
    struct mail_address *from = &mail->from;
    return mail_address_parse(slice_str(mail->from_text), from) &&
           (from->name.len == 0 || text_is_line(from->name));
}

/* All but the box. Returns what is wrong as the module's check. */
static const char *set_up(struct mail *mail, const struct config_section *settings, char *why,
                          size_t why_size)
{
    bool out = config_text(settings, "smtp")[0] != '\0';
    const char *from = config_text(settings, "from");
    if (!read_from(mail, from[0] != '\0' || out ? from : FROM_OF_BOX)) {
        snprintf(why, why_size, "NAME <ADDRESS> or an address (ASCII) is needed");
        return "from";
    }
    return out ? open_smtp(mail, settings, why, why_size) : NULL;
}

static void release(struct mail *mail)
{
    smtp_close(&mail->smtp);
    free(mail->from_text);
}

static const char *check_mail(const struct config_section *settings, char *why, size_t why_size)
{
    struct mail mail = {0};
    const char *wrong = set_up(&mail, settings, why, why_size);
    release(&mail);
    return wrong;
}

static enum err open_mail(struct app *app, const struct config_section *settings, void **state,
                          char *why, size_t why_size)
{
    struct mail *mail = mem_zalloc(sizeof *mail);
    *state = mail;
    mail->app = app;
    char reason[200];
    const char *wrong = set_up(mail, settings, reason, sizeof reason);
    if (wrong) { /* since it was checked */
        snprintf(why, why_size, "[mail] %s: %s", wrong, reason);
        return ERR_VALIDATION;
    }
    if (mail->smtp)
        return ERR_OK;
    return mail_box_open(app_data_dir(app), config_int(settings, "box_size"), &mail->box, why,
                         why_size);
}

static const char *mail_trouble(const void *state)
{
    const struct mail *mail = state;
    return mail->smtp ? smtp_trouble(mail->smtp) : mail_box_trouble(mail->box);
}

static void close_mail(void *state)
{
    struct mail *mail = state;
    if (!mail)
        return;
    mail_box_close(&mail->box);
    release(mail);
    free(mail);
}

static const struct job_handler jobs[] = {
    {.type = "send-email", .run = send_email, .sync = sync_mail},
};

const struct app_module mail_module = {
    .name = "mail",
    .help = "How e-mail leaves the house.",
    .settings = settings_rows,
    .setting_count = sizeof settings_rows / sizeof settings_rows[0],
    .jobs = jobs,
    .job_count = sizeof jobs / sizeof jobs[0],
    .queue = "mail",
    .check = check_mail,
    .open = open_mail,
    .close = close_mail,
    .trouble = mail_trouble,
};
