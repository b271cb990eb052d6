#include "base/mem.h"
#include "server/config/config_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct config_error {
    unsigned line;
    char *text;
};

/* Keeps the text, in the order of lines: some errors are only known at the end of the file. */
static void add_error(struct config_errors *errors, unsigned line, char *text)
{
    errors->list = mem_realloc(errors->list, (errors->count + 1) * sizeof *errors->list);
    unsigned place = errors->count++;
    for (; place > 0 && errors->list[place - 1].line > line; place--)
        errors->list[place] = errors->list[place - 1];
    errors->list[place] = (struct config_error){line, text};
}

/* Takes what `text` holds already, the place, and adds the sentence. */
static void complain_in(struct config_errors *errors, unsigned line, struct buf *text,
                        const char *format, va_list args)
{
    char what[1500];
    vsnprintf(what, sizeof what, format, args);
    buf_append_str(text, what);
    for (size_t i = 0; i < text->len; i++) {
        if (iscntrl((unsigned char)text->data[i]))
            text->data[i] = '?'; /* one error is one line, whatever a variable or file holds */
    }
    buf_append_char(text, '\0');
    add_error(errors, line, text->data);
}

void config_complain(struct config_errors *errors, unsigned line,
                     const struct config_section *section, const char *format, ...)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, errors->path);
    if (line > 0)
        buf_printf(&text, ":%u", line);
    buf_append_str(&text, ": ");
    if (section)
        buf_printf(&text, "[%s%s%s] ", section->kind->name, section->name[0] ? " " : "",
                   section->name);
    va_list args;
    va_start(args, format);
    complain_in(errors, line, &text, format, args);
    va_end(args);
}

void config_complain_of_option(struct config_errors *errors, const char *option, const char *format,
                               ...)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s: ", option);
    va_list args;
    va_start(args, format);
    complain_in(errors, 0, &text, format, args);
    va_end(args);
}

void config_errors_report(struct config_errors *errors, struct buf *out)
{
    for (unsigned i = 0; i < errors->count; i++) {
        buf_printf(out, "%s\n", errors->list[i].text);
        free(errors->list[i].text);
    }
    free(errors->list);
    *errors = (struct config_errors){.path = errors->path};
}
