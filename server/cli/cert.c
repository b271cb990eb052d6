#include "server/cli/certificate.h"
#include "server/cli/cli.h"
#include "server/config/suggest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_MAX 64
#define PATH_SIZE 4200

struct order {
    const char *dir;
    const char *days_text;
    int days;
    bool force; /* overwrite */
    const char *hosts[HOSTS_MAX];
    size_t host_count;
};

enum file { FILE_CHAIN, FILE_KEY, FILE_AUTHORITY, FILE_COUNT };

static const char *const file_names[FILE_COUNT] = {"dev.crt", "dev.key", "dev-ca.crt"};

static void path_of(const struct order *order, enum file file, const char *suffix,
                    char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/%s%s", order->dir, file_names[file], suffix);
}

/* ---- Arguments. */

static int usage(const char *what, const char *argument)
{
    fprintf(stderr, "galley cert: %s%s\nusage: %s\n", what, argument, command_cert.usage);
    return CLI_USAGE;
}

static bool has_host(const struct order *order, const char *host)
{
    for (size_t i = 0; i < order->host_count; i++) {
        if (strcmp(order->hosts[i], host) == 0)
            return true;
    }
    return false;
}

static int add_host(struct order *order, const char *host)
{
    if (!certificate_host_ok(host))
        return usage("not the name or address of a host: ", host);
    if (order->host_count == HOSTS_MAX)
        return usage("too many hosts: ", host);
    if (!has_host(order, host))
        order->hosts[order->host_count++] = host;
    return 0;
}

static int refuse_option(const char *argument)
{
    char hint[SUGGESTION_TEXT_SIZE], what[SUGGESTION_TEXT_SIZE + 100];
    struct suggestion near = suggestion_for(argument);
    suggestion_offer(&near, "--dir");
    suggestion_offer(&near, "--days");
    suggestion_offer(&near, "--force");
    snprintf(what, sizeof what, "%.60s%s", argument, suggestion_text(&near, hint));
    return usage("there is no option ", what);
}

/* "--dir" takes a value, in the next argument or behind "=". */
static bool take_value(const char *name, int argc, char **argv, int *i, const char **out)
{
    size_t length = strlen(name);
    if (strncmp(argv[*i], name, length) != 0)
        return false;
    if (argv[*i][length] == '=')
        *out = argv[*i] + length + 1;
    else if (argv[*i][length] != '\0')
        return false;
    else
        *out = *i + 1 < argc ? argv[++*i] : "";
    return true;
}

static int check_arguments(struct order *order)
{
    int64_t days;
    if (order->dir[0] == '\0' || strlen(order->dir) > PATH_SIZE - 100)
        return usage("--dir wants a directory", "");
    if (!slice_to_i64(slice_str(order->days_text), &days) || days < 1 ||
        days > CERTIFICATE_DAYS_MAX)
        return usage("--days wants a number from 1 to 825, which is what browsers accept", "");
    order->days = (int)days;
    return 0;
}

static int read_arguments(struct order *order, int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "dev") != 0)
        return usage("it makes certificates for development: galley cert dev", "");
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--force") == 0)
            order->force = true;
        else if (take_value("--dir", argc, argv, &i, &order->dir) ||
                 take_value("--days", argc, argv, &i, &order->days_text))
            continue;
        else if (argv[i][0] == '-')
            status = refuse_option(argv[i]);
        else
            status = add_host(order, argv[i]);
    }
    return status != 0 ? status : check_arguments(order);
}

/* ---- Files. */

static bool complain(const char *what, const char *path)
{
    fprintf(stderr, "galley cert: %s: %s%s\n", path, what, errno != 0 ? strerror(errno) : "");
    return false;
}

static bool make_directory(const char *dir)
{
    struct stat st;
    if (mkdir(dir, 0700) == 0 || (errno == EEXIST && stat(dir, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    return complain("cannot be made: ", dir);
}

static bool may_write(const struct order *order)
{
    for (enum file file = 0; file < FILE_COUNT && !order->force; file++) {
        char path[PATH_SIZE];
        path_of(order, file, "", path);
        errno = 0;
        if (access(path, F_OK) == 0)
            return complain("is there already; --force makes it anew", path);
    }
    return true;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return fsync(fd) == 0;
}

/* A server that watches the file sees the old or the new one, never a part. */
static bool write_file(const struct order *order, enum file file, struct slice bytes, mode_t mode)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    path_of(order, file, "", path);
    path_of(order, file, ".new", fresh);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return complain("cannot be made: ", fresh);
    bool written = write_all(fd, bytes);
    close(fd);
    if (written && rename(fresh, path) == 0)
        return true;
    complain("cannot be written: ", path);
    unlink(fresh);
    return false;
}

/* The key first: a certificate is what one looks for. */
static bool write_files(const struct order *order, const struct certificate *certificate)
{
    return write_file(order, FILE_KEY, buf_slice(&certificate->key), 0600) &&
           write_file(order, FILE_AUTHORITY, buf_slice(&certificate->authority), 0644) &&
           write_file(order, FILE_CHAIN, buf_slice(&certificate->chain), 0644);
}

/* ---- The command. */

static void print_file(const struct order *order, enum file file, const char *what)
{
    char path[PATH_SIZE];
    path_of(order, file, "", path);
    printf("%-*s  %s", (int)(strlen(order->dir) + strlen("/dev-ca.crt")), path, what);
}

static void print_result(const struct order *order)
{
    print_file(order, FILE_CHAIN, "the certificate of");
    for (size_t i = 0; i < order->host_count; i++)
        printf(" %s", order->hosts[i]);
    printf(" for %d days\n", order->days);
    print_file(order, FILE_KEY, "its key, for you alone\n");
    print_file(order, FILE_AUTHORITY, "who signed it, for clients to trust; signs nothing else\n");
    printf("\nfor config.ini:\n\n"
           "[listener tls]\n"
           "address = 127.0.0.1:8443\n"
           "tls_cert = %s/dev.crt\n"
           "tls_key = %s/dev.key\n"
           "hsts = 0ms    ; else browsers insist on TLS for all that is on localhost\n"
           "\nthen:\n\ncurl --cacert %s/dev-ca.crt https://localhost:8443/healthz\n",
           order->dir, order->dir, order->dir);
}

static int cert_run(int argc, char **argv)
{
    struct order order = {
        .dir = "tls",
        .days_text = CERTIFICATE_DAYS,
        .hosts = {"localhost", "127.0.0.1", "::1"},
        .host_count = 3,
    };
    int status = read_arguments(&order, argc, argv);
    if (status != 0)
        return status;
    if (!make_directory(order.dir) || !may_write(&order))
        return 1;
    struct certificate certificate;
    certificate_make(order.hosts, order.host_count, order.days, &certificate);
    bool written = write_files(&order, &certificate);
    certificate_release(&certificate);
    if (!written)
        return 1;
    print_result(&order);
    return 0;
}

const struct command command_cert = {
    .name = "cert",
    .usage = "galley cert dev [--dir DIR] [--days N] [--force] [HOST...]",
    .help = "Makes a certificate for development: for localhost, 127.0.0.1, ::1 and each HOST (a\n"
            "name, *.name or address), in DIR (tls), valid for N days (730), with its key and the\n"
            "authority for browsers and curl to trust. The authority's key is not kept. What is\n"
            "there already is not overwritten without --force. Prints the lines for config.ini.\n"
            "docs/tls.md says how to get a certificate that everybody trusts.",
    .run = cert_run,
};
