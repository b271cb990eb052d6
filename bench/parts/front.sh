#!/usr/bin/env bash
# front.sh   The front beside nginx, in turns: a fixed answer on kept connections, and opening connections.
. bench/lib.sh

opening() { # NAME PORT
    echo "$1 $(opening_rate "$2")" | tee -a "$work/measured" >&2
}

start_nginx
start_galley bench/bench.ini "$work/data"
for _ in $(seq "$ROUNDS"); do
    measure nginx "http://127.0.0.1:$nginx_port" healthz ""
    measure galley "$url" healthz ""
    opening nginx-open "$nginx_port"
    opening galley-open "$port"
done

row "\`/healthz\`, $CONNECTIONS connections (p99 $(median galley 4) ms, $(errors galley) errors)" "$(median galley 2)" "" "" /s
row "nginx \`return 200\` (p99 $(median nginx 4) ms)" "$(median nginx 2)" "" "" /s
row "\`/healthz\` against nginx" "$(ratio "$(median galley 2)" "$(median nginx 2)")" ">=" 0.65
row "opening connections, one request each (p99 $(median galley-open 4) ms, $(errors galley-open) lost)" "$(median galley-open 2)" "" "" /s
row "nginx, the same (p99 $(median nginx-open 4) ms, $(errors nginx-open) lost)" "$(median nginx-open 2)" "" "" /s
row "opening connections against nginx" "$(ratio "$(median galley-open 2)" "$(median nginx-open 2)")" ">=" 0.5
