#!/bin/sh
# templates.sh   Writes the files of examples/notes as C strings: what `galley new module` makes others of.
set -eu
text() { # NAME FILE
    echo "const char $1[] ="
    sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/    "&\\n"/' "${2:--}"
    echo '    ;'
}
text template_module examples/notes/notes.c
text template_test <<END
$(sed -e '/galley-notes/d; /^import path/d; s/{ binary, config/{ config/; s#\.\./\.\./tests/lib#../lib#' \
    examples/notes/notes.test.mjs)
END
