#!/usr/bin/env bash
# large.sh   What a document costs among many: DOCUMENTS of two indexes against 10 000 of them.
. bench/lib.sh

documents=${DOCUMENTS:-10000000}
declare -A of
while IFS= read -r line; do of[${line%%: *}]=${line#*: }; done < <("$TOOLS/large_documents" "$work" "$documents")

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

for what in get insert; do
    row "$what, 10 000 documents, processor" "${of[$what at small (us)]}" "" "" us
    row "$what, $documents documents, processor" "${of[$what at large (us)]}" "" "" us
    row "$what, 10 000 documents, user space" "${of[$what at small, user (us)]}" "" "" us
    row "$what, $documents documents, user space" "${of[$what at large, user (us)]}" "" "" us
done
row "get, $documents against 10 000 documents" "$(ratio "${of[get at large (us)]}" "${of[get at small (us)]}")" "<=" 1.5
row "insert, $documents against 10 000 documents" "$(ratio "${of[insert at large (us)]}" "${of[insert at small (us)]}")" "<=" 2.5
row "pages that an insertion writes, 10 000 documents" "${of[insert at small (pages)]}"
row "pages that an insertion writes, $documents documents" "${of[insert at large (pages)]}"
row "the same with ids in order, 10 000 documents" "${of[append at small (pages)]}"
row "the same with ids in order, $documents documents" "${of[append at large (pages)]}"
row "opening a store with $documents documents" "${of[open at large (ms)]}" "<=" 500 ms
