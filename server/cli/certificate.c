#include "server/cli/certificate.h"

#include "base/hash.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L

/* ---- Hosts. */

static bool is_address(const char *host)
{
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool is_label(struct slice label)
{
    if (label.len < 1 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

bool certificate_host_ok(const char *host)
{
    struct slice rest = slice_str(host);
    if (is_address(host))
        return true;
    if (rest.len > 253)
        return false;
    if (slice_starts(rest, slice_str("*.")))
        rest = slice_of(rest.ptr + 2, rest.len - 2);
    do {
        if (!is_label(slice_cut(&rest, '.')))
            return false;
    } while (rest.ptr);
    return true;
}

/* ---- Making. What fails here has no memory or a bug. */

static void add_extension(X509 *to, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int ok = extension && X509_add_ext(to, extension, -1);
    assert(ok);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof bytes);
    bytes[0] = (bytes[0] & 0x7F) | 0x40; /* positive, and of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
    int ok = number && serial && X509_set_serialNumber(certificate, serial);
    assert(ok);
    ASN1_INTEGER_free(serial);
    BN_free(number);
}

/* With all but the extensions and the signature. */
static X509 *begin(const char *name, EVP_PKEY *key, const X509 *issuer, int days)
{
    X509 *certificate = X509_new();
    assert(certificate);
    X509_NAME *subject = X509_get_subject_name(certificate);
    set_serial(certificate);
    int ok =
        X509_set_version(certificate, X509_VERSION_3) && X509_set_pubkey(certificate, key) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S) && /* clocks differ */
        X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S) &&
        X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                   (const unsigned char *)"Galley development", -1, -1, 0) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                   0) &&
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    assert(ok);
    return certificate;
}

static X509 *make_authority(EVP_PKEY *key, const char *name, int days)
{
    X509 *authority = begin(name, key, NULL, days);
    add_extension(authority, authority, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(authority, authority, NID_key_usage, "critical,keyCertSign");
    add_extension(authority, authority, NID_subject_key_identifier, "hash");
    int ok = X509_sign(authority, key, EVP_sha256());
    assert(ok > 0);
    return authority;
}

/* "DNS:localhost,IP:127.0.0.1" */
static void write_alternatives(struct buf *out, const char *const *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s:%s", i > 0 ? "," : "", is_address(hosts[i]) ? "IP" : "DNS", hosts[i]);
    buf_append_char(out, '\0');
}

static X509 *make_leaf(EVP_PKEY *key, const char *const *hosts, size_t count, int days,
                       X509 *authority, EVP_PKEY *authority_key)
{
    struct buf alternatives = BUF_INIT;
    X509 *leaf = begin("server", key, authority, days);
    write_alternatives(&alternatives, hosts, count);
    add_extension(leaf, authority, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(leaf, authority, NID_key_usage, "critical,digitalSignature");
    add_extension(leaf, authority, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(leaf, authority, NID_subject_alt_name, alternatives.data);
    add_extension(leaf, authority, NID_subject_key_identifier, "hash");
    add_extension(leaf, authority, NID_authority_key_identifier, "keyid:always");
    int ok = X509_sign(leaf, authority_key, EVP_sha256());
    assert(ok > 0);
    buf_release(&alternatives);
    return leaf;
}

static void write_pem(struct buf *out, BIO *pem)
{
    char *bytes;
    long length = BIO_get_mem_data(pem, &bytes);
    buf_append(out, bytes, (size_t)length);
    OPENSSL_cleanse(bytes, (size_t)length);
    BIO_free(pem);
}

static void write_certificate(struct buf *out, const X509 *certificate)
{
    BIO *pem = BIO_new(BIO_s_mem());
    int ok = pem && PEM_write_bio_X509(pem, certificate);
    assert(ok);
    write_pem(out, pem);
}

static void write_key(struct buf *out, const EVP_PKEY *key)
{
    BIO *pem = BIO_new(BIO_s_secmem());
    int ok = pem && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
    assert(ok);
    write_pem(out, pem);
}

void certificate_make(const char *const *hosts, size_t count, int days, struct certificate *out)
{
    char name[64], tag[4];
    random_bytes(tag, sizeof tag);
    snprintf(name, sizeof name, "authority %02x%02x%02x%02x", tag[0] & 0xFF, tag[1] & 0xFF,
             tag[2] & 0xFF, tag[3] & 0xFF); /* lists of authorities show this name */
    EVP_PKEY *authority_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    assert(authority_key && key);
    X509 *authority = make_authority(authority_key, name, days);
    X509 *leaf = make_leaf(key, hosts, count, days, authority, authority_key);
    *out = (struct certificate){BUF_INIT, BUF_INIT, BUF_INIT};
    write_certificate(&out->chain, leaf);
    write_certificate(&out->chain, authority);
    write_certificate(&out->authority, authority);
    write_key(&out->key, key);
    X509_free(leaf);
    X509_free(authority);
    EVP_PKEY_free(key);
    EVP_PKEY_free(authority_key);
}

void certificate_release(struct certificate *certificate)
{
    OPENSSL_cleanse(certificate->key.data, certificate->key.len);
    buf_release(&certificate->chain);
    buf_release(&certificate->key);
    buf_release(&certificate->authority);
}
