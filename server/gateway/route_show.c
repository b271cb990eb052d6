#include "server/gateway/route_show.h"

#include "server/gateway/gateway_private.h"
#include "server/gateway/route_table.h"

#include "base/mem.h"
#include "server/http/path.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A request that nobody has sent */

static bool refuse(char *why, size_t why_size, const char *what, const char *text)
{
    snprintf(why, why_size, "%s: %.200s", what, text);
    return false;
}

static bool read_header(struct route_question *question, const char *line, char *why,
                        size_t why_size)
{
    struct slice value = slice_str(line);
    struct slice name = slice_trim(slice_cut(&value, ':'));
    if (!value.ptr || name.len == 0)
        return refuse(why, why_size, "not a header \"Name: value\"", line);
    if (question->request.header_count == HEADERS_MAX)
        return refuse(why, why_size, "one header too many", line);
    question->headers[question->request.header_count++] = (struct header){name, slice_trim(value)};
    return true;
}

/* Cuts "https://host" off and makes a Host field of it. */
static struct slice read_host(struct route_question *question, struct slice url)
{
    const char *found = memmem(url.ptr, url.len, "://", 3);
    if (!found)
        return url;
    struct slice rest = slice_of(found + 3, url.len - (size_t)(found + 3 - url.ptr));
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    question->headers[question->request.header_count++] =
        (struct header){slice_str("Host"), slice_of(rest.ptr, len)};
    question->request.secure = slice_starts(url, slice_str("https:"));
    rest = slice_of(rest.ptr + len, rest.len - len);
    return rest.len > 0 ? rest : slice_str("/");
}

bool route_question_init(struct route_question *question, const char *method, const char *url,
                         const char *const *headers, unsigned header_count, const char *address,
                         char *why, size_t why_size)
{
    *question = (struct route_question){0};
    struct request *request = &question->request;
    request->headers = question->headers;
    request->address = slice_str(address);
    if (!method_parse(slice_str(method), &request->method))
        return refuse(why, why_size, "not a method", method);
    struct slice rest = read_host(question, slice_str(url));
    rest = slice_cut(&rest, '#');
    struct slice path = slice_cut(&rest, '?');
    request->query = rest;
    buf_append_slice(&question->path, path);
    if (!path_normalise(question->path.data, question->path.len, &request->path))
        return refuse(why, why_size, "not a path that is served (it would be answered 400)", url);
    for (unsigned i = 0; i < header_count; i++) {
        if (!read_header(question, headers[i], why, why_size))
            return false;
    }
    return true;
}

void route_question_release(struct route_question *question)
{
    buf_release(&question->path);
}

/* ---- The table */

static void write_conditions(const struct route *route, struct json_writer *w)
{
    struct buf text = BUF_INIT;
    jw_key(w, "conditions");
    jw_begin(w, '[');
    for (unsigned i = 0; i < route->condition_count; i++) {
        buf_clear(&text);
        condition_write(&route->conditions[i], &text);
        jw_str(w, buf_slice(&text));
    }
    jw_end(w, ']');
    buf_release(&text);
}

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    if (text)
        jw_str(w, slice_str(text));
    else
        jw_null(w);
}

static void write_route(const struct route *route, struct json_writer *w)
{
    const struct route_spec *spec = &route->spec;
    jw_begin(w, '{');
    write_text(w, "section", spec->section);
    jw_key(w, "line");
    jw_i64(w, spec->line);
    write_text(w, "host", spec->host);
    write_text(w, "method", spec->any_method ? NULL : method_name(spec->method));
    write_text(w, "path", spec->pattern);
    write_conditions(route, w);
    write_text(w, "target", spec->leads_to);
    jw_end(w, '}');
}

void route_table_write(const struct route_table *table, struct json_writer *w)
{
    jw_begin(w, '[');
    for (unsigned i = 0; i < route_table_count(table); i++)
        write_route(route_table_at(table, i), w);
    jw_end(w, ']');
}

/* ---- One request */

struct passed_over {
    const struct route *route;
    enum route_verdict verdict;
    const struct condition *failed;
};

struct account {
    struct passed_over *list;
    unsigned count;
};

static void note(const struct route *route, enum route_verdict verdict,
                 const struct condition *failed, void *arg)
{
    struct account *account = arg;
    if (verdict != ROUTE_TAKEN)
        account->list[account->count++] = (struct passed_over){route, verdict, failed};
}

/* How far it got; what came to nothing at its path is told last. */
static int nearness(enum route_verdict verdict)
{
    static const int near[] = {[ROUTE_OUTDONE] = 4,
                               [ROUTE_CONDITION] = 3,
                               [ROUTE_METHOD] = 2,
                               [ROUTE_PATH] = 0,
                               [ROUTE_HOST] = 1};
    return near[verdict];
}

static int compare(const void *a, const void *b)
{
    const struct passed_over *x = a, *y = b;
    int order = nearness(y->verdict) - nearness(x->verdict);
    return order ? order : (int)x->route->index - (int)y->route->index;
}

static void say_why(const struct passed_over *one, struct buf *out)
{
    const struct route_spec *spec = &one->route->spec;
    switch (one->verdict) {
    case ROUTE_HOST:
        buf_printf(out, "its host is %s", spec->host);
        break;
    case ROUTE_PATH:
        buf_printf(out, "its path is %s", spec->pattern);
        break;
    case ROUTE_METHOD:
        buf_printf(out, "its method is %s", method_name(spec->method));
        break;
    case ROUTE_CONDITION:
        buf_append_str(out, "it wants ");
        condition_write(one->failed, out);
        break;
    default:
        buf_append_str(out, "it fits, but the other is more particular");
    }
}

static void write_passed_over(const struct passed_over *one, struct json_writer *w)
{
    static const char *const words[] = {[ROUTE_OUTDONE] = "outdone",
                                        [ROUTE_HOST] = "host",
                                        [ROUTE_PATH] = "path",
                                        [ROUTE_METHOD] = "method",
                                        [ROUTE_CONDITION] = "condition"};
    struct buf text = BUF_INIT;
    say_why(one, &text);
    jw_begin(w, '{');
    jw_key(w, "route");
    write_route(one->route, w);
    write_text(w, "why", words[one->verdict]);
    jw_key(w, "says");
    jw_str(w, buf_slice(&text));
    jw_end(w, '}');
    buf_release(&text);
}

static void write_request(const struct request *request, struct json_writer *w)
{
    jw_begin(w, '{');
    write_text(w, "method", method_name(request->method));
    jw_key(w, "host");
    jw_str(w, request_host(request));
    jw_key(w, "path");
    jw_str(w, request->path);
    jw_end(w, '}');
}

/* What is answered where no route is taken. */
static int status_without(const struct route_table *table, const struct request *request)
{
    if (route_table_methods(table, request) == 0)
        return 404;
    return request->method == METHOD_OPTIONS ? 204 : 405;
}

void route_table_write_try(const struct route_table *table, const struct request *request,
                           struct json_writer *w)
{
    struct account account = {
        .list = mem_zalloc((route_table_count(table) + 1) * sizeof(struct passed_over))};
    const struct route *taken = route_table_explain(table, request, note, &account);
    qsort(account.list, account.count, sizeof *account.list, compare);
    jw_begin(w, '{');
    jw_key(w, "request");
    write_request(request, w);
    jw_key(w, "takes");
    if (taken)
        write_route(taken, w);
    else
        jw_null(w);
    jw_key(w, "stages");
    if (taken)
        route_stages_write(taken, request, w);
    else
        jw_null(w);
    jw_key(w, "status");
    if (taken)
        jw_null(w);
    else
        jw_i64(w, status_without(table, request));
    jw_key(w, "passedOver");
    jw_begin(w, '[');
    for (unsigned i = 0; i < account.count; i++)
        write_passed_over(&account.list[i], w);
    jw_end(w, ']');
    jw_end(w, '}');
    free(account.list);
}

/* ---- Of what is served */

void gateway_write_routes(struct gateway *gateway, struct json_writer *w)
{
    struct plan *plan = plan_hold(gateway);
    route_table_write(plan->routes, w);
    plan_release(plan);
}

void gateway_write_try(struct gateway *gateway, const struct request *request,
                       struct json_writer *w)
{
    struct plan *plan = plan_hold(gateway);
    route_table_write_try(plan->routes, request, w);
    plan_release(plan);
}
