#include "base/err.h"

#include <assert.h>

#define ERR_ROW(name, status, code, text) {status, code, text},
static const struct {
    int status;
    const char *code;
    const char *text;
} rows[] = {
#include "base/err_table.h"
};
#undef ERR_ROW

const char *err_code(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].code;
}

const char *err_text(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].text;
}

int err_status(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].status;
}
