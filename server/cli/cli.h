/* The commands of the program. Each is a file that defines a struct command; main.c lists them. */
#ifndef GALLEY_SERVER_CLI_CLI_H
#define GALLEY_SERVER_CLI_CLI_H

#include "server/config/config.h"

#include <stdbool.h>

#define CLI_USAGE 2 /* exit status: wrong arguments or a wrong configuration */

struct command {
    const char *name;
    const char *usage; /* "galley serve [-c FILE] ..." */
    const char *help;  /* what it does, in lines */
    int (*run)(int argc,
               char **argv); /* the arguments behind the command; returns the exit status */
};

extern const struct command command_serve, command_check, command_routes, command_openapi,
    command_reload, command_purge, command_collections, command_cert, command_verify, command_user,
    command_admin, command_backup, command_restore, command_new, command_version, command_help;

/* NULL-terminated. */
extern const struct command *const commands[];

/* The manual page, and completion for bash, made of what the commands say of themselves. */
void manual_page(struct buf *out);
void manual_completion(struct buf *out);

/* NULL, and a line on standard error, if there is no such command. */
const struct command *command_find(const char *name);

/* An option that takes a value, "-c FILE", "--listen ADDR:PORT" or "--listen=ADDR:PORT", or none,
 * "--json". */
struct cli_option {
    const char *name;
    const char **value; /* keeps what it was when the option is not given; NULL: takes none */
    bool *given;        /* becomes true; of one without a value */
};

/* Reads all arguments; false, and lines on standard error, when one is not right. `options` ends
 * with a NULL name. */
bool cli_read(const struct command *command, const struct cli_option *options, int argc,
              char **argv);

/* The same with words that are no options: up to `most` of them to words[], whose number it
 * returns; negative when an argument is not right. */
int cli_read_words(const struct command *command, const struct cli_option *options, int argc,
                   char **argv, const char **words, int most);

/* The configuration without -c: config.ini here, else the system's. Static. */
const char *cli_config_path(void);

/* The configuration; NULL, and a line for each error on standard error, if it is not right. */
struct config *cli_load_config(const struct config_source *source);

/* The same for a command that only wants to know where the data is: what the server alone needs,
 * such as certificates, need not be right. */
struct config *cli_load_place(const struct config_source *source);

/* Runs fn with the data directory of the server: --data, else what the configuration says. */
int cli_at_server(const struct config_source *source, bool as_json,
                  int (*fn)(const char *data, bool as_json));

#endif
