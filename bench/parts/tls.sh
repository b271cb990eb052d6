#!/usr/bin/env bash
# tls.sh   What TLS costs: kept connections against plain ones, and whole handshakes beside nginx with the same
# certificate (P-256). A handshake is a connection with one request, without resumption.
. bench/lib.sh

shaking() { # NAME PORT
    echo "$1 $(opening_rate "$2" tls=1)" | tee -a "$work/measured" >&2
}

start_nginx
start_tls_galley
for _ in $(seq "$ROUNDS"); do
    measure plain "$url" healthz ""
    measure tls "https://127.0.0.1:$tls_port" healthz ""
    measure nginx-plain "http://127.0.0.1:$nginx_port" healthz ""
    measure nginx-tls "https://127.0.0.1:$nginx_tls_port" healthz ""
    shaking nginx-shake "$nginx_tls_port"
    shaking galley-shake "$tls_port"
done

row "\`/healthz\` over TLS, $CONNECTIONS kept connections (p99 $(median tls 4) ms, $(errors tls) errors)" "$(median tls 2)" "" "" /s
row "TLS against plain, kept connections" "$(ratio "$(median tls 2)" "$(median plain 2)")" ">=" 0.75
row "nginx's TLS against its plain" "$(ratio "$(median nginx-tls 2)" "$(median nginx-plain 2)")"
row "TLS handshakes (p99 $(median galley-shake 4) ms, $(errors galley-shake) lost)" "$(median galley-shake 2)" "" "" /s
row "nginx, the same (p99 $(median nginx-shake 4) ms, $(errors nginx-shake) lost)" "$(median nginx-shake 2)" "" "" /s
row "TLS handshakes against nginx" "$(ratio "$(median galley-shake 2)" "$(median nginx-shake 2)")" ">=" 0.9
