/* galley user, galley admin: who may sign in. */
#include "base/mem.h"
#include "server/cli/cli.h"
#include "server/cli/password.h"
#include "server/cli/people.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 3

/* The arguments of either command. */
struct order {
    const struct command *command;
    const char *config, *data;
    const char *name, *email, *roles, *role; /* NULL: not given */
    bool as_json;
    const char *words[WORDS_MAX]; /* what to do, with whom */
    int word_count;
};

struct deed {
    const char *name;
    const char *action; /* of docs/admin-api.md, behind "users/" or "administrators/" */
    int words;          /* that it takes, its own name included */
    bool asks;          /* for a password */
    const char *done;   /* what is printed, behind the name */
};

static const struct deed user_deeds[] = {
    {"add", "users/add", 2, true, "is a user"},
    {"passwd", "users/passwd", 2, true, "has a new password; tokens from before are void"},
    {"roles", "users/roles", 3, false, "has other roles; tokens from before are void"},
    {"disable", "users/disable", 2, false, "is disabled; its tokens are void"},
    {"enable", "users/enable", 2, false, "may sign in again"},
    {"remove", "users/remove", 2, false, "is gone"},
    {"list", NULL, 1, false, NULL},
    {0},
};

static const struct deed admin_deeds[] = {
    {"add", "administrators/add", 2, true, "is an administrator"},
    {"passwd", "administrators/passwd", 2, true, "has a new password; sessions have ended"},
    {"role", "administrators/role", 3, false, "has another role; sessions have ended"},
    {"remove", "administrators/remove", 2, false, "is gone"},
    {"list", NULL, 1, false, NULL},
    {0},
};

/* ---- The body of an action */

/* "a, b" as an array. */
static json_t *split(const char *list)
{
    json_t *array = json_array();
    struct slice rest = slice_str(list);
    while (rest.ptr) {
        struct slice one = slice_trim(slice_cut(&rest, ','));
        if (one.len > 0)
            json_array_append_new(array, json_stringn(one.ptr, one.len));
    }
    return array;
}

static void set_text(json_t *body, const char *member, const char *text)
{
    if (text)
        json_object_set_new(body, member, json_string(text));
}

static bool set_password(const struct order *order, json_t *body)
{
    struct buf password = BUF_INIT;
    bool asked = password_ask(order->command->name, &password);
    if (asked)
        json_object_set_new(body, "password", json_stringn(password.data, password.len));
    if (password.data)
        OPENSSL_cleanse(password.data, password.len);
    buf_release(&password);
    return asked;
}

/* NULL after a line on standard error. */
static json_t *make_body(const struct order *order, const struct deed *deed)
{
    json_t *body = json_object();
    set_text(body, "username", order->words[1]);
    set_text(body, "name", order->name);
    set_text(body, "email", order->email);
    set_text(body, "role",
             deed->words == 3 && strcmp(deed->name, "role") == 0 ? order->words[2] : order->role);
    if (strcmp(deed->name, "roles") == 0)
        json_object_set_new(body, "roles", split(order->words[2]));
    else if (order->roles)
        json_object_set_new(body, "roles", split(order->roles));
    if (deed->asks && !set_password(order, body)) {
        json_decref(body);
        return NULL;
    }
    return body;
}

/* ---- What is printed */

static void print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    puts("");
}

static void print_roles(const json_t *roles)
{
    for (size_t i = 0; i < json_array_size(roles); i++)
        printf("%s%s", i ? "," : "", json_string_value(json_array_get(roles, i)));
}

static void print_row(const json_t *one)
{
    const char *role = json_str(one, "role", NULL);
    const char *created = json_str(one, "createdAt", "");
    printf("%-24s %-10.10s  ", json_str(one, "username", ""), created);
    if (role) {
        printf("%s\n", role);
        return;
    }
    printf("%-9s", json_is_true(json_object_get(one, "disabled")) ? "disabled" : "");
    print_roles(json_object_get(one, "roles"));
    const char *name = json_str(one, "name", ""), *email = json_str(one, "email", "");
    if (name[0])
        printf("  %s", name);
    if (email[0])
        printf("%s<%s>", name[0] ? " " : "  ", email);
    puts("");
}

static int print_list(const struct order *order, const json_t *list)
{
    const json_t *data = json_object_get(list, "data");
    if (order->as_json)
        print_json(list);
    for (size_t i = 0; !order->as_json && i < json_array_size(data); i++)
        print_row(json_array_get(data, i));
    if (!order->as_json && json_array_size(data) == 0)
        puts("nobody");
    return EXIT_SUCCESS;
}

/* ---- The commands */

static int act(struct people *people, const struct order *order, const struct deed *deed)
{
    json_t *body = make_body(order, deed), *answer;
    if (!body)
        return EXIT_FAILURE;
    bool done = people_act(people, deed->action, body, &answer);
    json_decref(body);
    if (!done)
        return EXIT_FAILURE;
    if (order->as_json)
        print_json(answer);
    else
        printf("%s %s\n", order->words[1], deed->done);
    json_decref(answer);
    return EXIT_SUCCESS;
}

static int list(struct people *people, const struct order *order)
{
    const char *kind = order->command == &command_user ? "users" : "administrators";
    json_t *found;
    bool done = people_list(people, kind, &found);
    int status = done ? print_list(order, found) : EXIT_FAILURE;
    json_decref(found);
    return status;
}

static const struct deed *find_deed(const struct order *order, const struct deed *deeds)
{
    for (; order->word_count > 0 && deeds->name; deeds++) {
        if (strcmp(deeds->name, order->words[0]) == 0 && deeds->words == order->word_count)
            return deeds;
    }
    fprintf(stderr, "usage: %s\n", order->command->usage);
    return NULL;
}

static int run(struct order *order, const struct deed *deeds, const struct cli_option *options,
               int argc, char **argv)
{
    int status = CLI_USAGE;
    order->word_count =
        cli_read_words(order->command, options, argc, argv, order->words, WORDS_MAX);
    const struct deed *deed = order->word_count < 0 ? NULL : find_deed(order, deeds);
    if (!deed)
        return CLI_USAGE;
    struct people *people = people_open(order->command->name, order->config, order->data, &status);
    if (!people)
        return status;
    status = deed->action ? act(people, order, deed) : list(people, order);
    people_close(&people);
    return status;
}

static int user_run(int argc, char **argv)
{
    struct order order = {.command = &command_user, .config = cli_config_path()};
    const struct cli_option options[] = {
        {"-c", &order.config, NULL},
        {"--data", &order.data, NULL},
        {"--name", &order.name, NULL},
        {"--email", &order.email, NULL},
        {"--roles", &order.roles, NULL},
        {"--json", NULL, &order.as_json},
        {NULL, NULL, NULL},
    };
    return run(&order, user_deeds, options, argc, argv);
}

static int admin_run(int argc, char **argv)
{
    struct order order = {.command = &command_admin, .config = cli_config_path()};
    const struct cli_option options[] = {
        {"-c", &order.config, NULL},
        {"--data", &order.data, NULL},
        {"--role", &order.role, NULL},
        {"--json", NULL, &order.as_json},
        {NULL, NULL, NULL},
    };
    return run(&order, admin_deeds, options, argc, argv);
}

#define WAYS                                                                                       \
    "By way of the server if one runs on the data directory (that of config.ini, of the file\n"    \
    "behind -c, or --data), else on the store itself. A password is asked for on the terminal,\n"  \
    "or read from standard input: the first line. Exit status 0 if it is done, 1 if not, 2 for\n"  \
    "wrong arguments."

const struct command command_user = {
    .name = "user",
    .usage = "galley user add NAME [--name TEXT] [--email ADDRESS] [--roles A,B] | passwd NAME |\n"
             "         roles NAME A,B | disable NAME | enable NAME | remove NAME | list [--json]\n"
             "         [-c FILE] [--data DIR]",
    .help = "The users, who sign in at /auth/login. Tokens of a user who is disabled, removed, or\n"
            "gets another password or other roles are void at once.\n" WAYS,
    .run = user_run,
};

const struct command command_admin = {
    .name = "admin",
    .usage = "galley admin add NAME [--role ROLE] | passwd NAME | role NAME ROLE | remove NAME |\n"
             "         list [--json] [-c FILE] [--data DIR]",
    .help =
        "The administrators, who sign in at /_/. A ROLE is viewer (looks), operator (also acts\n"
        "on the running server) or administrator (also decides who is who), the default.\n"
        "Who has lost a password gets another one with passwd.\n" WAYS,
    .run = admin_run,
};
