#!/bin/sh
# unpacked.sh FILE PROGRAM [LIBRARY...]   Makes FILE run a server to compare with: the machine's own, else that of the Debian
# package PROGRAM, unpacked beside FILE with these library packages, without being installed (that would start it as a
# service). nginx's libraries come with the bench set of deps.sh.
set -eu
mkdir -p "$(dirname "$1")"
cd "$(dirname "$1")"
file=$(basename "$1")
shift
own=$(PATH=$PATH:/usr/sbin command -v "$1" || true)
if [ -z "$own" ]; then
    place=$PWD/$1-unpacked
    for package in "$@"; do
        apt-get -q download "$package"
        dpkg -x "$package"_*.deb "$place"
        rm "$package"_*.deb
    done
    own=$place/usr/sbin/$1
fi
printf '#!/bin/sh\nexec env LD_LIBRARY_PATH=%s %s "$@"\n' "${place:-}/usr/lib/$(uname -m)-linux-gnu" "$own" >"$file.new"
chmod +x "$file.new"
mv "$file.new" "$file"
