#!/usr/bin/env bash
# run.sh GALLEY_BINARY   Measures a server of its own, with everything on, and prints the README's table.
# Environment: CONNECTIONS=64 DURATION=8 WARMUP=2 ROUNDS=3   FILL_JOBS, CACHE_BENCH: bench programs
#   PEER=http://127.0.0.1:PORT   another server with the same endpoints (alice/secret), measured in turns
set -euo pipefail
cd "$(dirname "$0")/.."
galley=$1
connections=${CONNECTIONS:-64} duration=${DURATION:-8} warmup=${WARMUP:-2} rounds=${ROUNDS:-3}
peer=${PEER:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/galley-bench.XXXXXX")
pid=
trap 'stop; rm -rf "$work"' EXIT

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

start() { # DATA_DIR : sets pid, url, started_ms (process start to the first 200)
    local begin line status
    rm -f "$work/out"
    mkfifo "$work/out"
    begin=${EPOCHREALTIME/./}
    "$galley" serve -c bench/bench.ini --listen 127.0.0.1:0 --data "$1" >"$work/out" 2>"$work/log" &
    pid=$!
    exec 3<"$work/out"
    url=
    while read -r line <&3; do
        [[ $line != "listening on "* ]] || { url=${line#listening on }; break; }
    done
    [ -n "$url" ] || { cat "$work/log" >&2; exit 1; }
    exec 4<>"/dev/tcp/127.0.0.1/${url##*:}"
    printf 'GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n' >&4
    read -r _ status _ <&4
    started_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    exec 4>&-
    [ "$status" = 200 ] || { echo "/healthz answered $status" >&2; exit 1; }
}

stop() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid" || true; }
    pid=
}

login() { # URL
    curl -fsS -X POST "$1/auth/login" -H 'Content-Type: application/json' \
        -d '{"username":"alice","password":"secret"}' | sed -n 's/.*"token"[^"]*"\([^"]*\)".*/\1/p'
}

load() { # URL SCENARIO SECONDS : "requests/s p50 p99 errors"
    SCENARIO=$2 TOKEN=$3 wrk -t 2 -c "$connections" -d "$4s" --timeout 10s -s bench/load.lua "$1" |
        sed -n 's/^RESULT //p'
}

measure() { # NAME URL TOKEN SCENARIO : appends a row to $work/rows
    load "$2" "$4" "$3" "$warmup" >/dev/null
    echo "$1 $4 $(load "$2" "$4" "$3" "$duration")" | tee -a "$work/rows" >&2
}

anonymous_mib() { awk '$1 == "Anonymous:" { printf "%.0f", $2 / 1024 }' "/proc/$pid/smaps_rollup"; }

watch_memory() { # the most of anonymous memory, sampled while the load runs
    local most=0 mib
    while mib=$(anonymous_mib 2>/dev/null) && [ -n "$mib" ]; do
        [ "$mib" -le "$most" ] || { most=$mib; echo "$most" >"$work/memory"; }
        sleep 0.25
    done
}

waiting_jobs() {
    curl -fsS "$url/metrics" |
        awk '/^galley_queue_jobs.*state="(ready|running|retrying|scheduled)"/ { n += $2 } END { print n + 0 }'
}

drained_after_ms() { # from now until no job waits
    local begin
    begin=$(now_ms)
    until [ "$(waiting_jobs)" = 0 ]; do
        [ $(($(now_ms) - begin)) -lt 60000 ] || break
    done
    echo $(($(now_ms) - begin))
}

median() { # NAME SCENARIO COLUMN
    awk -v n="$1" -v s="$2" -v c="$3" '$1 == n && $2 == s { print $c }' "$work/rows" | sort -g |
        awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

errors() { awk -v n="$1" -v s="$2" '$1 == n && $2 == s { e += $6 } END { print e + 0 }' "$work/rows"; }

table_row() { # SCENARIO
    local rate p50 p99 row
    rate=$(median galley "$1" 3) p50=$(median galley "$1" 4) p99=$(median galley "$1" 5)
    row="| $1 | $rate | $p50 | $p99 | $(errors galley "$1") |"
    if [ -n "$peer" ]; then
        row+=$(awk -v a="$rate" -v b="$(median peer "$1" 3)" -v c="$p99" -v d="$(median peer "$1" 5)" \
            'BEGIN { printf " %d | %.2f | **%.1f ×** | **%.2f** |", b, d, a / b, c / d }')
    fi
    echo "$row"
}

# ---- The runs

start "$work/data"
first_start=$started_ms
stop
start "$work/data"
second_start=$started_ms
token=$(login "$url")
[ -z "$peer" ] || peer_token=$(login "$peer")
watch_memory &
watcher=$!
drained=0
for _ in $(seq "$rounds"); do
    for scenario in healthz products me place-order; do
        measure galley "$url" "$token" "$scenario"
        if [ "$scenario" = place-order ]; then
            ms=$(drained_after_ms)
            [ "$ms" -le "$drained" ] || drained=$ms
        fi
        [ -z "$peer" ] || measure peer "$peer" "$peer_token" "$scenario"
    done
done
threads=$(ls "/proc/$pid/task" | wc -l)
stop
wait "$watcher" || true

mkdir "$work/million"
"$FILL_JOBS" "$work/million" 1000000
start "$work/million"
million=$started_ms
stop

# ---- The table

echo
echo "wrk, $connections connections, $duration s after $warmup s of warm-up, median of $rounds rounds, fsync on, on $(nproc) cores"
echo
if [ -n "$peer" ]; then
    echo "| work | requests/s | p50 ms | p99 ms | errors | the six: requests/s | p99 ms | throughput | p99 |"
    echo "|---|---|---|---|---|---|---|---|---|"
else
    echo "| work | requests/s | p50 ms | p99 ms | errors |"
    echo "|---|---|---|---|---|"
fi
for scenario in healthz products me place-order; do table_row "$scenario"; done
echo
echo "| what | measured |"
echo "|---|---|"
echo "| jobs gone after the load | $drained ms |"
echo "| anonymous memory under load, $threads threads | $(cat "$work/memory") MiB |"
echo "| start to the first 200, new data directory | $first_start ms |"
echo "| start to the first 200, data there | $second_start ms |"
echo "| start to the first 200, 1 000 000 jobs waiting | $million ms |"
"$CACHE_BENCH" | sed 's/^\(.*\): \(.*\)$/| \1 | \2 |/'
