#include "server/balance/balancer_private.h"

static uint32_t *count_at(struct share_counts *shares, unsigned row, uint64_t client)
{
    return &shares->counts[row][(row ? client >> 32 : client) % SHARE_COUNTS];
}

unsigned share_of(const struct share_counts *shares, uint64_t client)
{
    uint32_t a = shares->counts[0][client % SHARE_COUNTS];
    uint32_t b = shares->counts[1][(client >> 32) % SHARE_COUNTS];
    return a < b ? a : b;
}

void share_add(struct share_counts *shares, struct balancer_request *request)
{
    if (request->client == 0 || request->counted)
        return;
    request->counted = true;
    for (unsigned row = 0; row < 2; row++)
        ++*count_at(shares, row, request->client);
}

void share_remove(struct share_counts *shares, struct balancer_request *request)
{
    if (!request->counted)
        return;
    request->counted = false;
    for (unsigned row = 0; row < 2; row++)
        --*count_at(shares, row, request->client);
}
