#!/usr/bin/env bash
# proxy.sh   Passing requests on, beside nginx, HAProxy and a gateway of npm that pass them to the same server (nginx with
# a fixed answer of 100 bytes), in turns, with kept connections on both sides; and with everything on. 1 GB each way.
. bench/lib.sh

start_upstream() { # sets upstream_port, proxy_port: nginx with the answer, and nginx that passes on to it
    upstream_port=$(free_port) proxy_port=$(free_port)
    mkdir -p "$work/nginx-proxy"
    sed "s/UPSTREAM_PORT/$upstream_port/g; s/PROXY_PORT/$proxy_port/" bench/nginx-proxy.conf \
        >"$work/nginx-proxy/nginx.conf"
    "$NGINX_BINARY" -p "$work/nginx-proxy" -c nginx.conf -e "$work/nginx-proxy/log" &
    nginx_pid=$!
    pids+=("$nginx_pid")
    until curl -fsS -o /dev/null "http://127.0.0.1:$proxy_port/" 2>/dev/null; do
        kill -0 "$nginx_pid" || { cat "$work/nginx-proxy/log" >&2; exit 1; }
    done
}

answers_on() { # PORT PID LOG : waits until who has that port passes requests on
    until curl -fsS -o /dev/null "http://127.0.0.1:$1/" 2>/dev/null; do
        kill -0 "$2" || { cat "$3" >&2; exit 1; }
        sleep 0.1
    done
}

start_haproxy() { # sets haproxy_port
    haproxy_port=$(free_port)
    sed "s/UPSTREAM_PORT/$upstream_port/; s/PROXY_PORT/$haproxy_port/" bench/haproxy-proxy.cfg >"$work/haproxy.cfg"
    "$HAPROXY_BINARY" -db -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
    pids+=($!)
    answers_on "$haproxy_port" $! "$work/haproxy.log"
}

start_scripted() { # sets scripted_port
    scripted_port=$(free_port)
    node bench/gateway/gateway.cjs "$GATEWAY_MODULES" "$scripted_port" "$upstream_port" >"$work/scripted.log" 2>&1 &
    pids+=($!)
    answers_on "$scripted_port" $! "$work/scripted.log"
}

# Takes what comes, and answers GET with 1 GiB.
start_sink() { # sets sink_port
    sink_port=$(free_port)
    node -e 'require("http").createServer(async (request, response) => {
        for await (const piece of request);
        if (request.method !== "GET") return response.end();
        const piece = Buffer.alloc(65536);
        for (let i = 0; i < 16384; i++)
            if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
        response.end();
    }).listen(process.argv[1], "127.0.0.1")' "$sink_port" &
    pids+=($!)
}

resident_kib() { awk '/^VmHWM/ { print $2 }' "/proc/$galley_pid/status"; }

start_upstream
start_haproxy
start_scripted
start_sink
{
    cat bench/bench.ini
    printf '\n[upstream up]\nserver = 127.0.0.1:%s\nkeepalive = 600\nrequests_max = 2000\nrequests_per_address = 2000\n' "$upstream_port"
    printf '\n[route up]\npath = /up/*\ntarget = upstream:up\n'
    printf '\n[route own]\npath = /own/*\ntarget = upstream:up\nroles = customer\nrate_limit = 1000000/s by user burst 1000000\n'
    printf '\n[upstream sink]\nserver = 127.0.0.1:%s\n' "$sink_port"
    printf '\n[route sink]\npath = /sink/*\ntarget = upstream:sink\nbody_max = 2GiB\n'
} >"$work/proxy.ini"
start_galley "$work/proxy.ini" "$work/data"
token=$(login "$url")

for _ in $(seq "$ROUNDS"); do
    for many in 64 512; do
        measure "nginx-$many" "http://127.0.0.1:$proxy_port" up "" "$many"
        measure "haproxy-$many" "http://127.0.0.1:$haproxy_port" up "" "$many"
        measure "scripted-$many" "http://127.0.0.1:$scripted_port" up "" "$many"
        measure "galley-$many" "$url" up "" "$many"
        measure "own-$many" "$url" own "$token" "$many"
    done
done

for many in 64 512; do
    row "passing on, $many connections (p99 $(median "galley-$many" 4) ms, $(errors "galley-$many") errors; log, metrics)" \
        "$(median "galley-$many" 2)" "" "" /s
    row "nginx to the same server (p99 $(median "nginx-$many" 4) ms; no log)" "$(median "nginx-$many" 2)" "" "" /s
    row "passing on against nginx, $many connections" "$(ratio "$(median "galley-$many" 2)" "$(median "nginx-$many" 2)")" ">=" 0.6
    row "its p99 against nginx's" "$(ratio "$(median "galley-$many" 4)" "$(median "nginx-$many" 4)")" "<=" 1.5
    row "HAProxy to the same server (p99 $(median "haproxy-$many" 4) ms, $(errors "haproxy-$many") errors; no log)" \
        "$(median "haproxy-$many" 2)" "" "" /s
    row "passing on against HAProxy" "$(ratio "$(median "galley-$many" 2)" "$(median "haproxy-$many" 2)")" "" ""
    row "fast-gateway of npm, $(nproc) processes (p99 $(median "scripted-$many" 4) ms, $(errors "scripted-$many") errors; no log)" \
        "$(median "scripted-$many" 2)" "" "" /s
    row "passing on against that" "$(ratio "$(median "galley-$many" 2)" "$(median "scripted-$many" 2)")" ">=" 5
    row "with token and rate limit too (p99 $(median "own-$many" 4) ms, $(errors "own-$many") errors)" "$(median "own-$many" 2)" "" "" /s
    row "against plain nginx" "$(ratio "$(median "own-$many" 2)" "$(median "nginx-$many" 2)")" ">=" 0.5
done

before=$(resident_kib)
truncate -s 1G "$work/large"
curl -fsS -o /dev/null "$url/sink/"
curl -fsS -o /dev/null -T "$work/large" "$url/sink/"
row "memory that 1 GiB down and 1 GiB up add" "$((($(resident_kib) - before) / 1024))" "<=" 8 MiB
