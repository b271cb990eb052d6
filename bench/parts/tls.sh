#!/usr/bin/env bash
# tls.sh   What TLS costs: kept connections against plain ones, and whole handshakes beside nginx with the same
# certificate (P-256). A handshake is a connection with one request, without resumption.
. bench/lib.sh

shaking() { # NAME PORT PID... : and the server's processor time for each, as NAME-cpu, in microseconds
    local name=$1 port=$2 before rate
    shift 2
    before=$(cpu_ticks_of "$@")
    echo "$name $(opening_rate "$port" tls=1)" | tee -a "$work/measured" >&2
    rate=$(awk -v n="$name" '$1 == n { r = $2 } END { print r }' "$work/measured")
    echo "$name-cpu $(cpu_us $(($(cpu_ticks_of "$@") - before)) "$rate" "$DURATION")" >>"$work/measured"
}

cpu_ticks_of() { # PID...
    local pid sum=0
    for pid in "$@"; do sum=$((sum + $(cpu_ticks "$pid"))); done
    echo "$sum"
}

cpu_us_each() { # NAME URL : processor time of the server for each request, beside what measure prints
    local before rate
    before=$(cpu_ticks "$galley_pid")
    DURATION=$((DURATION + WARMUP)) WARMUP=0 measure "$1" "$2" healthz ""
    rate=$(median "$1" 2)
    echo "$1-cpu $(cpu_us $(($(cpu_ticks "$galley_pid") - before)) "$rate" $((DURATION + WARMUP)))" >>"$work/measured"
}

start_nginx
start_tls_galley
for _ in $(seq "$ROUNDS"); do
    cpu_us_each plain "$url"
    cpu_us_each tls "https://127.0.0.1:$tls_port"
    measure nginx-plain "http://127.0.0.1:$nginx_port" healthz ""
    measure nginx-tls "https://127.0.0.1:$nginx_tls_port" healthz ""
    shaking nginx-shake "$nginx_tls_port" $(cat "/proc/$nginx_pid/task/$nginx_pid/children")
    shaking galley-shake "$tls_port" "$galley_pid"
done

row "\`/healthz\` over TLS, $CONNECTIONS kept connections (p99 $(median tls 4) ms, $(errors tls) errors)" "$(median tls 2)" "" "" /s
row "TLS against plain, kept connections" "$(ratio "$(median tls 2)" "$(median plain 2)")" ">=" 0.75
row "the server's processor time of a plain request against one over TLS ($(median plain-cpu 2) against $(median tls-cpu 2) µs)" \
    "$(ratio "$(median plain-cpu 2)" "$(median tls-cpu 2)")"
row "nginx's TLS against its plain" "$(ratio "$(median nginx-tls 2)" "$(median nginx-plain 2)")"
row "TLS handshakes (p99 $(median galley-shake 4) ms, $(errors galley-shake) lost)" "$(median galley-shake 2)" "" "" /s
row "nginx, the same (p99 $(median nginx-shake 4) ms, $(errors nginx-shake) lost)" "$(median nginx-shake 2)" "" "" /s
row "TLS handshakes against nginx" "$(ratio "$(median galley-shake 2)" "$(median nginx-shake 2)")" ">=" 0.9
row "the processor time of nginx for one against ours ($(median nginx-shake-cpu 2) against $(median galley-shake-cpu 2) µs)" \
    "$(ratio "$(median nginx-shake-cpu 2)" "$(median galley-shake-cpu 2)")"
