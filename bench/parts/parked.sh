#!/usr/bin/env bash
# parked.sh   CLIENTS connections that have asked once and then wait: what they cost in memory, and whether
# busy clients beside them notice. With and without in turns, on one server.
. bench/lib.sh

start_galley bench/bench.ini "$work/data"
token=$(login "$url")
most=0 fewest=$CLIENTS threads=0
for _ in $(seq "$ROUNDS"); do
    measure alone "$url" products "$token"
    begin_crowd idle "$port" "clients=$CLIENTS" sources=200
    threads=$(ls "/proc/$galley_pid/task" | wc -l)
    most=$(max "$most" "$(memory_mib "$galley_pid")")
    measure beside "$url" products "$token"
    end_crowd
    standing=$(field standing "$crowd_report")
    [ "$standing" -ge "$fewest" ] || fewest=$standing
done

row "waiting connections that stood to the end" "$fewest" ">=" "$CLIENTS"
row "anonymous memory with them, $threads threads" "$most" "<=" 60 MiB
row "\`products\` beside them against alone (p99 $(median beside 4) against $(median alone 4) ms, $(errors beside) errors)" \
    "$(ratio "$(median beside 2)" "$(median alone 2)")" ">=" 0.95
