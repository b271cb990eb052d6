/* [auth], [log]: whom we know, and what we tell. */
#include "server/config/config_private.h"

#include "base/log.h"

#include <stddef.h>
#include <string.h>

#define ACCESS_MAX 1000 /* bytes of a template */

bool config_access_value(const struct config_field *field, const char *text,
                         struct config_value *out, struct buf *why)
{
    (void)field;
    (void)out;
    struct buf reason = BUF_INIT;
    bool good = strlen(text) <= ACCESS_MAX && log_access_format_check(text, &reason);
    if (!good && reason.len > 0)
        buf_printf(why, " (%.*s)", SLICE_ARG(buf_slice(&reason)));
    buf_release(&reason);
    return good;
}

void config_access_describe(const struct config_field *field, struct buf *out)
{
    (void)field;
    buf_printf(out, "auto, json, text, combined, or a template of up to %d bytes with ",
               ACCESS_MAX);
    log_append_fields(out);
}

/* clang-format off: tables, a row a key */
static const struct config_key auth_keys[] = {
    {"key", CONFIG_TEXT, "", 32, 1024, CONFIG_RESTART | CONFIG_SECRET, NULL,
     "The secret that signs tokens; empty: made at the first start, in the data directory."},
    {"issuer", CONFIG_TEXT, "galley", 1, 200, CONFIG_RESTART, NULL, "The claim iss of a token."},
    {"audience", CONFIG_TEXT, "galley", 1, 200, CONFIG_RESTART, NULL, "The claim aud of a token."},
    {"token_ttl", CONFIG_DURATION, "1h", CONFIG_SECOND, 30 * CONFIG_DAY, CONFIG_RELOADS, NULL,
     "How long a token is valid."},
    {"register", CONFIG_BOOL, "no", 0, 0, CONFIG_RESTART, NULL,
     "Whether anybody may become a user: POST /auth/register."},
    {"register_roles", CONFIG_ROLE, "", 0, 0, CONFIG_RESTART | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "The roles of those who register."},
};

const struct config_kind config_auth = {
    "auth",
    CONFIG_MODULE,
    "Users, and the tokens that they sign in with. It is served without a [route] too: "
    "/auth/login, /auth/logout, /auth/register, /users/me.",
    CONFIG_KEYS(auth_keys),
};

static const struct config_key log_keys[] = {
    {"level", CONFIG_CHOICE, "info", 0, 0, CONFIG_RELOADS, "debug info warn error off",
     "The least important line that is written."},
    {"format", CONFIG_CHOICE, "auto", 0, 0, CONFIG_RELOADS, "auto json text",
     "auto: text on a terminal, else JSON."},
    {"file", CONFIG_TEXT, "-", 1, 4000, CONFIG_RELOADS, NULL,
     "The file that is appended to; - is standard error. A reload opens it anew."},
    {"access", CONFIG_BOOL, "yes", 0, 0, CONFIG_RELOADS, NULL, "Whether every request is logged."},
    {"access_format", CONFIG_ACCESS, "auto", 0, 0, CONFIG_RELOADS, NULL,
     "How: auto: as format says; combined: Apache's; a template has what stands in braces filled "
     "in "
     "(docs/gateway.md)."},
};

const struct config_kind config_log = {
    "log",
    0,
    "What is logged, and where.",
    CONFIG_KEYS(log_keys),
};
/* clang-format on */
