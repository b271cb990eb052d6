/* Pages and their files, from the table that tools/embed.sh made. */
#include "server/admin/admin_private.h"
#include "server/admin/assets.h"

#include <assert.h>

#define ASSETS_PREFIX "/_/assets/"

static const struct asset *asset_find(struct slice path)
{
    for (unsigned i = 0; i < asset_count; i++)
        if (slice_is(path, assets[i].path))
            return &assets[i];
    return NULL;
}

static void answer_asset(struct response *response, const struct asset *asset)
{
    response_borrow(response, 200, asset->content_type, slice_of(asset->bytes, asset->size), NULL,
                    NULL);
}

/* An etag is quoted and occurs in a list only as itself, with or without W/ before it. */
static bool is_fresh(const struct request *request, const struct asset *asset)
{
    struct slice known = request_header(request, "If-None-Match");
    return known.ptr && memmem(known.ptr, known.len, asset->etag, strlen(asset->etag));
}

void serve_asset(struct visit *visit)
{
    struct slice path = visit->request->path;
    size_t skip = sizeof ASSETS_PREFIX - 1;
    const struct asset *asset = asset_find(slice_of(path.ptr + skip, path.len - skip));
    if (!asset) {
        response_error(visit->response, visit->request, ERR_NOT_FOUND, NULL, NULL, NULL);
        return;
    }
    if (is_fresh(visit->request, asset))
        visit->response->status = 304;
    else
        answer_asset(visit->response, asset);
    response_header(visit->response, "ETag", slice_str(asset->etag));
}

void serve_page(struct visit *visit, const char *asset_path)
{
    const struct asset *asset = asset_find(slice_str(asset_path));
    assert(asset);
    answer_asset(visit->response, asset);
}

void serve_redirect(struct visit *visit, const char *location)
{
    visit->response->status = 303;
    response_header(visit->response, "Location", slice_str(location));
}

void serve_dashboard(struct visit *visit)
{
    serve_page(visit, "index.html");
}
