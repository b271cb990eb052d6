#!/usr/bin/env bash
# stream.sh   1 GiB up and 1 GiB down through the front alone (tests/front_server), with a length and in chunks.
. bench/lib.sh

size=$((1 << 30))
truncate -s "$size" "$work/gigabyte"
start_front_server "body_max=$((2 * size))"
base=http://127.0.0.1:$front_port

mib_s() { awk -v s="$1" 'BEGIN { printf "%.0f", 1024 / s }'; }

transfer() { # WHAT CURL_ARGUMENT... : one row; the answer must be 200 and as long as it should be, or say how much came
    local what=$1 took most
    shift
    watch_memory "$front_pid"
    took=$(curl -sS -o "$work/answer" -w '%{http_code} %{size_download} %{time_total}' "$@")
    most=$(most_memory_mib)
    [[ $took == "200 $size "* || $(head -c 100 "$work/answer") == "{\"received\":$size}" ]] ||
        { echo "$what: $took" >&2; exit 1; }
    row "1 GiB $what at $(mib_s "${took##* }") MiB/s: anonymous memory" "$most" "<=" 20 MiB
}

transfer "up" -T "$work/gigabyte" -X POST -H Expect: "$base/up"
transfer "up in chunks" -T - -X POST -H Expect: "$base/up" <"$work/gigabyte"
transfer "down" "$base/down?size=$size"
transfer "down in chunks" "$base/chunks?size=$size"
