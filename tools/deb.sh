#!/bin/sh
# deb.sh GALLEY OUT.deb   A Debian package of the program, as `make install` places it.
# The version is the program's with the number of commits behind it, and the time if there is more than what is committed, so that
# each build of one's own is an upgrade; DEB_VERSION and DEB_MAINTAINER say otherwise.
set -eu
umask 022

galley=$1 out=$2
commits=$(git rev-list --count HEAD 2>/dev/null || echo 0)
if ! git rev-parse --verify -q HEAD >/dev/null 2>&1 || [ -n "$(git status --porcelain)" ]; then commits=$commits.$(date -u +%Y%m%d%H%M%S); fi
version=${DEB_VERSION:-$(sed -n 's/.*GALLEY_VERSION "\(.*\)"/\1/p' server/version.h)+$commits}
maintainer=${DEB_MAINTAINER:-Galley <galley@example.org>}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
arch=$(dpkg --print-architecture)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

DESTDIR=$root PREFIX=/usr UNITDIR=/lib/systemd/system tools/install.sh install "$galley"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/galley"

doc=$root/usr/share/doc/galley
mkdir -p "$doc" "$root/DEBIAN" "$work/debian"
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n'
    printf 'Copyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
    sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /'
} >"$doc/copyright"
printf 'galley (%s) unstable; urgency=medium\n\n  * Built from its source.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date -uRd "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.gz"
cp README.md docs/*.md "$doc/"
gzip -9n "$root/usr/share/man/man1/galley.1"
chmod -R u=rwX,go=rX "$root"

sed "s|@MAINTAINER@|$maintainer|" packaging/debian/control >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/galley | sed -n 's/^shlibs:Depends=//p')
size=$(du -sk --apparent-size "$root" | cut -f1)
{
    sed -n '/^Package:/,$p' "$work/debian/control" |
        sed "s/^Architecture: any/Architecture: $arch/; s/\${shlibs:Depends}/$depends/
            /^Package:/a Version: $version
            /^Architecture:/a Maintainer: $maintainer
            /^Architecture:/a Installed-Size: $size
            /^Architecture:/a Section: httpd
            /^Architecture:/a Priority: optional"
} >"$root/DEBIAN/control"
printf '/etc/galley/config.ini\n/etc/logrotate.d/galley\n' >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

mkdir -p "$(dirname "$out")"
dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >/dev/null
echo "$out: galley $version, $(du -k "$out" | cut -f1) KiB"
