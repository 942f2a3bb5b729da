#!/usr/bin/env bats
# bats file_tags=core
# The master looks after its workers: those that die are replaced, signals mean what operators expect.
load helpers

WITH_HOLD="app \"n\" { module = \"$TEST_APPS/numbered.so\" }"
WITH_SLEEP="app \"hello\" { module = \"$APPS/hello.so\" }
app \"sleep\" { module = \"$APPS/sleep.so\" mount = \"/sleep\" }"

# answered: what was held has been answered well
answered() { run -0 cat "$DIR/held" && assert_output --partial 'build 0'; }

# sleeper MS: a request in the background that takes so long; its client's process id is SLEEPER
sleeper() {
    local before
    before=$(figure .requests.active)
    curl -sS -o /dev/null "$URL/sleep?ms=$1" 2>/dev/null 3>&- &
    SLEEPER=$!
    started+=("$SLEEPER")
    wait_until is_equal $((before + 1)) figure .requests.active
}

# serving N: fails unless exactly N workers serve
serving() { is_equal "$1" eval 'worker_pids | wc -l'; }

# ---- workers that die ----

@test "a worker that is killed is replaced at once; the other one is left alone" {
    start_reeve </dev/null
    local first second
    first=$(figure '.workers[0].pid')
    second=$(figure '.workers[1].pid')
    kill -KILL "$first"
    wait_until is_equal 'true 2 1' figure '.workers | map(select(.id == 0))[0] | "\(.accepting) \(.incarnation) \(.respawn_count)"'
    assert_equal "$(get /)" 'Hello, World!'
    [ "$(figure '.workers | map(select(.id == 0))[0].pid')" != "$first" ]
    assert_equal "$(figure '.workers | map(select(.id == 1))[0] | "\(.pid) \(.incarnation)"')" "$second 1"
    has_logged "worker 0.1 pid $first was killed by signal 9"
    stop_reeve
}

@test "all workers killed at once are all replaced, again and again" {
    start_reeve <<<'workers = 3'
    local round pid
    for round in 2 3 4; do
        for pid in $(figure '.workers[].pid'); do kill -KILL "$pid"; done
        wait_until is_equal "$((3 * round)) 3" figure '.workers | map(select(.accepting)) | "\(map(.incarnation) | add) \(length)"'
        assert_equal "$(get /)" 'Hello, World!'
    done
    stop_reeve
}

@test "connections that wait for a worker which dies are served by its successor" {
    start_reeve <<<'workers = 1'
    local pid
    pid=$(worker_pids)
    kill -STOP "$pid"
    curl -sS --max-time 30 -o "$DIR/waited" "$URL/" 3>&- &
    local client=$!
    wait_until is_equal 1 figure '.sockets[0].queue'
    kill -KILL "$pid"
    wait "$client"
    assert_equal "$(cat "$DIR/waited")" 'Hello, World!'
}

@test "only the requests of the worker that is killed are lost" {
    start_reeve <<<"$WITH_HOLD"
    hold /
    kill -KILL "$(figure '.workers[] | select(.active == 0) | .pid')"
    release
    answered
    hold /
    kill -KILL "$(figure '.workers[] | select(.active == 1) | .pid')"
    run ! release
    assert_equal "$(builds 4)" 'build 0'
}

@test "a worker that dies before it is ready is tried again after a growing pause, and recovers" {
    build_numbered "$DIR/n.so" 1 -DCRASH_WITH_FILE
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" option { crash_with = \"$DIR/crash\" } }"
    touch "$DIR/crash"
    kill -KILL "$(figure '.workers[0].pid')"
    wait_until has_logged 'the next worker is started in 0.4 s'
    # Twice as long each time; and the other worker serves all the while.
    assert_equal "$(grep -oE 'started in [0-9.]+ s' "$LOG" | head -n 3 | paste -sd' ')" \
        'started in 0.1 s started in 0.2 s started in 0.4 s'
    has_logged 'worker 0.[0-9]+ pid [0-9]+ exited with status 3 before it was ready'
    run -0 get /
    assert_output --partial 'build 1'
    rm "$DIR/crash"
    wait_until serving 2
    stop_reeve
}

@test "a server whose workers never get ready gives up, and says why" {
    build_numbered "$DIR/n.so" 1 -DCRASH_IN_WORKER
    write_config <<<"app \"n\" { module = \"$DIR/n.so\" }"
    run -1 timeout 30 "$REEVE" -c "$CONFIG"
    assert_output --partial 'not started: '
    assert_output --partial 'was killed by signal 9'
    [ "$(grep -c 'before it was ready' <<<"$output")" -lt 10 ]
    build_numbered "$DIR/n.so" 1 -DFAIL_IN_WORKER
    run -1 timeout 30 "$REEVE" -c "$CONFIG"
    assert_output --partial 'not in a worker'
    assert_no_file "$CONTROL"
}

@test "a module that crashes right after each start does not make the master a fork bomb" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
workers = 1
quarantine_after = 0
app "n" { module = "$DIR/n.so" }
EOF
    for _ in $(seq 14); do curl -sS --max-time 20 -o /dev/null "$URL/?crash" 2>/dev/null || true; done
    wait_until has_logged 'the next worker is started in'
    wait_until serving 1
    [ "$(figure '.workers[0].incarnation')" -le 15 ]
}

@test "a worker that somebody asks to end by TERM drains, and is replaced meanwhile" {
    start_reeve <<<"$WITH_HOLD"
    hold /
    local busy
    busy=$(figure '.workers[] | select(.active == 1) | .pid')
    kill -TERM "$busy"
    wait_until has_logged "pid $busy drains unasked"
    wait_until serving 2
    is_alive "$busy"
    release
    answered
    wait_until is_dead "$busy"
}

# ---- how many ----

@test "TTIN and TTOU: one worker more, one fewer, never none" {
    start_reeve <<<'workers = 2'
    kill -TTIN "$REEVE_PID"
    wait_until serving 3
    kill -TTOU "$REEVE_PID"
    wait_until serving 2
    kill -TTOU "$REEVE_PID"
    wait_until serving 1
    kill -TTOU "$REEVE_PID"
    wait_until has_logged 'SIGTTOU: workers wanted: 1'
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(figure .processes.target)" 1
    stop_reeve
}

@test "fewer workers: those that go finish their requests first" {
    start_reeve <<<"workers = 3
$WITH_HOLD"
    local pid
    hold /
    pid=$(figure '.workers[] | select(.active == 1) | .pid')
    ctl scale 1 >/dev/null
    wait_until serving 1
    is_alive "$pid"
    release
    answered
    wait_until is_equal 1 figure '.workers | length'
}

@test "more workers than max_workers has room for are refused" {
    start_reeve <<<'workers = 2
max_workers = 3'
    kill -TTIN "$REEVE_PID"
    wait_until serving 3
    kill -TTIN "$REEVE_PID"
    wait_until has_logged 'SIGTTIN: workers wanted: 3; from 1 to 3 are possible'
    run ! ctl scale 4
    serving 3
}

# ---- the end ----

@test "TERM: running requests are finished, whoever comes now is refused, exit status 0" {
    start_reeve <<<"$WITH_HOLD"
    hold /
    local children
    children=$(pgrep -P "$REEVE_PID")
    kill -TERM "$REEVE_PID"
    refused() { curl -sS --max-time 5 "$URL/" 2>&1 | grep -q 'Failed to connect'; }
    wait_until refused
    is_alive "$REEVE_PID"
    release
    answered
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    # shellcheck disable=SC2086
    are_dead $children
}

@test "TERM: a connection that is kept alive is served once more and told to close; an idle one ends in its time" {
    start_reeve <<<'keep_alive = 1s'
    python3 - "$PORT" "$REEVE_PID" <<EOF
import os, signal, sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
busy, idle = Client(sys.argv[1]), Client(sys.argv[1])
for client in busy, idle:
    assert client.ask("/").get("Connection") is None
os.kill(int(sys.argv[2]), signal.SIGTERM)
while True: # as soon as the worker knows
    answer = busy.ask("/")
    assert answer.status == 200
    if answer.get("Connection") == "close":
        break
assert busy.rest() == b"" and idle.rest() == b""
EOF
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

@test "TERM: what does not end in drain_timeout is cut off" {
    start_reeve <<<"drain_timeout = 400ms
$WITH_SLEEP"
    sleeper 60000
    stop_reeve
    run ! wait "$SLEEPER"
    has_logged 'the drain took too long: 1 connections are cut'
}

@test "a second TERM is no haste; INT after it is" {
    start_reeve <<<"$WITH_SLEEP"
    sleeper 60000
    kill -TERM "$REEVE_PID"
    wait_until has_logged 'SIGTERM: stopping when all requests are done'
    kill -TERM "$REEVE_PID"
    wait_until is_equal 1 figure .processes.draining
    is_alive "$SLEEPER"
    kill -INT "$REEVE_PID"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    run ! wait "$SLEEPER"
}

@test "QUIT and INT stop at once, with exit status 0" {
    local signal
    for signal in QUIT INT; do
        start_reeve <<<"$WITH_SLEEP"
        sleeper 60000
        stop_reeve "$signal"
        run ! wait "$SLEEPER"
    done
}

@test "TERM during the start ends it" {
    build_numbered "$DIR/n.so" 1 -DHANG_INIT
    write_config <<<"app \"n\" { module = \"$DIR/n.so\" }"
    : >"$LOG"
    launch "$REEVE" -c "$CONFIG"
    wait_until has_logged 'reeve [0-9.]+, pid'
    hangs() { [ -n "$(pgrep -P "$REEVE_PID")" ]; }
    wait_until hangs
    local children
    children=$(pgrep -P "$REEVE_PID")
    kill -TERM "$REEVE_PID"
    end_of "$REEVE_PID"
    # shellcheck disable=SC2086
    wait_until are_dead $children
    assert_no_file "$CONTROL"
}

@test "the master is killed: its workers finish what they have, and end" {
    start_reeve <<<"$WITH_HOLD"
    hold /
    local workers
    workers=$(worker_pids)
    mapfile -t orphans <<<"$workers"
    kill -KILL "$REEVE_PID"
    wait_until has_logged 'the master has gone; this worker drains and ends'
    release
    answered
    # shellcheck disable=SC2086
    wait_until are_dead $workers
    end_of "$REEVE_PID"
}

@test "a worker that hangs does not outlive a killed master" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
workers = 1
drain_timeout = 1s
app "n" { module = "$DIR/n.so" mount = "/n" }
EOF
    local worker
    worker=$(worker_pids)
    build_numbered "$DIR/n.so" 2 -DHANG_IN_WORKER
    ctl reload n >"$DIR/out" 2>&1 3>&- &
    started+=("$!")
    has_both() { [ "$(grep -c 'r-xp.*/spool/n/' "/proc/$worker/maps")" -eq 2 ]; }
    wait_until has_both
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    wait_until are_dead "$worker"
}

@test "a master that is killed in the middle of a preflight leaves no process behind" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 2 -DHANG_INIT
    ctl reload n >"$DIR/out" 2>&1 3>&- &
    started+=("$!")
    three() { [ "$(pgrep -c -P "$REEVE_PID")" -eq 3 ]; }
    wait_until three
    local children
    children=$(pgrep -P "$REEVE_PID")
    mapfile -t orphans <<<"$children"
    kill -KILL "$REEVE_PID"
    # shellcheck disable=SC2086
    wait_until are_dead $children
}

# ---- other signals ----

@test "WINCH, PIPE and a stop of the terminal change nothing" {
    start_reeve </dev/null
    local before signal
    before=$(worker_pids)
    for signal in WINCH PIPE CHLD CONT; do kill -"$signal" "$REEVE_PID"; done
    for signal in WINCH PIPE CHLD CONT; do kill -"$signal" "$(head -n 1 <<<"$before")"; done
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(worker_pids)" "$before"
}

@test "Ctrl-C in a terminal is for the master alone: workers are in groups of their own" {
    start_reeve </dev/null
    local pid
    for pid in $(worker_pids); do
        [ "$(ps -o pgid= -p "$pid" | tr -d ' ')" != "$(ps -o pgid= -p "$REEVE_PID" | tr -d ' ')" ]
    done
}

@test "USR1 opens the log file anew" {
    start_reeve </dev/null
    stop_reeve
    echo "log_file = \"$DIR/own.log\"" >>"$CONFIG"
    sed -i '1i# first' "$CONFIG"
    launch "$REEVE" -c "$CONFIG"
    wait_until grep -q ready "$DIR/own.log"
    mv "$DIR/own.log" "$DIR/own.log.1"
    kill -USR1 "$REEVE_PID"
    wait_until test -e "$DIR/own.log"
    stop_reeve
    run -0 grep -q stopped "$DIR/own.log"
    run ! grep -q stopped "$DIR/own.log.1"
}

@test "HUP replaces the workers one by one, and nothing is lost" {
    start_reeve </dev/null
    local before
    before=$(worker_pids)
    kill -HUP "$REEVE_PID"
    rolled() { serving 2 && [ -z "$(comm -12 <(worker_pids | sort) <(sort <<<"$before"))" ]; }
    wait_until rolled
    # shellcheck disable=SC2086
    wait_until are_dead $before
    assert_equal "$(get /)" 'Hello, World!'
    stop_reeve
}

@test "the pid file has the master's process id, replaces an old one, and goes with it" {
    echo 1 >"$DIR/pid"
    start_reeve <<<"pid_file = \"$DIR/pid\""
    assert_equal "$(cat "$DIR/pid")" "$REEVE_PID"
    stop_reeve
    assert_no_file "$DIR/pid"
    # Not the one that a successor has written.
    start_again
    echo 1 >"$DIR/pid"
    stop_reeve
    assert_equal "$(cat "$DIR/pid")" 1
}

@test "nothing of a stopped server is left in its folders but the lock and the history" {
    start_reeve <<<"listen \"127.0.0.1:0\" { }
listen \"unix:$DIR/http.sock\" { }"
    stop_reeve
    assert_no_file "$CONTROL"
    assert_no_file "$DIR/http.sock"
    assert_equal "$(find "$DIR/state" -type f | grep -vE '/lock$|/deploys/[0-9]+\.json$|/modules/[a-z]+/[0-9]+\.so$')" ''
}
