#!/usr/bin/env bash
# large.sh   What a document costs among many: DOCUMENTS of two indexes against 10 000 of them, in the store alone and
# as a whole request for one of so many orders.
. bench/lib.sh

documents=${DOCUMENTS:-10000000}
declare -A of

request_us() { # COUNT : sets us, processor time of the server for a request for one of so many orders
    local data=$work/orders token user before rate
    start_galley bench/bench.ini "$data"
    token=$(login "$url")
    user=$(curl -fsS "$url/users/me" -H "Authorization: Bearer $token" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
    stop "$galley_pid"
    "$TOOLS/fill_orders" "$data" "$1" "$user"
    start_galley bench/bench.ini "$data"
    ORDERS=$1 load "$url" order "$token" "$DURATION" >/dev/null # most pages have been read once
    before=$(cpu_ticks "$galley_pid")
    rate=$(ORDERS=$1 load "$url" order "$token" "$DURATION")
    us=$(cpu_us $(($(cpu_ticks "$galley_pid") - before)) "${rate%% *}" "$DURATION")
    stop "$galley_pid"
    rm -rf "$data"
    [ "${rate##* }" = 0 ] || { echo "errors: $rate" >&2; exit 1; }
}

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
request_us 10000; few=$us
request_us "$documents"; many=$us
row "\`GET /orders/{id}\`, 10 000 orders, the server's processor" "$few" "" "" us
row "\`GET /orders/{id}\`, $documents orders, the server's processor" "$many" "" "" us
row "\`GET /orders/{id}\`, $documents against 10 000 orders" "$(ratio "$many" "$few")" "<=" 1.5
row "pages that an insertion writes, 10 000 documents" "${of[insert at small (pages)]}"
row "pages that an insertion writes, $documents documents" "${of[insert at large (pages)]}"
row "the same with ids in order, 10 000 documents" "${of[append at small (pages)]}"
row "the same with ids in order, $documents documents" "${of[append at large (pages)]}"
row "opening a store with $documents documents" "${of[open at large (ms)]}" "<=" 500 ms
