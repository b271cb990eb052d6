#include "base/log.h"
#include "base/mem.h"
#include "server/cli/cli.h"
#include "server/galley.h"
#include "server/version.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* ---- Signals. */

/* The threads that are started later inherit the mask, so that these signals are the main thread's
 * alone. A client that goes away and a file that may not grow are errors of a call, not our end. */
static void take_signals(sigset_t *ours)
{
    sigemptyset(ours);
    sigaddset(ours, SIGTERM);
    sigaddset(ours, SIGINT);
    sigaddset(ours, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ours, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* SIGHUP reads the configuration anew; its outcome is in the log. */
static void reload(struct galley *galley)
{
    struct buf report = BUF_INIT;
    galley_reload(galley, &report);
    buf_release(&report);
}

/* Reloads until it is time to stop. Gives the signals back their default then: whoever sends a
 * second one is not willing to wait. What was acknowledged is on disk already. */
static void wait_for_stop(struct galley *galley, sigset_t *ours)
{
    int number;
    for (;;) {
        sigwait(ours, &number);
        log_write(LOG_INFO, "galley", "%s received", strsignal(number));
        if (number != SIGHUP)
            break;
        reload(galley);
    }
    sigdelset(ours, SIGHUP); /* whose default would end the process */
    pthread_sigmask(SIG_UNBLOCK, ours, NULL);
}

/* Each connection is a file, and the default of 1024 is below [server] workers. More than the hard
 * limit is not ours to take. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* ---- What is printed at the start. */

/* Lines to paste into a shell, in this order. */
static void print_examples(const char *url)
{
    static const char bearer[] = "-H \"Authorization: Bearer $TOKEN\"";
    static const char json[] = "-H 'Content-Type: application/json'";
    printf("\ntry it:\n");
    printf("TOKEN=$(curl -s %s/auth/login %s -d '{\"username\":\"alice\",\"password\":\"secret\"}'"
           " | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\n",
           url, json);
    printf("curl -s %s/products/17 %s; echo\n", url, bearer);
    printf("curl -s %s/place-order %s %s -H \"Idempotency-Key: order-$(date +%%s)\""
           " -d '{\"productId\":17,\"qty\":2}'; echo\n",
           url, bearer, json);
}

static void print_banner(const struct config *config, const struct galley *galley)
{
    const char *setup = galley_setup_path(galley);
    char url[160];
    bool is_file = strncmp(galley_authority(galley), "unix:", 5) == 0;
    snprintf(url, sizeof url, "%s%s", is_file ? "" : "http://", galley_authority(galley));
    printf("galley " GALLEY_VERSION "\n");
    printf("listening on %s\n", url);
    char listener[300];
    for (unsigned i = 0; galley_listener(galley, i, listener, sizeof listener); i++)
        printf("             %s\n", listener);
    printf("data         %s\n", galley_data_dir(galley));
    printf("durability   every answer after fsync\n");
    if (config_bool(config_section(config, "shop"), "seed"))
        print_examples(url);
    /* Last, where one looks: it can be followed once. */
    printf("\nadmin        %s%s%s\n", url, setup ? setup : "/_/",
           setup ? "  (once: makes the first administrator)" : "");
    fflush(stdout);
}

/* ---- The command. */

#define NO_CONFIG "/dev/null" /* a file that leaves every key its default, also after a reload */

static bool open_log(const struct config *config)
{
    struct log_options options;
    galley_log_options(config, &options);
    if (log_open(&options))
        return true;
    fprintf(stderr, "galley: the log %s cannot be opened: %s\n", options.path, strerror(errno));
    return false;
}

/* From the first thread to the last. Returns the exit status. */
static int serve(const struct config_source *source, const struct config *config)
{
    sigset_t signals;
    take_signals(&signals);
    mem_tune();
    raise_file_limit();
    prctl(PR_SET_DUMPABLE, 0); /* a core file would hold tokens, keys and everybody's data */
    if (!open_log(config))
        return EXIT_FAILURE;
    struct galley *galley;
    char why[600] = "";
    bool clean = false;
    if (galley_start(source, config, &galley, why, sizeof why) == ERR_OK) {
        log_settle();
        print_banner(config, galley);
        wait_for_stop(galley, &signals);
        clean = galley_stop(&galley);
    }
    log_close();
    if (why[0] != '\0')
        fprintf(stderr, "galley: cannot start: %s\n", why);
    return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve_run(int argc, char **argv)
{
    struct config_source source = {.path = cli_config_path(), .modules = galley_sections()};
    bool defaults = false;
    const char *named = NULL;
    const struct cli_option options[] = {
        {"-c", &named, NULL},
        {"--defaults", NULL, &defaults},
        {"--listen", &source.listen, NULL},
        {"--data", &source.data, NULL},
        {NULL, NULL, NULL},
    };
    if (!cli_read(&command_serve, options, argc, argv))
        return CLI_USAGE;
    if (named && defaults) {
        fprintf(stderr, "galley serve: --defaults reads no file, and -c names one\n");
        return CLI_USAGE;
    }
    if (named || defaults)
        source.path = named ? named : NO_CONFIG;
    struct config *config = cli_load_config(&source);
    if (!config)
        return CLI_USAGE;
    int status = serve(&source, config);
    config_destroy(&config);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .usage = "galley serve [-c FILE | --defaults] [--listen ADDR:PORT] [--data DIR]",
    .help =
        "Runs the server until SIGTERM or SIGINT, then answers what is in flight; a second signal\n"
        "ends it at once. SIGHUP reads the configuration anew (galley help reload). It is\n"
        "config.ini here, else /etc/galley/config.ini, unless -c names another; --defaults serves\n"
        "without one; --listen and --data win over it. Port 0 picks a free one. Exit status 0\n"
        "after a clean stop, 1 if it could not start or something was cut, 2 for wrong arguments\n"
        "or configuration.",
    .run = serve_run,
};
