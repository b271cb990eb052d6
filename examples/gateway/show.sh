#!/usr/bin/env bash
# show.sh [--stay]   Starts the services and Galley, shows what config.ini says part by part, and stops all of it; with
# --stay it waits for Ctrl-C before. Ends with an error if something is not as it should be.
# Environment: GALLEY=../../build/galley   the program      SHIFT=0   is added to every port of config.ini
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
GALLEY=${GALLEY:-$here/../../build/galley} SHIFT=${SHIFT:-0}
work=$(mktemp -d "${TMPDIR:-/tmp}/galley-example.XXXXXX")
declare -A pids=()

stop_all() {
    kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 1' INT TERM

# ---- Starting

start_service() { # NAME PORT
    rm -f "$work/$1" # of one before
    node "$here/services.mjs" "$1" $((SHIFT + $2)) >"$work/$1" 2>&1 &
    pids[$1]=$!
    until grep -q listens "$work/$1"; do
        kill -0 "${pids[$1]}" 2>/dev/null || { cat "$work/$1" >&2; exit 1; }
        sleep 0.05
    done
}

start_services() {
    local port=9101 name
    for name in catalogue-a catalogue-b orders orders-next prices; do
        start_service "$name" $((port++))
    done
}

start_galley() { # sets url
    url=http://127.0.0.1:$((SHIFT + 8080))
    awk -v shift="$SHIFT" '{ while (match($0, /127\.0\.0\.1:[0-9]+/)) {
        printf "%s127.0.0.1:%d", substr($0, 1, RSTART - 1), substr($0, RSTART + 10, RLENGTH - 10) + shift
        $0 = substr($0, RSTART + RLENGTH) } print }' "$here/config.ini" >"$work/config.ini"
    (cd "$work" && exec "$GALLEY" serve >"$work/out" 2>"$work/log") &
    pids[galley]=$!
    until curl -fs -o /dev/null "$url/readyz"; do
        kill -0 "${pids[galley]}" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
        sleep 0.05
    done
}

# ---- Showing

title() { printf '\n\033[1m%s\033[0m\n' "$1"; }

ask() { # CURL_ARGUMENT... PATH : prints the request, then status, telling headers and body of the answer, which is in $answer
    local path=${!#} arguments=("${@:1:$#-1}") shown="  \$ curl" one
    for one in "${arguments[@]}"; do [[ $one = -* ]] && shown+=" $one" || shown+=" '${one/$token/TOKEN}'"; done
    echo "$shown $path"
    curl -sS -D "$work/head" -o "$work/body" "${arguments[@]}" "$url$path"
    answer=$(tr -d '\r' <"$work/head"; cat "$work/body")
    tr -d '\r' <"$work/head" | grep -iE '^(HTTP|x-served-by|x-galley|cache-status|retry-after|ratelimit:|deprecation|sunset)' | sed 's/^/    /'
    sed 's/^/    /' "$work/body"
    echo
}

expect() { # WHAT PATTERN : that the answer has to match
    grep -qiE "$2" <<<"$answer" && echo "  -> $1" && return
    printf '  NOT SO: %s (no %s in the answer)\n' "$1" "$2" >&2
    tail -5 "$work/log" >&2
    exit 1
}

eventually() { # WHAT PATTERN CURL_ARGUMENT... PATH : asks until the answer matches, half a minute at most
    local what=$1 pattern=$2
    shift 2
    for _ in $(seq 300); do
        curl -sS -i "${@:1:$#-1}" "$url${!#}" | grep -qiE "$pattern" && return
        sleep 0.1
    done
    echo "  NOT SO: $what" >&2
    exit 1
}

who_serves() { # REQUESTS PATH [CURL_ARGUMENT...] : "9 orders, 1 orders-next"
    local count=$1 path=$2
    shift 2
    for _ in $(seq "$count"); do
        curl -sS -i "$@" "$url$path" | tr -d '\r' | awk 'NR == 1 { status = $2 } tolower($1) == "x-served-by:" { who = $2 }
            END { print status == 200 ? who : status }'
    done | sort | uniq -c | awk '{ printf("%s%s %s", (NR > 1 ? ", " : ""), $1, $2) }'
}

json=(-H 'Content-Type: application/json')
token=none

show_auth() {
    title "Who may"
    ask /orders
    expect "without a token the service is not even asked" '^HTTP/1.1 401'
    curl -sS -o /dev/null "${json[@]}" -d '{"username": "ann", "password": "a long password"}' "$url/auth/register"
    token=$(curl -sS "${json[@]}" -d '{"username": "ann", "password": "a long password"}' "$url/auth/login" |
        sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p')
    signed=(-H "Authorization: Bearer $token")
    ask "${signed[@]}" -H 'X-User-Id: root' /orders
    expect "with one it is, and is told who asks, by the id of the user; what the client says of that is removed" \
        '"of":"[0-9a-f-]{36}"'
    ask "${signed[@]}" /reports
    expect "a customer is not one of the staff" '^HTTP/1.1 403'
}

show_canary() {
    title "A canary: one request of ten goes to the next version"
    answer=$(who_serves 20 /orders "${signed[@]}")
    echo "  20 requests: $answer"
    expect "one of ten, in turns" '^1[6-9] orders, [1-4] orders-next$'
}

show_versions() {
    title "Versions"
    ask /prices/2
    expect "the first, if none is asked for" '"price":31'
    expect "which says until when it is there" '^Sunset: Wed, 30 Jun 2027'
    ask -H 'API-Version: 2' /prices/2
    expect "the second for who asks for it" '"currency":"EUR"'
}

show_limits() {
    title "Limits: three a minute"
    for _ in 1 2 3; do curl -sS -o /dev/null "$url/search"; done
    ask /search
    expect "the fourth is refused, and hears when to come again" '^Retry-After: '
}

show_composition() {
    title "Several answers made one"
    ask "${signed[@]}" /home
    expect "who, products and orders are there; the forecast took too long, and has a value of its own" \
        '"forecast": ?\{"price": ?null\}'
    expect "the answer says that it is not complete" '^X-Galley-Missing: forecast'
}

show_fallback() {
    title "A service that does not answer in time"
    ask /forecast
    expect "has an answer that stands in the configuration" '^X-Galley-Fallback: true'
}

show_fail_over() {
    title "A server that goes"
    echo "  10 requests to two servers: $(who_serves 10 /catalogue/now)"
    kill "${pids[catalogue-a]}"
    wait "${pids[catalogue-a]}" || true
    answer=$(who_serves 20 /catalogue/now)
    echo "  20 requests after one has gone: $answer"
    expect "none is lost: the other one has them all" '^20 catalogue-b$'
    start_service catalogue-a 9101
    eventually "it gets requests again" 'x-served-by: catalogue-a' /catalogue/now
    echo "  -> when its checks succeed it gets requests again"
}

show_cache() {
    title "Cache"
    eventually "the answer is stored" 'cache-status: galley; hit' /catalogue/products
    ask /catalogue/products
    expect "from memory, or fetched a second later: Cache-Status says which" '^Cache-Status: galley;'
    kill "${pids[catalogue-a]}" "${pids[catalogue-b]}"
    wait "${pids[catalogue-a]}" "${pids[catalogue-b]}" || true
    eventually "the stored answer is stale" 'cache-status: galley; hit; ttl=-|fwd=stale' /catalogue/products
    ask /catalogue/products
    expect "when nobody answers, what is stored goes on being given" '^HTTP/1.1 200'
    expect "and it is whole" 'teapot'
    ask /catalogue/now
    expect "what is not stored is an error that says what is wrong" '"code": ?"BAD_GATEWAY"'
    start_service catalogue-a 9101
    start_service catalogue-b 9102
}

start_services
start_galley
show_auth
show_canary
show_versions
show_limits
show_composition
show_fallback
show_fail_over
show_cache
title "All of it is as it should be."
[ "${1:-}" != --stay ] || { echo "$url/_/ has the page Gateway ($(grep -o 'http.*setup.*' "$work/out" || true)); Ctrl-C ends."; wait "${pids[galley]}"; }
