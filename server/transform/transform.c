#include "server/transform/transform_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Kinds */

#define CHANGES "set NAME VALUE, add NAME VALUE, remove NAME, NAME, or rename NAME NEW"
#define JSON_CHANGES                                                                               \
    "set PATH VALUE, add PATH VALUE, remove PATH, PATH, rename PATH NEW, or keep PATH, PATH"
#define DATE "a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z"
#define LINK "a URI such as https://api.example.org/v2 or /docs/v2"

static const struct {
    const char *name, *help;
} kinds[TRANSFORM_KINDS] = {
    [TRANSFORM_REQUEST_HEADER] = {"request_header", CHANGES},
    [TRANSFORM_REQUEST_QUERY] = {"request_query", CHANGES},
    [TRANSFORM_REQUEST_JSON] = {"request_json", JSON_CHANGES},
    [TRANSFORM_RESPONSE_HEADER] = {"response_header", CHANGES},
    [TRANSFORM_RESPONSE_JSON] = {"response_json", JSON_CHANGES},
    [TRANSFORM_FIELDS] = {"fields",
                          "PATH, PATH or *, and behind it if device mobile, if role NAME, "
                          "if header NAME: VALUE, or another condition"},
    [TRANSFORM_RESPONSE_STATUS] = {"response_status", "404 as 200, or 500-599 as 502"},
    [TRANSFORM_DEPRECATED] = {"deprecated", DATE},
    [TRANSFORM_SUNSET] = {"sunset", DATE},
    [TRANSFORM_SUCCESSOR] = {"successor", LINK},
    [TRANSFORM_DEPRECATION_LINK] = {"deprecation_link", LINK},
    [TRANSFORM_SUNSET_LINK] = {"sunset_link", LINK},
};

const char *transform_kind_name(enum transform_kind kind)
{
    return kinds[kind].name;
}

const char *transform_kind_help(enum transform_kind kind)
{
    return kinds[kind].help;
}

/* ---- Making */

static struct rules *rules_of(struct transform *t, enum transform_kind kind)
{
    switch (kind) {
    case TRANSFORM_REQUEST_HEADER:
        return &t->request_header;
    case TRANSFORM_REQUEST_QUERY:
        return &t->request_query;
    case TRANSFORM_REQUEST_JSON:
        return &t->request_json;
    case TRANSFORM_RESPONSE_HEADER:
        return &t->response_header;
    case TRANSFORM_RESPONSE_JSON:
        return &t->response_json;
    default:
        return NULL;
    }
}

static bool add_rule(struct transform *t, const struct transform_line *line,
                     const struct transform_settings *settings, char *why, size_t why_size)
{
    struct rules *rules = rules_of(t, line->kind);
    rules->list = mem_realloc(rules->list, (rules->count + 1) * sizeof *rules->list);
    struct rule *rule = &rules->list[rules->count++];
    bool json = line->kind == TRANSFORM_REQUEST_JSON || line->kind == TRANSFORM_RESPONSE_JSON;
    if (!rule_read(line->text, json, settings, rule, why, why_size))
        return false;
    if (json)
        return json_rule_check(rule, why, why_size);
    return line->kind == TRANSFORM_REQUEST_QUERY ||
           headers_check(rule, line->kind == TRANSFORM_REQUEST_HEADER, why, why_size);
}

static bool add_fields(struct transform *t, const char *text, char *why, size_t why_size)
{
    t->fields = mem_realloc(t->fields, (t->field_count + 1) * sizeof *t->fields);
    return field_rule_read(text, &t->fields[t->field_count++], why, why_size);
}

/* What a status may become, and be: 101 and 304 speak of more than the answer. */
static bool is_plain(int64_t status)
{
    return status >= 200 && status <= 599 && status != 206 && status != 304;
}

static bool add_status(struct transform *t, const char *text, char *why, size_t why_size)
{
    int from, to, as, end = 0;
    snprintf(why, why_size, "\"%.40s\" is none of 200 to 599 without 206 and 304", text);
    if (sscanf(text, "%3d as %3d%n", &from, &as, &end) == 2)
        to = from;
    else if (sscanf(text, "%3d-%3d as %3d%n", &from, &to, &as, &end) != 3)
        return false;
    if (text[end] || from < 200 || to > 599 || from > to || !is_plain(as))
        return false;
    t->statuses = mem_realloc(t->statuses, (t->status_count + 1) * sizeof *t->statuses);
    t->statuses[t->status_count++] = (struct status_rule){from, to, as};
    return true;
}

static bool add_line(struct transform *t, const struct transform_line *line,
                     const struct transform_settings *settings, char *why, size_t why_size)
{
    if (rules_of(t, line->kind))
        return add_rule(t, line, settings, why, why_size);
    if (line->kind == TRANSFORM_FIELDS)
        return add_fields(t, line->text, why, why_size);
    if (line->kind == TRANSFORM_RESPONSE_STATUS)
        return add_status(t, line->text, why, why_size);
    return notice_write(line->kind, line->text, &t->notices, why, why_size);
}

/* RFC 9745 section 4: what is not deprecated yet cannot be gone. */
static bool dates_fit(const struct transform_line *lines, unsigned count, char *why,
                      size_t why_size)
{
    int64_t deprecated_s = 0, sunset_s = INT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        if (lines[i].kind == TRANSFORM_DEPRECATED)
            notice_date(lines[i].text, &deprecated_s);
        if (lines[i].kind == TRANSFORM_SUNSET)
            notice_date(lines[i].text, &sunset_s);
    }
    snprintf(why, why_size, "sunset is before deprecated");
    return sunset_s >= deprecated_s;
}

static bool varies(const struct rules *rules)
{
    for (unsigned i = 0; i < rules->count; i++) {
        if (rules->list[i].value && value_varies(rules->list[i].value))
            return true;
    }
    return false;
}

static bool renames(const struct rules *rules)
{
    for (unsigned i = 0; i < rules->count; i++) {
        if (rules->list[i].verb == VERB_RENAME)
            return true;
    }
    return false;
}

static void write_vary(const struct rules *rules, struct buf *out)
{
    for (unsigned i = 0; i < rules->count; i++) {
        if (rules->list[i].value)
            value_write_vary(rules->list[i].value, out);
    }
}

static void note_what_follows(struct transform *t)
{
    t->has_key =
        varies(&t->request_header) || varies(&t->request_query) || renames(&t->request_header);
    t->touches_security = headers_touch_security(&t->response_header);
    write_vary(&t->response_header, &t->vary);
    write_vary(&t->response_json, &t->vary);
    for (unsigned i = 0; i < t->field_count; i++)
        field_rule_write_vary(&t->fields[i], &t->vary);
    if (t->vary.len > 0)
        t->vary.len -= 2; /* the last comma */
}

enum err transform_create(const struct transform_line *lines, unsigned count,
                          const struct transform_settings *settings, struct transform **out,
                          char *why, size_t why_size)
{
    *out = NULL;
    if (count == 0)
        return ERR_OK;
    if (count > TRANSFORM_LINES_MAX) {
        snprintf(why, why_size, "at most %d changes", TRANSFORM_LINES_MAX);
        return ERR_VALIDATION;
    }
    struct transform *t = *out = mem_zalloc(sizeof *t);
    bool good = true;
    for (unsigned i = 0; good && i < count; i++)
        good = add_line(t, &lines[i], settings, why, why_size);
    good = good && dates_fit(lines, count, why, why_size);
    if (good)
        note_what_follows(t);
    else
        transform_destroy(out);
    return good ? ERR_OK : ERR_VALIDATION;
}

static void rules_release(struct rules *rules)
{
    for (unsigned i = 0; i < rules->count; i++)
        rule_release(&rules->list[i]);
    free(rules->list);
}

void transform_destroy(struct transform **transform)
{
    struct transform *t = *transform;
    if (!t)
        return;
    rules_release(&t->request_header);
    rules_release(&t->request_query);
    rules_release(&t->request_json);
    rules_release(&t->response_header);
    rules_release(&t->response_json);
    for (unsigned i = 0; i < t->field_count; i++)
        field_rule_release(&t->fields[i]);
    free(t->fields);
    free(t->statuses);
    buf_release(&t->notices);
    buf_release(&t->vary);
    free(t);
    *transform = NULL;
}

/* ---- Requests */

bool transform_changes_requests(const struct transform *transform)
{
    return transform->request_header.count > 0 || transform->request_query.count > 0;
}

enum err transform_request(const struct transform *transform, const struct request *request,
                           struct transform_request *out)
{
    query_of_request(&transform->request_query, request, out);
    return headers_of_request(&transform->request_header, request, out);
}

void transform_request_release(struct transform_request *out)
{
    buf_release(&out->text);
    buf_release(&out->query_text);
}

static void write_values(const struct rules *rules, const struct request *request, struct buf *out)
{
    struct buf text = BUF_INIT;
    for (unsigned i = 0; i < rules->count; i++) {
        const struct value *value = rules->list[i].value;
        if (!value || !value_varies(value))
            continue;
        buf_clear(&text);
        value_fill(value, request, &text);
        buf_printf(out, "\n{%zu}", text.len); /* no two lists of values read the same */
        buf_append_slice(out, buf_slice(&text));
    }
    buf_release(&text);
}

/* What a field was called by the client says nothing to whoever compares by Vary, and nothing of
 * whose it is: so the values that get another name are part of the key. */
static void write_renamed(const struct rules *rules, const struct request *request, struct buf *out)
{
    for (unsigned i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->list[i];
        for (unsigned h = 0; rule->verb == VERB_RENAME && h < request->header_count; h++) {
            const struct header *header = &request->headers[h];
            if (!slice_eq_nocase(header->name, slice_str(rule->names[0])))
                continue;
            buf_printf(out, "\n{%u:%zu}", i, header->value.len);
            buf_append_slice(out, header->value);
        }
    }
}

void transform_write_key(const struct transform *transform, const struct request *request,
                         struct buf *out)
{
    if (!transform->has_key)
        return;
    write_values(&transform->request_header, request, out);
    write_values(&transform->request_query, request, out);
    write_renamed(&transform->request_header, request, out);
}

bool transform_has_key(const struct transform *transform)
{
    return transform->has_key;
}

/* ---- Answers */

static void map_status(const struct transform *t, struct response *response)
{
    for (unsigned i = 0; i < t->status_count; i++) {
        const struct status_rule *rule = &t->statuses[i];
        if (!is_plain(response->status) || response->status < rule->from ||
            response->status > rule->to)
            continue;
        response->status = rule->as;
        if (rule->as == 204)
            response_drop_bytes(response);
        return;
    }
}

/* From now on the security headers are among the others. */
static void take_security(struct response *response)
{
    if (!response->passed_on && !response->says_security)
        buf_append_str(&response->headers, SECURITY_HEADERS);
    response->says_security = true;
}

void transform_response(const struct transform *transform, const struct request *request,
                        struct response *response)
{
    map_status(transform, response);
    if (transform->touches_security)
        take_security(response);
    if (transform->response_header.count > 0)
        headers_of_response(&transform->response_header, request, response);
    buf_append_slice(&response->headers, buf_slice(&transform->notices));
    if (transform->vary.len > 0)
        response_header(response, "Vary", buf_slice(&transform->vary));
}
