/* /_/api/verify: everything stored is read and compared with what it should be. POST begins at full
 * speed and answers {"pass": N}; GET says how far it is: pass N is over when "passes" is N or more.
 */
#include "base/log.h"
#include "server/admin/admin_private.h"

void serve_verify(struct visit *visit)
{
    struct buf *out = &visit->response->body;
    log_write(LOG_INFO, "admin", "%s has everything verified", visit_who(visit));
    buf_printf(out, "{\"pass\":%llu}",
               (unsigned long long)scrub_hurry(visit->admin->options.scrub));
    response_json(visit->response, 202);
}

void serve_verify_state(struct visit *visit)
{
    struct json_writer w = {.out = &visit->response->body};
    scrub_write(visit->admin->options.scrub, &w);
    response_json(visit->response, 200);
}
