#!/usr/bin/env bats
# A worker whose loop does not turn is asked what it does, named with its request, killed and replaced; one that is only
# slow, held up with the whole machine or debugged is left alone. And workers that fail to start: what one sees of that.
load deploys

setup_file() {
    build_numbered "$DIR/1.so" 1
    build_numbered "$DIR/hangs.so" 2 -DHANG_IN_WORKER
    cc -O2 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" \
        -o "$DIR/trouble.so" "$TOP/tests/e2e/trouble.c"
}

# troubled [LINES] [OPTIONS]: a server with it
troubled() {
    start_reeve <<EOF
$(grep -q hang_timeout <<<"${1:-}" || echo 'hang_timeout = 1s')
log_level = debug
${1:-}
app "trouble" { module = "$BATS_FILE_TMPDIR/trouble.so" option { ${2:-} } }
EOF
}

# ask PATH: a request in the background; its client's process id is CLIENT, the answer's status in $DIR/code
ask() {
    curl -sS --max-time 60 -o /dev/null -w '%{http_code}' "$URL$1" >"$DIR/code" 2>/dev/null 3>&- &
    CLIENT=$!
    started+=("$CLIENT")
}

# beats PID: its loop has turned since this began
beats() {
    local since
    since=$(figure ".workers | map(select(.pid == $1))[0].last_heartbeat")
    wait_until is_equal true figure ".workers | map(select(.pid == $1))[0].last_heartbeat > $since"
}

serving() { is_equal "$1" eval 'worker_pids | wc -l'; }

# ---- hangs ----

@test "a view that loops for ever is named and killed, and the next request is served" {
    troubled 'workers = 1'
    local pid
    pid=$(worker_pids)
    ask /loop
    wait_until has_logged "worker 0.1 pid $pid hangs and is killed: its loop has not turned for [1-9][0-9.]* s\$"
    assert_equal "$(status_of /ok)" 200
    wait_until is_dead "$pid"
    run ! wait "$CLIENT"
    assert_equal "$(figure '.workers[] | "\(.incarnation) \(.respawn_count)"')" '2 1'
    # What it did: the request, and where in the code.
    wait_until has_logged 'GET /loop'
    wait_until has_logged 'search_for_ever.*trouble\.c:[0-9]+'
    stop_reeve
}

@test "the requests of another worker are unharmed" {
    start_reeve <<EOF
hang_timeout = 2s
app "n" { module = "$BATS_FILE_TMPDIR/1.so" }
app "trouble" { module = "$BATS_FILE_TMPDIR/trouble.so" mount = "/trouble" }
EOF
    local busy other
    hold /
    busy=$(figure '.workers[] | select(.active == 1) | .pid')
    other=$(figure '.workers[] | select(.active == 0) | .pid')
    kill -STOP "$busy" # so that the other one takes it
    ask /trouble/loop
    wait_until is_equal 1 figure ".workers[] | select(.pid == $other) | .active"
    kill -CONT "$busy"
    wait_until has_logged "pid $other hangs and is killed"
    wait_until serving 2
    is_alive "$busy"
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    assert_equal "$(builds 8)" 'build 1'
}

@test "a worker that is stopped is killed, and told apart" {
    troubled
    local pid
    pid=$(pid_of 1)
    kill -STOP "$pid"
    wait_until has_logged "pid $pid hangs and is killed: its loop has not turned for .*, and the process is stopped"
    wait_until is_equal '1 2' figure '.workers | map(select(.accepting).incarnation) | join(" ")'
    stop_reeve
}

@test "a worker that the kernel holds on to is told apart, too" {
    # Who waits for the child of a vfork sleeps without interruption; this child goes with its parent.
    build_numbered "$DIR/vfork.so" 1 -include sys/prctl.h \
        '-DIN_REQUEST=if (reeve_query_get(env, "vfork") && vfork() == 0) { prctl(PR_SET_PDEATHSIG, 9); for (;;) pause(); }'
    start_reeve <<EOF
workers = 1
hang_timeout = 1s
app "n" { module = "$DIR/vfork.so" }
EOF
    ask '/?vfork'
    wait_until has_logged 'hangs and is killed: .*, and the process is in uninterruptible sleep in the kernel'
    assert_equal "$(builds 1)" 'build 1'
}

@test "a request that waits for long, and a loop that is slow but turns, are left alone" {
    troubled 'workers = 1'
    local pid
    pid=$(worker_pids)
    ask '/sleep?ms=3000'
    for _ in 1 2 3 4; do assert_equal "$(status_of '/block?n=500')" 200; done
    wait "$CLIENT"
    assert_equal "$(cat "$DIR/code")" 200
    assert_equal "$(worker_pids)" "$pid"
    run ! has_logged 'hang|asked what'
}

@test "a worker that goes on again before it was killed is left alone, and the log says so" {
    troubled 'workers = 1'
    local pid
    pid=$(worker_pids)
    kill -STOP "$pid"
    wait_until has_logged "worker 0.1 pid $pid is silent and is asked what it does"
    kill -CONT "$pid"
    wait_until has_logged 'worker 0.1 had hung for [1-9][0-9.]* s and goes on'
    beats "$pid"
    assert_equal "$(status_of /ok)" 200
    run ! has_logged 'is killed'
    stop_reeve
}

@test "what it answered then is not told of a later hang" {
    troubled 'workers = 1'
    local pid
    pid=$(worker_pids)
    kill -STOP "$pid"
    wait_until has_logged "worker 0.1 pid $pid is silent and is asked what it does"
    kill -CONT "$pid" # the question has waited for that
    wait_until has_logged 'worker 0.1 had hung for [1-9][0-9.]* s and goes on'
    kill -STOP "$pid"
    wait_until has_logged "worker 0.1 pid $pid hangs .*and was killed"
    stop_reeve # the whole story is told
    run ! has_logged 'worker 0.1:   '
}

@test "a pause of the whole machine, or of the master, is nobody's hang" {
    troubled 'hang_timeout = 2s'
    local pid pids
    pids=$(worker_pids)
    # shellcheck disable=SC2086
    kill -STOP $pids
    wait_until is_equal true figure '.workers | map(now - .last_heartbeat > 0.5) | all' # it has looked since their last beats
    kill -STOP "$REEVE_PID"
    sleep 3 # that is what is tested
    kill -CONT "$REEVE_PID"
    for _ in 1 2 3; do api /v1/status >/dev/null; done # it goes on first
    # shellcheck disable=SC2086
    kill -CONT $pids
    for pid in $pids; do beats "$pid"; done
    kill -STOP "$REEVE_PID"
    sleep 3
    kill -CONT "$REEVE_PID"
    for pid in $pids; do beats "$pid"; done
    assert_equal "$(worker_pids)" "$pids"
    run ! has_logged 'hang|asked what'
    # It still listens.
    kill -STOP "$(pid_of 0)"
    wait_until has_logged 'hangs and is killed'
}

@test "a worker that somebody debugs is left alone, and judged again when he has gone" {
    troubled 'workers = 1'
    local pid debugger
    pid=$(worker_pids)
    python3 - "$pid" "$DIR/seized" 3>&- >/dev/null 2>&1 <<'END' &
import ctypes, signal, sys
PTRACE_SEIZE = 0x4206
if ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) == 0:
    open(sys.argv[2], "w").close()
    signal.pause()
END
    debugger=$!
    started+=("$debugger")
    wait_until eval "[ -e '$DIR/seized' ] || is_dead $debugger"
    [ -e "$DIR/seized" ] || skip 'no process may trace another one here'
    kill -STOP "$pid"
    wait_until has_logged "worker 0.1 pid $pid hangs and is left alone, since process $debugger debugs it"
    assert_equal "$(figure '.workers[0].status')" stuck
    wait_until is_equal true figure '.workers[0] | now - .last_heartbeat > 4'
    is_alive "$pid"
    assert_equal "$(grep -c 'left alone' "$LOG")" 1
    kill -KILL "$debugger"
    wait_until has_logged "pid $pid hangs and is killed"
    wait_until is_equal 2 figure '.workers[0].incarnation'
    assert_equal "$(status_of /ok)" 200
}

@test "a worker that hangs while it drains is killed: nobody waits for its drain_timeout" {
    troubled $'workers = 1\ndrain_timeout = 60s'
    ask /loop
    wait_until is_equal 1 figure .requests.active
    stop_reeve
    has_logged 'hangs and is killed'
}

@test "a quick stop asks nobody" {
    troubled 'hang_timeout = 30s'
    kill -STOP "$(pid_of 0)"
    stop_reeve INT
    run ! has_logged 'asked what'
}

@test "a reload whose init hangs is aborted by the watchdog, and the worker replaced" {
    begin $'hang_timeout = 1s\nprepare_timeout = 60s'
    put hangs
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" aborted
    run -0 verdict .reason
    assert_output --regexp '^worker [01]\.1: it hung and was killed while the new generation was being prepared$'
    has_logged 'hangs and is killed: its loop has not turned'
    wait_until serving 2
    wait_until is_equal '1 1 1' answers
    wait_until mapped a 1
}

@test "a worker that did not prepare in time is asked and killed, long before hang_timeout" {
    begin $'hang_timeout = 60s\nprepare_timeout = 1s'
    put hangs
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" aborted
    run -0 verdict .reason
    assert_output --partial 'it was not prepared within 1 s'
    wait_until has_logged 'hangs and is killed: its loop has not turned for [3-6]\.'
    wait_until is_equal '1 1 1' answers
}

@test "a worker that is not ready in time is asked, too" {
    write_config <<EOF
workers = 1
boot_timeout = 1s
app "trouble" { module = "$BATS_FILE_TMPDIR/trouble.so" option { init = "/loop" } }
EOF
    run -1 timeout 30 "$REEVE" -c "$CONFIG"
    assert_output --partial 'not started: worker 0.1: it was not ready within 1'
    assert_output --regexp 'its loop has not turned for [0-9.]+ s in init of trouble 1'
}

@test "a worker that got ready late, but before it was killed for that, serves" {
    # It is asked and cannot answer, nor has a heartbeat: all it does is to get ready.
    build_numbered "$DIR/late.so" 1 \
        '-DIN_INIT=sigset_t all; sigfillset(&all); if (!reeve_is_preflight()) { sigprocmask(SIG_BLOCK, &all, &all); usleep(2500000); }'
    start_reeve <<EOF
workers = 1
boot_timeout = 2s
log_level = debug
app "n" { module = "$DIR/late.so" }
EOF
    local pid
    pid=$(worker_pids)
    has_logged "worker 0.1 pid $pid is silent and is asked what it does"
    beats "$pid"
    assert_equal "$(builds 4)" 'build 1'
    assert_equal "$(worker_pids)" "$pid"
    run ! has_logged 'killed'
    stop_reeve
}

# hold_back THREAD: a process that does not let it end, killed or not, until release_it
hold_back() {
    rm -f "$DIR/holds"
    python3 - "$1" "$DIR/holds" 3>&- >/dev/null 2>&1 <<'END' &
import ctypes, signal, sys
PTRACE_SEIZE, PTRACE_O_TRACEEXIT = 0x4206, 0x40
if ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, PTRACE_O_TRACEEXIT) == 0:
    open(sys.argv[2], "w").close()
    signal.pause()
END
    HOLDER=$!
    started+=("$HOLDER")
    wait_until eval "[ -e '$DIR/holds' ] || is_dead $HOLDER"
    [ -e "$DIR/holds" ] || skip 'no process may trace another one here'
}

release_it() {
    kill -KILL "$HOLDER"
    wait_until is_dead "$1"
}

second_thread() { find "/proc/$1/task" -mindepth 1 -maxdepth 1 -not -name "$1" -printf '%f\n' | grep .; }

# undying: a server whose init hangs while there is "$DIR/go", with a second thread
undying() {
    build_numbered "$DIR/undying.so" 1 -include pthread.h \
        '-DIN_INIT=pthread_t t; if (!reeve_is_preflight() && access(reeve_option(module, "go"), F_OK) == 0) { pthread_create(&t, NULL, (void *(*)(void *))(void *)pause, NULL); for (;;) pause(); }'
    write_config <<EOF
workers = 1
boot_timeout = 2s
app "n" { module = "$DIR/undying.so" option { go = "$DIR/go" } }
EOF
}

@test "a worker that is late and does not even die when it is killed is replaced as it is" {
    undying
    start_again
    local pid
    touch "$DIR/go"
    kill -KILL "$(worker_pids)"
    wait_until is_equal starting figure '.workers[0].status'
    pid=$(figure '.workers[0].pid')
    wait_until second_thread "$pid"
    hold_back "$(second_thread "$pid")"
    rm "$DIR/go"
    wait_until has_logged "worker 0.2 pid $pid was killed but does not die"
    wait_until serving 1
    assert_equal "$(builds 4)" 'build 1'
    [ -e "/proc/$pid" ]
    release_it "$pid"
    wait_until is_equal 1 figure '.workers | length'
    stop_reeve
}

@test "a server whose first worker is late and does not die either says so" {
    undying
    touch "$DIR/go"
    launch "$REEVE" -c "$CONFIG"
    local pid
    wait_until is_equal starting figure '.workers[0].status'
    pid=$(figure '.workers[0].pid')
    wait_until second_thread "$pid"
    hold_back "$(second_thread "$pid")"
    wait_until has_logged 'not started: worker 0.1: it was not ready within 2\.'
    release_it "$pid"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 1
}

# bats test_tags=core
@test "while a worker's core is dumped, its successor serves" {
    case $(cat /proc/sys/kernel/core_pattern) in
    '' | '|'* | /*) skip "core_pattern: cores go elsewhere" ;;
    esac
    ! is_sanitized || skip "the sanitizer forbids cores: they would be huge"
    cd "$DIR"
    ulimit -c unlimited || skip "no core may be dumped here: ulimit -c"
    # A core that takes long and is empty: each page is looked for.
    build_numbered "$DIR/vast.so" 1 -include sys/mman.h -DMAP=MAP_PRIVATE\|MAP_ANONYMOUS\|MAP_NORESERVE \
        '-DIN_REQUEST=if (reeve_query_get(env, "vast")) { char *p = mmap(NULL, (size_t)1 << 40, PROT_READ | PROT_WRITE, MAP, -1, 0); if (p == MAP_FAILED) return -1; *p = 1; raise(SIGSEGV); }'
    start_reeve <<EOF
workers = 1
hang_timeout = 60s
app "n" { module = "$DIR/vast.so" }
EOF
    local pid
    pid=$(worker_pids)
    ask '/?vast'
    wait_until grep -q '^CoreDumping:.1' "/proc/$pid/status"
    wait_until -t 5 has_logged "worker 0.1 pid $pid crashed and dumps its core"
    wait_until -t 5 serving 1
    run ! is_equal "$pid" worker_pids
    assert_equal "$(builds 4)" 'build 1'
    grep -q '^CoreDumping:.1' "/proc/$pid/status" # still
    kill -KILL "$pid"
    wait_until is_equal 1 figure '.workers | length'
    assert_equal "$(grep -c 'dumps its core' "$LOG")" 1
    stop_reeve
}

@test "who wants an end now does not wait for the names in a story" {
    troubled 'workers = 1'
    # The first process that the master makes from now on looks for them: it does not get to it.
    python3 - "$REEVE_PID" "$DIR/traces" 3>&- >/dev/null 2>&1 <<'END' &
import ctypes, os, sys
SEIZE, CONT, DETACH, TRACEFORKS = 0x4206, 7, 17, 2 | 4 | 8
ptrace = ctypes.CDLL(None).ptrace
master = int(sys.argv[1])
if ptrace(SEIZE, master, None, TRACEFORKS) == 0:
    open(sys.argv[2], "w").close()
while True:
    pid, status = os.waitpid(-1, 0x40000000)
    if pid == master and status >> 16 in (1, 2, 3):
        ptrace(DETACH, pid, None, 0)
    elif pid == master:
        ptrace(CONT, pid, None, os.WSTOPSIG(status) if status >> 16 == 0 else 0)
END
    local tracer=$! begun
    started+=("$tracer")
    wait_until eval "[ -e '$DIR/traces' ] || is_dead $tracer"
    [ -e "$DIR/traces" ] || skip 'no process may trace another one here'
    kill -SEGV "$(worker_pids)"
    wait_until is_equal 2 figure '.workers[0].incarnation'
    begun=$(now_us)
    kill -INT "$REEVE_PID"
    wait_until has_logged 'SIGINT: stopping without'
    kill -INT "$REEVE_PID"
    wait_until has_logged 'stopped$'
    [ $(($(now_us) - begun)) -lt 2500000 ] # they would have 5 s
    kill -KILL "$tracer" || true # it may have ended with the last that it traced
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

# ---- workers that fail to start ----

# failing JQ: of what the status says about them
failing() { api /v1/status | jq -r ".starting | $1"; }

@test "workers that die in init are tried after growing pauses, which one sees; and the server recovers by itself" {
    troubled '' "init = \"/kill\" if = \"$DIR/bad\""
    local pid
    assert_equal "$(api /v1/status | jq 'has("starting")')" false
    touch "$DIR/bad"
    for pid in $(worker_pids); do kill -KILL "$pid"; done
    wait_until is_equal true failing '.failures >= 4 and .missing == 2 and .next_try_in > 0.1'
    run -0 failing .last
    assert_output --regexp '^worker [01]\.[0-9]+ was killed by signal 9 \(Killed\) in init of trouble 1$'
    [ "$(figure .processes.start_failures)" -ge 4 ]
    run -0 api /metrics
    assert_output --regexp $'\nreeve_start_failures [1-9][0-9]*\n'
    wait_until is_equal true failing '.failures >= 6 and .next_try_in > 0.3'
    run -0 ctl status
    assert_output --regexp '2 workers are missing: the last [0-9]+ starts failed, the next one is tried in [0-9]+\.[0-9] s; worker [01]\.[0-9]+ was killed by signal 9 \(Killed\) in init of trouble 1'
    # The pauses grow.
    assert_equal "$(grep -oE 'the next worker is started in [0-9.]+ s' "$LOG" | grep -oE '[0-9.]+ s' | head -n 3 | paste -sd' ')" \
        '0.1 s 0.2 s 0.4 s'
    run ! has_logged 'serve again'
    rm "$DIR/bad"
    wait_until serving 2
    wait_until has_logged 'all workers serve again, after [0-9]+ failed starts'
    assert_equal "$(api /v1/status | jq 'has("starting")')" false
    assert_equal "$(figure .processes.start_failures)" 0
    assert_equal "$(grep -c 'serve again' "$LOG")" 1
    assert_equal "$(status_of /ok)" 200
    stop_reeve
}

@test "workers that die right after they were ready are failed starts once the next one has to wait" {
    troubled 'workers = 1'
    wait_until is_equal true figure '.uptime > 1.5' # the first one has lasted
    for _ in 1 2 3; do curl -sS --max-time 20 -o /dev/null "$URL/kill" 2>/dev/null || true; done
    wait_until serving 1
    assert_equal "$(api /v1/status | jq 'has("starting")')" false
    for _ in $(seq 9); do curl -sS --max-time 20 -o /dev/null "$URL/kill" 2>/dev/null || true; done
    wait_until is_equal true failing '.failures >= 2'
    run -0 failing .last
    assert_output --regexp '^worker 0\.[0-9]+ was killed by signal 9 \(Killed\) 0\.[0-9] s after it was ready$'
    wait_until has_logged 'all workers serve again, after [0-9]+ failed starts'
    assert_equal "$(api /v1/status | jq 'has("starting")')" false
}

@test "an upgrade knows of the starts that failed" {
    troubled 'workers = 1' "init = \"/kill\" if = \"$DIR/bad\""
    touch "$DIR/bad"
    kill -KILL "$(worker_pids)"
    wait_until is_equal true failing '.failures >= 4'
    order /v1/upgrade '{}'
    wait_until has_logged 'goes on for reeve'
    assert_equal "$(failing '.failures >= 4')" true
    run -0 failing .last
    assert_output --partial 'in init of trouble 1'
    rm "$DIR/bad"
    wait_until serving 1
    wait_until has_logged 'serve again'
}
