/* Errors: one closed set for the whole program.
 *
 * A function that can fail returns an enum err; results travel by pointer. What only a bug can
 * cause is asserted instead. The table in err_table.h gives every error its stable code (what a
 * client may switch on), the HTTP status it becomes, and a sentence a person may read. */
#ifndef GALLEY_BASE_ERR_H
#define GALLEY_BASE_ERR_H

#define ERR_ROW(name, status, code, text) ERR_##name,
enum err {
#include "base/err_table.h"
    ERR_COUNT
};
#undef ERR_ROW

/* The stable upper-case code, "STORE_FULL". Static storage. Threads: any. */
const char *err_code(enum err err);

/* One sentence without internal detail, fit for a client. Static storage. Threads: any. */
const char *err_text(enum err err);

/* The HTTP status, 200 for ERR_OK. Threads: any. */
int err_status(enum err err);

#endif
