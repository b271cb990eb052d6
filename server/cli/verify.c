/* galley verify: everything stored is read, by the server if one runs on the data, else here. */
#include "storage/verify.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "server/account.h"
#include "server/cli/cli.h"
#include "server/cli/control.h"
#include "server/galley.h"
#include "server/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TARGET    "/_/api/verify"
#define ASK_NS    200000000
#define NAME_SIZE 64
#define KEPT_FORM "damaged-%s.ndjson"
#define BASE_FORM "damaged-%s.mdb"

#define PASSES_MAX 8

struct verification {
    const char *data_dir;
    bool as_json;
    bool again;       /* a later pass of a repair, which meets what could not be mended anew */
    json_t *findings; /* texts */
    uint64_t looked_at, found, mended, kept;
    char kept_name[NAME_SIZE]; /* the file in the data directory, once there is one */
    char base_name[NAME_SIZE]; /* likewise what a database with damaged pages is kept as, */
    bool keeps_base;           /* if it is written anew */
    int kept_fd;
};

/* ---- What is printed */

static bool is_told(const struct verification *it, const char *what)
{
    for (size_t i = 0; i < json_array_size(it->findings); i++) {
        if (strcmp(json_string_value(json_array_get(it->findings, i)), what) == 0)
            return true;
    }
    return false;
}

static void print_finding(const char *what, bool mended, void *arg)
{
    struct verification *it = arg;
    if (it->again && !mended && is_told(it, what))
        return;
    json_array_append_new(it->findings, json_string(what));
    if (!it->as_json)
        printf("%s%s\n", what, mended ? " (mended)" : "");
}

static void print_json(const struct verification *it)
{
    json_t *report = json_pack("{s:I, s:I, s:I, s:O}", "lookedAt", (json_int_t)it->looked_at,
                               "found", (json_int_t)it->found, "mended", (json_int_t)it->mended,
                               "findings", it->findings);
    if (it->kept > 0)
        json_object_set_new(report, "kept", json_string(it->kept_name));
    if (it->keeps_base)
        json_object_set_new(report, "keptDatabase", json_string(it->base_name));
    json_dumpf(report, stdout, JSON_INDENT(2));
    puts("");
    json_decref(report);
}

static int report(struct verification *it)
{
    if (it->as_json)
        print_json(it);
    else if (it->found == 0)
        printf("%" PRIu64 " entries, all whole\n", it->looked_at);
    else
        printf("%" PRIu64 " entries, %" PRIu64 " damaged, %" PRIu64 " of them mended\n",
               it->looked_at, it->found, it->mended);
    if (it->kept > 0 && !it->as_json)
        printf("what could not be mended was moved to %s/%s\n", it->data_dir, it->kept_name);
    if (it->keeps_base && !it->as_json)
        printf("the database was written anew of what can be read; it was %s/%s\n", it->data_dir,
               it->base_name);
    return it->found == it->mended ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- On a running server */

/* False after saying why, unless no server runs there. */
static bool ask(const struct verification *it, const char *method, json_t **out, bool *running)
{
    struct control_answer answer;
    char why[200];
    bool good = control_ask(it->data_dir, method, TARGET, NULL, &answer, running, why, sizeof why);
    if (good && answer.status < 300) {
        *out = answer.json;
        return true;
    }
    if (*running)
        fprintf(stderr, "galley verify: data directory %s: %s\n", it->data_dir,
                good ? "the server refused" : why);
    json_decref(answer.json);
    return false;
}

/* Until the pass has ended; *state is the answer then. */
static bool wait_for_pass(const struct verification *it, int64_t pass, json_t **state)
{
    const struct timespec pause = {.tv_nsec = ASK_NS};
    bool running;
    while (ask(it, "GET", state, &running)) {
        if (json_int(*state, "passes", 0) >= pass)
            return true;
        json_decref(*state);
        nanosleep(&pause, NULL);
    }
    return false;
}

/* The server's answer to the POST is the caller's. */
static int verify_running(struct verification *it, json_t *begun)
{
    json_t *state;
    int64_t pass = json_int(begun, "pass", 0);
    if (!wait_for_pass(it, pass, &state))
        return EXIT_FAILURE;
    const json_t *findings = json_object_get(state, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++)
        print_finding(json_string_value(json_array_get(findings, i)), false, it);
    it->looked_at = (uint64_t)json_int(state, "lookedAt", 0);
    it->found = (uint64_t)json_int(state, "found", 0);
    it->mended = (uint64_t)json_int(state, "mended", 0);
    json_decref(state);
    return report(it);
}

/* ---- On data that nobody serves */

static void name_by_time(const char *form, char out[NAME_SIZE])
{
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(&clock_system), time);
    for (char *c = time; *c; c++)
        *c = (char)(*c == ':' ? '-' : *c);
    snprintf(out, NAME_SIZE, form, time);
}

static bool open_kept(struct verification *it)
{
    char path[4096];
    name_by_time(KEPT_FORM, it->kept_name);
    snprintf(path, sizeof path, "%s/%s", it->data_dir, it->kept_name);
    it->kept_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return it->kept_fd >= 0;
}

/* A line {"table", "key", "value"}, the latter two in base64, on the disk before anything is taken
 * away. */
static bool keep(const char *table, struct slice key, struct slice value, void *arg)
{
    struct verification *it = arg;
    if (it->kept_fd < 0 && !open_kept(it))
        return false;
    struct buf line = BUF_INIT;
    buf_printf(&line, "{\"table\":\"%s\",\"key\":\"", table);
    base64_append(&line, key);
    buf_append_str(&line, "\",\"value\":\"");
    base64_append(&line, value);
    buf_append_str(&line, "\"}\n");
    bool kept =
        write(it->kept_fd, line.data, line.len) == (ssize_t)line.len && fdatasync(it->kept_fd) == 0;
    buf_release(&line);
    it->kept += kept;
    return kept;
}

/* What stopped it is a finding like others: nobody is to take what was read for all there is. */
static void note_stop(struct verification *it, const struct verify_figures *figures, enum err err)
{
    char what[200];
    snprintf(what, sizeof what, "%s cannot be read further: %s", figures->part, err_text(err));
    it->found++;
    print_finding(what, false, it);
}

/* Adds its figures to those of the passes before; *mended is its own. */
static enum err run_pass(struct verifier *v, struct verification *it, uint64_t *mended)
{
    bool end = false;
    enum err err = ERR_OK;
    while (!err && !end)
        err = verifier_step(v, &end);
    struct verify_figures figures;
    verifier_figures(v, &figures);
    it->looked_at = figures.looked_at;
    it->mended += *mended = figures.mended;
    it->found = it->mended + figures.found - figures.mended;
    if (err)
        note_stop(it, &figures, err);
    return err;
}

/* What was mended or taken away may be what something else spoke of: a repair is over when a pass
 * has nothing to mend. */
static enum err run_passes(struct verifier *v, struct verification *it)
{
    enum err err = ERR_OK;
    uint64_t mended = 1;
    for (unsigned i = 0; !err && mended > 0 && i < PASSES_MAX; i++) {
        err = run_pass(v, it, &mended);
        it->again = true;
    }
    return err;
}

static int verify_store(struct store *store, bool repair, struct verification *it)
{
    struct stored *stored;
    struct verifier *v = verifier_create(&(struct verify_options){
        .store = store, .repair = repair, .found = print_finding, .salvage = keep, .arg = it});
    enum err err = stored_open(store, NULL, &stored);
    if (!err) {
        stored_verify(stored, v);
        verifier_add_pages(v);
        err = run_passes(v, it);
    }
    verifier_destroy(&v);
    stored_close(&stored);
    int status = report(it);
    return err ? EXIT_FAILURE : status;
}

/* Of a page that LMDB would be led astray by. With --repair the file is written anew without it, if
 * that is possible. */
static void note_page(const char *what, void *arg)
{
    struct verification *it = arg;
    it->found++;
    print_finding(what, false, it);
}

static int verify_stopped(const struct config *config, bool repair, struct verification *it)
{
    struct store_options options = {
        .dir = it->data_dir, .clock = &clock_system, .damaged = note_page, .arg = it};
    struct store *store;
    char why[400];
    char base[4200] = "";
    if (repair) {
        name_by_time(BASE_FORM, it->base_name);
        snprintf(base, sizeof base, "%s/%s", it->data_dir, it->base_name);
        options.keep_damaged = base;
    }
    if (config)
        options.map_size_bytes =
            (uint64_t)config_int(config_section(config, "storage"), "map_size");
    if (access(it->data_dir, F_OK) != 0)
        snprintf(why, sizeof why, "%s: %s", it->data_dir, strerror(errno));
    else if (store_open(&options, &store, why, sizeof why) == ERR_OK) {
        it->keeps_base = it->found > 0;
        it->mended = it->found;
        int status = verify_store(store, repair, it);
        store_close(&store);
        return status;
    }
    it->keeps_base = base[0] && access(base, F_OK) == 0;
    if (it->found > 0)
        report(it);
    fprintf(stderr, "galley verify: %s\n", why);
    return EXIT_FAILURE;
}

/* ---- The command */

static int verify(const char *data_dir, const struct config *config, bool repair, bool as_json)
{
    struct verification it = {
        .data_dir = data_dir, .as_json = as_json, .findings = json_array(), .kept_fd = -1};
    int status = EXIT_FAILURE;
    bool running;
    json_t *begun = NULL;
    if (ask(&it, "POST", &begun, &running) && !repair)
        status = verify_running(&it, begun);
    else if (!running)
        status = verify_stopped(config, repair, &it);
    else if (begun)
        fprintf(stderr, "galley verify: a server runs on %s: stop it before --repair\n", data_dir);
    json_decref(begun);
    if (it.kept_fd >= 0)
        close(it.kept_fd);
    json_decref(it.findings);
    return status;
}

/* As whoever the directory belongs to. */
static int verify_as_owner(const char *data_dir, const struct config *config, bool repair,
                           bool as_json)
{
    char why[300];
    if (account_become_owner(data_dir, why, sizeof why) == ERR_OK)
        return verify(data_dir, config, repair, as_json);
    fprintf(stderr, "galley verify: %s\n", why);
    return EXIT_FAILURE;
}

static int verify_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    bool as_json = false, repair = false;
    const struct cli_option options[] = {
        {"-c", &source.path, NULL},  {"--data", &source.data, NULL},
        {"--repair", NULL, &repair}, {"--json", NULL, &as_json},
        {NULL, NULL, NULL},
    };
    if (!cli_read(&command_verify, options, argc, argv))
        return CLI_USAGE;
    if (source.data)
        return verify_as_owner(source.data, NULL, repair, as_json);
    struct config *config = cli_load_place(&source);
    if (!config)
        return CLI_USAGE;
    const char *data_dir = config_text(config_section(config, "server"), "data");
    int status = verify_as_owner(data_dir, config, repair, as_json);
    config_destroy(&config);
    return status;
}

const struct command command_verify = {
    .name = "verify",
    .usage = "galley verify [-c FILE] [--data DIR] [--repair] [--json]",
    .help =
        "Reads everything stored and says what is damaged, and what depends on it. A server that\n"
        "runs on the data does it, at full speed; it also does so slowly all the time ([storage]\n"
        "scrub). --repair, on a stopped server, makes anew what can be derived, and moves the "
        "rest\n"
        "to a file in the data directory. If pages are damaged that the database consists of, it\n"
        "is written anew of all that can be read (it takes as much room again), and the damaged\n"
        "one is kept. Root becomes the directory's owner for it. Exit status 0 if all is whole or\n"
        "mended, 1 if not, 2 for wrong arguments or configuration.",
    .run = verify_run,
};
