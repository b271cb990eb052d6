/* send_mail URL CA TIMEOUT_MS FROM TO...: sends what comes in to each TO, one after the other, and
 * prints how that went. With SIGTERM it is told to stop. For tests. */
#include "base/buf.h"
#include "base/log.h"
#include "modules/mail/smtp.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static bool stopping(void *arg)
{
    (void)arg;
    return stopped;
}

static void read_input(struct buf *out)
{
    ssize_t got;
    while ((got = read(STDIN_FILENO, buf_reserve(out, 4096), 4096)) > 0)
        out->len += (size_t)got;
}

int main(int argc, char **argv)
{
    struct smtp *smtp;
    struct buf message = BUF_INIT;
    char why[300] = "";
    if (argc < 6)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    struct smtp_options options = {.url = argv[1],
                                   .user = "",
                                   .password = "",
                                   .ca = argv[2],
                                   .plain = argv[2][0] == '\0',
                                   .timeout_ms = atoi(argv[3]),
                                   .stopping = stopping};
    const char *wrong = smtp_open(&options, &smtp, why, sizeof why);
    if (wrong) {
        printf("%s: %s\n", wrong, why);
        return 1;
    }
    read_input(&message);
    for (int i = 5; i < argc; i++) {
        why[0] = '\0';
        enum err err = smtp_send(smtp, slice_str(argv[4]), slice_str(argv[i]), buf_slice(&message),
                                 why, sizeof why);
        printf("%s %s\n", err_code(err), why);
    }
    const char *trouble = smtp_trouble(smtp);
    printf("%s\n", trouble ? trouble : "no trouble");
    smtp_close(&smtp);
    buf_release(&message);
    return 0;
}
