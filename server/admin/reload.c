/* POST /_/api/reload: the configuration is read anew (docs/reload.md). */
#include "base/log.h"
#include "server/admin/admin_private.h"

/* What is wrong with the file, as the details of an error. */
static void answer_errors(struct visit *visit, struct slice report)
{
    json_t *details = NULL;
    if (json_read_trusted(report, &details) != ERR_OK)
        details = NULL;
    response_error(visit->response, visit->request, ERR_VALIDATION, "CONFIGURATION_INVALID",
                   "The configuration is wrong; nothing has changed.", details);
    json_decref(details);
}

void serve_reload(struct visit *visit)
{
    const struct admin_options *options = &visit->admin->options;
    struct buf report = BUF_INIT;
    log_write(LOG_INFO, "admin", "%s reloads the configuration", visit_who(visit));
    enum err err = options->reload(options->galley, &report);
    if (err == ERR_VALIDATION) {
        answer_errors(visit, buf_slice(&report));
    } else if (err) {
        response_error(visit->response, visit->request, err, NULL, NULL, NULL);
    } else {
        buf_append_slice(&visit->response->body, buf_slice(&report));
        response_json(visit->response, 200);
    }
    buf_release(&report);
}
