/* DESIGN. Two walls against other sites' pages. The cookie is SameSite=Strict, so that a browser
 * does not send it with their requests; and every POST shows that it comes from our own page: by
 * the headers that only the browser can set, and within a session by the token that only our page
 * could read. A client that is no browser sends none of these headers and has no ambient cookie. */
#include "server/admin/admin_private.h"

#include <stdio.h>

#define COOKIE_NAME_SIZE 40

/* Under TLS browsers hold the name to what it says: Secure, of this host alone, for all paths.
 * Cookies are those of a host, whatever the port: two servers on one machine need two names. */
static void cookie_name(const struct request *request, char out[COOKIE_NAME_SIZE])
{
    snprintf(out, COOKIE_NAME_SIZE, "%sgalley_admin_%u", request->secure ? "__Host-" : "",
             request->local_port);
}

static struct slice cookie_value(const struct request *request, const char *name)
{
    struct slice rest = request_header(request, "Cookie");
    while (rest.ptr) {
        struct slice value = slice_trim(slice_cut(&rest, ';'));
        struct slice key = slice_cut(&value, '=');
        if (slice_is(key, name))
            return value;
    }
    return (struct slice){NULL, 0};
}

void access_identify(struct visit *visit)
{
    char name[COOKIE_NAME_SIZE];
    cookie_name(visit->request, name);
    visit->token = cookie_value(visit->request, name);
    visit->signed_in =
        visit->token.ptr && sessions_use(visit->admin->sessions, visit->token,
                                         visit->request->received_ms, &visit->session);
    visit->role = visit->request->local ? ADMIN_ADMINISTRATOR
                  : visit->signed_in    ? visit->session.role
                                        : ADMIN_NOBODY;
}

/* Origin is "scheme://host[:port]", or "null"; the part behind "//" must be our Host. */
static bool origin_is_ours(const struct request *request, struct slice origin)
{
    slice_cut(&origin, ':');
    if (!slice_starts(origin, slice_str("//")))
        return false;
    struct slice host = slice_of(origin.ptr + 2, origin.len - 2);
    return slice_eq_nocase(host, request_host(request));
}

bool access_from_our_page(const struct request *request)
{
    struct slice site = request_header(request, "Sec-Fetch-Site");
    struct slice origin = request_header(request, "Origin");
    if (site.ptr)
        return slice_is(site, "same-origin");
    return !origin.ptr || origin_is_ours(request, origin);
}

bool access_has_csrf_token(const struct visit *visit)
{
    struct slice token = request_header(visit->request, "X-CSRF-Token");
    return token.ptr && session_token_is(token, visit->session.csrf);
}

static void set_cookie(struct visit *visit, const char *token, const char *attributes)
{
    struct buf line = BUF_INIT;
    bool secure = visit->request->secure;
    char name[COOKIE_NAME_SIZE];
    cookie_name(visit->request, name);
    buf_printf(&line, "%s=%s; Path=%s; HttpOnly; SameSite=Strict%s%s", name, token,
               secure ? "/" : "/_/", secure ? "; Secure" : "", attributes);
    response_header(visit->response, "Set-Cookie", buf_slice(&line));
    buf_release(&line);
}

void access_set_cookie(struct visit *visit, const char *token)
{
    set_cookie(visit, token, "");
}

void access_clear_cookie(struct visit *visit)
{
    set_cookie(visit, "", "; Max-Age=0");
}
