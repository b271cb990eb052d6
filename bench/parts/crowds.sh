#!/usr/bin/env bash
# crowds.sh   Half of CLIENTS at a time that hold a server up, from 250 addresses: how long others wait. These ask 20
# times a second each, on connections that stay; the slow ones come back as soon as they are cut.
. bench/lib.sh

many=$((CLIENTS / 2))
start_tls_galley
others() { # PORT [KEY=VALUE...] : "p50 p99 max lost"
    local report
    report=$("$TOOLS/crowd" ask "$@" clients=20 every_ms=50 "seconds=$DURATION" sources=20 first_source=1001 | tail -n 1)
    echo "$(field p50_ms "$report") $(field p99_ms "$report") $(field max_ms "$report") $(field lost "$report")"
}

beside() { # WHAT KIND PORT [KEY=VALUE...] ; others in $asked
    local what=$1 p50 p99 max lost
    shift
    begin_crowd "$@" "clients=$many" sources=250
    read -r p50 p99 max lost <<<"$(others "${asked[@]}")"
    end_crowd
    row "$what: p99 of others (p50 $p50, most $max ms, $lost lost)" "$p99" "<=" 250 ms
}

for tls in 0 1; do
    over=$([ "$tls" = 0 ] || echo " over TLS")
    to=$([ "$tls" = 0 ] && echo "$port" || echo "$tls_port")
    asked=("$to" "tls=$tls" path=/products)
    read -r p50 p99 max lost <<<"$(others "${asked[@]}")"
    row "nobody slow$over: p99 (p50 $p50, most $max ms, $lost lost)" "$p99" "" "" ms
    beside "$many slow heads$over" heads "$to" "tls=$tls" path=/products
    beside "$many slow bodies$over" bodies "$to" "tls=$tls" path=/auth/login size=1000000
done
asked=("$tls_port" tls=1 path=/products)
beside "$many slow handshakes" hellos "$tls_port"
stop "$galley_pid"

start_front_server workers=64 "connections=$((CLIENTS + 500))" "cap=$CLIENTS"
asked=("$front_port" path=/small)
beside "$many slow readers" readers "$front_port" "path=/down?size=10000000"
