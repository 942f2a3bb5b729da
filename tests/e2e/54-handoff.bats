#!/usr/bin/env bats
# A worker that drains hands its idle connections to the others: the clients keep them, and the drain takes no time.
load helpers

# No test here can wait for drain_timeout: it is longer than their own limits.
begin() {
    build_numbered "$DIR/n.so" 1
    start_reeve "${@:2}" <<EOF
drain_timeout = 120s
$(grep -q keep_alive <<<"${1:-}" || echo 'keep_alive = 120s')
head_timeout = 120s
${1:-}
app "n" { module = "$DIR/n.so" }
EOF
    PIDS=$(worker_pids)
}

# script VERB [ARGUMENT...]: what connections see while workers are replaced; see handoff.py
script() {
    timeout 60 python3 "$BATS_TEST_DIRNAME/handoff.py" "$@"
}

# counted_right: every connection is open or closed, and none was counted twice
counted_right() {
    api /v1/stats | jq -e '(.connections.accepted - .connections.closed) as $open
        | $open == .connections.active + .connections.idle and $open == ([.workers[].connections.open] | add)'
}

open_descriptors() {
    local pid
    for pid in "$@"; do find "/proc/$pid/fd" -mindepth 1 | wc -l; done | paste -sd' '
}

@test "200 idle connections survive a rolling restart: all open, each answered by a new process" {
    begin
    run -0 script idle "$PORT" "$REEVECTL" "$CONTROL" 200
    assert_output "$(printf '%s\n' 'done' "$(worker_pids)")"
    # shellcheck disable=SC2086
    are_dead $PIDS
    assert_equal "$(figure '.connections | "\(.accepted) \(.handed_over >= 200)"')" '200 true'
    wait_until is_equal 200 figure .connections.closed
    wait_until counted_right
    stop_reeve
}

@test "the same over a Unix socket, with another listener before it" {
    begin "listen \"127.0.0.1:0\" { }
listen \"unix:$DIR/web.sock\" { }"
    run -0 script idle "unix:$DIR/web.sock" "$REEVECTL" "$CONTROL" 50
    assert_output "$(printf '%s\n' 'done' "$(worker_pids)")"
}

@test "connections on which nothing was asked yet are handed over too" {
    begin
    run -0 script fresh "$PORT" "$REEVECTL" "$CONTROL" 20
    assert_output "$(printf '%s\n' 'done' "$(worker_pids)")"
}

@test "a worker that is ended by a signal hands its connections to its siblings" {
    begin
    run -0 script ended "$PORT" 20
    wait_until counted_right
}

@test "the only worker, ended by a signal, hands them to its successor as soon as that is ready" {
    begin 'workers = 1'
    run -0 script ended "$PORT" 20
}

@test "requests sent in parts or one behind the other while workers are replaced are answered exactly once" {
    begin
    run -0 script parts "$PORT" "$REEVECTL" "$CONTROL" 60
    assert_output 'done'
    wait_until counted_right
}

@test "clients that go away, half or with a reset, at the moment of a restart do no harm" {
    begin
    run -0 script leavers "$PORT" "$REEVECTL" "$CONTROL" 60
    assert_output 'done'
    assert_equal "$(worker_pids | wc -l)" 2
    wait_until is_equal 0 figure '.connections.active + .connections.idle'
    wait_until counted_right
}

@test "a running request stays with its worker; afterwards its connection moves on" {
    begin 'workers = 1'
    run -0 script running "$PORT" "$REEVECTL" "$CONTROL" "$DIR/released"
    assert_output "$(printf '%s\n' "$PIDS" 'done' "$(worker_pids)")"
}

@test "five restarts under load of 32 connections: no error, and the connections are the same to the end" {
    need wrk
    begin
    start_wrk
    local before
    before=$(figure .connections.accepted)
    for _ in 1 2 3 4 5; do
        assert_equal "$(ctl -j restart | jq -r 'select(.verdict) | .verdict')" 'done'
    done
    assert_equal "$(figure .connections.accepted)" "$before"
    stop_wrk
    wait_until is_equal 0 figure '.connections.active + .connections.idle'
    counted_right
    stop_reeve
}

@test "a worker fewer: its connections go to those that stay" {
    begin 'workers = 3'
    run -0 script scale "$PORT" "$REEVECTL" "$CONTROL" 30
    assert_equal "$(comm -13 <(worker_pids | sort) <(sort <<<"$output"))" ''
    wait_until counted_right
}

@test "a listener that is removed: clients that ask are told, those that do not are closed, those of the other stay" {
    begin "listen \"127.0.0.1:0\" { }
listen \"unix:$DIR/old.sock\" { }"
    run -0 script removed "$PORT" "unix:$DIR/old.sock" "$REEVECTL" "$CONTROL" "$CONFIG" "$DIR/released"
    assert_output "$(printf '%s\n' live open told)"
    wait_until is_equal 0 figure '.connections.active + .connections.idle'
    wait_until counted_right
    run ! has_logged 'idle connections'
    stop_reeve
}

@test "the same over TCP, with one worker" {
    begin 'workers = 1
listen "127.0.0.1:0" { }
listen "127.0.0.2:0" { name = "old" }'
    local old
    old=$(grep -o 'listening on .*' "$LOG" | grep -o '127.0.0.2:[0-9]*')
    run -0 script removed "$PORT" "$old" "$REEVECTL" "$CONTROL" "$CONFIG" "$DIR/released"
    assert_output "$(printf '%s\n' live open told)"
    wait_until counted_right
}

@test "a client that always has its next requests on the way does not hold a restart up" {
    begin
    run -0 script endless "$PORT" "$REEVECTL" "$CONTROL"
    assert_output 'done'
    wait_until counted_right
}

@test "when the server stops nothing is handed on: an answer closes its connection" {
    begin 'keep_alive = 1s'
    run -0 script stop "$PORT" "$REEVE_PID"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    run ! has_logged 'idle connections'
}

@test "a stop in the middle of a restart, with a thousand connections on the move, ends in time" {
    begin 'keep_alive = 1s'
    run -0 script stop_amid "$PORT" "$REEVECTL" "$CONTROL" "$REEVE_PID" 1000
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    # shellcheck disable=SC2086
    wait_until are_dead $PIDS
}

@test "a thousand connections change their worker twice, and no process keeps a descriptor" {
    begin
    local before
    # shellcheck disable=SC2046
    before=$(open_descriptors "$REEVE_PID" $(worker_pids))
    run -0 script idle "$PORT" "$REEVECTL" "$CONTROL" 1000 2
    wait_until is_equal 0 figure '.connections.active + .connections.idle'
    # shellcheck disable=SC2046
    wait_until is_equal "$before" open_descriptors "$REEVE_PID" $(worker_pids)
    counted_right
    stop_reeve
}

@test "max_connections does not cost those that are handed over; who waits for a place gets one" {
    begin 'workers = 1
max_connections = 10'
    run -0 script beyond "$PORT" "$REEVECTL" "$CONTROL" 10
}

@test "a worker without descriptors for all closes some, says so once, and goes on" {
    # shellcheck disable=SC2016
    begin 'workers = 1' bash -c 'ulimit -n 160; exec "$0" "$@"'
    run -0 script crowd "$PORT" "$REEVECTL" "$CONTROL" 120
    assert_output 'done'
    assert_equal "$(grep -c 'could not be taken over and are closed: descriptors have run out' "$LOG")" 1
    get / | grep -q '^build 1 '
    wait_until counted_right
    stop_reeve
}
