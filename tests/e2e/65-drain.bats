#!/usr/bin/env bats
# Out of rotation and back: `drain` takes no connections any more and loses none that came, the server lives on, and
# `resume` opens it again at the same addresses.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load deploys

# serve [LINES]: a server of the numbered app at /, whose requests can be held up, and of sleep at /sleep
serve() {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
${1:-}
app "n" { module = "$DIR/n.so" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
EOF
}

is_refused() {
    local status=0
    curl -sS -o /dev/null "$URL/" 2>"$DIR/refused" || status=$?
    [ "$status" -eq 7 ]
}

is_drained() { is_equal 'true 0' figure '"\(.is_drained) \(.workers | length)"'; }
is_serving() { is_equal "false $1" figure '"\(.is_drained) \([.workers[] | select(.accepting)] | length)"'; }

# come: clients that connect anew for each request, until they are refused
come() {
    python3 "$BATS_TEST_DIRNAME/comers.py" 127.0.0.1 "$PORT" >"$DIR/comers" 3>&- &
    COMERS=$!
    started+=("$COMERS")
    wait_until grep -q served "$DIR/comers"
}

# were_served: each of them, until he was refused
were_served() {
    end_of "$COMERS"
    assert_equal "$(sort -u "$DIR/comers" | paste -sd' ')" 'refused served'
}

# ask_long: a request that takes longer than any test
ask_long() {
    curl -sS -o /dev/null "$URL/sleep?ms=60000" 2>/dev/null 3>&- &
    started+=("$!")
    wait_until is_equal 1 figure .requests.active
}

# ---- there --------------------------------------------------------------------------------------------------------------------

@test "a drain refuses who comes, answers who is there, and the server lives on without workers" {
    serve
    local before
    before=$(figure .requests.total)
    hold /
    order /v1/drain
    wait_until has_step draining 2
    wait_until is_refused
    assert_equal "$(figure .is_drained)" true
    # Nothing but the end of the request is waited for.
    wait_until is_equal 1 figure '.workers | length'
    run ! has_step gone 2
    release
    await
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    assert_equal "$(verdict '"\(.verdict) \(.receipt.kind) \(.workers | length)"')" 'done drain 0'
    is_drained
    is_refused
    assert_equal "$(figure .requests.total)" $((before + 1))
    assert_equal "$(receipt .outcome)" 'done'
    run -0 ctl status
    assert_output --partial 'takes no connections; `reevectl resume` opens it again'
    run -0 ctl history
    assert_line --regexp ' drain +- +done '
}

@test "of many who come while it drains, each is served or refused, and nobody is lost" {
    serve
    for _ in 1 2 3 4 5; do
        come
        run -0 ctl drain
        were_served
        ctl resume
    done
    is_serving 2
    stop_reeve
}

@test "who waits to be accepted when it begins is served" {
    serve
    local pids
    pids=$(worker_pids)
    # shellcheck disable=SC2086
    kill -STOP $pids
    mkdir "$DIR/queued"
    curl -sS --parallel --parallel-max 100 --parallel-immediate -H 'Connection: close' -o "$DIR/queued/#1" \
        "$URL/?[1-100]" 2>"$DIR/queued.error" 3>&- &
    local queued=$!
    started+=("$queued")
    wait_until is_equal 100 figure '.sockets[0].queue'
    order /v1/drain
    wait_until has_step draining 2
    # shellcheck disable=SC2086
    kill -CONT $pids
    await
    assert_equal "$(verdict .verdict)" 'done'
    end_of "$queued"
    assert_equal "$STATUS" 0
    assert_equal "$(grep -l '^build 1 ' "$DIR/queued/"* | wc -l)" 100
}

@test "a connection that is kept and asks nothing is closed" {
    serve
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
    wait_until is_equal 1 figure .connections.idle
    run -0 ctl drain
    run -0 timeout 10 cat <&"$fd" # to its end
    exec {fd}>&-
    assert_output --partial 'build 1'
    is_drained
}

@test "what does not end in drain_timeout is cut, and the drain says so with exit status 6" {
    serve 'drain_timeout = 300ms'
    ask_long
    run -6 ctl drain
    assert_output --partial 'it is drained, but running requests were cut off at drain_timeout'
    is_drained
    run -0 ctl resume
    is_serving 2
}

@test "a worker that is killed while it drains has no successor, and the drain says what is lost" {
    serve
    ask_long
    local pid
    pid=$(figure '.workers[] | select(.active == 1) | .pid')
    order /v1/drain
    wait_until has_step gone
    kill -KILL "$pid"
    await
    assert_equal "$(verdict .verdict)" 'timed out'
    run -0 verdict .reason
    assert_output --regexp 'worker [01]\.1 was killed by signal 9.* while it drained'
    is_drained
    run -0 ctl resume
    is_serving 2
    assert_equal "$(figure .processes.respawns)" 0
}

@test "the drain goes on when who asked for it has gone" {
    serve
    hold /
    order /v1/drain
    wait_until has_step draining 2
    kill -KILL "$ORDER"
    wait_until is_refused
    release
    wait_until is_drained
    wait_until is_equal 'done' receipt .outcome
}

@test "a drain that takes long can be given up: the server is open again, and what runs goes on" {
    serve
    hold /
    order /v1/drain
    wait_until has_step gone 1
    wait_until is_refused
    wait_until ctl cancel
    await
    assert_equal "$(verdict .verdict)" failed
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    wait_until is_serving 2
}

# ---- while it rests -----------------------------------------------------------------------------------------------------------

@test "drained, it refuses what needs workers, and says why; scale is for later" {
    serve
    ctl drain
    run -1 ctl drain
    assert_output --partial 'drained already'
    local verb
    for verb in restart upgrade 'reload --config'; do
        # shellcheck disable=SC2086
        run -1 ctl $verb
        assert_output --partial '`reevectl resume` opens it again'
    done
    assert_equal "$(refusal /v1/drain '{}')" '409 the server is drained already; `reevectl resume` opens it again'
    run -0 ctl scale 3
    kill -HUP "$REEVE_PID"
    wait_until has_logged 'SIGHUP: nothing is done: the server is drained'
    kill -TTIN "$REEVE_PID"
    wait_until is_equal 4 figure .processes.target
    is_drained
    run -0 ctl resume
    is_serving 4
}

@test "a resume of a server that is not drained is refused" {
    serve
    run -1 ctl resume
    assert_output --partial 'is not drained'
    is_serving 2
}

@test "a reload while it is drained is a deployment: tried, committed, and served after the resume" {
    serve
    ctl drain
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload n
    is_equal 2 figure .applications.n.generation
    build_numbered "$DIR/n.so" 3 -DFAIL_INIT
    run -4 ctl reload n
    build_numbered "$DIR/n.so" 4
    run -1 ctl reload n --canary 1
    is_drained
    ctl resume
    assert_equal "$(builds 4)" 'build 2'
}

@test "a stop ends a drained server at once" {
    serve
    ctl drain
    stop_reeve
}

@test "a stop ends one that drains with what it has" {
    serve
    hold /
    order /v1/drain
    wait_until has_step draining 2
    kill -TERM "$REEVE_PID"
    wait_until verdict .verdict
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" 'failed: the server is stopping'
    release
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
}

# ---- and back -----------------------------------------------------------------------------------------------------------------

@test "a resume serves again where it did: at the port that the kernel chose, and at a Unix socket" {
    serve "$(printf 'listen "127.0.0.1:0" { }\nlisten "unix:%s/web" { }' "$DIR")"
    ctl drain
    assert_no_file "$DIR/web"
    is_refused
    run -0 ctl resume
    assert_output --partial 'takes connections again'
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    assert_equal "$(curl -sS --unix-socket "$DIR/web" http://x/ | cut -d' ' -f1,2)" 'build 1'
    # A reload of the configuration, too, finds the port again.
    ctl drain
    ctl resume
    run -0 ctl reload --config
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    stop_reeve
    assert_no_file "$DIR/web"
}

@test "an address that is taken meanwhile: the resume fails with exit status 1, and nothing else is opened" {
    serve "$(printf 'listen "unix:%s/web" { }\nlisten "127.0.0.1:0" { }' "$DIR")"
    ctl drain
    python3 -c "import socket, time
taker = socket.socket()
taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
while True: # until the next one's connection has gone from it, if there is one
    try:
        taker.bind(('127.0.0.1', $PORT))
        break
    except OSError:
        time.sleep(0.1)
taker.listen()
open('$DIR/taken', 'w').close()
time.sleep(600)" 3>&- &
    local taker=$!
    started+=("$taker")
    wait_until test -e "$DIR/taken"
    run -1 ctl resume
    assert_output --partial "cannot listen on 127.0.0.1:$PORT: Address already in use; the server stays drained"
    assert_no_file "$DIR/web"
    is_drained
    kill "$taker"
    end_of "$taker"
    run -0 ctl resume
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
}

@test "a resume whose workers do not get ready goes back to rest, and a later one may do better" {
    build_numbered "$DIR/n.so" 1 -DCRASH_WITH_FILE
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" option { crash_with = \"$DIR/crash\" } }"
    ctl drain
    touch "$DIR/crash"
    run -1 ctl resume
    assert_output --partial 'before it was ready; the server stays drained'
    is_drained
    is_refused
    rm "$DIR/crash"
    run -0 ctl resume
    is_serving 2
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    stop_reeve
}

# ---- who else looks -----------------------------------------------------------------------------------------------------------

@test "the service manager and /metrics are told" {
    export NOTIFY_SOCKET=$DIR/notify
    python3 "$BATS_TEST_DIRNAME/manager.py" hear "$NOTIFY_SOCKET" "$DIR/heard" 3>&- &
    started+=("$!")
    wait_until test -S "$NOTIFY_SOCKET"
    serve
    ctl drain
    wait_until grep -q 'STATUS=drained: takes no connections; 0 workers, n 1, sleep 1$' "$DIR/heard"
    run -0 api /metrics
    assert_line 'reeve_drained 1'
    ctl resume
    wait_until is_equal 'STATUS=2 workers, n 1, sleep 1' tail -n 1 "$DIR/heard"
    stop_reeve
}

@test "a socket that the service manager holds open cannot be drained, and the server says so" {
    start_reeve python3 "$BATS_TEST_DIRNAME/manager.py" give http -- <<<'listen "127.0.0.1:1" { name = "http" }'
    run -1 ctl drain
    assert_output --partial 'was passed by the service manager'
    is_serving 2
}
