/* Pages and their files, from the table that tools/embed.mjs made. */
#include "server/admin/admin_private.h"
#include "server/admin/assets.h"
#include "server/http/etag.h"

#include <assert.h>

#define ASSETS_PREFIX "/_/assets/"

static const struct asset *asset_find(struct slice path)
{
    for (unsigned i = 0; i < asset_count; i++)
        if (slice_is(path, assets[i].path))
            return &assets[i];
    return NULL;
}

static enum coding choose_form(const struct request *request, const struct asset *asset)
{
    struct accept_encoding accept;
    unsigned offered = 0;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        offered |= asset->forms[coding].len > 0 ? 1U << coding : 0;
    accept_encoding_read(request->headers, request->header_count, &accept);
    return accept_encoding_choose(&accept, offered);
}

static enum coding answer_asset(struct visit *visit, const struct asset *asset)
{
    struct response *response = visit->response;
    enum coding coding = choose_form(visit->request, asset);
    response_borrow(response, 200, asset->content_type, asset->forms[coding], NULL, NULL);
    response_header(response, "Vary", slice_str("Accept-Encoding"));
    if (coding != CODING_IDENTITY)
        response_header(response, "Content-Encoding", slice_str(coding_name(coding)));
    return coding;
}

/* Each form has a tag of its own; the gateway answers 304 to who has it. */
static void add_tag(struct response *response, const struct asset *asset, enum coding coding)
{
    char coded[ETAG_MAX];
    response_header(response, "ETag", etag_coded(slice_str(asset->etag), coding, coded));
}

void serve_asset(struct visit *visit)
{
    struct slice path = visit->request->path;
    size_t skip = sizeof ASSETS_PREFIX - 1;
    struct slice rest = slice_of(path.ptr + skip, path.len - skip);
    struct slice directory = slice_cut(&rest, '/');
    const struct asset *asset = slice_is(directory, assets_directory) ? asset_find(rest) : NULL;
    visit->response->quiet = true;
    if (asset)
        add_tag(visit->response, asset, answer_asset(visit, asset));
    else
        response_error(visit->response, visit->request, ERR_NOT_FOUND, NULL, NULL, NULL);
}

void serve_page(struct visit *visit, const char *asset_path)
{
    const struct asset *asset = asset_find(slice_str(asset_path));
    assert(asset);
    answer_asset(visit, asset);
}

void serve_redirect(struct visit *visit, const char *location)
{
    visit->response->status = 303;
    response_header(visit->response, "Location", slice_str(location));
}

void serve_shell(struct visit *visit)
{
    serve_page(visit, "index.html");
}
