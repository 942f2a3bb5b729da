#!/usr/bin/env bats
# bats file_tags=core
# A hundred reloads, twenty restarts, twenty configurations under load: nothing lost, nothing left behind.
load helpers

setup_file() {
    # Really different builds: each has a number in its code and a function of its own in it.
    seq 100 | xargs -P "$(nproc)" -I @NUMBER@ cc -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions \
        -I"$TOP/include" -DBUILD=@NUMBER@ -o "$DIR/build-@NUMBER@.so" "$TOP/tests/apps/numbered/numbered.c"
}

begin() {
    cp "$BATS_FILE_TMPDIR/build-100.so" "$DIR/n.so"
    start_reeve <<EOF
${1:-}
app "n" { module = "$DIR/n.so" }
EOF
}

# A hundred reloads, each looked at: its receipt, and what ten requests are answered. The memory of the workers after the
# 10th and after the last goes to $DIR/memory.
reload_a_hundred_times() {
    local n pid answers
    for n in $(seq 100); do
        cp "$BATS_FILE_TMPDIR/build-$n.so" "$DIR/n.so"
        ctl -j reload n >>"$DIR/receipts"
        answers=$(get '/?[1-10]' -H 'Connection: close')
        [[ $answers =~ ^("build $n pid "[0-9]+$'\n'?){10}$ ]] || fail "after reload $n: $answers"
        if [ "$n" -eq 10 ] || [ "$n" -eq 100 ]; then
            for pid in $PIDS; do echo "$n $pid $(memory_of "$pid" VmRSS)"; done >>"$DIR/memory"
        fi
    done
    assert_equal "$(jq -r 'select(.verdict) | .receipt | "\(.outcome) \(.held | length)"' "$DIR/receipts" | uniq -c | tr -s ' ')" \
        ' 100 live 0'
}

# only_running: in every worker's maps there is the running generation and no other
only_running() {
    local pid maps
    for pid in $(worker_pids); do
        maps=$(grep -oE '[^ ]*/spool/.*' "/proc/$pid/maps" | sort -u)
        [ "$(wc -l <<<"$maps")" -eq 1 ] && [[ $maps == *"$1"* ]] && [[ $maps != *deleted* ]] || fail "in $pid: $maps"
    done
}

soak() {
    need wrk
    begin
    PIDS=$(worker_pids)
    start_wrk "$@"
    reload_a_hundred_times
    assert_equal "$(worker_pids)" "$PIDS"
    stop_wrk
    assert_equal "$(figure '.applications.n | "\(.generation) \(.reloads) \(.refusals) \(.exceptions)"')" '101 100 0 0'
    assert_equal "$(figure '.applications.n.responses | "\(."2xx" > 0) \(."4xx") \(."5xx")"')" 'true 0 0'
    only_running 101
    echo "# $(grep Requests/sec "$DIR/wrk" | tr -s ' ') through 100 reloads; memory (KiB) at the 10th and the 100th: $(
        sort "$DIR/memory" | cut -d' ' -f3 | paste -sd' ')" >&3
    local pid early late
    for pid in $PIDS; do
        early=$(sed -n "s/^10 $pid //p" "$DIR/memory")
        late=$(sed -n "s/^100 $pid //p" "$DIR/memory")
        [ "$late" -le $((early + 256)) ] || fail "memory of $pid: $early KiB after 10, $late KiB after 100 reloads"
    done
    stop_reeve
}

@test "100 reloads of different builds under 32 connections that are kept: no error, flat memory, one mapping" {
    soak
}

@test "100 reloads of different builds under 32 connections of one request each: the same" {
    soak -H 'Connection: close'
}

restart_twenty_times() {
    need wrk
    begin
    start_wrk "$@"
    local n before
    for n in $(seq 20); do
        before=$(worker_pids)
        ctl restart >/dev/null
        assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$before"))" ''
    done
    stop_wrk
    assert_equal "$(figure '.workers | length')" 2
    assert_equal "$(figure '.applications.n | "\(.exceptions) \(.responses."5xx")"')" '0 0'
    only_running 1
    stop_reeve
}

@test "20 rolling restarts under 32 connections that are kept: no error" {
    restart_twenty_times
}

@test "20 rolling restarts under 32 connections of one request each: no error" {
    restart_twenty_times -H 'Connection: close'
}

# Each with another option, whose value the answers tell, and every other time with one listener more.
reconfigure_twenty_times() {
    need wrk
    local n
    start_reeve <<<"app \"options\" { module = \"$TEST_APPS/options.so\" option { colour = \"0\" } }"
    start_wrk "$@"
    for n in $(seq 20); do
        sed -i "s/colour = \"[0-9]*\"/colour = \"$n\"/; /127.0.0.2/d" "$CONFIG"
        [ $((n % 2)) -eq 0 ] || echo 'listen "127.0.0.2:0" { }' >>"$CONFIG"
        api /v1/config/reload -X POST >"$DIR/stream"
        assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" live
        assert_equal "$(curl -sSf -H 'Connection: close' "$URL/?[1-10]" | grep colour | sort -u)" "colour=$n"
        assert_equal "$(api /v1/status | jq '.sockets | length')" $((1 + n % 2))
    done
    stop_wrk
    assert_equal "$(figure '.workers | length')" 2
    assert_equal "$(figure '.applications.options | "\(.exceptions) \(.responses."5xx")"')" '0 0'
    stop_reeve
}

@test "20 reloads of the configuration under 32 connections that are kept: no error, each in force" {
    reconfigure_twenty_times
}

@test "20 reloads of the configuration under 32 connections of one request each: the same" {
    reconfigure_twenty_times -H 'Connection: close'
}

# is_replaced PID: it is gone, and two others serve
is_replaced() { [ "$(worker_pids | wc -l)" -eq 2 ] && ! worker_pids | grep -qx "$1"; }

@test "a worker killed under load: only its own requests are lost, a new one serves at once" {
    need wrk
    begin 'log_level = debug'
    start_wrk
    # The log tells when the successor is ready, to the millisecond, by the same clock as ours.
    local pid times=() n killed ready
    for n in 1 2 3 4 5; do
        pid=$(worker_pids | head -n 1)
        killed=$(now_us)
        kill -KILL "$pid"
        wait_until is_replaced "$pid"
        ready=$(date -d "$(grep 'is ready after' "$LOG" | tail -n 1 | cut -d' ' -f1)" +%s%6N)
        times+=($(((ready - killed) / 1000)))
        [ $((ready - killed)) -gt 0 ] && [ $((ready - killed)) -lt 2000000 ]
    done
    echo "# ms from kill -9 until its successor is ready: ${times[*]}" >&3
    kill -INT "$WRK"
    end_of "$WRK"
    cat "$DIR/wrk"
    # At most the connections of the workers that died, each with one request.
    local lost
    lost=$(sed -nE 's/.*Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+).*/\1 + \2 + \3 + \4/p' "$DIR/wrk")
    [ "$((${lost:-0}))" -le $((5 * 32)) ]
    run ! grep 'Non-2xx' "$DIR/wrk"
    wait_until is_equal 0 figure '.requests.active'
    stop_reeve
}
