#!/bin/bash
# The rules of docs/style.md that a line can show. Prints every offence as file:line, and fails if there is any.
# Usage: tools/check_dialect.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"

mapfile -t files < <(find base storage cache queue server modules bench tests -name '*.[ch]' 2>/dev/null | sort)

awk '
BEGIN {
    type = "(const )?(struct |enum |unsigned|int|size_t|ssize_t|u?int[0-9]+_t|char|bool|double|void |json_t)"
    declaration = "^ +" type "[^()=]*(;| = .*;)$"
}

function offence(why) {
    print FILENAME ":" FNR ": " why
    found = 1
}

FNR == 1 {
    own = FILENAME
    sub(/\.c$/, ".h", own)
    first_header = ""
    system_seen = in_function = at_head = 0
}

/[=!]= NULL/ { offence("a pointer is asked as p or !p") }

# Brackets belong to types, and to an object that begins with some: sizeof(*x)->y.
/sizeof\((\*|[a-z_0-9]+(\)|\[|\.|->))/ && !/^#define/ && !/sizeof\([^()]*\)(->|\.)/ &&
    !/sizeof\((bool|char|short|int|long|unsigned|float|double|[a-z_0-9]*_t)\)/ {
    offence("sizeof has no brackets before an object")
}

/^#include "/ {
    header = $2
    gsub(/"/, "", header)
    if (system_seen) offence("our headers stand before those of the system")
    if (!first_header) first_header = header
    else if (header == own) offence("the own header is the first")
}
/^#include </ { system_seen = 1 }
/^[^#\/]/ { system_seen = 0 } # what is included behind code has its reasons

/^}/ { in_function = 0 }
in_function && at_head && $0 == "" && previous ~ declaration {
    offence("declarations stand where a variable is first used, without a blank line")
}
/^{/ { in_function = 1 }
{
    at_head = /{$/ || (at_head && $0 ~ declaration)
    previous = $0
}

END { exit found }' "${files[@]}"
