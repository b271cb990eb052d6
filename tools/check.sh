#!/bin/bash
# check.sh FILE.c...   Layout, dialect, the include rule, static analysis. Every step runs and says how long it
# took; fails if any finds something.
set -eu

for tool in git awk clang-format cppcheck gcc clang-tidy; do
    command -v "$tool" >/dev/null || { echo "check.sh: $tool is missing: make deps" >&2; exit 1; }
done

files=("$@")
failed=

step() { # NAME COMMAND...
    local begin=$EPOCHREALTIME
    "${@:2}" || failed="$failed $1"
    awk -v name="$1" -v from="$begin" -v to="$EPOCHREALTIME" 'BEGIN { printf "%-14s %5.1f s\n", name, to - from }'
}

layout() {
    git ls-files '*.c' '*.h' | grep -v err_table.h | xargs clang-format --dry-run --Werror
}

run_cppcheck() {
    cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=missingInclude --suppress=normalCheckLevelMaxBranches \
        --std=c11 -I. -DERR_ROW= \
        --include="/usr/include/$(gcc -print-multiarch)/sys/queue.h" -j "$(nproc)" "${files[@]}"
}

# One file after the other: several at once make clang-tidy mistake every va_list for an uninitialised one.
each_file() { # COMMAND...: FILE in it stands for the file
    printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I FILE "$@"
}

compile=(-std=gnu11 -D_GNU_SOURCE -I. -Ibuild/civetweb/include)

gcc_analyzer() {
    each_file gcc "${compile[@]}" -O1 -fanalyzer -Werror -Wno-analyzer-fd-leak -c -o /dev/null FILE
}

tidy() {
    local checks='-*,bugprone-*,performance-*,clang-analyzer-*' off
    for off in bugprone-easily-swappable-parameters bugprone-reserved-identifier \
        bugprone-implicit-widening-of-multiplication-result clang-analyzer-optin.performance.Padding \
        clang-analyzer-security.insecureAPI.strcpy \
        clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling; do
        checks="$checks,-$off"
    done
    each_file clang-tidy --quiet --warnings-as-errors='*' --checks="$checks" FILE -- "${compile[@]}" \
        2> >(grep -vE 'warnings? generated' >&2)
}

step clang-format layout
step dialect tools/check_dialect.sh
step includes tools/check_includes.sh
step cppcheck run_cppcheck
step gcc-analyzer gcc_analyzer
step clang-tidy tidy
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
echo "all checks passed"
