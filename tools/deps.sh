#!/bin/sh
# deps.sh SET...   Installs the Debian packages that are missing for: build, npm, test, check, bench, cost.
# Says what it installs; asks for root only then.
set -eu

npm_packages() { # nothing where another npm is on the machine already
    command -v npm >/dev/null 2>&1 || echo nodejs npm
}

packages() {
    for set in "$@"; do
        case $set in
        build)
            echo gcc libc6-dev make dpkg-dev patch ca-certificates curl
            echo liblmdb-dev libjansson-dev libjwt-dev libssl-dev libinih-dev libxxhash-dev libpcre2-dev zlib1g-dev libbrotli-dev libcurl4-openssl-dev
            ;;
        npm) npm_packages ;;
        test) echo libcmocka-dev chromium strace procps openssl ;;
        check) echo clang-format clang-tidy cppcheck ;;
        bench) echo wrk openssl libpcre2-8-0 ;; # nginx, HAProxy: see unpacked.sh
        cost) echo valgrind ;;
        *) echo "deps.sh: unknown set $set" >&2; exit 2 ;;
        esac
    done
}

missing() {
    for package in $(packages "$@"); do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is not a Debian system: install these yourself, then touch build/.deps-*:" >&2
    packages "$@" >&2
    exit 1
fi

mkdir -p build
exec 9>build/.deps.lock # one installation at a time, also under make -j
flock 9
wanted=$(missing "$@" | sort -u | tr '\n' ' ')
[ -n "${wanted% }" ] || exit 0
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "You are not root and there is no sudo. Run this as root, then make again:" >&2
        echo "    apt-get update && apt-get install -y --no-install-recommends ${wanted% }" >&2
        exit 1
    }
    as_root=sudo
fi
echo "Installing with apt-get: $wanted"
[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mmin -60 2>/dev/null)" ] ||
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends $wanted
