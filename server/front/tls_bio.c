#include "server/front/tls_private.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/bio.h>

/* What recv or send said, in OpenSSL's words: all that keeps us from going on is "try again". */
static int stop(BIO *bio, struct tls_wire *wire, enum tls_stop blocked)
{
    bool must_wait = errno == EAGAIN || errno == EWOULDBLOCK;
    wire->stop = must_wait ? blocked : TLS_STOP_GONE;
    if (blocked == TLS_STOP_READ)
        BIO_set_retry_read(bio);
    else
        BIO_set_retry_write(bio);
    return -1;
}

static int wire_read(BIO *bio, char *out, int room)
{
    struct tls_wire *wire = BIO_get_data(bio);
    ssize_t n;
    BIO_clear_retry_flags(bio);
    do
        n = recv(wire->fd, out, (size_t)room, wire->wait ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ECONNRESET;
    if (n <= 0)
        return stop(bio, wire, TLS_STOP_READ);
    if (wire->received == 0)
        wire->first = (unsigned char)out[0];
    wire->received += (uint64_t)n;
    return (int)n;
}

static int wire_write(BIO *bio, const char *bytes, int length)
{
    struct tls_wire *wire = BIO_get_data(bio);
    ssize_t n;
    BIO_clear_retry_flags(bio);
    do
        n = send(wire->fd, bytes, (size_t)length, MSG_NOSIGNAL | (wire->wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return stop(bio, wire, TLS_STOP_WRITE);
    wire->sent += (uint64_t)n;
    return (int)n;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* we keep nothing back */
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* One for the process, never freed. */
static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "galley");
    assert(method);
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
}

BIO *tls_bio_create(struct tls_wire *wire)
{
    pthread_once(&method_once, make_method);
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}
