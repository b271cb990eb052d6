#!/usr/bin/env bash
# follow.sh   500 readers of the change feed beside clients that create documents: readers of another collection, to whom
# nothing is sent, and readers of one document in a thousand.
. bench/lib.sh

readers=500
{
    cat bench/bench.ini
    for name in events others; do
        printf '\n[collection %s]\nlist = public\nread = public\ncreate = public\nfeed = yes\n' "$name"
    done
} >"$work/follow.ini"
start_galley "$work/follow.ini" "$work/data"
for _ in $(seq "$ROUNDS"); do
    measure alone "$url" create ""
    begin_crowd sse "$port" "path=/api/v1/feed?collections=others" "clients=$readers" sources=200
    measure idle "$url" create ""
    end_crowd
    begin_crowd sse "$port" "path=/api/v1/feed?collections=events&filter=number%3D17" "clients=$readers" sources=200
    measure few "$url" create ""
    end_crowd
done

row "documents created, $CONNECTIONS connections, with a feed (p99 $(median alone 4) ms, $(errors alone) errors)" \
    "$(median alone 2)" "" "" /s
row "the same beside $readers readers of another collection against alone" \
    "$(ratio "$(median idle 2)" "$(median alone 2)")" ">=" 0.85
row "the same beside $readers readers of one document in a thousand against alone" \
    "$(ratio "$(median few 2)" "$(median alone 2)")" ">=" 0.85
