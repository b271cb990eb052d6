/* Bodies of JSON, of requests and of answers: from bytes to a tree, changed, and back. */
#include "server/transform/transform_private.h"

#include "base/hash.h"
#include "server/http/etag.h"

#include <stdio.h>

/* False: too much would be added. */
static bool change_tree(json_t *root, const struct rules *rules, const struct request *request)
{
    size_t room = TRANSFORM_JSON_MAX;
    bool good = true;
    for (unsigned i = 0; good && i < rules->count; i++)
        good = json_change(root, &rules->list[i], request, &room);
    return good;
}

/* ---- Requests */

bool transform_changes_body(const struct transform *transform, const struct request *request)
{
    return transform->request_json.count > 0 &&
           content_type_is_json(request_header(request, "Content-Type"));
}

enum err transform_body(const struct transform *transform, const struct request *request,
                        struct buf *out, char *why, size_t why_size)
{
    json_t *root;
    enum err err = json_read(request->body, &root, why, why_size);
    if (err)
        return err;
    snprintf(why, why_size, "The body would become too large.");
    if (change_tree(root, &transform->request_json, request))
        json_append(out, root);
    else
        err = ERR_BODY_TOO_LARGE;
    json_decref(root);
    return err;
}

/* ---- Answers */

bool transform_changes_json(const struct transform *transform)
{
    return transform->response_json.count > 0 || transform->field_count > 0;
}

static bool is_to_change(const struct response *response)
{
    bool has_body = response->status >= 200 && response->status < 300 && response->status != 204 &&
                    response->status != 205;
    return has_body && content_type_is_json(response_header_value(response, "Content-Type")) &&
           (response->feed.fill || response_bytes(response).len > 0);
}

/* Takes what is sent piece by piece, but waits for nothing, as a whole. */
static bool take_feed(struct response *response)
{
    struct feed *feed = &response->feed;
    struct buf whole = BUF_INIT;
    int64_t when = FEED_AGAIN;
    if (!feed->sized || feed->polls || feed->event || feed->length > TRANSFORM_JSON_MAX)
        return false;
    while (when == FEED_AGAIN && whole.len <= TRANSFORM_JSON_MAX)
        when = feed->fill(feed->arg, &whole, 0);
    bool good = when == FEED_END && whole.len == feed->length;
    response_drop_bytes(response);
    buf_release(&response->body);
    response->body = whole;
    return good;
}

/* Part of a text, or one that is compressed, is none that could be read. */
static bool is_readable(const struct response *response)
{
    struct slice coding = response_header_value(response, "Content-Encoding");
    return response->status != 206 &&
           (!coding.ptr || slice_eq_nocase(coding, slice_str("identity"))) &&
           response_bytes(response).len <= TRANSFORM_JSON_MAX;
}

/* Whatever was said of the former bytes. */
static void describe_bytes(struct response *response)
{
    static const char *const about[] = {"ETag",           "Last-Modified", "Content-MD5",  "Digest",
                                        "Content-Digest", "Repr-Digest",   "Accept-Ranges"};
    bool validated = response_header_value(response, "ETag").ptr ||
                     response_header_value(response, "Last-Modified").ptr;
    for (size_t i = 0; i < sizeof about / sizeof *about; i++)
        response_header_remove(response, about[i]);
    if (!validated)
        return;
    char tag[ETAG_SIZE];
    etag_format(hash_bytes(response_bytes(response)), tag);
    response_header(response, "ETag", slice_of(tag, sizeof tag));
}

static const struct field_rule *fields_for(const struct transform *transform,
                                           const struct request *request)
{
    for (unsigned i = 0; i < transform->field_count; i++) {
        if (field_rule_holds(&transform->fields[i], request))
            return &transform->fields[i];
    }
    return NULL;
}

/* Fields are named as the changes have left them. */
static bool change_bytes(const struct transform *transform, const struct request *request,
                         struct response *response)
{
    char why[200];
    json_t *root;
    struct buf text = BUF_INIT;
    const struct field_rule *fields = fields_for(transform, request);
    if (json_read(response_bytes(response), &root, why, sizeof why) != ERR_OK)
        return false;
    bool good = change_tree(root, &transform->response_json, request);
    size_t room = 0; /* cutting takes none */
    if (fields && !fields->everything)
        json_change(root, &fields->keep, request, &room);
    if (good)
        json_append(&text, root);
    json_decref(root);
    if (!good)
        return false;
    response_drop_bytes(response);
    buf_release(&response->body);
    response->body = text;
    return true;
}

/* One that cannot be changed may hold what its client is not to see. */
void transform_json(const struct transform *transform, const struct request *request,
                    struct response *response)
{
    if (!transform_changes_json(transform) || !is_to_change(response))
        return;
    bool whole = !response->feed.fill || take_feed(response);
    if (whole && is_readable(response) && change_bytes(transform, request, response))
        describe_bytes(response);
    else
        response_error(response, request, ERR_UPSTREAM, NULL,
                       "The answer is none that could be changed for you.", NULL);
}
