#!/usr/bin/env bats
# bats file_tags=core
# The rolling restart: other processes, the new one ready before the old one drains, and no lost request.
load helpers

begin() {
    start_reeve <<EOF
${1:-}
app "hello" { module = "$APPS/hello.so" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
EOF
    PIDS=$(worker_pids)
}

# is_replaced: as many workers as before serve, none of them is one of the old ones
is_replaced() {
    assert_equal "$(worker_pids | wc -l)" "$(wc -l <<<"$PIDS")"
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
}

@test "after a restart every worker is a new process, the master the same, and the code too" {
    begin 'workers = 3'
    local generation
    generation=$(figure .applications.hello.generation)
    run -0 ctl restart
    is_replaced
    # shellcheck disable=SC2086
    are_dead $PIDS
    assert_equal "$(figure .pid)" "$REEVE_PID"
    assert_equal "$(figure .applications.hello.generation)" "$generation"
    assert_equal "$(get /)" 'Hello, World!'
    # That is no fault of theirs.
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
    stop_reeve
}

@test "each new worker is ready before the old one drains, one after the other" {
    begin 'workers = 3'
    run -0 ctl -j restart
    # spawned, ready, draining for each, in this order; when the old ones are gone is their own affair
    assert_equal "$(jq -r 'select(.step and .step != "gone" and .step != "begin") | .step' <<<"$output" | paste -sd' ')" \
        'spawned ready draining spawned ready draining spawned ready draining'
    assert_equal "$(jq -r 'select(.step == "draining") | .pid' <<<"$output" | sort -n)" "$PIDS"
    assert_equal "$(jq -r 'select(.step == "gone") | .pid' <<<"$output" | sort -n)" "$PIDS"
    assert_equal "$(jq -r 'select(.step == "ready") | .pid' <<<"$output" | sort -n)" "$(worker_pids)"
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '"\(.verdict) \(.workers | length)"')" 'done 3'
}

@test "restarts under load of 32 connections that are kept: no error" {
    need wrk
    begin
    start_wrk
    for _ in 1 2 3 4 5; do
        ctl restart >/dev/null
        is_replaced
        PIDS=$(worker_pids)
    done
    stop_wrk
    stop_reeve
}

@test "restarts under load of one connection a request: no error" {
    need wrk
    begin
    start_wrk -H 'Connection: close'
    for _ in 1 2 3 4 5; do
        ctl restart >/dev/null
        is_replaced
        PIDS=$(worker_pids)
    done
    stop_wrk
}

@test "a request that runs across a restart is finished by the old worker" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    PIDS=$(worker_pids)
    hold /
    local old
    old=$(figure '.workers[] | select(.active == 1) | .pid')
    ctl restart >"$DIR/out" 3>&- &
    local restart=$!
    started+=("$restart")
    wait_until is_replaced
    is_alive "$old"
    is_alive "$restart"
    release
    assert_equal "$(cat "$DIR/held")" "build 1 pid $old"
    wait "$restart"
    is_dead "$old"
}

@test "what does not end in drain_timeout is cut, and the restart says so with exit status 6" {
    begin 'drain_timeout = 500ms'
    curl -sS -o /dev/null "$URL/sleep?ms=60000" 2>/dev/null 3>&- &
    started+=("$!")
    wait_until is_equal 1 figure .requests.active
    run -6 ctl -j restart
    assert_equal "$(tail -n 1 <<<"$output" | jq -r .verdict)" 'timed out'
    is_replaced
    assert_equal "$(get /)" 'Hello, World!'
}

@test "a replacement that does not get ready ends the restart, and the old workers go on" {
    build_numbered "$DIR/n.so" 1 -DCRASH_WITH_FILE
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" option { crash_with = \"$DIR/crash\" } }"
    PIDS=$(worker_pids)
    touch "$DIR/crash"
    run -1 ctl -j restart
    assert_equal "$(tail -n 1 <<<"$output" | jq -r .verdict)" failed
    run -0 eval "tail -n 1 <<<'$output' | jq -r .reason"
    assert_output --partial 'exited with status 3'
    assert_equal "$(worker_pids)" "$PIDS"
    run -0 get /
    assert_output --partial 'build 1'
    rm "$DIR/crash"
    run -0 ctl restart
    is_replaced
}

@test "a restart needs a free slot, and says so" {
    begin 'workers = 2
max_workers = 3'
    run -0 ctl restart
    is_replaced
    ctl scale 3 >/dev/null
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    run -1 ctl restart
    assert_output --partial 'max_workers'
    assert_equal "$(worker_pids | wc -l)" 3
}

@test "a worker that dies in the middle of a restart is replaced all the same" {
    build_numbered "$DIR/n.so" 1 -DWAIT_IN_WORKER
    touch "$DIR/go"
    start_reeve <<EOF
workers = 3
app "n" { module = "$DIR/n.so" option { go = "$DIR/go" } }
EOF
    rm "$DIR/go"
    PIDS=$(worker_pids)
    ctl -j restart >"$DIR/out" 2>&1 3>&- &
    local restart=$!
    started+=("$restart")
    wait_until grep -q spawned "$DIR/out"
    # One whose turn has not come, and one that is just being replaced.
    kill -KILL "$(head -n 1 <<<"$PIDS")" "$(tail -n 1 <<<"$PIDS")"
    wait_until is_dead "$(head -n 1 <<<"$PIDS")"
    touch "$DIR/go"
    wait "$restart"
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    is_replaced
    run -0 get /
    assert_output --partial 'build 1'
    stop_reeve
}

@test "a restart takes the code that was deployed, and a reload in between is not lost" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 2
    ctl reload n >/dev/null
    build_numbered "$DIR/n.so" 3
    PIDS=$(worker_pids)
    ctl restart >/dev/null
    is_replaced
    assert_equal "$(builds)" 'build 2'
    assert_equal "$(figure .applications.n.generation)" 2
}
