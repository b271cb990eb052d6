#include "base/mem.h"
#include "server/front/tls_private.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

struct certificate {
    SSL_CTX *ctx;
    char *path;
};

/* A name that some certificate is for. */
struct name {
    char *text; /* small letters; "*.example.com" for any one label before the dot */
    size_t certificate;
};

struct tls_set {
    atomic_uint holders;
    size_t count;
    struct certificate *certificates;
    size_t name_count;
    struct name *names; /* by text, then certificate */
    char hsts_line[64]; /* header, with its line's end */
    X509_STORE *clients;
    STACK_OF(X509_NAME) * client_names;
};

static void set_free(struct tls_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        SSL_CTX_free(set->certificates[i].ctx);
        free(set->certificates[i].path);
    }
    for (size_t i = 0; i < set->name_count; i++)
        free(set->names[i].text);
    X509_STORE_free(set->clients);
    sk_X509_NAME_pop_free(set->client_names, X509_NAME_free);
    free(set->certificates);
    free(set->names);
    free(set);
}

struct tls_set *tls_set_hold(struct tls_set *set)
{
    atomic_fetch_add_explicit(&set->holders, 1, memory_order_relaxed);
    return set;
}

void tls_set_let_go(struct tls_set **set)
{
    if (*set && atomic_fetch_sub(&(*set)->holders, 1) == 1)
        set_free(*set);
    *set = NULL;
}

/* ---- Names. */

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order != 0 ? order
                      : (x->certificate > y->certificate) - (x->certificate < y->certificate);
}

static void add_name(const char *text, void *arg)
{
    struct tls_set *set = arg;
    set->names = mem_realloc(set->names, (set->name_count + 1) * sizeof *set->names);
    set->names[set->name_count++] = (struct name){mem_strdup(text), set->count - 1};
}

/* Where a name would stand: the first of those that are not before it. */
static size_t lower_bound(const struct tls_set *set, const char *text)
{
    size_t low = 0, high = set->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(set->names[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static SSL_CTX *find_exactly(const struct tls_set *set, const char *text)
{
    size_t i = lower_bound(set, text);
    if (i == set->name_count || strcmp(set->names[i].text, text) != 0)
        return NULL;
    return set->certificates[set->names[i].certificate].ctx;
}

SSL_CTX *tls_set_find(const struct tls_set *set, const char *name)
{
    char text[TLSEXT_MAXLEN_host_name + 2];
    size_t length = strlen(name);
    if (length == 0 || length > TLSEXT_MAXLEN_host_name)
        return NULL;
    for (size_t i = 0; i <= length; i++)
        text[i] = (char)tolower((unsigned char)name[i]);
    SSL_CTX *ctx = find_exactly(set, text);
    char *dot = strchr(text, '.');
    if (ctx || !dot || dot == text)
        return ctx;
    *--dot = '*';
    return find_exactly(set, dot);
}

SSL_CTX *tls_set_first(const struct tls_set *set)
{
    return set->certificates[0].ctx;
}

/* ---- Loading. */

/* Who may sign client certificates. */
static enum err load_clients(struct tls_set *set, const char *path, char *why, size_t why_size)
{
    struct stat file;
    enum err err = tls_file_check(path, &file, why, why_size);
    if (err != ERR_OK)
        return err;
    set->clients = X509_STORE_new();
    assert(set->clients);
    set->client_names = SSL_load_client_CA_file(path);
    if (set->client_names && X509_STORE_load_file(set->clients, path) == 1)
        return ERR_OK;
    snprintf(why, why_size, "%s: %s", path, tls_openssl_reason());
    return ERR_MALFORMED;
}

/* The first warning is the one that is told. */
static enum err load_pair(struct tls_set *set, const struct tls_options *options, size_t i,
                          char *why, size_t why_size)
{
    char text[TLS_WHY_SIZE];
    SSL_CTX *ctx = tls_context_create(options->client, set->clients, set->client_names);
    set->certificates[i] = (struct certificate){ctx, mem_strdup(options->pairs[i].cert)};
    set->count++;
    enum err err = tls_certificate_load(ctx, &options->pairs[i], text, sizeof text);
    if (err == ERR_OK)
        tls_certificate_names(SSL_CTX_get0_certificate(ctx), add_name, set);
    if (err != ERR_OK || why[0] == '\0')
        snprintf(why, why_size, "%s", text);
    return err;
}

enum err tls_set_load(const struct tls_options *options, struct tls_set **out, char *why,
                      size_t why_size)
{
    assert(options->count >= 1 && options->count <= TLS_PAIRS_MAX);
    assert(options->client == TLS_CLIENT_NONE || options->client_ca);
    struct tls_set *set = mem_zalloc(sizeof *set);
    set->holders = 1;
    set->certificates = mem_zalloc(options->count * sizeof *set->certificates);
    enum err err = ERR_OK;
    why[0] = '\0';
    ERR_clear_error();
    if (options->client != TLS_CLIENT_NONE)
        err = load_clients(set, options->client_ca, why, why_size);
    for (size_t i = 0; i < options->count && err == ERR_OK; i++)
        err = load_pair(set, options, i, why, why_size);
    if (options->hsts_s > 0)
        snprintf(set->hsts_line, sizeof set->hsts_line,
                 "Strict-Transport-Security: max-age=%" PRId64 "\r\n", options->hsts_s);
    if (err != ERR_OK)
        tls_set_let_go(&set);
    else if (set->name_count > 0)
        qsort(set->names, set->name_count, sizeof *set->names, compare_names);
    *out = set;
    return err;
}

/* ---- Telling. */

const char *tls_set_hsts_line(const struct tls_set *set)
{
    return set->hsts_line;
}

size_t tls_set_count(const struct tls_set *set)
{
    return set->count;
}

struct described {
    struct tls_certificate_status *out;
    unsigned count;
};

static void describe_name(const char *name, void *arg)
{
    struct described *described = arg;
    struct tls_certificate_status *out = described->out;
    size_t length = strlen(out->names);
    if (described->count++ == 0)
        snprintf(out->name, sizeof out->name, "%s", name);
    if (described->count <= TLS_NAMES_MAX)
        snprintf(out->names + length, sizeof out->names - length, "%s%s", length > 0 ? ", " : "",
                 name);
}

void tls_set_describe(const struct tls_set *set, size_t i, struct tls_certificate_status *out)
{
    const X509 *certificate = SSL_CTX_get0_certificate(set->certificates[i].ctx);
    struct described described = {out, 0};
    memset(out, 0, sizeof *out);
    snprintf(out->path, sizeof out->path, "%s", set->certificates[i].path);
    out->not_before_s = tls_time_s(X509_get0_notBefore(certificate));
    out->not_after_s = tls_time_s(X509_get0_notAfter(certificate));
    tls_certificate_names(certificate, describe_name, &described);
}
