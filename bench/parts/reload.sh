#!/usr/bin/env bash
# reload.sh   200 reloads, each with a change, while CONNECTIONS clients ask without pause.
. bench/lib.sh

reloads=200
cp bench/bench.ini "$work/reload.ini"
start_galley "$work/reload.ini" "$work/data"
token=$(login "$url")

reload_again_and_again() { # each reload is done before the next begins
    local n
    for n in $(seq "$reloads"); do
        sed "s/^rate_limit = 50.*/rate_limit = $((50 + n % 2))\/s by ip burst 100/" bench/bench.ini >"$work/new.ini"
        mv "$work/new.ini" "$work/reload.ini"
        "$GALLEY" reload --data "$work/data" >>"$work/reloads" 2>&1 && echo "$n" >"$work/reloaded"
        sleep 0.03
    done
}

seconds=$DURATION
for _ in $(seq "$ROUNDS"); do
    measure alone "$url" products "$token"
    reload_again_and_again &
    begin=${EPOCHREALTIME/./}
    DURATION=12 WARMUP=1 measure beside "$url" products "$token"
    wait $!
    took_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
done

row "reloads, the last of them $((took_ms / 1000)) s after the first" "$(cat "$work/reloaded" || echo 0)" ">=" "$reloads"
row "requests lost meanwhile" "$(errors beside)" "<=" 0
row "p99 meanwhile ($(median beside 4) ms) against alone ($(median alone 4) ms)" \
    "$(ratio "$(median beside 4)" "$(median alone 4)")" "<=" 2
row "requests/s meanwhile against alone" "$(ratio "$(median beside 2)" "$(median alone 2)")"
