#include "server/cli/password.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Without its line end; false at the end of the input. */
static bool read_line(FILE *in, struct buf *out)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len = getline(&line, &room, in);
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (len > 0)
        buf_append(out, line, (size_t)len);
    if (line)
        OPENSSL_cleanse(line, room);
    free(line);
    return len > 0;
}

/* What is typed is not shown. A signal in between leaves the terminal as it is; the shell knows how
 * to mend that. */
static bool ask_once(const char *prompt, struct buf *out)
{
    struct termios before, silent;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ECHONL;
    tcsetattr(STDIN_FILENO, TCSAFLUSH,
              &silent); /* first: what is typed at once is not shown either */
    fputs(prompt, stderr);
    bool read = read_line(stdin, out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    return read;
}

bool password_ask(const char *command, struct buf *out)
{
    struct buf again = BUF_INIT;
    if (!isatty(STDIN_FILENO)) {
        if (read_line(stdin, out))
            return true;
        fprintf(stderr, "galley %s: a password is expected on standard input\n", command);
        return false;
    }
    bool read = ask_once("new password: ", out) && ask_once("once more: ", &again);
    bool same = read && slice_eq(buf_slice(out), buf_slice(&again));
    if (!same)
        fprintf(stderr, "galley %s: %s\n", command,
                read ? "the two passwords differ" : "no password was given");
    if (again.data)
        OPENSSL_cleanse(again.data, again.len);
    buf_release(&again);
    return same;
}
