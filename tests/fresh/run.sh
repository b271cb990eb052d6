#!/bin/bash
# run.sh [DIR [source] [server] [systemd] [image]]   The first hour and the first week, on bare Debian 12 systems in
# folders below DIR:
#   source    from the README's line to a banner; a module of one's own, packed; the former version, for an upgrade
#   server    from the package to a service with TLS behind its own name, users, a front end of another origin, e-mail,
#             backup, rotation, upgrades, removal
#   systemd   the same unit under a real systemd (systemd-nspawn), if that is there
#   image     the steps of the Containerfile
# All by default; what `source` builds stays in DIR for the others. Prints how long each step took; fails if one went
# wrong or over its limit. As root, with debootstrap, chromium, python3 and the network, after `make VARIANT=dev test`.
#
# Everything happens in namespaces of mounts and processes that end with this script. The service has a network of its
# own, so that its ports are free.
set -euo pipefail

FORMER=1503a74 # the version before packages, whose data an upgrade takes over
BANNER_S=90 SERVICE_S=10

dir=$(realpath -m "${1:-/var/tmp/galley-fresh}")
parts=${*:2}
if [ -z "${GALLEY_FRESH:-}" ]; then
    exec env GALLEY_FRESH=1 unshare --mount --pid --fork --kill-child --mount-proc "$0" "$dir" ${parts:-source server systemd image}
fi
here=$PWD
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
mkdir -p "$dir"

# ---- What is told

results=$dir/results too_late=0
: >"$results"
say() { printf '%s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }
trap 'status=$?; [ $status = 0 ] || say "run.sh: failed in step: ${step_name:-none} (status $status)"' EXIT

begin() { step_name=$1 began=$EPOCHREALTIME; say "== $1"; }
end() { # [LIMIT_S]
    local took late=
    took=$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }')
    if [ -n "${1:-}" ] && awk "BEGIN { exit !($took > $1) }"; then late=", LATE" too_late=1; fi
    printf '%-66s %7.1f s%s\n' "$step_name" "$took" "${1:+   (limit $1 s$late)}" | tee -a "$results" >&2
}

wait_for() { # WHAT COMMAND...
    local what=$1 i
    shift
    for ((i = 0; i < 12000; i++)); do
        "$@" && return
        sleep 0.05
    done
    die "still not so: $what"
}

# ---- Systems in folders

system() { # NAME: a bare system
    rm -rf --one-file-system "${dir:?}/$1"
    cp -a "$dir/base" "$dir/$1"
    mount -t proc proc "$dir/$1/proc"
    mount --rbind /dev "$dir/$1/dev"
    cp /etc/resolv.conf "$dir/$1/etc/resolv.conf"
    cp /etc/hosts "$dir/$1/etc/hosts"
    mkdir -p "$dir/$1/usr/local/share/ca-certificates" # whom this machine trusts besides Debian's
    cp /usr/local/share/ca-certificates/*.crt "$dir/$1/usr/local/share/ca-certificates/" 2>/dev/null || true
}
outside() { chroot "$dir/$1" bash -ec "$2"; } # with the network
apt_quiet() { outside "$1" "apt-get -qq -o Dpkg::Use-Pty=0 $2 >/tmp/apt.log 2>&1 || { tail -20 /tmp/apt.log >&2; exit 1; }"; }

unshare --net sleep infinity &
network=$!
inside() { nsenter --net="/proc/$network/ns/net" chroot "$dir/$1" bash -ec "$2"; }
wait_for 'the network' test -e "/proc/$network/ns/net"
sleep 0.2
nsenter --net="/proc/$network/ns/net" ip link set lo up

# The service, as its unit starts it.
start_service() { # NAME [PROGRAM]
    local root=$dir/$1 exec
    exec=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/galley.service")
    rm -f "$root/run/notify" "$root/run/told"
    "$here/build/dev/tests/notify_socket" "$root/run/notify" >"$root/run/told" &
    wait_for 'the socket' grep -qs '^bound' "$root/run/told"
    chmod 666 "$root/run/notify"
    nsenter --net="/proc/$network/ns/net" chroot "$root" setpriv --reuid galley --regid galley --init-groups \
        --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service --bounding-set=-all,+net_bind_service --no-new-privs \
        env NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=60000000 ${2:-${exec%% *}} ${exec#* } </dev/null >"$root/run/out" 2>&1 &
    service=$!
    [ -n "${2:-}" ] || wait_for 'the service is ready' eval "grep -qs '^READY=1' $root/run/told || ! kill -0 $service 2>/dev/null"
    kill -0 $service 2>/dev/null || { cat "$root/run/out" >&2; die 'the service did not start'; }
}
stop_service() {
    kill "$service"
    wait "$service" || die 'the service did not stop in order'
}

# ---- The base

if [ ! -e "$dir/base/.done" ]; then
    begin 'debootstrap, once'
    rm -rf --one-file-system "$dir/base"
    debootstrap --variant=minbase bookworm "$dir/base" >"$dir/debootstrap.log" 2>&1 || { tail "$dir/debootstrap.log" >&2; exit 1; }
    touch "$dir/base/.done"
    end
fi

# ---- 1. From the source

from_source() {
    system source
    git clone -q --no-hardlinks "$here" "$dir/source/galley"
    begin 'README: bare Debian to banner'
    chroot "$dir/source" bash -c 'cd /galley && apt-get update && apt-get install -y git make && make run ARGS="--listen 127.0.0.1:0"' >"$dir/source.log" 2>&1 &
    make_run=$!
    wait_for 'the banner' eval "grep -q '^listening on' $dir/source.log || ! kill -0 $make_run 2>/dev/null"
    grep -q '^listening on' "$dir/source.log" || { tail -30 "$dir/source.log" >&2; die 'make run'; }
    end $BANNER_S
    grep -q 'setup?token=' "$dir/source.log" || die 'no link for the first administrator'
    kill "$(cat "$dir"/source/galley/data/process.lock)"
    wait $make_run || die 'make run did not end in order'

    begin 'a module of one'\''s own, built and packed'
    outside source 'cd /galley && build/galley new module ledger && make deb' >>"$dir/source.log" 2>&1
    outside source 'cd /galley && mv build/galley.deb /first.deb && DEB_VERSION=99 make deb && mv build/galley.deb /second.deb' >>"$dir/source.log" 2>&1
    mv "$dir"/source/{first,second}.deb "$dir/"
    end

    begin "the former version, $FORMER, from its source"
    outside source "git config --global --add safe.directory '*'; git clone -q /galley /former && cd /former && git checkout -q $FORMER && make VARIANT=dev" >>"$dir/source.log" 2>&1
    mv "$dir/source/former/build/dev/galley" "$dir/former"
    end
}

# ---- 2. From the package

from_package() {
    system server
    echo '127.0.0.1 shop.test' >>"$dir/server/etc/hosts"
    cp "$dir/first.deb" "$dir/second.deb" "$dir/server/root/"
    apt_quiet server update
    apt_quiet server 'install -y --no-install-recommends curl ca-certificates logrotate'

    ask() { inside server "curl -sS --cacert /etc/galley/tls/dev-ca.crt $*"; }
    galley() { inside server "cd /; galley $*"; }

    begin 'package to service with TLS behind its own name'
    apt_quiet server 'install -y --no-install-recommends /root/first.deb'
    inside server 'cd /; galley cert dev --dir /etc/galley/tls shop.test >/dev/null; chgrp -R galley /etc/galley/tls; chmod -R g+rX /etc/galley/tls'
    cat >>"$dir/server/etc/galley/config.ini" <<'INI'
[listener web]
address = 127.0.0.1:443
tls_cert = /etc/galley/tls/dev.crt
tls_key = /etc/galley/tls/dev.key
[cors]
origins = http://localhost:9000
[shop]
seed = yes
[route shop]
path = /*
target = app:shop
[route ledger]
path = /ledger/*
target = app:ledger
[mail]
smtp = smtp://127.0.0.1:2525
tls = no
from = The shop <shop@shop.test>
INI
    galley check >/dev/null
    start_service server
    [ "$(ask https://shop.test/healthz)" = '{"status":"ok"}' ] || die 'healthz'
    end $SERVICE_S
    [ "$(stat -c %U:%a "$dir/server/var/lib/galley/data.mdb")" = "$(stat -c %U "$dir/server/var/lib/galley"):600" ] || die 'whose data it is'

    begin 'a user and an administrator'
    galley "user add ann --email ann@example.org --roles customer <<<'correct horse'" >/dev/null
    galley "admin add captain <<<'steady as she goes'" >/dev/null
    token=$(ask https://shop.test/auth/login --json "'{\"username\":\"ann\",\"password\":\"correct horse\"}'" | sed 's/.*"token":"\([^"]*\)".*/\1/')
    [ ${#token} -gt 100 ] || die 'no token'
    inside server "curl -sS 127.0.0.1:8081/_/api/login --json '{\"username\":\"captain\",\"password\":\"steady as she goes\"}'" | grep -q csrf || die 'no session'
    end

    begin 'the module of one'\''s own answers'
    answer=$(ask https://shop.test/ledger -H "'Authorization: Bearer $token'" --json "'{\"text\":\"first entry\"}'")
    [[ $answer == '{"id":'* ]] || die "the module: $answer"
    ask https://shop.test/ledger -H "'Authorization: Bearer $token'" | grep -q 'first entry' || die 'the entry is not there'
    end

    begin 'a front end on another origin signs in and orders, in Chromium'
    nsenter --net="/proc/$network/ns/net" python3 -W ignore -u -m smtpd -n -c DebuggingServer 127.0.0.1:2525 >"$dir/smtp.log" 2>&1 &
    order=$(nsenter --net="/proc/$network/ns/net" node tests/fresh/front_end.mjs https://shop.test ann 'correct horse' 2>"$dir/browser.log") || { cat "$dir/browser.log" >&2; die 'the front end'; }
    [[ $order == /orders/* ]] || die "no order: $order"
    end

    begin 'its e-mail arrives at a mail server'
    wait_for 'the e-mail' grep -q 'To: .*ann@example.org' "$dir/smtp.log"
    end

    has_order() { ask "https://shop.test$order" -H "'Authorization: Bearer $token'" | grep -q '"productId":17'; }

    begin 'a backup of the running service, restored'
    has_order || die 'the order is not there'
    inside server 'mkdir -p /var/backups/galley; galley backup /var/backups/galley/today.tar' >/dev/null
    stop_service
    inside server 'rm -rf /var/lib/galley; galley restore /var/backups/galley/today.tar' >/dev/null
    start_service server
    has_order || die 'the order is lost'
    end

    begin 'a log rotated'
    log=$dir/server/var/log/galley/galley.log
    lines=$(wc -l <"$log")
    inside server 'logrotate -f /etc/logrotate.d/galley'
    has_order
    wait_for 'lines in the new log' eval "[ -s $log ]"
    [ "$(wc -l <"$log.1")" -ge "$lines" ] || die 'lines are lost'
    end

    begin 'an upgrade by the package, with its data'
    sums=$(cat "$dir/server/etc/galley/config.ini" | md5sum)
    apt_quiet server 'install -y --no-install-recommends /root/second.deb'
    stop_service
    start_service server
    has_order || die 'the order is lost'
    [ "$(cat "$dir/server/etc/galley/config.ini" | md5sum)" = "$sums" ] || die 'the configuration has changed'
    [ "$(outside server "dpkg-query -Wf '\${Version}' galley")" = 99 ] || die 'the version'
    end

    begin 'removed, then purged: nothing is left'
    stop_service
    apt_quiet server 'remove -y galley'
    [ -e "$dir/server/var/lib/galley/data.mdb" ] || die 'removing took the data'
    [ ! -e "$dir/server/usr/bin/galley" ] || die 'the program is there'
    rm -r "$dir/server/etc/galley/tls"
    apt_quiet server 'purge -y galley'
    left=$(outside server "find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /root -o -path /var/cache -o -path /var/backups \) -prune -o -name '*galley*' -print; getent passwd galley || true")
    [ -z "$left" ] || die "left: $left"
    end

    begin "an upgrade from the former version $FORMER with its data"
    apt_quiet server 'install -y --no-install-recommends /root/second.deb'
    cp "$dir/former" "$dir/server/usr/local/bin/former"
    printf '[server]\nlisten = 127.0.0.1:8080\ndata = /var/lib/galley\n[shop]\nseed = yes\n[route shop]\npath = /*\ntarget = app:shop\n' >"$dir/server/etc/galley/config.ini"
    start_service server /usr/local/bin/former
    plain() { inside server "curl -sS http://127.0.0.1:8080$*"; }
    wait_for 'the former version' eval "plain /healthz >/dev/null 2>&1"
    token=$(plain /auth/login --json "'{\"username\":\"alice\",\"password\":\"secret\"}'" | sed 's/.*"token":"\([^"]*\)".*/\1/')
    order=$(plain /place-order -H "'Authorization: Bearer $token'" --json "'{\"productId\":17,\"qty\":2}'" -D - -o /dev/null | sed -n 's/^[Ll]ocation: //p' | tr -d '\r')
    stop_service
    start_service server
    plain "$order" -H "'Authorization: Bearer $token'" | grep -q '"qty":2' || die 'the order is lost'
    galley verify | grep -q 'all whole' || die 'verify'
    stop_service
    end
}

# ---- 3. Under systemd

from_systemd() {
    local leader unit="systemctl show galley --value -p"
    if ! command -v systemd-nspawn >/dev/null; then
        say 'systemd-nspawn is missing: the unit is not tried'
        return
    fi
    system systemd
    cp "$dir/first.deb" "$dir/second.deb" "$dir/systemd/root/"
    apt_quiet systemd update
    apt_quiet systemd 'install -y --no-install-recommends systemd-sysv dbus curl /root/first.deb'
    umount -R "$dir/systemd/proc" "$dir/systemd/dev"
    mkdir -p "$dir/systemd/etc/systemd/system/galley.service.d"
    printf '[Service]\nWatchdogSec=2s\n' >"$dir/systemd/etc/systemd/system/galley.service.d/quick.conf"

    begin 'systemd boots, and the service is ready'
    systemd-nspawn --quiet --register=no --keep-unit --private-network --boot -D "$dir/systemd" </dev/null >"$dir/systemd.log" 2>&1 &
    machine=$!
    wait_for 'systemd' pgrep -P $machine -x systemd >/dev/null
    leader=$(pgrep -P $machine -x systemd)
    on() { nsenter -t "$leader" -m -u -i -n -p -C bash -c "$1"; }
    wait_for 'the service is active' on '[ "$(systemctl is-active galley 2>/dev/null)" = active ]'
    on 'curl -fsS http://127.0.0.1:8080/readyz' | grep -q '"ready"' || die 'not ready'
    end

    begin 'it may do what it needs and no more, and reloads'
    on "grep -qx 'NoNewPrivs:	1' /proc/\$($unit MainPID)/status" || die 'it may have new privileges'
    on "grep -qx 'CapEff:	0000000000000400' /proc/\$($unit MainPID)/status" || die 'its capabilities'
    on 'systemctl reload galley' || die 'reload'
    on 'grep -q "reloaded: " /var/log/galley/galley.log' || die 'it has not reloaded'
    end

    begin 'one that hangs is killed by the watchdog and started anew'
    on 'systemctl kill --signal=STOP galley'
    wait_for 'a new process' on "[ \"\$($unit NRestarts)\" = 1 ] && systemctl -q is-active galley"
    end

    begin 'an upgrade restarts it, removing stops it, purging leaves nothing'
    before=$(on "$unit MainPID")
    on 'dpkg -i /root/second.deb >/dev/null' || die 'the upgrade'
    on 'systemctl -q is-active galley' || die 'it does not run after the upgrade'
    [ "$(on "$unit MainPID")" != "$before" ] || die 'the old program runs'
    on 'dpkg -r galley >/dev/null 2>&1; ! systemctl -q is-active galley' || die 'it runs after it was removed'
    on 'rm -r /etc/systemd/system/galley.service.d; dpkg -P galley >/dev/null 2>&1; ! ls -d /var/lib/galley /var/log/galley /etc/galley 2>/dev/null' || die 'something is left'
    end
    kill "$machine"
    wait "$machine" || true
}

# ---- 4. The image, by its own steps

from_image() {
    system image
    begin 'the steps of the Containerfile'"'"'s image'
    cp "$dir/first.deb" "$dir/image/tmp/galley.deb"
    cp packaging/container.ini "$dir/image/tmp/"
    awk '/^FROM/ { stage++ } stage == 2 && sub(/^RUN /, "")' Containerfile | while read -r line; do
        outside image "$line" >>"$dir/image.log" 2>&1
    done
    for tool in gcc cc make npm node git; do
        if outside image "command -v $tool" >/dev/null; then die "$tool is in the image"; fi
    done
    nsenter --net="/proc/$network/ns/net" chroot "$dir/image" setpriv --reuid galley --regid galley --init-groups \
        /usr/bin/galley serve -c /etc/galley/config.ini >"$dir/image.log" 2>&1 &
    service=$!
    wait_for 'the image serves' eval "nsenter --net=/proc/$network/ns/net curl -fsS http://127.0.0.1:8080/healthz >/dev/null 2>&1"
    stop_service
    say "the image takes $(du -smx --exclude=proc --exclude=dev "$dir/image" | cut -f1) MiB, $(du -sm "$dir/base" | cut -f1) of them Debian"
    end
}

for part in "${@:2}"; do
    case $part in
    source) from_source ;;
    server) from_package ;;
    systemd) from_systemd ;;
    image) from_image ;;
    *) die "no part $part" ;;
    esac
done
step_name=done
for name in "${@:2}"; do
    umount -R "$dir/$name/proc" "$dir/$name/dev" 2>/dev/null || true
    rm -rf --one-file-system "${dir:?}/$name"
done
say ''
cat "$results"
exit ${too_late:-0}
