#include "server/front/tls_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define FILE_MAX   (1 << 20) /* bytes; a chain takes a few thousand */
#define DOMAIN_MAX 253       /* characters of a domain name */

/* ---- Files. */

enum err tls_file_check(const char *path, struct stat *out, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, out) != 0)
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(out->st_mode))
        snprintf(why, why_size, "%s: is not a file", path);
    else if (out->st_size > FILE_MAX)
        snprintf(why, why_size, "%s: is too large", path);
    else
        why[0] = '\0';
    if (fd >= 0)
        close(fd);
    return why[0] == '\0' ? ERR_OK : ERR_NOT_FOUND;
}

/* The first error is the exact one here ("bad base64 decode"); the later ones only say where. */
static const char *certificate_reason(void)
{
    unsigned long first = ERR_peek_error();
    const char *reason = ERR_reason_error_string(first);
    if (ERR_GET_REASON(first) == PEM_R_NO_START_LINE)
        reason = "holds no certificate (\"-----BEGIN CERTIFICATE-----\" is missing)";
    ERR_clear_error();
    return reason ? reason : "unknown error";
}

static enum err load_certificate(SSL_CTX *ctx, const char *path, char *why, size_t why_size)
{
    struct stat file;
    enum err err = tls_file_check(path, &file, why, why_size);
    if (err != ERR_OK)
        return err;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, path) == 1)
        return ERR_OK;
    snprintf(why, why_size, "%s: %s", path, certificate_reason());
    return ERR_MALFORMED;
}

/* Nobody sits at a server's terminal to type a password; notes that one is needed. */
static int no_password(char *out, int size, int writing, void *was_asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)was_asked = true;
    return -1;
}

static EVP_PKEY *read_key(const char *path, char *why, size_t why_size)
{
    bool was_asked = false;
    BIO *in = BIO_new_file(path, "r");
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, &was_asked) : NULL;
    if (!key)
        snprintf(why, why_size, "%s: %s", path,
                 was_asked ? "needs a password; a server's key must be without one"
                           : "holds no private key that can be read");
    BIO_free(in);
    ERR_clear_error();
    return key;
}

static enum err load_key(SSL_CTX *ctx, const struct tls_pair *pair, bool *exposed, char *why,
                         size_t why_size)
{
    struct stat file = {0};
    enum err err = tls_file_check(pair->key, &file, why, why_size);
    if (err != ERR_OK)
        return err;
    EVP_PKEY *key = read_key(pair->key, why, why_size);
    if (!key)
        return ERR_MALFORMED;
    bool fits = X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) == 1;
    if (!fits)
        snprintf(why, why_size, "%s: is not the key of %s", pair->key, pair->cert);
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        snprintf(why, why_size, "%s: %s", pair->key, tls_openssl_reason());
    ERR_clear_error();
    EVP_PKEY_free(key);
    *exposed = (file.st_mode & S_IROTH) != 0;
    return why[0] == '\0' ? ERR_OK : ERR_MALFORMED;
}

/* ---- What can be used but should not stay so. */

int64_t tls_time_s(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void warn(const X509 *certificate, const struct tls_pair *pair, bool exposed, char *why,
                 size_t why_size)
{
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        snprintf(why, why_size, "%s: the certificate has expired", pair->cert);
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        snprintf(why, why_size, "%s: the certificate is not valid yet", pair->cert);
    else if (exposed)
        snprintf(why, why_size, "%s: every user of this machine may read the key", pair->key);
}

enum err tls_certificate_load(SSL_CTX *ctx, const struct tls_pair *pair, char *why, size_t why_size)
{
    bool exposed;
    enum err err = load_certificate(ctx, pair->cert, why, why_size);
    if (err == ERR_OK)
        err = load_key(ctx, pair, &exposed, why, why_size);
    if (err == ERR_OK)
        warn(SSL_CTX_get0_certificate(ctx), pair, exposed, why, why_size);
    return err;
}

/* ---- Names. */

struct name_caller {
    void (*fn)(const char *name, void *arg);
    void *arg;
};

/* Letters, digits, "-", "_", ".", "*" and the colons of an address: what is shown and compared
 * later has no other bytes in it, a NUL least of all. */
static void call_with_name(const struct name_caller *caller, const unsigned char *bytes, int length)
{
    char name[DOMAIN_MAX + 1];
    if (length < 1 || length > DOMAIN_MAX)
        return;
    for (int i = 0; i < length; i++) {
        char c = (char)bytes[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '-' && c <= ':') ||
                    c == '_' || c == '*';
        if (!fine || c == '/')
            return;
        name[i] = (char)tolower(c);
    }
    name[length] = '\0';
    caller->fn(name, caller->arg);
}

static void call_with_address(const struct name_caller *caller, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int family = ASN1_STRING_length(address) == 16 ? AF_INET6 : AF_INET;
    if (family == AF_INET && ASN1_STRING_length(address) != 4)
        return;
    if (inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text))
        call_with_name(caller, (const unsigned char *)text, (int)strlen(text));
}

/* The name in the subject: only where there are no alternatives, as RFC 6125 has it. */
static void call_with_common_name(const struct name_caller *caller, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    call_with_name(caller, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

void tls_certificate_names(const X509 *certificate, void (*fn)(const char *name, void *arg),
                           void *arg)
{
    struct name_caller caller = {fn, arg};
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) {
        call_with_common_name(&caller, certificate);
        return;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            call_with_name(&caller, ASN1_STRING_get0_data(name->d.dNSName),
                           ASN1_STRING_length(name->d.dNSName));
        else if (name->type == GEN_IPADD)
            call_with_address(&caller, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
}
