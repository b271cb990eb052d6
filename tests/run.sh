#!/bin/bash
# Runs tests: tests/run.sh [unit programs...] -- [node test files...]
#
# As many run side by side as there are cores. What fails, crashes, runs no test at all or is still
# running after TEST_TIMEOUT seconds is printed in full. The last line is "N passed, N failed"; the
# exit status is 0 only if something passed and nothing failed.
set -u

# Some tests go on in a child, and start threads there.
export TSAN_OPTIONS=${TSAN_OPTIONS:-die_after_fork=0}
export TEST_TIMEOUT=${TEST_TIMEOUT:-900}
out=$(mktemp -d "${TMPDIR:-/tmp}/galley-tests-XXXXXX")
trap 'rm -rf "$out"' EXIT

run_unit() { # PROGRAM OUT: writes OUT.log, returns its status
    CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$TEST_TIMEOUT" "$1" >"$2.log" 2>&1
    local status=$?
    passed=$(grep -c '^[[:space:]]*ok ' "$2.log")
    failed=$(grep -c '^[[:space:]]*not ok ' "$2.log")
    return $status
}

run_node() { # FILE OUT
    timeout -k 10 "$TEST_TIMEOUT" node --test \
        --test-reporter=tap --test-reporter-destination="$2.tap" \
        --test-reporter=spec --test-reporter-destination=stdout "$1" >"$2.log" 2>&1
    local status=$?
    passed=$(awk '/^# pass / { n = $3 } END { print n + 0 }' "$2.tap")
    failed=$(awk '/^# (fail|cancelled) / { n += $3 } END { print n + 0 }' "$2.tap")
    return $status
}

run_one() { # KIND PATH NUMBER DIR: prints a line, keeps the counts
    local kind=$1 path=$2 log=$4/$3 begin=$SECONDS status passed failed
    "run_$kind" "$path" "$log"
    status=$?
    if ((failed == 0 && (status != 0 || passed == 0))); then
        failed=1
        echo "exit status $status after $passed passed tests" >>"$log.log"
    fi
    echo "$passed $failed" >"$log.count"
    {
        flock 9 # outputs do not mix
        if ((failed == 0)); then
            echo "ok    $path ($passed in $((SECONDS - begin)) s)"
        else
            echo "FAIL  $path ($failed of $((passed + failed)))"
            cat "$log.log"
        fi
    } 9>"$4/lock"
}
export -f run_one run_unit run_node

kind=unit number=0
for argument; do
    if [ "$argument" = -- ]; then
        kind=node
    else
        printf '%s\0%s\0%d\0%s\0' "$kind" "$argument" $((++number)) "$out"
    fi
done >"$out/list"
total=$(($(tr -cd '\0' <"$out/list" | wc -c) / 4))

xargs -0 -r -n 4 -P "$(nproc)" bash -c 'run_one "$@"' run <"$out/list"

cat "$out"/*.count 2>/dev/null | awk -v total="$total" '
    { passed += $1; failed += $2 }
    END {
        failed += total - NR # the runner itself was killed
        printf "%d passed, %d failed\n", passed, failed
        exit !(passed > 0 && failed == 0)
    }'
