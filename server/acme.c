/* Answers of an ACME client's HTTP challenge (RFC 8555, 8.3): how a certificate authority sees that
 * a name is ours. The client (certbot --webroot, acme.sh -w) puts a file under [server]
 * acme_webroot and has the authority fetch it from port 80. */
#include "server/galley_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX  128  /* characters; they have 22 at least */
#define ANSWER_MAX 1024 /* bytes: the token and a key's hash */

/* Of the alphabet that tokens are made of: no dot, no slash. */
static bool is_token(struct slice text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\0' || !strchr(alphabet, text.ptr[i]))
            return false;
    }
    return text.len > 0 && text.len <= TOKEN_MAX;
}

/* -1: there is none, or it is no plain file. */
static int open_answer(const char *webroot, struct slice token)
{
    char path[4096 + TOKEN_MAX + 64];
    struct stat file;
    if (!is_token(token))
        return -1;
    snprintf(path, sizeof path, "%s" ACME_PATH "%.*s", webroot, SLICE_ARG(token));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void acme_target(struct request *request, struct response *response, void *arg)
{
    const struct galley *galley = arg;
    const char *webroot = config_text(config_section(galley->config, "server"), "acme_webroot");
    int fd = open_answer(webroot, request_param(request, "token"));
    ssize_t got = fd >= 0 ? read(fd, buf_reserve(&response->body, ANSWER_MAX), ANSWER_MAX) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0) {
        response_error(response, request, ERR_NOT_FOUND, NULL, NULL, NULL);
        return;
    }
    response->body.len += (size_t)got;
    response_header(response, "Content-Type", slice_str("application/octet-stream"));
    response->status = 200;
}
