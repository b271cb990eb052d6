#!/usr/bin/env bash
# shop.sh   The shop with everything on; with PEER, in turns with another server of the same endpoints.
. bench/lib.sh

waiting_jobs() {
    curl -fsS "$url/metrics" |
        awk '/^galley_queue_jobs.*state="(ready|running|retrying|scheduled)"/ { n += $2 } END { print n + 0 }'
}

drained_after_ms() { # from now until no job waits, at most a minute
    local begin=${EPOCHREALTIME/./} ms=0
    until [ "$(waiting_jobs)" = 0 ] || [ "$ms" -gt 60000 ]; do
        ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    done
    echo "$ms"
}

bound() { case $1 in place-order) echo 20 ;; products) echo 28 ;; esac; }

shop_row() { # SCENARIO
    local rate p99 text more
    rate=$(median "galley-$1" 2) p99=$(median "galley-$1" 4)
    row "\`$1\`, $CONNECTIONS connections (p50 $(median "galley-$1" 3), p99 $p99 ms, $(errors "galley-$1") errors)" "$rate" "" "" /s
    [ -n "$PEER" ] || return 0
    text="(p99 $(median "peer-$1" 4) ms, $(errors "peer-$1") errors)"
    row "the six, \`$1\` $text" "$(median "peer-$1" 2)" "" "" /s
    more=$(bound "$1")
    row "\`$1\` against the six: times as many" "$(ratio "$rate" "$(median "peer-$1" 2)")" ${more:+">=" "$more"}
    row "\`$1\` against the six: p99" "$(ratio "$p99" "$(median "peer-$1" 4)")" ${more:+"<=" 0.1}
}

start_galley bench/bench.ini "$work/data"
token=$(login "$url")
[ -z "$PEER" ] || peer_token=$(login "$PEER")
watch_memory "$galley_pid"
drained=0
for _ in $(seq "$ROUNDS"); do
    for scenario in healthz products me place-order; do
        measure "galley-$scenario" "$url" "$scenario" "$token"
        if [ "$scenario" = place-order ]; then
            ms=$(drained_after_ms)
            [ "$ms" -le "$drained" ] || drained=$ms
        fi
        [ -z "$PEER" ] || measure "peer-$scenario" "$PEER" "$scenario" "$peer_token"
    done
    measure galley-orders-256 "$url" place-order "$token" 256
done

for scenario in healthz products me place-order; do shop_row "$scenario"; done
row "\`place-order\`, 256 connections, data on $(stat -f -c %T "$work") (p99 $(median galley-orders-256 4) ms, $(errors galley-orders-256) errors)" \
    "$(median galley-orders-256 2)" ">=" 45000 /s
row "jobs gone after the load" "$drained" "" "" ms
row "anonymous memory under load, $(ls "/proc/$galley_pid/task" | wc -l) threads" "$(most_memory_mib)" "" "" MiB
