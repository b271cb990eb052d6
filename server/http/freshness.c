#include "server/http/freshness.h"

#include "server/http/date.h"

#define HEURISTIC_MAX_S                                                                            \
    86400 /* RFC 9111 names a tenth of the time since the change; and no end                       \
           */
#define AGE_UNKNOWN_S SECONDS_MAX

/* ---- Reading */

static unsigned count_of(const struct fields *fields, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < fields->count; i++)
        count += slice_eq_nocase(fields->items[i].name, slice_str(name));
    return count;
}

static bool date_of(const struct fields *fields, const char *name, int64_t now_ms, int64_t *out_ms)
{
    struct slice value = fields_get(fields, name);
    return value.ptr && http_date_parse(value, now_ms, out_ms);
}

/* One whole number; of anything else nobody knows how old the answer is, so it is as old as can be.
 */
static int64_t age_said(const struct fields *fields)
{
    struct slice value = fields_get(fields, "Age");
    int64_t age_s = 0;
    if (!value.ptr)
        return 0;
    if (count_of(fields, "Age") > 1 || value.len == 0)
        return AGE_UNKNOWN_S;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return AGE_UNKNOWN_S;
        age_s = age_s * 10 + (value.ptr[i] - '0');
        if (age_s > AGE_UNKNOWN_S)
            return AGE_UNKNOWN_S;
    }
    return age_s;
}

/* RFC 9111 section 4.2.3. */
static int64_t corrected_initial_age_s(const struct answered *answered)
{
    int64_t date_ms;
    int64_t apparent_s = 0;
    if (date_of(answered->fields, "Date", answered->answered_wall_ms, &date_ms))
        apparent_s = (answered->answered_wall_ms - date_ms) / 1000;
    int64_t delay_s = (answered->answered_ms - answered->asked_ms) / 1000;
    int64_t corrected_s = age_said(answered->fields) + delay_s;
    return apparent_s > corrected_s ? apparent_s : corrected_s;
}

/* The Date of the answer, or when it came. */
static int64_t date_ms_of(const struct answered *answered)
{
    int64_t date_ms;
    if (date_of(answered->fields, "Date", answered->answered_wall_ms, &date_ms))
        return date_ms;
    return answered->answered_wall_ms;
}

/* An Expires that is no date, or two of them, is in the past. */
static int64_t expires_in_s(const struct answered *answered)
{
    int64_t expires_ms;
    if (count_of(answered->fields, "Expires") > 1 ||
        !date_of(answered->fields, "Expires", answered->answered_wall_ms, &expires_ms))
        return 0;
    int64_t lifetime_s = (expires_ms - date_ms_of(answered)) / 1000;
    return lifetime_s > 0 ? lifetime_s : 0;
}

/* Statuses that may be kept without being told for how long (RFC 9110 section 15.1). */
static bool is_heuristic(int status)
{
    static const int statuses[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] == status)
            return true;
    }
    return false;
}

static int64_t heuristic_s(const struct answered *answered)
{
    int64_t modified_ms;
    if (!date_of(answered->fields, "Last-Modified", answered->answered_wall_ms, &modified_ms))
        return 0;
    int64_t lifetime_s = (date_ms_of(answered) - modified_ms) / 10000;
    if (lifetime_s < 0)
        return 0;
    return lifetime_s < HEURISTIC_MAX_S ? lifetime_s : HEURISTIC_MAX_S;
}

/* Of the answer alone, without what may be assumed. False if it says nothing. */
static bool is_lifetime_said(const struct answered *answered, const struct cache_control *control,
                             int64_t *out_s)
{
    if (control->s_maxage_s != SECONDS_NONE)
        *out_s = control->s_maxage_s;
    else if (control->max_age_s != SECONDS_NONE)
        *out_s = control->max_age_s;
    else if (fields_get(answered->fields, "Expires").ptr)
        *out_s = expires_in_s(answered);
    else
        return false;
    return true;
}

static int64_t lifetime_assumed_s(const struct answered *answered,
                                  const struct cache_control *control,
                                  const struct cache_policy *policy)
{
    if (!is_heuristic(answered->status) && !control->is_public)
        return 0;
    return policy->ttl_s > 0 ? policy->ttl_s : heuristic_s(answered);
}

/* ---- Whether it may be kept */

/* Statuses whose meaning for a cache we know, all of which are kept in the same way. */
static bool is_understood(int status)
{
    return (status >= 200 && status <= 205) || (status >= 300 && status <= 308 && status != 304) ||
           (status >= 400 && status <= 417) || (status >= 421 && status <= 431) || status == 451 ||
           (status >= 500 && status <= 511);
}

static bool is_whole(int status)
{
    return status >= 200 && status != 206 && status != 304;
}

/* Who may see it is somebody in particular, unless the answer says otherwise, or nobody else is
 * asked for under its key. */
static bool is_somebodys(const struct request *request, const struct cache_policy *policy)
{
    if (request->user.id[0] != '\0')
        return !policy->per_user;
    return request_header(request, "Authorization").ptr;
}

static bool is_for_all(const struct cache_control *control)
{
    return control->is_public || control->s_maxage_s != SECONDS_NONE;
}

static bool is_no_store(const struct answered *answered, const struct cache_control *control)
{
    return control->no_store && !(control->must_understand && is_understood(answered->status));
}

static bool varies_by_all(const struct fields *fields)
{
    for (unsigned i = 0; i < fields->count; i++) {
        struct slice list = fields->items[i].value;
        if (!slice_eq_nocase(fields->items[i].name, slice_str("Vary")))
            continue;
        while (list.len > 0) {
            if (slice_is(slice_trim(slice_cut(&list, ',')), "*"))
                return true;
        }
    }
    return false;
}

static bool has_validator(const struct fields *fields)
{
    return fields_get(fields, "ETag").ptr || fields_get(fields, "Last-Modified").ptr;
}

static bool could_be_used(const struct answered *answered, const struct caching *caching)
{
    int64_t ttl_s = caching_ttl_s(caching, answered->answered_ms);
    if (has_validator(answered->fields))
        return true;
    return !caching->validate_always && (ttl_s > 0 || -ttl_s < caching->stale_if_error_s ||
                                         -ttl_s < caching->stale_while_revalidate_s);
}

static enum storable judge_storing(const struct answered *answered,
                                   const struct cache_control *control,
                                   const struct cache_policy *policy, const struct caching *caching)
{
    struct cache_control asked;
    cache_control_read(answered->request->headers, answered->request->header_count, &asked);
    bool for_all = is_for_all(control);
    if (!is_whole(answered->status) ||
        (control->must_understand && !is_understood(answered->status)))
        return NOT_STATUS;
    if (is_no_store(answered, control))
        return NOT_NO_STORE;
    if (control->is_private)
        return NOT_PRIVATE;
    if (asked.no_store ||
        (is_somebodys(answered->request, policy) && !for_all && !control->must_revalidate))
        return NOT_ASKED;
    if (fields_get(answered->fields, "Set-Cookie").ptr && !for_all)
        return NOT_COOKIE;
    if (varies_by_all(answered->fields))
        return NOT_VARY;
    return could_be_used(answered, caching) ? STORABLE : NOT_SAID;
}

static int64_t said_or(int64_t seconds, int64_t otherwise)
{
    return seconds == SECONDS_NONE ? otherwise : seconds;
}

enum storable caching_read(const struct answered *answered, const struct cache_policy *policy,
                           struct caching *out)
{
    const struct fields *fields = answered->fields;
    struct cache_control control;
    bool targeted = cache_control_read_targeted(fields->items, fields->count, &control);
    if (!targeted)
        cache_control_read(fields->items, fields->count, &control);
    *out = (struct caching){
        .born_ms = answered->answered_ms - corrected_initial_age_s(answered) * 1000,
        .stale_while_revalidate_s =
            said_or(control.stale_while_revalidate_s, policy->stale_while_revalidate_s),
        .stale_if_error_s = said_or(control.stale_if_error_s, policy->stale_if_error_s),
        .validate_always = control.no_cache,
    };
    bool may_be_stale = said_or(control.stale_while_revalidate_s, 0) > 0 ||
                        said_or(control.stale_if_error_s, 0) > 0;
    out->never_stale = control.must_revalidate || control.proxy_revalidate ||
                       (control.s_maxage_s != SECONDS_NONE && !may_be_stale);
    if (!is_lifetime_said(answered, &control, &out->lifetime_s))
        out->lifetime_s = lifetime_assumed_s(answered, &control, policy);
    return judge_storing(answered, &control, policy, out);
}

/* ---- Whether it will do */

int64_t caching_age_s(const struct caching *caching, int64_t now_ms)
{
    int64_t age_s = (now_ms - caching->born_ms) / 1000;
    return age_s > 0 ? age_s : 0;
}

int64_t caching_ttl_s(const struct caching *caching, int64_t now_ms)
{
    return caching->lifetime_s - caching_age_s(caching, now_ms);
}

static bool is_enough(const struct caching *caching, const struct cache_control *request,
                      int64_t now_ms)
{
    int64_t age_s = caching_age_s(caching, now_ms);
    int64_t ttl_s = caching->lifetime_s - age_s;
    if (request->max_age_s != SECONDS_NONE && age_s > request->max_age_s)
        return false;
    if (request->min_fresh_s != SECONDS_NONE && ttl_s < request->min_fresh_s)
        return false;
    return ttl_s > 0 || (request->max_stale_s != SECONDS_NONE && !caching->never_stale &&
                         -ttl_s <= request->max_stale_s);
}

/* A client that states its own terms gets no more staleness than it allows. */
static bool has_terms(const struct cache_control *request)
{
    return request->max_age_s != SECONDS_NONE || request->min_fresh_s != SECONDS_NONE;
}

enum reuse caching_judge(const struct caching *caching, const struct cache_control *request,
                         int64_t now_ms)
{
    int64_t ttl_s = caching_ttl_s(caching, now_ms);
    if (caching->validate_always || request->no_cache || request->max_age_s == 0)
        return REVALIDATE;
    if (is_enough(caching, request, now_ms))
        return REUSE;
    if (ttl_s <= 0 && -ttl_s < caching->stale_while_revalidate_s && !caching->never_stale &&
        !has_terms(request))
        return REUSE_AND_REFRESH;
    return REVALIDATE;
}

bool caching_survives_error(const struct caching *caching, const struct cache_control *request,
                            int64_t now_ms)
{
    int64_t stale_s = -caching_ttl_s(caching, now_ms);
    if (caching->validate_always || caching->never_stale || request->no_cache)
        return false;
    return stale_s < caching->stale_if_error_s || stale_s < request->stale_if_error_s;
}

void cache_control_of_request(const struct request *request, struct cache_control *out)
{
    cache_control_read(request->headers, request->header_count, out);
    if (!out->present && slice_eq_nocase(request_header(request, "Pragma"), slice_str("no-cache")))
        out->no_cache = true;
}

/* ---- 304 */

/* Of the bytes that are kept, of which a 304 has none. */
static bool is_of_bytes(struct slice name)
{
    static const char *const names[] = {"Content-Length", "Content-Encoding", "Content-Range",
                                        "Content-MD5", "ETag"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    }
    return false;
}

static bool has_name(const struct fields *fields, struct slice name)
{
    for (unsigned i = 0; i < fields->count; i++) {
        if (slice_eq_nocase(fields->items[i].name, name))
            return true;
    }
    return false;
}

bool fields_freshen(struct fields *stored, const struct fields *fresh)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < stored->count; i++) {
        struct header item = stored->items[i];
        if (is_of_bytes(item.name) || !has_name(fresh, item.name))
            stored->items[kept++] = item;
    }
    stored->count = kept;
    for (unsigned i = 0; i < fresh->count; i++) {
        if (is_of_bytes(fresh->items[i].name))
            continue;
        if (stored->count == FIELDS_MAX)
            return false;
        stored->items[stored->count++] = fresh->items[i];
    }
    return true;
}
