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
for file in "$@"; do
    gcc -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/civetweb/include -O1 -fanalyzer -Werror \
        -Wno-analyzer-fd-leak -c -o /dev/null "$file"
done

echo "clang-tidy"
clang-tidy --quiet --warnings-as-errors='*' \
    --checks='-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,clang-analyzer-*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,performance-*' \
    "$@" -- -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/civetweb/include 2>/dev/null
echo "all checks passed"
