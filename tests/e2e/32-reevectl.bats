#!/usr/bin/env bats
# reevectl: what it prints for people and for programs, and the exit status that scripts rely on:
# 0 done, 1 failed, 2 usage, 3 not running, 4 build rejected, 7 no permission (31-control); the others in 33.
load helpers

begin() {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
${1:-}
app "n"     { module = "$DIR/n.so" }
app "hello" { module = "$APPS/hello.so" mount = "/hello" }
EOF
}

@test "status, stats, workers, apps and show: tables for people, JSON for programs" {
    begin
    get / >/dev/null
    run -0 ctl status
    assert_output --partial "pid $REEVE_PID"
    assert_output --partial "127.0.0.1:$PORT"
    assert_output --partial 'hello at /hello, generation 1'
    run -0 ctl workers
    assert_line --index 0 --partial 'WORKER'
    assert_equal "${#lines[@]}" 3
    local pid
    for pid in $(worker_pids); do assert_output --partial "$pid"; done
    run -0 ctl apps
    assert_line --index 0 --partial 'GENERATION'
    assert_line --regexp '^hello +/hello +1 '
    run -0 ctl stats
    assert_output --partial 'WORKER'
    assert_output --partial 'APP'
    run -0 ctl show n
    assert_output --partial "$DIR/n.so"
    local verb
    for verb in status stats workers apps 'show n' config; do
        # shellcheck disable=SC2086
        run -0 ctl -j $verb
        jq -e . <<<"$output" >/dev/null
    done
    assert_equal "$(ctl -j status | jq .pid)" "$REEVE_PID"
    assert_equal "$(ctl -j workers | jq '.workers | length')" 2
    assert_equal "$(ctl show n -j | jq -r .name)" n
    assert_equal "$(ctl --json --socket "$CONTROL" apps | jq -r '.applications.hello.mount')" /hello
}

@test "nothing but text goes to what is no terminal" {
    begin
    run -0 bash -c '"$0" -s "$1" status; "$0" -s "$1" stats' "$REEVECTL" "$CONTROL"
    refute_output --partial $'\e'
}

@test "reload and restart wait and tell the outcome: exit status 0" {
    begin
    local before
    before=$(worker_pids)
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload n
    assert_output --partial 'generation 2'
    assert_output --partial live
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 2'
    assert_equal "$(worker_pids)" "$before"
    run -0 ctl restart
    [ "$(comm -12 <(worker_pids | sort) <(sort <<<"$before") | wc -l)" -eq 0 ]
    build_numbered "$DIR/n.so" 3
    run -0 ctl -j reload
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '[.verdict, (.receipt.apps | map("\(.app) \(.generation) \(.outcome)") | join(", "))] | join(": ")')" \
        'live: n 3 live, hello 2 live'
    run -0 ctl -j restart
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '"\(.verdict) \(.workers | length)"')" 'done 2'
}

@test "a build that is rejected is exit status 4, with the reason; the old one goes on serving" {
    begin
    build_numbered "$DIR/n.so" 2 -DFAIL_INIT
    run -4 ctl reload n
    assert_output --partial 'this build says no'
    run -4 ctl -j reload n
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '"\(.verdict): \(.receipt.reason)"')" 'rejected: this build says no'
    build_numbered "$DIR/n.so" 2 -DFAIL_IN_WORKER
    run -4 ctl reload n
    assert_output --partial 'not in a worker'
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    assert_equal "$(figure .applications.n.refusals)" 3
}

@test "of several, one rejected: none is live, and the exit status is 4" {
    begin
    build_numbered "$DIR/n.so" 2 -DFAIL_INIT
    local what
    for what in '' 'hello n' 'n hello' --all; do
        # shellcheck disable=SC2086
        run -4 ctl reload $what
        assert_output --partial 'this build says no'
        assert_equal "$(figure '"\(.applications.n.generation) \(.applications.hello.generation)"')" '1 1'
    done
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload hello n
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 2'
}

@test "history, show and rollback: every deployment has a number and a receipt" {
    begin
    build_numbered "$DIR/n.so" 2
    run -0 ctl -j reload n
    local deploy
    deploy=$(tail -n 1 <<<"$output" | jq .deploy)
    run -0 ctl history
    assert_line --regexp "^ +$deploy .* reload +n 1->2 1.0.2 +live "
    run -0 ctl show "$deploy"
    assert_line --index 0 "deployment $deploy: a reload of n: live"
    assert_output --partial "sha256"
    run -0 ctl rollback n
    assert_output --partial live
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    run -0 ctl rollback n 2
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 2'
    run -1 ctl rollback n 99
    run -1 ctl rollback nothing
    run -1 ctl show 99
    assert_equal "$(ctl -j history n --limit 2 | jq -r '.deploys | map(.kind) | join(" ")')" 'rollback rollback'
    run -1 ctl cancel
}

@test "an action that fails is exit status 1: an application that is not there, a second action" {
    begin
    run -1 ctl reload nothing
    assert_output --partial nothing
    run -1 ctl show nothing
    run -1 ctl reload '../../etc'
    build_numbered "$DIR/n.so" 2 -DHANG_INIT
    ctl reload n >"$DIR/out" 2>&1 3>&- &
    started+=("$!")
    wait_until grep -q preflight "$DIR/out"
    run -1 ctl restart
    assert_output --regexp 'deployment [0-9]+ \(a reload of n\)'
}

@test "Ctrl-C ends the waiting with 130 and says what goes on; cancel gives it up" {
    begin 'prepare_timeout = 2s'
    build_numbered "$DIR/n.so" 2 -DHANG_INIT
    "$REEVECTL" -s "$CONTROL" reload n >"$DIR/out" 2>&1 3>&- &
    local pid=$!
    started+=("$pid")
    wait_until grep -q preflight "$DIR/out"
    kill -TERM "$pid" # a shell's background job ignores INT; both are heeded alike
    end_of "$pid"
    assert_equal "$STATUS" 130
    run -0 cat "$DIR/out"
    assert_output --regexp 'deployment [0-9]+ \(a reload of n\) goes on in the server; .reevectl show [0-9]+. tells'
    wait_until has_logged 'did not finish its preflight'
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    ctl reload n >"$DIR/out" 2>&1 3>&- &
    pid=$!
    started+=("$pid")
    wait_until grep -q preflight "$DIR/out"
    run -0 ctl cancel
    end_of "$pid"
    [ "$STATUS" -ne 0 ]
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
}

@test "scale: a number, one more, one fewer; out of bounds or no number is exit status 2" {
    begin
    run -0 ctl scale 4
    wait_until is_equal 4 eval 'worker_pids | wc -l'
    run -0 ctl scale +1
    wait_until is_equal 5 eval 'worker_pids | wc -l'
    run -0 ctl scale -2
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    run -0 ctl -j scale 1
    assert_equal "$(jq -c . <<<"$output")" '{"workers":1,"before":3}'
    wait_until is_equal 1 figure '.workers | length'
    local wrong
    for wrong in 0 100000 -1 many 1.5; do run -2 ctl scale "$wrong"; done
    run -2 ctl scale
    assert_equal "$(get /hello)" 'Hello, World!'
}

@test "stop waits for the end: running requests are finished, and the process is gone" {
    start_reeve <<<"app \"n\" { module = \"$TEST_APPS/numbered.so\" }"
    hold /
    "$REEVECTL" -s "$CONTROL" stop >"$DIR/out" 3>&- &
    local stop=$!
    started+=("$stop")
    wait_until is_equal true figure .stopping
    is_alive "$stop"
    release
    run -0 grep -q 'build 0' "$DIR/held"
    wait "$stop"
    is_dead "$REEVE_PID"
    run -0 cat "$DIR/out"
    assert_output --partial "$REEVE_PID"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

@test "stop --now does not wait for requests" {
    start_reeve <<<"app \"sleep\" { module = \"$APPS/sleep.so\" }"
    curl -sS -o /dev/null "$URL/?ms=60000" 2>/dev/null 3>&- &
    local client=$!
    wait_until is_equal 1 figure .requests.active
    run -0 ctl -j stop --now
    assert_equal "$(jq -c . <<<"$output")" "{\"stopped\":true,\"pid\":$REEVE_PID}"
    run ! wait "$client"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

@test "reopen: log files that were moved away are made anew" {
    write_config <<EOF
log_file   = "$DIR/log"
access_log = "$DIR/access"
EOF
    start_again
    get /before >/dev/null
    wait_until grep -q before "$DIR/access"
    mv "$DIR/access" "$DIR/access.1"
    mv "$DIR/log" "$DIR/log.1"
    run -0 ctl reopen
    wait_until test -e "$DIR/access" -a -e "$DIR/log"
    get /after >/dev/null
    wait_until grep -q after "$DIR/access"
    run ! grep -q after "$DIR/access.1"
    stop_reeve
    run -0 grep -q stopped "$DIR/log"
}

@test "not running is exit status 3, whatever the verb; check and help need no server" {
    local verb
    for verb in status stats workers apps 'show n' 'show 1' config history reload 'reload --config' 'rollback n' restart upgrade \
        cancel 'scale 2' reopen stop; do
        # shellcheck disable=SC2086
        run -3 "$REEVECTL" -s "$DIR/nobody.sock" $verb
        assert_output --partial 'not running'
    done
    run -3 "$REEVECTL" -s "$DIR/nobody.sock" -j status
    jq -e .error <<<"$output"
    # A socket file that nobody listens at any more
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$DIR/dead.sock"
    run -3 "$REEVECTL" -s "$DIR/dead.sock" status
    run -0 "$REEVECTL" help
    run -0 "$REEVECTL" --version
    run -0 "$REEVECTL" -s "$DIR/nobody.sock" version
    write_config </dev/null
    run -0 "$REEVECTL" check "$CONFIG"
    assert_output "$CONFIG: ok"
    echo 'wrokers = 2' >>"$CONFIG"
    run -2 "$REEVECTL" check "$CONFIG"
    assert_output --partial 'unknown key "wrokers"'
}

@test "wrong usage is exit status 2; a typo gets a suggestion" {
    local verb want
    while read -r verb want; do
        run -2 "$REEVECTL" "$verb"
        assert_output --partial "did you mean \"$want\""
    done <<'EOF'
relaod reload
verison version
restrat restart
wokers workers
EOF
    run -2 "$REEVECTL" qwertz
    refute_output --partial 'did you mean'
    run -2 "$REEVECTL"
    run -2 "$REEVECTL" --no-such-option status
    assert_output --partial '--no-such-option'
    run -2 "$REEVECTL" status extra
    run -2 "$REEVECTL" show
    run -2 "$REEVECTL" -s
    run -2 "$REEVECTL" help nothing
    run -2 "$REEVECTL" -t nonsense status
}

@test "help names every verb, and each verb has a page; that of stats explains every field" {
    run -0 "$REEVECTL" help
    local verbs verb field
    verbs='status stats workers apps show config history reload rollback restart upgrade cancel scale stop reopen check version help'
    for verb in $verbs; do assert_line --regexp "^  $verb( |\$)"; done
    for verb in $verbs; do
        run -0 "$REEVECTL" help "$verb"
        assert_line --index 0 --partial "usage: reevectl $verb"
        local page=$output
        run -0 "$REEVECTL" "$verb" --help
        assert_output "$page"
    done
    run -0 "$REEVECTL" help stats
    for field in started_at uptime connections.accepted requests.total incarnation respawn_count last_heartbeat delta_requests; do
        assert_output --partial "$field"
    done
}

@test "the socket is found where reeve puts it: RUNTIME_DIRECTORY, then XDG_RUNTIME_DIR" {
    mkdir "$DIR/runtime" "$DIR/xdg"
    write_config </dev/null
    sed -i '/^control/d' "$CONFIG"
    XDG_RUNTIME_DIR=$DIR/xdg start_again
    [ -S "$DIR/xdg/reeve/control.sock" ]
    XDG_RUNTIME_DIR=$DIR/xdg run -0 "$REEVECTL" status
    assert_output --partial "pid $REEVE_PID"
    stop_reeve
    RUNTIME_DIRECTORY=$DIR/runtime XDG_RUNTIME_DIR=$DIR/xdg start_again
    [ -S "$DIR/runtime/control.sock" ]
    RUNTIME_DIRECTORY=$DIR/runtime run -0 "$REEVECTL" status
    assert_output --partial "pid $REEVE_PID"
}

@test "version tells both: the tool's and the server's" {
    begin
    run -0 ctl version
    assert_output --partial "reevectl $(figure .version)"
    assert_equal "$(grep -c "$(figure .version)" <<<"$output")" 2
}
