/* What the files of descriptions share. */
#ifndef GALLEY_SERVER_OPENAPI_OPENAPI_PRIVATE_H
#define GALLEY_SERVER_OPENAPI_OPENAPI_PRIVATE_H

#include "server/openapi/openapi.h"

/* Makes references of a schema that stands alone those of one at `base`, "#/components/schemas/A",
 * and takes $schema and $id off it. */
void openapi_embed(json_t *schema, const char *base);

/* "#/components/responses/Conflict" for 409. Static, until the next call in this thread. */
json_t *openapi_error_ref(int status);
/* The response itself, with all codes of the status. */
json_t *openapi_error_response(int status);
/* The name in the components; NULL: no error has that status. */
const char *openapi_error_name(int status);
/* The schema of an error, with all codes. */
json_t *openapi_error_schema(void);

#endif
