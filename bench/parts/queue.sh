#!/usr/bin/env bash
# queue.sh   What a job costs among many: JOBS waiting against 10 000, and a start with so many; how fast expired answers are swept.
. bench/lib.sh

jobs=${JOBS:-1000000}
declare -A of
mkdir "$work/jobs"
while IFS= read -r line; do of[${line%%: *}]=${line#*: }; done < <("$TOOLS/queue_cost" "$work/jobs" 10000 "$jobs")
rm -rf "$work/jobs"

for what in enqueue get "lease and acknowledge"; do
    few=${of[$what, 10000 jobs waiting]} many=${of[$what, $jobs jobs waiting]}
    row "$what, 10 000 jobs waiting, processor" "$few" "" "" us
    row "$what, $jobs jobs waiting, processor" "$many" "" "" us
    row "$what, $jobs against 10 000 jobs" "$(awk -v a="$many" -v b="$few" 'BEGIN { printf "%.2f", a / b }')" \
        "<=" "$([ "$what" = enqueue ] && echo 2.5 || echo 1.5)"
done
row "lease and acknowledge a job, processor" "${of[lease and acknowledge, $jobs jobs waiting]}" "<=" 7 us

mkdir "$work/waiting"
"$TOOLS/fill_jobs" "$work/waiting" "$jobs"
start_galley bench/bench.ini "$work/waiting"
row "start to the first 200, $jobs jobs waiting" "$started_ms" "<=" 500 ms
row "anonymous memory right after, $jobs jobs waiting" \
    "$(awk '$1 == "RssAnon:" { print int($2 / 1024) }' "/proc/$galley_pid/status")" "<=" 94 MiB
stop "$galley_pid"

answers=${ANSWERS:-200000}
swept=$("$TOOLS/answer_sweep" "$work/answers" "$answers")
row "answers for idempotency keys swept, of $answers, and committed" "${swept##*: }" ">=" 20000 /s
rm -rf "$work/answers"
