#!/bin/sh
# install.sh install GALLEY | uninstall   Puts the program and what a system needs beside it in place, or takes it away.
# DESTDIR, PREFIX and UNITDIR as `make install` says. Configuration and data are nobody's to overwrite or remove.
set -eu

action=$1
bin=$PREFIX/bin
share=$PREFIX/share

place() { # MODE PATH: from standard input, with the paths in it
    mkdir -p "$DESTDIR$(dirname "$2")"
    sed "s|@BINDIR@|$bin|g" >"$DESTDIR$2.new"
    chmod "$1" "$DESTDIR$2.new"
    mv "$DESTDIR$2.new" "$DESTDIR$2"
}

case $action in
install)
    galley=$2
    install -D -m 755 "$galley" "$DESTDIR$bin/galley"
    "$galley" help man | place 644 "$share/man/man1/galley.1"
    "$galley" help completion | place 644 "$share/bash-completion/completions/galley"
    place 644 "$UNITDIR/galley.service" <packaging/galley.service
    place 644 /etc/logrotate.d/galley <packaging/galley.logrotate
    if [ -e "$DESTDIR/etc/galley/config.ini" ]; then
        echo "kept: $DESTDIR/etc/galley/config.ini"
    else
        place 644 /etc/galley/config.ini <packaging/config.ini
    fi
    ;;
uninstall)
    rm -f "$DESTDIR$bin/galley" "$DESTDIR$share/man/man1/galley.1" \
        "$DESTDIR$share/bash-completion/completions/galley" "$DESTDIR$UNITDIR/galley.service" "$DESTDIR/etc/logrotate.d/galley"
    echo "kept: $DESTDIR/etc/galley, /var/lib/galley, /var/log/galley"
    ;;
esac
