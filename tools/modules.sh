#!/bin/sh
# modules.sh NAME...   Writes the list of the modules of a build, in C. Each NAME.c in modules/ defines NAME_module.
set -eu
echo '#include "server/app/modules.h"'
for name in "$@"; do echo "extern const struct app_module ${name}_module;"; done
echo 'const struct app_module *const app_modules[] = {'
for name in auth locks "$@"; do echo "    &${name}_module,"; done
echo '    NULL};'
