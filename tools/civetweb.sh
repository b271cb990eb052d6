#!/bin/sh
# civetweb.sh DEST   Leaves civetweb's source with our patches in DEST/src and DEST/include.
#
# The source is Debian's package, fetched and verified by apt with folders of its own under DEST, so
# that it works as any user and leaves the system's apt settings alone. CIVETWEB_SRC=DIR (an
# unpacked civetweb 1.15) is taken instead where that is set, as on systems without apt.
set -eu

VERSION=1.15+dfsg-4
[ $# -eq 1 ] || { sed -n 2p "$0" >&2; exit 2; }
mkdir -p "$1"
dest=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
apt=$dest/apt

# The Debian archive's own entries of the system's list (or a mirror's), turned into deb-src ones.
# Others, such as a vendor's, do not carry civetweb and may not even be reachable.
archive='/debian(-security)?(/[0-9TZ]+)?/?([ \t\n]|$)'

one_line_sources() { # FILE
    sed -nE 's/^[ \t]*deb[ \t]/deb-src /p' "$1" | grep -E "$archive" | grep -w main || true
}

deb822_sources() { # FILE; a paragraph is one entry
    awk -v archive="$archive" 'BEGIN { RS = ""; FS = "\n"; ORS = "\n\n" }
        function field(name,    i) {
            for (i = 1; i <= NF; i++)
                if (index($i, name ":") == 1)
                    return $i
        }
        field("URIs") ~ archive && field("Components") ~ /main/ && field("Enabled") !~ /no/ {
            sub(/Types:[^\n]*/, "Types: deb-src")
            print
        }' "$1"
}

write_source_lists() {
    rm -rf "$apt/sources"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$file" ] || one_line_sources "$file"
    done >"$apt/sources/system.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$file" ] || deb822_sources "$file"
    done >"$apt/sources/system.sources"
    [ -s "$apt/sources/system.list" ] || [ -s "$apt/sources/system.sources" ] || {
        echo "civetweb.sh: no Debian archive in /etc/apt; set CIVETWEB_SRC" >&2
        exit 1
    }
}

private_apt() {
    apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::Languages=none "$@"
}

fetch() {
    [ -f "$dest/civetweb_$VERSION.dsc" ] && return
    write_source_lists
    { private_apt update && (cd "$apt" && private_apt source --download-only "civetweb=$VERSION"); } || {
        echo "civetweb.sh: the source of civetweb $VERSION is missing and cannot be fetched from the Debian archive." >&2
        echo "Connect to the network once (make clean keeps what was fetched), or set CIVETWEB_SRC=DIR." >&2
        exit 1
    }
    mv "$apt"/civetweb_* "$dest/"
    rm -rf "$apt"
}

unpack() { # into DEST/new
    rm -rf "$dest/new"
    if [ -n "${CIVETWEB_SRC:-}" ]; then
        mkdir "$dest/new"
        cp -R "$CIVETWEB_SRC/src" "$CIVETWEB_SRC/include" "$dest/new/"
    else
        fetch
        # apt has checked signature and checksums.
        dpkg-source --no-check -x "$dest/civetweb_$VERSION.dsc" "$dest/new" >/dev/null
    fi
}

state=$(cat "$0" "$root"/server/front/civetweb/*.patch | sha256sum)
if [ "$(cat "$dest/.stamp" 2>/dev/null)" = "$state" ]; then
    touch "$dest/.stamp"
    exit 0
fi
echo "Preparing civetweb $VERSION"
unpack
for patch in "$root"/server/front/civetweb/*.patch; do
    patch -d "$dest/new" -p1 -s --fuzz=0 <"$patch"
done
rm -rf "$dest/src" "$dest/include"
mv "$dest/new/src" "$dest/new/include" "$dest/"
rm -rf "$dest/new"
echo "$state" >"$dest/.stamp"
