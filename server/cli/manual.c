/* The manual page and bash's completion. Both are made of the same usage lines and texts that
 * `galley help` prints, so that none of them can be out of date. */
#include "base/slice.h"
#include "server/cli/cli.h"
#include "server/version.h"

#include <stddef.h>
#include <string.h>

/* ---- The manual page, in the macros of man(7) */

/* Neither a request at the beginning of a line nor an escape, and hyphens that can be copied. */
static void append_roff(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool begins = i == 0 || text.ptr[i - 1] == '\n';
        if (begins && (c == '.' || c == '\''))
            buf_append_str(out, "\\&");
        if (c == '-' || c == '\\')
            buf_append_str(out, c == '-' ? "\\-" : "\\e");
        else
            buf_append_char(out, c);
    }
    buf_append_char(out, '\n');
}

/* Lines that were broken for the source are one line of usage. */
static void append_usage(const char *usage, struct buf *out)
{
    struct slice rest = slice_str(usage);
    buf_append_str(out, ".nf\n");
    while (rest.len > 0)
        append_roff(slice_cut(&rest, '\n'), out);
    buf_append_str(out, ".fi\n");
}

void manual_page(struct buf *out)
{
    buf_append_str(out, ".TH GALLEY 1 \"\" \"galley " GALLEY_VERSION "\" \"User Commands\"\n"
                        ".SH NAME\ngalley \\- a whole backend in one process\n"
                        ".SH SYNOPSIS\n.B galley\n.I COMMAND\n.RI [ ARGUMENTS ]\n"
                        ".SH DESCRIPTION\n"
                        "Load\\-balancing front, API gateway, app server, database, cache, job "
                        "queue and an admin web UI, in one\nprocess with one configuration and "
                        "one data directory.\n"
                        ".SH COMMANDS\n");
    for (unsigned i = 0; commands[i]; i++) {
        buf_printf(out, ".SS %s\n", commands[i]->name);
        append_usage(commands[i]->usage, out);
        buf_append_str(out, ".PP\n");
        append_roff(slice_str(commands[i]->help), out);
    }
    buf_append_str(out, ".SH FILES\n"
                        ".TP\n.I config.ini\nthe configuration: here, else\n"
                        ".I /etc/galley/config.ini\n"
                        ".TP\n.I /var/lib/galley\nthe data directory of the system's service\n"
                        ".SH SEE ALSO\n.B galley help config\n"
                        "lists every section and key of the configuration.\n");
}

/* ---- Completion */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || c == '-';
}

/* What of a usage line is typed as it stands there: options, and the words behind the command's
 * name and behind each '|'. */
static void append_words(const char *usage, const char *name, struct buf *out)
{
    const char *at = strstr(usage, name) + strlen(name);
    bool first = true; /* of an alternative */
    for (; *at; at++) {
        size_t len = 0;
        while (is_word(at[len]))
            len++;
        if (at[0] == '-' && at[1] >= 'A' && at[1] <= 'Z') /* -H */
            len = 2;
        if (len > 0 && (first || at[0] == '-'))
            buf_printf(out, " %.*s", (int)len, at);
        first = *at == '|' || (first && !len && strchr(" [\n", *at));
        if (len > 0)
            at += len - 1;
        else if (*at >= 'A' && *at <= 'Z')
            at += strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") - 1;
    }
}

static void append_command(const struct command *command, const char *names, struct buf *out)
{
    buf_printf(out, "    %s) words=\"", command->name);
    if (command == &command_help)
        buf_append_str(out, names);
    append_words(command->usage, command->name, out);
    buf_append_str(out, "\" ;;\n");
}

void manual_completion(struct buf *out)
{
    struct buf names = BUF_INIT;
    for (unsigned i = 0; commands[i]; i++)
        buf_printf(&names, "%s%s", i ? " " : "", commands[i]->name);
    buf_append_char(&names, '\0');
    buf_append_str(out, "# bash completion for galley; `galley help completion` prints it.\n"
                        "_galley() {\n"
                        "    local words= cur=${COMP_WORDS[COMP_CWORD]}\n"
                        "    case ${COMP_WORDS[COMP_CWORD-1]} in -c|--data|--dir) return ;; esac\n"
                        "    case ${COMP_WORDS[1]} in\n");
    for (unsigned i = 0; commands[i]; i++)
        append_command(commands[i], names.data, out);
    buf_printf(out,
               "    esac\n"
               "    [ \"$COMP_CWORD\" -gt 1 ] || words=\"%s\"\n"
               "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
               "}\n"
               "complete -o default -F _galley galley\n",
               names.data);
    buf_release(&names);
}
