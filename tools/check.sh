#!/bin/sh
# check.sh FILE.c...   Layout, static analysis and the include rule; fails at the first that finds something.
set -eu

echo "clang-format"
git ls-files '*.c' '*.h' | grep -v err_table.h | xargs clang-format --dry-run --Werror

echo "include rule"
tools/check_includes.sh

echo "cppcheck"
cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=missingInclude --suppress=normalCheckLevelMaxBranches \
    --std=c11 -I. -DERR_ROW= "$@"

echo "gcc -fanalyzer"
printf '%s\n' "$@" | xargs -P "$(nproc)" -I FILE gcc -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/civetweb/include \
    -O1 -fanalyzer -Werror -Wno-analyzer-fd-leak -c -o /dev/null FILE

# One file a run: over several at once the analyzer mistakes every va_list for an uninitialised one.
echo "clang-tidy"
checks='-*,bugprone-*,performance-*,clang-analyzer-*'
for off in bugprone-easily-swappable-parameters bugprone-reserved-identifier \
    bugprone-implicit-widening-of-multiplication-result clang-analyzer-optin.performance.Padding \
    clang-analyzer-security.insecureAPI.strcpy \
    clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling; do
    checks="$checks,-$off"
done
printf '%s\n' "$@" | xargs -P "$(nproc)" -I FILE sh -c \
    'clang-tidy --quiet --warnings-as-errors="*" --checks="$0" "$1" -- -std=gnu11 -D_GNU_SOURCE -I. \
    -Ibuild/civetweb/include 2>/dev/null' "$checks" FILE
echo "all checks passed"
