#!/usr/bin/env bash
# data.sh   The data API: documents of 300 bytes with two indexes, and transfers between accounts. DATA_DOCUMENTS of them
# are brought in by bulk requests first, of 1000 lines each.
. bench/lib.sh

DATA_DOCUMENTS=${DATA_DOCUMENTS:-100000} ACCOUNTS=100000
export DATA_DOCUMENTS ACCOUNTS

{
    cat bench/bench.ini
    cat <<'INI'

[collection documents]
id = client
index = group, rank
index = createdAt
timestamps = yes
list = user
read = user
create = user
update = user
delete = user

[collection accounts]
id = client
list = user
read = user
create = user
update = user
INI
} >"$work/data.ini"

documents() { # FROM COUNT : lines of about 300 bytes
    awk -v from="$1" -v n="$2" 'BEGIN {
        for (i = from; i < from + n; i++)
            printf "{\"id\":\"d%08d\",\"group\":\"g%d\",\"rank\":%d,\"count\":0,\"title\":\"Document number %d\",\"text\":\"%s\"}\n",
                i, i % 1000, (i * 7919) % 1000003, i, "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps"
    }'
}

accounts() { # FROM COUNT
    awk -v from="$1" -v n="$2" 'BEGIN { for (i = from; i < from + n; i++) printf "{\"id\":\"a%06d\",\"balance\":1000000}\n", i }'
}

fill() { # COLLECTION COUNT : by four clients; sets fill_rate, documents/s
    local begin ms files=()
    for ((i = 0; i < $2; i += 1000)); do
        "$1" "$i" 1000 >"$work/lines.$1.$i"
        files+=("$work/lines.$1.$i")
    done
    begin=${EPOCHREALTIME/./}
    printf '%s\n' "${files[@]}" | xargs -P 4 -I FILE curl -fsS -o /dev/null "$url/api/v1/collections/$1/bulk" \
        -H "Authorization: Bearer $token" -H 'Content-Type: application/x-ndjson' --data-binary @FILE
    ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    fill_rate=$(($2 * 1000 / ms))
    rm -f "${files[@]}"
}

data_row() { # SCENARIO WHAT BOUND
    row "$2, $CONNECTIONS connections (p50 $(median "$1" 3), p99 $(median "$1" 4) ms, $(errors "$1") errors)" \
        "$(median "$1" 2)" ">=" "$3" /s
}

start_galley "$work/data.ini" "$work/data"
token=$(login "$url")
fill accounts "$ACCOUNTS"
fill documents "$DATA_DOCUMENTS"
watch_memory "$galley_pid"
for _ in $(seq "$ROUNDS"); do
    for scenario in data-get data-list data-create data-patch transfer; do
        measure "$scenario" "$url" "$scenario" "$token"
    done
    measure transfer-256 "$url" transfer "$token" 256
done

row "bulk: documents brought in by requests of 1000" "$fill_rate" ">=" 60000 /s
data_row data-get "a document by its id, of $DATA_DOCUMENTS" 45000
data_row data-list "20 by an index" 15000
data_row data-create "a document created" 20000
data_row data-patch "\`\$inc\` with \`\$if\`" 20000
data_row transfer "a transfer between two of $ACCOUNTS accounts" 25000
row "the same, 256 connections (p99 $(median transfer-256 4) ms, $(errors transfer-256) errors)" "$(median transfer-256 2)" ">=" 50000 /s
row "anonymous memory" "$(most_memory_mib)" "" "" MiB
