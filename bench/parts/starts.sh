#!/usr/bin/env bash
# starts.sh   How long a start takes until the first 200, and the cache and the balancer by themselves.
. bench/lib.sh

start_galley bench/bench.ini "$work/data"
row "start to the first 200, new data directory" "$started_ms" "<=" 20 ms
stop "$galley_pid"
start_galley bench/bench.ini "$work/data"
row "start to the first 200, data there" "$started_ms" "<=" 20 ms
stop "$galley_pid"
"$TOOLS/cache_bench" | while IFS= read -r line; do row "${line%%: *}" "${line#*: }"; done
"$TOOLS/pick_cost" | while IFS= read -r line; do row "${line%%: *}" "${line#*: }"; done
