# lib.sh   What the parts of the bench share; sourced by them. Each part is a program of its own that
# starts what it measures on free ports, appends rows to $ROWS and leaves nothing behind.
#
# From run.sh: GALLEY, TOOLS (a directory with crowd, front_server and the programs of bench/*.c), NGINX_BINARY, HAPROXY_BINARY, GATEWAY_MODULES, ROWS,
# CONNECTIONS, DURATION, WARMUP, ROUNDS, CLIENTS, PEER.
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/galley-bench.XXXXXX")
pids=()

stop() { # PID : asks it to end and waits
    kill "$1" 2>/dev/null && wait "$1" || true
}

clean_up() {
    local pid
    for pid in "${pids[@]}"; do stop "$pid"; done
    rm -rf "$work"
}
trap clean_up EXIT

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
        console.log(s.address().port); s.close(); })'
}

# ---- Servers

start_galley() { # CONFIG DATA_DIR [ARGUMENT...] : sets galley_pid, url, port, started_ms (to the first 200)
    local begin line status config=$1 data=$2
    shift 2
    rm -f "$work/out"
    mkfifo "$work/out"
    begin=${EPOCHREALTIME/./}
    "$GALLEY" serve -c "$config" --listen 127.0.0.1:0 --data "$data" "$@" >"$work/out" 2>"$work/log" &
    galley_pid=$!
    pids+=("$galley_pid")
    exec 3<"$work/out"
    url=
    while read -r line <&3; do
        [[ $line != "listening on "* ]] || { url=${line#listening on }; break; }
    done
    [ -n "$url" ] || { cat "$work/log" >&2; exit 1; }
    port=${url##*:}
    exec 4<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n' >&4
    read -r _ status _ <&4
    started_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    exec 4>&-
    [ "$status" = 200 ] || { echo "/healthz answered $status" >&2; exit 1; }
}

start_tls_galley() { # with a second listener: sets tls_port too
    make_certificate
    tls_port=$(free_port)
    {
        cat bench/bench.ini
        printf '\n[listener tls]\naddress = 127.0.0.1:%s\ntls_cert = %s\ntls_key = %s\n' \
            "$tls_port" "$work/cert.pem" "$work/key.pem"
    } >"$work/tls.ini"
    start_galley "$work/tls.ini" "$work/data"
}

start_nginx() { # sets nginx_pid, nginx_port, nginx_tls_port; its certificate is in $work/cert.pem, key.pem
    nginx_port=$(free_port) nginx_tls_port=$(free_port)
    make_certificate
    sed "s/PLAIN_PORT/$nginx_port/g; s/TLS_PORT/$nginx_tls_port/; s/1KIB/$(printf %01024d 0)/" bench/nginx.conf >"$work/nginx.conf"
    chmod 711 "$work" # its workers are another user's, if this is root's
    "$NGINX_BINARY" -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log" &
    nginx_pid=$!
    pids+=("$nginx_pid")
    until curl -fsS -o /dev/null "http://127.0.0.1:$nginx_port/" 2>/dev/null; do
        kill -0 "$nginx_pid" || { cat "$work/nginx.log" >&2; exit 1; }
    done
}

make_certificate() { # $work/cert.pem, $work/key.pem: P-256, for localhost
    [ ! -f "$work/cert.pem" ] || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
}

start_front_server() { # [SETTING...] : sets front_pid, front_port; its lines go to $work/front
    rm -f "$work/front"
    mkfifo "$work/front"
    "$TOOLS/front_server" "$@" >"$work/front" 2>"$work/front.log" </dev/null &
    front_pid=$!
    pids+=("$front_pid")
    exec 5<"$work/front"
    read -r _ front_port <&5
    cat <&5 >"$work/front.out" &
}

login() { # URL
    curl -fsS -X POST "$1/auth/login" -H 'Content-Type: application/json' \
        -d '{"username":"alice","password":"secret"}' | sed -n 's/.*"token"[^"]*"\([^"]*\)".*/\1/p'
}

cpu_ticks() { # PID : of user and system time so far
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

cpu_us() { # TICKS REQUESTS/S SECONDS : processor time of a request
    awk -v t="$1" -v hz="$(getconf CLK_TCK)" -v r="$2" -v s="$3" 'BEGIN { printf "%.2f", t / hz / (r * s) * 1e6 }'
}

# ---- Load

load() { # URL SCENARIO TOKEN SECONDS [CONNECTIONS] : "requests/s p50 p99 errors", by wrk
    SCENARIO=$2 TOKEN=$3 wrk -t 2 -c "${5:-$CONNECTIONS}" -d "$4s" --timeout 10s -s bench/load.lua "$1" |
        sed -n 's/^RESULT //p'
}

measure() { # NAME URL SCENARIO TOKEN [CONNECTIONS] : appends "NAME requests/s p50 p99 errors" to $work/measured
    [ "$WARMUP" = 0 ] || load "$2" "$3" "$4" "$WARMUP" "${5:-}" >/dev/null
    echo "$1 $(load "$2" "$3" "$4" "$DURATION" "${5:-}")" | tee -a "$work/measured" >&2
}

median() { # NAME COLUMN (2 requests/s, 3 p50, 4 p99) : of what measure has appended
    awk -v n="$1" -v c="$2" '$1 == n { print $c }' "$work/measured" | sort -g |
        awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

errors() { awk -v n="$1" '$1 == n { e += $5 } END { print e + 0 }' "$work/measured"; }

# "connections/s 0 p99 lost": connect, one request, close; by two clients, because each has one thread.
opening_rate() { # PORT [KEY=VALUE...]
    local port=$1 pid
    shift
    "$TOOLS/crowd" open "$port" clients=32 "seconds=$DURATION" sources=100 "$@" >"$work/open" &
    pid=$!
    "$TOOLS/crowd" open "$port" clients=32 "seconds=$DURATION" sources=100 first_source=101 "$@" >"$work/open2"
    wait "$pid"
    cat "$work/open" "$work/open2" | awk '$1 == "standing" {
        for (i = 1; i < NF; i++) v[$i] = $(i + 1)
        n += v["answers_s"]
        if (v["p99_ms"] > p) p = v["p99_ms"]
        e += v["lost"] + v["errors"]
    } END { print n, 0, p, e }'
}

# A crowd runs beside what follows, until end_crowd. crowd_settled, crowd_failed: how many are there.
begin_crowd() { # KIND PORT [KEY=VALUE...]
    rm -f "$work/crowd"
    mkfifo "$work/crowd"
    "$TOOLS/crowd" "$@" seconds=3600 >"$work/crowd" &
    crowd_pid=$!
    pids+=("$crowd_pid")
    exec 6<"$work/crowd"
    read -r _ crowd_settled crowd_failed <&6
}

end_crowd() { # sets crowd_report, a line of names and numbers; see field
    kill "$crowd_pid" 2>/dev/null || true
    read -r crowd_report <&6 || crowd_report=
    wait "$crowd_pid" || true
    echo "crowd: $crowd_settled ready, $crowd_failed failed; $crowd_report" >&2
}

field() { # NAME LINE : the number after that name
    awk -v n="$1" '{ for (i = 1; i < NF; i++) if ($i == n) print $(i + 1) }' <<<"$2"
}

# ---- Looking at a process

memory_mib() { awk '$1 == "Anonymous:" { printf "%.1f", $2 / 1024 }' "/proc/$1/smaps_rollup"; }

# The most of anonymous memory, sampled until the process ends or forget_memory.
watch_memory() { # PID
    echo 0 >"$work/memory"
    (
        most=0
        while mib=$(memory_mib "$1" 2>/dev/null) && [ -n "$mib" ]; do
            most=$(max "$most" "$mib")
            echo "$most" >"$work/memory"
            sleep 0.2
        done
    ) &
    watcher=$!
    pids+=("$watcher")
}

most_memory_mib() { # ends watch_memory
    stop "$watcher"
    cat "$work/memory"
}

# ---- Results

max() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b) ? a : b }'; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }

row() { # WHAT MEASURED [OPERATOR BOUND [UNIT]] : one line of the table; with a bound, whether it is met
    local sign= met=
    if [ -n "${4:-}" ]; then
        sign=$([ "$3" = ">=" ] && echo "at least" || echo "at most")
        met=$(awk -v a="$2" -v o="$3" -v b="$4" \
            'BEGIN { print (o == ">=" ? a >= b : a <= b) ? "yes" : "**no**" }')
    fi
    echo "| $1 | $2${5:+ $5} | $sign ${4:-} | $met |" | tee -a "$ROWS" >&2
}
