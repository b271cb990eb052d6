#!/usr/bin/env bash
# cache.sh   Stored answers of an origin (1000 URLs of 1 KiB each) beside nginx's proxy_cache, in turns. The origin is the
# nginx that is measured: it is asked once for each.
. bench/lib.sh

start_nginx
{
    cat bench/bench.ini
    printf '\n[upstream origin]\nserver = 127.0.0.1:%s\n' "$nginx_port"
    printf '\n[route pages]\npath = /pages/*\ntarget = upstream:origin\ncache = yes\n'
} >"$work/cache.ini"
start_galley "$work/cache.ini" "$work/data"
for server in "http://127.0.0.1:$nginx_port" "$url"; do # all of them
    curl -fsS -o /dev/null "$server/pages/[1-1000]"
done
for _ in $(seq "$ROUNDS"); do
    measure nginx "http://127.0.0.1:$nginx_port" cached ""
    measure galley "$url" cached ""
done

row "stored answers, $CONNECTIONS connections (p99 $(median galley 4) ms, $(errors galley) errors)" "$(median galley 2)" "" "" /s
row "nginx \`proxy_cache\` (p99 $(median nginx 4) ms, $(errors nginx) errors)" "$(median nginx 2)" "" "" /s
row "stored answers against nginx" "$(ratio "$(median galley 2)" "$(median nginx 2)")" ">=" 0.6
hits=$(curl -fsS "$url/metrics" | sed -n 's/^galley_response_cache_requests_total{.*result="hit"} //p')
asked=$(curl -fsS "$url/metrics" | sed -n 's/^galley_response_cache_requests_total{.*result="stored"} //p')
row "asked of the origin, of $((hits + asked)) requests" "$asked" "<=" 2000
