#!/bin/bash
# Includes run one way only. Prints every one that does not, as file:line, and fails if there is any.
# Usage: tools/check_includes.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"

find base storage cache queue server modules examples -name '*.[ch]' -print0 2>/dev/null | sort -z |
    xargs -0 -r grep -nHE '^[[:space:]]*#[[:space:]]*include' | awk '
BEGIN {
    # What each folder may include of ours: folders and single headers. "*" is everything that is
    # public. What is private to a folder is for nobody else.
    may["base"] = "base/"
    may["storage/engine"] = may["storage"] = "storage/ base/"
    may["cache"] = "cache/ base/"
    may["queue"] = "queue/ storage/ base/"
    may["server/http"] = "server/http/ base/"
    may["server/balance"] = "server/balance/ base/"
    may["server/config"] = "server/config/ server/http/ server/transform/transform.h base/"
    may["server/front"] = "server/front/ server/http/ base/"
    may["server/balance"] = "server/balance/ base/"
    may["server/openapi"] = "server/openapi/ server/http/ base/"
    may["server/compose"] = "server/compose/ server/http/ base/"
    may["server/upstream"] = "server/upstream/ server/balance/ server/http/ base/"
    may["server/identity"] = "server/identity/ server/http/ cache/ storage/ base/"
    may["server/transform"] = "server/transform/ server/http/ base/"
    may["server/gateway"] = "server/gateway/ server/http/ server/transform/transform.h server/identity/ cache/ storage/ base/"
    may["server/app"] = "server/app/ server/http/ server/identity/ server/config/config.h server/config/schema.h queue/ cache/ storage/ base/"
    may["server/data"] = "server/data/ server/http/ server/identity/ server/config/config.h queue/ storage/ base/"
    may["server/changes"] = "server/changes/ server/http/ server/identity/users.h storage/ base/"
    may["modules"] = "modules/ server/app/app.h base/"
    may["examples/notes"] = "server/app/app.h base/"
    may["modules/shop"] = may["modules/mail"] = "modules/ server/app/app.h base/"
    may["server/admin"] = "server/admin/ server/config/config.h server/front/front.h server/gateway/gateway.h server/gateway/route_show.h server/http/ server/identity/ server/listeners.h server/scrub.h server/upstream/upstream.h server/balance/balancer.h server/version.h queue/ cache/ storage/ base/"
    may["server/cli"] = may["server"] = "*"

    # Libraries that stay behind one folder, so that they can be replaced there.
    home["civetweb.h"] = "server/front"
    home["lmdb.h"] = "storage/engine"
    home["jwt.h"] = "server/identity"
    home["ini.h"] = "server/config"
    home["xxhash.h"] = home["pcre2.h"] = "base"
    home["zlib.h"] = home["brotli/encode.h"] = "server/http"
    home["curl/curl.h"] = "modules/mail"
}

function offence(why) {
    print file ":" line ": " header ": " why
    found = 1
}

function folder_of(path) {
    sub(/\/[^\/]*$/, "", path)
    return path
}

function is_allowed(list,    i, count, item) {
    count = split(list, item, " ")
    for (i = 1; i <= count; i++)
        if (item[i] == "*" || item[i] == header || (item[i] ~ /\/$/ && index(header, item[i]) == 1))
            return 1
    return 0
}

{
    split($0, part, ":")
    file = part[1]; line = part[2]; folder = folder_of(file)
    header = $0
    sub(/^[^"<]*["<]/, "", header)
    sub(/[">].*/, "", header)

    if (header in home) {
        if (home[header] != folder) offence("belongs to " home[header])
    } else if ($0 ~ /include[[:space:]]*"/) {
        if (!(folder in may)) offence(folder " is a folder without a rule in tools/check_includes.sh")
        else if (header !~ /\//) offence("is not written from the root of the repository")
        else if (!is_allowed(may[folder])) offence("is not for " folder)
        else if (header ~ /_private\.h$/ && folder != folder_of(header))
            offence("is private to " folder_of(header))
    }
}

END { exit found }'
