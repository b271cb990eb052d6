/* The modules that are built in. A new one is a file beside shop.c and a line here and in galley.c.
 */
#ifndef GALLEY_SERVER_APP_MODULES_H
#define GALLEY_SERVER_APP_MODULES_H

#include "server/app/app.h"

extern const struct app_module auth_module;
extern const struct app_module shop_module;
extern const struct app_module mail_module;

#endif
