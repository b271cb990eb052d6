/* The modules of this build: auth and locks, which are always there, and each file in modules/. The
 * list is made by the Makefile, of the files' names: modules/NAME.c defines NAME_module. */
#ifndef GALLEY_SERVER_APP_MODULES_H
#define GALLEY_SERVER_APP_MODULES_H

#include "server/app/app.h"

#define APP_MODULES_MAX 64

extern const struct app_module *const app_modules[]; /* NULL-terminated */

extern const struct app_module auth_module, locks_module;

#endif
