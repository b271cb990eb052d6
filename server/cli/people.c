/* DESIGN. The server is asked first, as a store has one process at a time. Without a server the
 * store is opened here, as the account that would run the server, so that root leaves no files
 * behind that are not the server's. Both ways end in the same functions (identity/manage.h). */
#include "server/cli/people.h"

#include "base/mem.h"
#include "server/account.h"
#include "server/cli/cli.h"
#include "server/cli/control.h"
#include "server/galley.h"
#include "server/identity/manage.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE 1000

struct people {
    const char *command;
    struct config *config; /* or NULL */
    char data_dir[4096];
    struct manage manage; /* .store is NULL as long as nobody opened it */
};

static bool complain(const struct people *people, const char *what)
{
    fprintf(stderr, "galley %s: data directory %s: %s\n", people->command, people->data_dir, what);
    return false;
}

/* ---- The store itself */

static bool open_data_dir(struct people *people, char *why, size_t why_size)
{
    struct account account;
    const char *user =
        people->config ? config_text(config_section(people->config, "server"), "user") : "";
    char real[sizeof people->data_dir];
    return access(people->data_dir, F_OK) == 0 &&
           account_find(user, &account, why, why_size) == ERR_OK &&
           account_open_data_dir(&account, people->data_dir, real, sizeof real, why, why_size) ==
               ERR_OK &&
           account_become(&account, why, why_size) == ERR_OK;
}

static bool open_store(struct people *people)
{
    char why[600] = "there is none; a first start makes it";
    struct manage *manage = &people->manage;
    if (manage->store)
        return true;
    struct store_options options = {.dir = people->data_dir, .clock = &clock_system};
    if (!open_data_dir(people, why, sizeof why) ||
        store_open(&options, &manage->store, why, sizeof why) != ERR_OK)
        return complain(people, why);
    manage_init();
    if (users_open(manage->store, &manage->users, why, sizeof why) != ERR_OK ||
        administrators_open(manage->store, clock_wall_ms(&clock_system), &manage->administrators,
                            why, sizeof why) != ERR_OK)
        return complain(people, why);
    return true;
}

/* ---- What went wrong */

/* The error of an answer, the server's or as the server would say it. */
static void print_error(const struct people *people, const char *message, const json_t *details)
{
    fprintf(stderr, "galley %s: %s\n", people->command, message);
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *one = json_array_get(details, i);
        const json_t *limit = json_object_get(one, "limit");
        fprintf(stderr, "  %s: %s", json_str(one, "field", ""), json_str(one, "reason", ""));
        if (json_is_integer(limit))
            fprintf(stderr, " %" JSON_INTEGER_FORMAT, json_integer_value(limit));
        const json_t *allowed = json_object_get(one, "allowed");
        for (size_t at = 0; at < json_array_size(allowed); at++)
            fprintf(stderr, "%s%s",
                    at ? ", " : "; allowed: ", json_string_value(json_array_get(allowed, at)));
        fputc('\n', stderr);
    }
}

static bool take_answer(const struct people *people, struct control_answer *answer, json_t **out)
{
    if (answer->status < 300) {
        *out = answer->json;
        return true;
    }
    const json_t *error = json_object_get(answer->json, "error");
    print_error(people, json_str(error, "message", "the server refused"),
                json_object_get(error, "details"));
    json_decref(answer->json);
    return false;
}

/* Asks the server; *running is false if there is none. */
static bool ask_server(struct people *people, const char *method, const char *target,
                       const json_t *body, bool *running, json_t **out)
{
    char why[200];
    struct control_answer answer;
    if (!control_ask(people->data_dir, method, target, body, &answer, running, why, sizeof why))
        return *running ? complain(people, why) : false;
    return take_answer(people, &answer, out);
}

/* ---- Acting */

static bool act_here(struct people *people, const struct manage_action *action, const json_t *body,
                     json_t **out)
{
    struct manage_outcome outcome = {0};
    char hash[PASSWORD_HASH_SIZE];
    outcome.err = schema_check(manage_schema(action), body, &outcome.details);
    if (!outcome.err && manage_check(body, &outcome)) {
        if (action->hashes)
            password_hash(slice_str(json_str(body, "password", "")), hash);
        manage_run(&people->manage, action, body, action->hashes ? hash : NULL, &outcome);
    }
    if (outcome.err)
        print_error(people, outcome.message ? outcome.message : err_text(outcome.err),
                    outcome.details);
    *out = json_incref(outcome.body);
    bool done = !outcome.err;
    manage_outcome_release(&outcome);
    return done;
}

bool people_act(struct people *people, const char *name, const json_t *body, json_t **out)
{
    char target[100];
    bool running = false;
    *out = NULL;
    snprintf(target, sizeof target, "/_/api/%s", name);
    if (!people->manage.store && ask_server(people, "POST", target, body, &running, out))
        return true;
    return !running && open_store(people) &&
           act_here(people, manage_find(slice_str(name)), body, out);
}

/* ---- Listing */

static bool list_users_here(struct people *people, const char *after, json_t **out)
{
    struct buf text = BUF_INIT;
    struct users_page page = {.limit = PAGE, .after = slice_str(after)};
    enum err err = manage_list_users(&people->manage, &page, &text);
    if (!err)
        err = json_read_trusted(buf_slice(&text), out);
    buf_release(&text);
    return err ? complain(people, err_text(err)) : true;
}

static bool list_here(struct people *people, const char *kind, const char *after, json_t **out)
{
    if (strcmp(kind, "users") == 0)
        return list_users_here(people, after, out);
    json_t *list;
    enum err err = administrators_list(people->manage.administrators, &list);
    *out = json_pack("{s:o}", "data", list);
    return err ? complain(people, err_text(err)) : true;
}

static bool list_page(struct people *people, const char *kind, const char *after, json_t **out)
{
    struct buf target = BUF_INIT;
    bool running = false;
    *out = NULL;
    buf_printf(&target, "/_/api/%s?limit=%d&after=%s", kind, PAGE, after);
    bool done =
        !people->manage.store && ask_server(people, "GET", target.data, NULL, &running, out);
    buf_release(&target);
    return done || (!running && open_store(people) && list_here(people, kind, after, out));
}

bool people_list(struct people *people, const char *kind, json_t **out)
{
    json_t *all = json_array(), *page = NULL;
    char after[2 * STORE_KEY_MAX] = "";
    bool good, more;
    do {
        good = list_page(people, kind, after, &page);
        json_array_extend(all, json_object_get(page, "data"));
        const char *next = json_str(json_object_get(page, "pagination"), "nextCursor", NULL);
        more = good && next;
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(page);
    } while (more);
    *out = json_pack("{s:o}", "data", all);
    return good;
}

/* ---- Opening */

struct people *people_open(const char *command, const char *config_path, const char *data,
                           int *status)
{
    struct people *people = mem_zalloc(sizeof *people);
    struct config_source source = {.path = config_path, .data = data, .modules = galley_sections()};
    people->command = command;
    if (!data) {
        people->config = cli_load_place(&source);
        *status = CLI_USAGE;
        if (!people->config) {
            people_close(&people);
            return NULL;
        }
        data = config_text(config_section(people->config, "server"), "data");
    }
    snprintf(people->data_dir, sizeof people->data_dir, "%s", data);
    *status = EXIT_FAILURE;
    return people;
}

void people_close(struct people **out)
{
    struct people *people = *out;
    users_close(&people->manage.users);
    administrators_close(&people->manage.administrators);
    store_close(&people->manage.store);
    manage_release();
    config_destroy(&people->config);
    free(people);
    *out = NULL;
}
