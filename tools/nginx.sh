#!/bin/sh
# nginx.sh FILE   Makes FILE a link to an nginx: the machine's own, else Debian's, unpacked beside FILE without
# being installed (that would start it as a service). Its libraries come with the bench set of deps.sh.
set -eu
mkdir -p "$(dirname "$1")"
cd "$(dirname "$1")"
own=$(PATH=$PATH:/usr/sbin command -v nginx || true)
if [ -z "$own" ]; then
    apt-get -q download nginx
    dpkg -x nginx_*.deb nginx-unpacked
    rm nginx_*.deb
    own=nginx-unpacked/usr/sbin/nginx
fi
ln -sf "$own" "$(basename "$1")"
