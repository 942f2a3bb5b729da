#!/usr/bin/env bats
# bats file_tags=core
# What an application does outside of requests: its hooks, tasks, timers and jobs; that it ends with its build and its worker,
# and that a job runs in one worker at a time, whatever becomes of the workers.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load helpers

is_sanitized && export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0

setup_file() {
    local n
    for n in 1 2 3; do
        cc -O1 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -D_GNU_SOURCE -I"$TOP/include" -DBUILD=$n \
            -o "$BATS_FILE_TMPDIR/$n.so" "$TOP/tests/apps/background/background.c"
    done
}

put() { cp "$BATS_FILE_TMPDIR/$1.so" "$DIR/b.so.new" && mv "$DIR/b.so.new" "$DIR/b.so"; }

# serve OPTIONS [LINES]: build 1, whose journal is $DIR/journal
serve() {
    put 1
    : >"$DIR/journal"
    start_reeve <<EOF
${2:-}
app "b" { module = "$DIR/b.so" option { journal = "$DIR/journal" $1 } }
EOF
}

# lives BUILD: what became of it, without its ticks and jobs, and in how many processes it was so
lives() {
    awk -v build="$1" '$1 == build && !/t[io]ck|job/ { pid = $2; $1 = $2 = ""; life[pid] = life[pid] "," $0 }
        END { for (pid in life) print life[pid] }' "$DIR/journal" | sort | uniq -c | sed 's/, */,/g; s/^ *//'
}
# count TEXT: how many lines of the journal end with it
count() { grep -c -- "$1\$" "$DIR/journal" || true; }
is_more() { [ "$(count "$2")" -gt "$1" ]; }
line_of() { grep -nF -- "$1" "$TOP/tests/apps/background/background.c" | head -n 1 | cut -d: -f1; }

WHOLE=',start,forever begins,drain,drained,forever is cancelled,fini'

# ---- hooks, tasks and timers ----------------------------------------------------------------------------------------------

@test "hooks are called once in each worker, and what is left to do ends between on_drain and fini" {
    serve 'tick = "0.02"'
    wait_until is_equal '2 ,start,forever begins' lives 1
    wait_until is_more 3 tick
    put 2
    run -0 ctl -j reload b
    # The old code was held by a timer and a task that would wait for ever.
    assert_equal "$(jq -c '.receipt | [.outcome, .held, [.workers[].unloaded]]' <<<"${lines[-1]}")" '["live",[],[true,true]]'
    wait_until is_equal "2 $WHOLE" lives 1
    wait_until is_equal '2 ,start,forever begins' lives 2
    local ticks
    ticks=$(count '^1 .*tick')
    wait_until is_more 3 '^2 .*tick'
    assert_equal "$(count '^1 .*tick')" "$ticks"
    assert_equal "$(figure '.applications.b.held >= 4')" true
    stop_reeve
    assert_equal "$(lives 2)" "2 $WHOLE"
    run ! has_logged 'took too long|failed'
}

@test "what a refused init has begun ends, and its code goes" {
    serve 'tick = "0.02"' 'workers = 1'
    put 3
    run -4 ctl reload b
    assert_output --partial 'it has changed its mind'
    wait_until is_equal 1 count '^3 .*forever is cancelled'
    assert_equal "$(lives 3)" '1 ,forever begins,forever is cancelled'
    assert_equal "$(grep -cE '/3-|/2-' "/proc/$(worker_pids)/maps" || true)" 0
    put 2
    ctl reload b
    wait_until is_equal "1 $WHOLE" lives 1
    wait_until is_equal '1 ,start,forever begins' lives 2
    stop_reeve
}

@test "a drain waits for on_drain, and until then the work goes on" {
    serve "tick = \"0.5\" drain_until = \"$DIR/go\"" "$(printf 'workers = 1\nunload_wait = 200ms')"
    local pid
    pid=$(worker_pids)
    put 2
    run -0 ctl -j reload b
    assert_equal "$(jq -c '[.receipt.held[].count]' <<<"${lines[-1]}")" '[3]'
    wait_until is_equal '[["task","reeve_sleep",1],["task","reeve_sleep",1],["timer",null,1]]' \
        figure '[.applications.b.generations[] | select(.generation == 1) | .by[] | [.kind, .waits_in, .count]] | sort | tojson'
    wait_until is_more "$(($(count '^1 .*tick') + 3))" '^1 .*tick'
    assert_equal "$(lives 1)" '1 ,start,forever begins,drain'
    ctl restart >"$DIR/restart" 2>&1 3>&- &
    started+=("$!")
    wait_until is_equal '1 ,start,forever begins
1 ,start,forever begins,drain' lives 2
    is_alive "$pid"
    touch "$DIR/go"
    wait_until is_dead "$pid"
    assert_equal "$(lives 1)" "1 $WHOLE"
    assert_equal "$(lives 2)" "1 ,start,forever begins
1 $WHOLE"
    stop_reeve
}

@test "on_drain and tasks that do not end hold a worker for drain_timeout at most" {
    serve "drain_until = \"$DIR/go\"" "$(printf 'workers = 1\ndrain_timeout = 1s')"
    stop_reeve
    has_logged 'the drain took too long: 0 connections are cut, 0 requests among them, and 2 background tasks are cancelled'
    assert_equal "$(lives 1)" '1 ,start,forever begins,drain,forever is cancelled,drained,fini'
    touch "$DIR/go"
    : >"$DIR/journal"
    start_again
    get /stubborn
    stop_reeve
    assert_equal "$(lives 1)" '1 ,start,forever begins,drain,drained'
}

@test "a quick stop cancels the work and calls no on_drain, and workers without a master end by themselves" {
    serve 'tick = "0.02"'
    wait_until is_equal '2 ,start,forever begins' lives 1
    stop_reeve QUIT
    assert_equal "$(lives 1)" '2 ,start,forever begins,forever is cancelled,fini'
    start_again
    mapfile -t orphans < <(worker_pids)
    wait_until is_equal 4 count 'forever begins'
    kill -KILL "$REEVE_PID"
    wait_until are_dead "${orphans[@]}"
    assert_equal "$(lives 1 | grep drained)" "2 $WHOLE"
}

@test "a timer never overlaps itself, tells of its failures once, and stops when it is told to" {
    serve 'tick = "0.01" tick_takes = "0.03" tick_fails = "yes"' 'workers = 1'
    wait_until is_more 10 tock
    get /stops
    get '/fails?[1-3]'
    local ticks
    is_still() { ticks=$(count tick) && [ "$ticks" = "$(count tock)" ]; }
    wait_until is_still
    assert_equal "$(grep -o 't[io]ck' "$DIR/journal" | uniq | wc -l)" $((2 * ticks))
    wait_until has_logged \
        "b 1: a task failed, and nobody awaited it: fails \(.*background\.c:$(line_of '(self, fails')\): Connection refused"
    assert_equal "$(count tick)" "$ticks"
    assert_equal "$(grep -c "b 1: the timer tick failed (.*background\.c:$(line_of 'tick, NULL')): Connection refused" "$LOG")" 1
    stop_reeve
    assert_equal "$(lives 1)" "1 $WHOLE"
}

@test "a crash in background work is told as that, and the successor begins it anew" {
    serve '' "$(printf 'workers = 1\nquarantine_after = 0')"
    get /crashes
    wait_until has_logged 'worker 0\.1 pid [0-9]+ was killed by signal 11 .*in background work of b 1'
    wait_until is_equal 2 count 'forever begins'
    run -0 ctl incidents
    assert_output --partial 'background work'
    stop_reeve
}

@test "stacks tell of tasks: which one, and of which request" {
    serve ''
    curl -sS "$URL/nests" >/dev/null 2>&1 3>&- &
    started+=("$!")
    wait_until is_equal 4 eval "api /v1/stacks | jq '.stacks | length'"
    api /v1/stacks >"$DIR/stacks"
    assert_equal "$(jq -c '[.stacks[] | select(.task == "forever") | [.of_request, .waits_in, .app]] | unique' "$DIR/stacks")" \
        '[[null,"reeve_sleep","b"]]'
    assert_equal "$(jq '[.stacks[] | select(.task == "doze") | .of_request] == [.stacks[] | select(.path == "/nests") | .id]' \
        "$DIR/stacks")" true
    assert_equal "$(jq -r '.stacks[] | select(.task == "doze") | .backtrace[] | select(.object == "b.so") | .function' \
        "$DIR/stacks")" doze
    run -0 ctl stacks
    assert_output --partial '2 tasks forever of b 1 wait in reeve_sleep'
    assert_output --partial '1 task doze of b 1 waits in reeve_sleep'
    assert_output --regexp 'worker [01]\.1, of request [0-9a-f]{16}'
}

# ---- jobs -------------------------------------------------------------------------------------------------------------------

# jobs_are_single [PID...]: no two runs overlapped; those of these processes may have been cut off
jobs_are_single() {
    awk -v dead=" $* " '/job begins/ { if (runs && index(dead, " " runs " ") == 0) exit 1; runs = $2 }
        /job ends/ { if (runs != $2) exit 1; runs = "" }' "$DIR/journal" || { cat "$DIR/journal" && return 1; }
}
# job JQ: of the one job there is
job() { figure ".applications.b.jobs | if length == 1 then .[0] | $1 else \"not one\" end"; }
is_running() { [ "$(job .running)" != null ]; }

@test "a job runs in one worker at a time, through reloads and restarts" {
    serve "job = \"0.05\" job_while = \"$DIR/while\"" 'workers = 4'
    wait_until is_more 20 'job ends'
    # Whoever comes first; and not in a preflight process.
    assert [ "$(awk '/job/ { print $2 }' "$DIR/journal" | sort -u | wc -l)" -gt 1 ]
    assert_equal "$(awk '/job/ { print $2 }' "$DIR/journal" | sort -u | comm -23 - <(worker_pids | sort))" ''
    assert_equal "$(job '[.name, .period, .failures, .runs >= 20, .next_in <= 0.05, .last_begun > 1e9] | tojson')" \
        '["work",0.05,0,true,true,true]'
    put 2
    ctl reload b
    wait_until is_more 3 '^2 .*job ends'
    ctl restart
    local ends old
    ends=$(count '^2 .*job ends')
    old=$(count '^1 .*job begins')
    wait_until is_more $((ends + 3)) '^2 .*job ends'
    assert_equal "$(count '^1 .*job begins')" "$old"
    jobs_are_single
    assert_equal "$(job .failures)" 0
    run -0 api /metrics
    assert_line --regexp '^reeve_job_runs_total\{app="b",job="work"\} [0-9]+$'
    assert_line 'reeve_job_failures_total{app="b",job="work"} 0'
    stop_reeve
    assert_equal "$(count 'job begins')" "$(count 'job ends')"
}

@test "a job whose worker is killed goes on in another one, and one that is cancelled with its build in the next" {
    serve "job = \"0.05\" job_while = \"$DIR/while\"" 'workers = 4'
    wait_until is_more 1 'job ends'
    # A run that takes long: nobody else begins one, whatever becomes of the others.
    touch "$DIR/while"
    wait_until is_running
    local owner begun other dead=()
    owner=$(job .running)
    begun=$(count 'job begins')
    other=$(((owner + 1) % 4))
    dead+=("$(figure ".workers[$other].pid")" "$(figure ".workers[$owner].pid")")
    kill -KILL "${dead[0]}"
    wait_until is_equal 2 figure ".workers[] | select(.id == $other and .accepting) | .incarnation"
    assert_equal "$(count 'job begins')" "$begun"
    assert_equal "$(job .running)" "$owner"
    # Its own end.
    kill -KILL "${dead[1]}"
    wait_until is_more "$begun" 'job begins'
    assert_equal "$(job .failures)" 1
    # The build's end cancels it, and the next one's has its turn.
    begun=$(count 'job ends')
    put 2
    ctl reload b
    wait_until is_more 0 '^2 .*job begins'
    assert_equal "$(count '^1 .*job ends')" $((begun + 1))
    assert_equal "$(job .failures)" 2
    ctl restart
    wait_until is_more 1 '^2 .*job begins'
    jobs_are_single "${dead[@]}"
    rm "$DIR/while"
    wait_until is_more "$(($(count 'job ends') + 2))" 'job ends'
    jobs_are_single "${dead[@]}"
    stop_reeve
}
