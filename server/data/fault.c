/* Why a request comes to nothing, kept until it is answered: on a worker thread, whatever thread
 * found it out. */
#include "server/data/data_private.h"

#include <stdarg.h>
#include <stdio.h>

#define DETAILS_MAX 50

enum err fault_set(struct fault *fault, enum err err, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    fault->err = err;
    fault->code = code;
    return err;
}

enum err fault_field(struct fault *fault, const char *field, const char *reason)
{
    if (!fault->details)
        fault->details = json_array();
    if (json_array_size(fault->details) < DETAILS_MAX)
        json_array_append_new(fault->details,
                              json_pack("{s:s, s:s}", "field", field, "reason", reason));
    return fault->err = ERR_VALIDATION;
}

enum err fault_denied(struct fault *fault, const struct caller *caller)
{
    return fault->err = caller->user->id[0] ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED;
}

enum err fault_not_found(struct fault *fault)
{
    return fault_set(fault, ERR_NOT_FOUND, NULL, "There is no such document.");
}

void fault_clear(struct fault *fault)
{
    json_decref(fault->details);
    *fault = (struct fault){0};
}

void fault_answer(struct fault *fault, const struct request *request, struct response *response)
{
    uint64_t version = fault->version;
    if (version > 0 && !fault->details)
        fault->details = json_pack("[{s:s, s:s, s:I}]", "field", "", "reason", "version", "version",
                                   (json_int_t)version);
    response_error(response, request, fault->err, fault->code,
                   fault->message[0] ? fault->message : NULL, fault->details);
    if (version > 0)
        data_tag(response, version);
}
