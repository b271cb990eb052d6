#!/bin/sh
# Writes the C file that holds the admin UI: tools/embed.sh OUT. admin-ui/manifest.txt says which
# files; libraries come from build/admin-ui, where npm has put them.
set -eu

out=$1
manifest=admin-ui/manifest.txt

content_type() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *) echo "embed.sh: no content type for $1" >&2 && exit 1 ;;
    esac
}

# The lines "path file" of the manifest, without comments and empty lines.
entries() {
    sed 's/#.*//' $manifest | awk 'NF { print $1, (NF > 1 ? $2 : "admin-ui/" $1) }'
}

bytes_of() {
    [ -s "$1" ] || { echo "embed.sh: $1 is missing or empty" >&2 && exit 1; }
    od -An -v -tx1 "$1" | sed 's/ \(..\)/0x\1,/g'
}

{
    echo '/* Made by tools/embed.sh. */'
    echo '#include "server/admin/assets.h"'
    entries | while read -r path file; do
        n=$((${n:-0} + 1))
        echo "static const unsigned char bytes_$n[] = { /* $path */"
        bytes_of "$file"
        echo '};'
    done
    echo 'const struct asset assets[] = {'
    entries | while read -r path file; do
        n=$((${n:-0} + 1))
        type=$(content_type "$path")
        etag=$(sha256sum "$file" | cut -c 1-16)
        echo "    {\"$path\", \"$type\", \"\\\"$etag\\\"\", bytes_$n, sizeof bytes_$n},"
    done
    echo '};'
    echo 'const unsigned asset_count = sizeof assets / sizeof assets[0];'
} >"$out.part"
mv "$out.part" "$out"
