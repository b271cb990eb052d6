#!/usr/bin/env bash
# feed.sh   CLIENTS streams of server-sent events, one event a second to all of them: how late it arrives, what
# they cost in memory, and whether others notice. The front alone: tests/front_server, GET /tick.
. bench/lib.sh

start_front_server workers=256 "connections=$((CLIENTS + 500))" "cap=$CLIENTS" at_once=1000
others="http://127.0.0.1:$front_port"
bare=$(memory_mib "$front_pid") most=0 late=0 late_p99=0 fewest=$CLIENTS
for _ in $(seq "$ROUNDS"); do
    measure alone "$others" small ""
    begin_crowd sse "$front_port" path=/tick "clients=$CLIENTS" sources=200
    sleep "$DURATION" # nobody else asks
    end_crowd
    late=$(max "$late" "$(field max_ms "$crowd_report")")
    late_p99=$(max "$late_p99" "$(field p99_ms "$crowd_report")")
    begin_crowd sse "$front_port" path=/tick "clients=$CLIENTS" sources=200
    measure beside "$others" small ""
    most=$(max "$most" "$(memory_mib "$front_pid")")
    end_crowd
    standing=$(field standing "$crowd_report")
    [ "$standing" -ge "$fewest" ] || fewest=$standing
    busy_p99=$(max "${busy_p99:-0}" "$(field p99_ms "$crowd_report")")
done

row "streams that stood to the end" "$fewest" ">=" "$CLIENTS"
row "an event reaches all of them within (p99 $late_p99 ms)" "$late" "<=" 300 ms
row "the same while $CONNECTIONS busy clients take all of the processor, p99" "$busy_p99" "" "" ms
row "anonymous memory with them ($bare MiB without)" "$most" "<=" 120 MiB
row "p99 of $CONNECTIONS busy clients beside them ($(median beside 4) ms) against alone ($(median alone 4) ms)" \
    "$(ratio "$(median beside 4)" "$(median alone 4)")" "<=" 1.5
row "their requests/s beside them against alone" "$(ratio "$(median beside 2)" "$(median alone 2)")"
