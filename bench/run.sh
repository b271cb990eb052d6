#!/usr/bin/env bash
# run.sh   Measures servers of its own, with everything on, and prints one table. Run by `make bench`.
# Environment: ONLY="front shop"   some of the parts in bench/parts
#   DATA_DOCUMENTS=1000000   of the part data      DOCUMENTS=10000000 JOBS=1000000   of the parts large and queue; ten millions take minutes
#   CONNECTIONS=64 DURATION=8 WARMUP=2 ROUNDS=5   of each wrk run, in seconds      CLIENTS=10000   of the crowds
#   PEER=http://127.0.0.1:PORT   another server with the shop's endpoints (alice/secret), measured in turns
#   GALLEY, TOOLS, NGINX_BINARY, HAPROXY_BINARY, GATEWAY_MODULES   what is measured and with what; from the Makefile
#   TMPDIR   where the data lies
set -euo pipefail
cd "$(dirname "$0")/.."

export CONNECTIONS=${CONNECTIONS:-64} DURATION=${DURATION:-8} WARMUP=${WARMUP:-2} ROUNDS=${ROUNDS:-5}
export CLIENTS=${CLIENTS:-10000} PEER=${PEER:-} GALLEY TOOLS NGINX_BINARY HAPROXY_BINARY GATEWAY_MODULES
all=(front proxy cache tls shop parked feed follow crowds reload stream starts data large queue)
ROWS=$(mktemp)
export ROWS
trap 'rm -f "$ROWS"' EXIT

failed=()
for part in ${ONLY:-${all[@]}}; do
    echo "== $part" >&2
    "bench/parts/$part.sh" || failed+=("$part")
done

echo
echo "wrk, $CONNECTIONS connections, $DURATION s after $WARMUP s of warm-up, median of $ROUNDS rounds, fsync on, on $(nproc) cores"
echo "(load averages $(cut -d' ' -f1-3 /proc/loadavg) at the end)"
echo
echo "| what | measured | wanted | met |"
echo "|---|---|---|---|"
cat "$ROWS"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
