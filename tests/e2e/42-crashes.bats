#!/usr/bin/env bats
# bats file_tags=core
# A worker that crashes, exits or is killed: the log names the request and the code, what else was under way is told, the
# next request is served; and reevectl shows the same afterwards.
load helpers

# A sanitizer would take the signals for itself.
is_sanitized && export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0

setup_file() {
    compile full -O2 -g
    compile bare -O2
    compile plain -O0 -g
    compile stripped -O2 -s
    compile constructor -O2 -g -DCONSTRUCTOR=null
}

# compile NAME FLAG...: $BATS_FILE_TMPDIR/NAME.so, of trouble.c
compile() {
    cc "${@:2}" -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" \
        -o "$BATS_FILE_TMPDIR/$1.so" "$TOP/tests/e2e/trouble.c"
}

# begin BUILD [LINES] [OPTIONS]: one worker with that build of it
begin() {
    cp "$BATS_FILE_TMPDIR/$1.so" "$DIR/trouble.so"
    start_reeve <<EOF
workers = 1
$(grep -q quarantine_after <<<"${2:-}" || echo 'quarantine_after = 0')
${2:-}
app "trouble" { module = "$DIR/trouble.so" ${3:-} }
EOF
}

says() { grep -qF -- "$1" "$LOG"; }
# line_of TEXT: where it stands in trouble.c
line_of() { grep -nF -- "$1" "$TOP/tests/e2e/trouble.c" | head -n 1 | cut -d: -f1; }

# crash PATH: its worker ends of it; then a successor serves
crash() {
    local respawns
    respawns=$(figure .processes.respawns)
    run ! get "$1" -o /dev/null -H 'X-Secret: opensesame'
    wait_until is_equal $((respawns + 1)) figure .processes.respawns
    assert_equal "$(status_of /ok)" 200
}

# ask PATH: a request in the background, until it runs; its client is CLIENT
ask() {
    get "$1" 2>/dev/null 3>&- &
    CLIENT=$!
    started+=("$CLIENT")
    wait_until is_equal 1 figure .requests.active
}

# named HOW PATH [LINE...]: the sentence says how it ended and in which request, and the story has these lines
named() {
    local what='in trouble 1 \(version 1\.0\.0, build id [0-9a-f]{40}\), request [0-9a-f]{16} GET' text
    has_logged "worker 0\.[0-9]+ pid [0-9]+ $1, $what $2(\$| \()" || fail "$2 is not named"
    for text in "${@:3}"; do
        wait_until -t 5 has_logged "worker 0\.[0-9]+: +$text" || fail "not told: $text"
    done
}

# at FUNCTION TEXT [MORE]: how it is told, with the line of the text, or the one MORE lines on
at() {
    local n
    n=$(line_of "$2")
    echo "$1 \(trouble\.c:($n|$((n + ${3:-0})))\)"
}

# told BUILD: each of them is
told() {
    begin "$1"
    crash /null
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)? at address 0x20' /null \
        "$(at age_of 'return customer->age')" "$(at read_customer 'age = age_of(nobody)')"
    crash /fpe
    named 'was killed by signal 8 \(Floating point exception\)(, core dumped)? at address 0x[0-9a-f]+' /fpe \
        "$(at share_out 'return sum / zero')" "$(at fpe 'share_out((int)number')"
    crash /abort
    named 'was killed by signal 6 \(Aborted\)(, core dumped)?' /abort \
        "$(at give_up '    abort();')" "$(at aborts '    give_up();')"
    # ... and has an allocator of its own, which notices nothing.
    is_sanitized || crash /heap
    is_sanitized || named 'was killed by signal 6 \(Aborted\)(, core dumped)?' /heap \
        "$(at corrupt '    free(next);' 1)" "$(at heap 'corrupt(2000)')"
    crash '/exit?n=3'
    named 'exited with status [13]' /exit # 1: of the leak checker, which comes last
    stop_reeve
    cp "$LOG" "$DIR/first.log"
    rm -rf "$DIR/state"
    # More would not be told whole at once.
    begin "$1" 'hang_timeout = 1s'
    crash /recurse
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)?, a stack overflow at address 0x[0-9a-f]+' /recurse \
        "$(at descend 'return descend(depth + 1)')" '… [0-9]+ more of descend' "$(at recurse 'spins += descend(number)')"
    crash /loop
    has_logged 'worker 0\.2 pid [0-9]+ hangs \(.*\) and was killed, while it ran request [0-9a-f]{16} GET /loop of trouble 1 \('
    wait_until -t 5 has_logged "worker 0\.2: +$(at search_for_ever 'while (never == 0)' 1)"
    wait_until -t 5 has_logged "worker 0\.2: +$(at loop '    search_for_ever();')"
    stop_reeve
}

# ---- the cause ----

@test "the worker is named with request, function, file and line, static and inlined ones too: -O2 -g" {
    told full
    grep -qF 'age_of (trouble.c:' "$DIR/first.log"
    grep -qF ' in trouble.so, inlined' "$DIR/first.log"
}

@test "the same without optimisation: -O0 -g" {
    told plain
}

@test "without debug information the functions are named: -O2" {
    at() { # what is inlined is not there
        case $1 in
        age_of) echo 'read_customer in trouble\.so' ;;
        *) echo "$1( in trouble\.so)?\$" ;;
        esac
    }
    told bare
    run ! says 'trouble.c:'
}

@test "stripped, no function is called by its neighbour's name, and the request is told all the same" {
    begin stripped
    crash /null
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)? at address 0x20' /null \
        '0x[0-9a-f]+ in trouble\.so' 'call_run .* in reeve'
}

@test "a stack that overflows is named as that, with the size to ask for; what recurses is told once" {
    begin full
    crash /recurse
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)?, a stack overflow at address 0x[0-9a-f]+' /recurse \
        "descend \(trouble\.c:" '… [0-9]+ more of descend \(trouble\.c:' 'recurse \(trouble\.c:' \
        'the stack of 256 KiB was too small: ask for more with \.stack_size = 524288 in REEVE_APP or stack_size = 512k'
    [ "$(grep -c descend "$LOG")" -le 4 ]
}

@test "on the loop's stack, too, and what the server itself did before it was a worker is left out" {
    compile looped -O2 -g -DON_LOOP
    ulimit -s 8192
    begin looped
    crash /recurse
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)?, a stack overflow at address 0x[0-9a-f]+' /recurse \
        '… [0-9]+ more of descend \(trouble\.c:' 'recurse \(trouble\.c:' 'application \(trouble\.c:' 'worker_main \(worker\.c:' \
        "the loop's own stack of 8192 KiB was too small"
    run ! says be_child
}

@test "a stack overflow that steps over what lies below the stack is one, too" {
    begin full
    crash /deep
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)?, a stack overflow at address 0x[0-9a-f]+' /deep \
        'descend_far \(trouble\.c:' 'the stack of 256 KiB was too small: ask for more with '
}

@test "a pointer that is no address at all is told as that" {
    begin full
    crash /wild
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)? at a non-canonical address \(or a misaligned one\)' /wild \
        "$(at read_wild '*wild;')"
    assert_equal "$(api /v1/incidents | jq -r '.incidents[0] | "\(.signal_name) \(.address)"')" 'SIGSEGV null'
}

@test "a thread's crash is told with its code, and not as that of the request that ran meanwhile" {
    begin full
    crash /thread
    wait_until has_logged "was killed by signal 11 .* at address 0x20, in another thread than its loop's, in trouble 1 \(.*\), while it ran request [0-9a-f]{16} GET /thread of trouble 1"
    wait_until -t 5 has_logged "worker 0\.1: +$(at in_thread 'spins += read_customer((unsigned)(size_t)arg)')"
}

@test "a thread whose own stack overflows leaves no trace: nobody is blamed" {
    ! is_sanitized || skip "the sanitizer gives each thread another stack to tell of it on"
    begin full 'quarantine_after = 1'
    crash /recurse-in-thread
    has_logged 'worker 0\.1 pid [0-9]+ was killed by signal 11 \(Segmentation fault\)(, core dumped)?, while it ran request [0-9a-f]{16} GET /recurse-in-thread of trouble 1 \('
    has_logged "worker 0\.1: it left no trace: a thread's stack overflowed, or the signal was blocked or handled by the application"
    run -0 ctl incidents 1
    assert_output --partial 'it left no trace'
    assert_equal "$(api /v1/quarantine | jq -c .quarantine)" '[]'
}

@test "a worker that was stopped during a request is not the request's doing" {
    begin full 'hang_timeout = 1s
quarantine_after = 2
quarantine_time = 60s'
    local pid
    for _ in 1 2; do
        pid=$(worker_pids)
        ask '/block?n=60000'
        kill -STOP "$pid"
        wait_until has_logged "pid $pid hangs \(.*stopped.*\) and was killed, while it ran request [0-9a-f]{16} GET /block"
        wait_until is_equal 0 figure .requests.active
        wait_until is_equal 1 eval 'worker_pids | wc -l'
    done
    assert_equal "$(api /v1/quarantine | jq -c .quarantine)" '[]'
    assert_equal "$(status_of '/block?n=0')" 200
}

@test "a worker that crashes in init is told as that, by a start that gives up, too" {
    cp "$BATS_FILE_TMPDIR/full.so" "$DIR/trouble.so"
    write_config <<EOF
workers = 1
app "trouble" { module = "$DIR/trouble.so" option { init = "/null" } }
EOF
    run -1 timeout 30 "$REEVE" -c "$CONFIG"
    assert_output --regexp 'worker 0\.1 pid [0-9]+ was killed by signal 11 .* before it was ready at address 0x20, in init of trouble 1'
    assert_output --regexp 'worker 0\.1: +read_customer \(trouble\.c:[0-9]+\)'
    assert_output --partial 'not started: '
}

@test "the same of a constructor" {
    cp "$BATS_FILE_TMPDIR/constructor.so" "$DIR/trouble.so"
    write_config <<EOF
workers = 1
app "trouble" { module = "$DIR/trouble.so" }
EOF
    run -1 timeout 30 "$REEVE" -c "$CONFIG"
    assert_output --regexp 'worker 0\.1 pid [0-9]+ was killed by signal 11 .* before it was ready at address 0x20, in a constructor of trouble 1'
    assert_output --regexp 'worker 0\.1: +read_customer \(trouble\.c:[0-9]+\)'
    assert_output --partial 'not started: '
}

@test "a crash in fini is told as that, by a server that stops, too" {
    begin full '' 'option { fini = "/null" }'
    get /ok >/dev/null
    kill "$REEVE_PID"
    end_of "$REEVE_PID"
    has_logged 'worker 0\.1 pid [0-9]+ was killed by signal 11 .* at address 0x20, in fini or a destructor of trouble 1 \(version'
    has_logged "worker 0\.1: +$(at read_customer 'age = age_of(nobody)')"
    has_logged 'stopped$'
}

@test "the core is dumped as without us" {
    case $(cat /proc/sys/kernel/core_pattern) in
    '' | '|'* | /*) skip "core_pattern: cores go elsewhere" ;;
    esac
    ! is_sanitized || skip "the sanitizer forbids cores: they would be huge"
    cd "$DIR"
    ulimit -c unlimited || skip "no core may be dumped here: ulimit -c"
    begin full
    crash /null
    # Its link is closed some time before it is dead.
    wait_until has_logged 'was killed by signal 11 \(Segmentation fault\), core dumped at address 0x20, in trouble 1 \(version'
    wait_until has_logged 'age_of \(trouble\.c:[0-9]+\) in trouble\.so, inlined'
    run -0 find "$DIR" -maxdepth 1 -name 'core*' -size +0
    assert_output --partial core
}

# ---- what else there was ----

@test "of a worker that is killed from outside, the requests in flight are in the log, and where they wait" {
    begin full
    local pid
    pid=$(worker_pids)
    get /ok >/dev/null
    ask '/sleep?ms=60000'
    kill -KILL "$pid"
    run ! wait "$CLIENT"
    wait_until has_logged 'worker 0\.1: in flight: [0-9a-f]{16} GET /sleep of trouble 1, [0-9.]+ s, waits in reeve_sleep at application \(trouble\.c:[0-9]+\)'
    has_logged "worker 0\.1 pid $pid was killed by signal 9 \(Killed\)\$"
    wait_until has_logged 'worker 0\.1: ended before: [0-9a-f]{16} GET /ok of trouble 1, 200 after [0-9.]+ s'
    assert_equal "$(status_of /ok)" 200
    assert_equal "$(api /v1/incidents | jq -r '.incidents[] | "\(.kind) \(.signal_name) \(.in_flight[0].path) \(.in_flight[0].site)"' |
        sed -E 's/[0-9]+\)/N)/')" 'killed SIGKILL /sleep application (trouble.c:N)'
}

@test "what waits for the worker that crashes is served by its successor: only what it had begun is lost, and named" {
    begin full
    local i waiting=()
    ask '/sleep?ms=60000'
    get "/null?held=$DIR/crash" 2>/dev/null 3>&- &
    started+=("$!")
    wait_until is_equal 2 figure .requests.active # and so its loop does not turn any more
    for i in {1..20}; do
        curl -sS --max-time 60 -o /dev/null -w '%{http_code}' "$URL/ok?$i" >"$DIR/answer.$i" 2>&1 3>&- &
        waiting+=("$!")
    done
    wait_until is_equal 20 figure '.sockets[0].queue'
    touch "$DIR/crash"
    for i in {1..20}; do
        wait "${waiting[i - 1]}"
        assert_equal "$(cat "$DIR/answer.$i")" 200
    done
    run ! wait "$CLIENT"
    wait_until has_logged 'worker 0\.1: in flight: [0-9a-f]{16} GET /sleep '
    assert_equal "$(grep -c 'in flight:' "$LOG")" 1
    assert_equal "$(figure '.processes.respawns')" 1
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)? at address 0x20' /null
}

@test "no header's value is told, and no query unless record_queries says so" {
    local setting
    for setting in '' 'record_queries = on'; do
        begin full "$setting"
        crash '/null?n=1&password=hunter2'
        wait_until has_logged 'read_customer'
        cp "$LOG" "$DIR/all"
        { api /v1/incidents && api /v1/workers/0 && ctl incidents 1; } >>"$DIR/all"
        run ! grep -q opensesame "$DIR/all"
        grep -q 'GET /null' "$DIR/all"
        if [ -z "$setting" ]; then
            run ! grep -q hunter2 "$DIR/all"
        else
            has_logged 'GET /null\?n=1&password=hunter2$'
        fi
        stop_reeve
    done
}

@test "a crash loop has five whole stories, and then their first lines" {
    begin full
    for _ in 1 2 3 4 5 6 7; do crash /null; done
    wait_until has_logged '\(the rest of the story is left out\)$'
    assert_equal "$(grep -c 'GET /null' "$LOG")" 7
    assert_equal "$(grep -c read_customer "$LOG")" 5
    assert_equal "$(figure .incidents)" 7
}

# ---- reevectl ----

@test "reevectl shows the same afterwards: incidents, show worker, status" {
    begin full
    run -0 ctl incidents
    assert_output 'no worker has ended abnormally'
    run -0 ctl status
    refute_output --partial incidents
    crash /null
    wait_until has_logged 'read_customer'
    local sentence
    sentence=$(grep -o 'worker 0.1 pid [0-9]* was killed.*' "$LOG")
    run -0 ctl incidents
    assert_line --index 0 --partial REQUEST
    assert_line --regexp '^ +1 .* 0\.1 +SIGSEGV +trouble 1 +GET /null'
    run -0 ctl incidents 1
    assert_line "$sentence"
    assert_line --regexp '^  age_of \(trouble\.c:[0-9]+\) in trouble\.so, inlined$'
    assert_line --regexp '^  read_customer \(trouble\.c:[0-9]+\)$'
    run -0 ctl show worker 0
    assert_line --partial 'worker 0.2, pid '
    assert_line "$sentence"
    assert_line --regexp '^  read_customer \(trouble\.c:[0-9]+\)$'
    assert_line --regexp ' GET /ok +200 '
    run -0 ctl status
    assert_output --partial "\`reevectl incidents\` tells of it"
    assert_equal "$(ctl -j incidents 1 | jq -r .sentence)" "$sentence"
    assert_equal "$(ctl -j incidents | jq -r '.incidents[0].backtrace[1].function')" read_customer
    assert_equal "$(ctl -j show worker 0 | jq -r .incident.sentence)" "$sentence"
    run -1 ctl incidents 2
    assert_output --partial 'there is no incident 2'
    run -1 ctl show worker 1
    assert_output --partial 'no worker 1'
    run -2 ctl show worker x
    run -2 ctl incidents x
    run -2 ctl show trouble 1
}

@test "show worker tells where requests wait" {
    begin full
    ask '/sleep?ms=60000'
    for _ in 1 2; do # looked up, and known
        assert_equal "$(api /v1/workers/0 | jq -r '.in_flight[0] | "\(.waits_in) \(.site)"' | sed -E 's/[0-9]+\)/N)/')" \
            'reeve_sleep application (trouble.c:N)'
    done
    stop_reeve QUIT
    begin stripped
    ask '/sleep?ms=60000'
    run -0 ctl show worker 0
    assert_line --regexp 'GET /sleep +reeve_sleep at \+0x[0-9a-f]+'
    kill -QUIT "$REEVE_PID"
}

@test "after an upgrade reevectl says that there were incidents before, whose stories the log has, and whole" {
    begin full
    cp "$REEVE" "$DIR/other"
    crash /null
    run -0 ctl upgrade --binary "$DIR/other"
    has_logged "worker 0\.1: +$(at read_customer 'age = age_of(nobody)')"
    run -0 ctl incidents
    assert_line --index 0 '1 before the upgrade: the log tells of it'
    assert_line --index 1 'no worker has ended abnormally since'
    crash /null
    run -0 ctl incidents
    assert_line --regexp '^ +2 .* SIGSEGV +trouble 1 +GET /null'
}

@test "an upgrade waits for the end of a story whose names are still looked up" {
    begin full
    cp "$REEVE" "$DIR/other"
    # That process does not get to it; its time is over after some seconds.
    python3 "$TOP/tests/e2e/forks.py" "$REEVE_PID" "$DIR/held" 3>&- >/dev/null 2>&1 &
    started+=("$!")
    wait_until eval "[ -e '$DIR/held' ] || is_dead $!"
    [ -e "$DIR/held" ] || skip 'no process may trace another one here'
    crash /null
    run -0 ctl upgrade --binary "$DIR/other"
    named 'was killed by signal 11 \(Segmentation fault\)(, core dumped)? at address 0x20' /null '0x[0-9a-f]+ in trouble\.so'
}

@test "show worker tells what runs while the worker hangs" {
    begin full 'hang_timeout = 1h'
    ask /loop
    run -0 ctl show worker 0
    assert_line --regexp 'trouble 1 +GET /loop +running'
    assert_equal "$(api /v1/workers/0 | jq -r '.in_flight[0] | "\(.method) \(.path) \(.phase) \(.app)"')" \
        'GET /loop running trouble'
    kill -KILL "$(figure '.workers[0].pid')"
}

@test "an application that is called worker can be shown" {
    start_reeve <<<"app \"worker\" { module = \"$APPS/hello.so\" }"
    run -0 ctl show worker
    assert_output --partial 'hello.so'
    assert_equal "$(api /v1/workers/99 -o /dev/null -w '%{http_code}')" 404
}
