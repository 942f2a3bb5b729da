#!/usr/bin/env bats
# Reading the configuration again: in force everywhere or nowhere. What proves it is what the workers answer: an option's
# value, a mount, an address that is listened on or is not.
load helpers

setup_file() {
    build_numbered "$DIR/build1.so" 1
    build_numbered "$DIR/build2.so" 2
    build_numbered "$DIR/second.so" 3 -DFAIL_IN_SECOND
    build_numbered "$DIR/later.so" 4 -DFAIL_IN_WORKER
    build_numbered "$DIR/waits.so" 5 -DWAIT_IN_WORKER
}

# conf COLOUR [LINE...]: the whole file anew, with what every test here has
conf() {
    {
        echo "control = \"$CONTROL\""
        echo "state_dir = \"$DIR/state\""
        echo 'workers = 2'
        printf '%s\n' "${@:2}"
        echo "app \"options\" { module = \"$TEST_APPS/options.so\" option { colour = \"$1\" } }"
    } >"$CONFIG"
}

LISTEN='listen "127.0.0.1:0" { }'

begin() {
    CONFIG=$DIR/reeve.conf CONTROL=$DIR/control.sock LOG=$DIR/log
    export CONFIG CONTROL LOG
    conf red "${@:-$LISTEN}"
    start_again
}

# reconfigure: streams a reload of the configuration; its verdict line in $VERDICT
reconfigure() {
    api /v1/config/reload -X POST -N >"$DIR/stream"
    VERDICT=$(tail -n 1 "$DIR/stream")
}
verdict() { jq -r "$1" <<<"$VERDICT"; }

# answers COLOUR: ten requests on connections of their own are answered with that option's value
answers() {
    assert_equal "$(curl -sSf --max-time 30 -H 'Connection: close' "$URL/?[1-10]" | grep colour= | sort -u)" "colour=$1"
}

# refused TEXT: the last reload was, for that reason, and nothing has changed: not a worker, not an answer, not a socket
refused() {
    assert_equal "$(verdict .verdict)" rejected
    run -0 verdict .reason
    assert_output --partial "$1"
    assert_equal "$(worker_pids)" "$PIDS"
    answers red
    assert_equal "$(ls "/proc/$REEVE_PID/fd" | wc -l)" "$FDS"
}

before() {
    PIDS=$(worker_pids)
    FDS=$(ls "/proc/$REEVE_PID/fd" | wc -l)
}

@test "options, workers and limits are in force in new workers, and the counters go on" {
    begin
    before
    get / >/dev/null
    local total
    total=$(figure .applications.options.requests)
    conf green "$LISTEN" 'keep_alive = 7'
    sed -i 's/workers = 2/workers = 3/' "$CONFIG"
    reconfigure
    assert_equal "$(verdict '"\(.verdict) \(.receipt.kind)"')" 'live config'
    answers green
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    assert_equal "$(api /v1/config | jq '.keep_alive')" 7
    assert_equal "$(figure ".applications.options.requests > $total")" true
    assert_equal "$(figure .applications.options.generation)" 1
    stop_reeve
}

@test "the progress is told step by step" {
    begin
    conf green "$LISTEN" 'listen "127.0.0.2:0" { name = "other" }'
    reconfigure
    assert_equal "$(jq -r 'select(.step) | .step' "$DIR/stream" | uniq -c | tr -s ' ' | paste -sd,)" \
        ' 1 begin, 1 check, 2 listener, 1 preflight, 1 spawned, 1 ready, 1 draining, 1 spawned, 1 gone, 1 ready, 1 draining, 1 gone' ||
        assert_equal "$(jq -r 'select(.step) | .step' "$DIR/stream" | sort | uniq -c | tr -s ' ' | paste -sd,)" \
            ' 1 begin, 1 check, 2 draining, 2 gone, 2 listener, 1 preflight, 2 ready, 2 spawned'
    assert_equal "$(jq -r 'select(.step == "listener") | .change' "$DIR/stream" | paste -sd,)" kept,added
}

# ports: of the sockets in force, one a line
ports() { api /v1/status | jq -r '.sockets[].address' | sed 's/.*://'; }

@test "listeners are added, kept and removed: the kept one's connections are served, the removed one refuses" {
    begin "$LISTEN" 'listen "127.0.0.3:0" { name = "old" }'
    local kept old new
    { read -r kept && read -r old; } < <(ports)
    conf green "$LISTEN" 'listen "127.0.0.2:0" { name = "new" }'
    reconfigure
    assert_equal "$(jq -r 'select(.step == "listener") | .change' "$DIR/stream" | sort | paste -sd,)" added,kept,removed
    { read -r new && read -r new; } < <(ports)
    assert_equal "$(ports | head -n 1)" "$kept"
    answers green
    assert_equal "$(curl -sS "http://127.0.0.2:$new/" | grep colour)" colour=green
    run -7 curl -sS "http://127.0.0.3:$old/" # refused
    stop_reeve
}

@test "a Unix socket is added and removed with its file" {
    begin
    conf green "$LISTEN" "listen \"unix:$DIR/web.sock\" { }"
    reconfigure
    assert_equal "$(curl -sS --unix-socket "$DIR/web.sock" http://x/ | grep colour)" colour=green
    conf blue "$LISTEN"
    reconfigure
    assert_equal "$(verdict .verdict)" live
    assert_no_file "$DIR/web.sock"
    answers blue
}

@test "apps are added, moved and removed, and one that comes back has its counters" {
    begin
    conf red "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/build1.so\" mount = \"/n\" }"
    reconfigure
    assert_equal "$(verdict '.receipt.apps | map("\(.app) \(.generation) \(.outcome)") | join(",")')" 'n 1 live'
    assert_equal "$(get /n | cut -d' ' -f1,2)" 'build 1'
    conf red "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/build2.so\" mount = \"/moved\" }"
    reconfigure
    assert_equal "$(get /moved | cut -d' ' -f1,2)" 'build 2'
    assert_equal "$(figure '.applications.n | "\(.generation) \(.requests)"')" '2 2'
    conf red "$LISTEN"
    reconfigure
    assert_equal "$(get /moved | head -n 1)" colour=red # the app at "/" has it now
    assert_equal "$(figure '.applications | keys | join(",")')" options
    conf red "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/build1.so\" mount = \"/n\" }"
    reconfigure
    get /n >/dev/null
    assert_equal "$(figure '.applications.n | "\(.generation) \(.requests)"')" '3 3'
    stop_reeve
}

@test "code changes only where the file names another module" {
    cp "$BATS_FILE_TMPDIR/build1.so" "$DIR/n.so"
    begin "$LISTEN" "app \"n\" { module = \"$DIR/n.so\" mount = \"/n\" }"
    cp "$BATS_FILE_TMPDIR/build2.so" "$DIR/n.so.new" && mv "$DIR/n.so.new" "$DIR/n.so"
    conf green "$LISTEN" "app \"n\" { module = \"$DIR/n.so\" mount = \"/n\" }"
    reconfigure
    answers green
    assert_equal "$(get /n | cut -d' ' -f1,2)" 'build 1'
    api /v1/apps/n/reload -X POST >/dev/null
    assert_equal "$(get /n | cut -d' ' -f1,2)" 'build 2'
}

@test "a file that is wrong changes nothing, and says where it is wrong" {
    begin
    before
    conf green "$LISTEN" 'blah = 3'
    reconfigure
    refused 'reeve.conf:5: unknown key "blah"'
    conf green "$LISTEN" 'max_workers = 99'
    reconfigure
    refused 'max_workers cannot change while the server runs'
    conf green "$LISTEN" "listen \"127.0.0.1:$PORT\" { name = \"again\" }"
    reconfigure
    refused "127.0.0.1:$PORT"
    conf green "$LISTEN" "app \"n\" { module = \"$DIR/none.so\" mount = \"/n\" }"
    reconfigure
    refused 'none.so'
    rm "$CONFIG"
    reconfigure
    refused 'reeve.conf'
}

@test "an address that another process has changes nothing, and what was opened before it is closed again" {
    begin
    before
    python3 -c 'import socket,sys,time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$DIR/taken" 3>&- &
    started+=("$!")
    wait_until test -s "$DIR/taken"
    conf green "$LISTEN" 'listen "127.0.0.2:0" { name = "free" }' "listen \"127.0.0.1:$(cat "$DIR/taken")\" { name = \"taken\" }"
    reconfigure
    refused "cannot listen on 127.0.0.1:$(cat "$DIR/taken")"
}

@test "an app that refuses its new options, or its new module, changes nothing" {
    begin
    before
    conf green "$LISTEN"
    sed -i 's/colour = /refuse = "not this colour" colour = /' "$CONFIG"
    reconfigure
    refused 'app "options": not this colour'
    conf green "$LISTEN" "app \"n\" { module = \"$CONFIG\" mount = \"/n\" }"
    reconfigure
    refused 'app "n": '
    assert_equal "$(verdict '.receipt.apps[0] | "\(.app) \(.outcome)"')" 'n rejected'
}

@test "a first new worker that does not get ready changes nothing" {
    begin
    before
    conf green "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/later.so\" mount = \"/n\" }" 'listen "127.0.0.2:0" { name = "b" }'
    reconfigure
    assert_equal "$(verdict .verdict)" failed
    run -0 verdict .reason
    assert_output --partial 'not in a worker'
    answers red
    assert_equal "$(worker_pids)" "$PIDS"
    wait_until is_equal "$FDS" eval 'ls /proc/$REEVE_PID/fd | wc -l'
    conf green "$LISTEN"
    reconfigure
    answers green
    stop_reeve
}

@test "a later one that does not takes the whole back: every worker is of the former configuration again" {
    begin
    conf green "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/second.so\" mount = \"/n\" option { first = \"$DIR/first\" } }"
    reconfigure
    assert_equal "$(verdict .verdict)" 'rolled back'
    run -0 verdict .reason
    assert_output --partial 'not in a second worker'
    answers red
    assert_equal "$(worker_pids | wc -l)" 2
    assert_equal "$(figure '.applications | keys | join(",")')" options
    conf green "$LISTEN"
    reconfigure
    assert_equal "$(verdict .verdict)" live
    answers green
    stop_reeve
}

@test "HUP does the same; without a file it renews the workers" {
    begin
    conf green "$LISTEN"
    kill -HUP "$REEVE_PID"
    wait_until has_logged 'configuration was read again and is in force'
    answers green
    assert_equal "$(api /v1/deploys/2 | jq -r '"\(.kind) \(.asked_by.signal) \(.outcome)"')" 'config SIGHUP live'
    stop_reeve
    : >"$LOG"
    launch "$REEVE" --control "$CONTROL" --state-dir "$DIR/state2" --listen 127.0.0.1:0 --workers 2 "$APPS/hello.so"
    wait_until is_ready
    find_port
    before
    kill -HUP "$REEVE_PID"
    wait_until is_equal restart eval 'api /v1/deploys/2 | jq -r "select(.outcome == \"done\").kind"'
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    run -0 api /v1/config/reload -X POST
    assert_output --partial 'without a configuration file'
    stop_reeve
}

@test "another action meanwhile is refused by number; the end of the server ends it; a death does not" {
    begin
    conf green "$LISTEN" 'boot_timeout = 20' \
        "app \"n\" { module = \"$BATS_FILE_TMPDIR/waits.so\" mount = \"/n\" option { go = \"$DIR/go\" } }"
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    local client=$!
    wait_until grep -q spawned "$DIR/stream"
    run -0 api /v1/apps/reload -X POST
    assert_output --partial 'deployment 2 (a reload of the configuration) is running'
    kill -KILL "$(worker_pids | head -n 1)" # an old one: its replacement takes its place
    answers red
    touch "$DIR/go"
    wait "$client"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" live
    answers green
    rm "$DIR/go"
    conf blue "$LISTEN" \
        "app \"n\" { module = \"$BATS_FILE_TMPDIR/waits.so\" mount = \"/n\" option { go = \"$DIR/go\" } }"
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    client=$!
    wait_until grep -q spawned "$DIR/stream"
    stop_reeve
    wait "$client" || true
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r '"\(.verdict) \(.reason)"')" 'failed the server is stopping'
}

@test "log_file is another one from then on" {
    begin
    conf green "$LISTEN" "log_file = \"$DIR/other.log\""
    reconfigure
    answers green
    conf blue "$LISTEN" "log_file = \"$DIR/other.log\""
    reconfigure
    grep -q 'is in force' "$DIR/other.log"
}

reload_under_load() {
    need wrk
    begin
    start_wrk "$@"
    local n port
    for n in 1 2 3 4 5; do
        conf "shade$n" "$LISTEN" "listen \"127.0.0.2:0\" { name = \"extra$n\" }"
        reconfigure
        assert_equal "$(verdict .verdict)" live
        answers "shade$n"
        port=$(ports | tail -n 1)
        assert_equal "$(curl -sS "http://127.0.0.2:$port/" | grep colour)" "colour=shade$n"
    done
    stop_wrk
    assert_equal "$(figure '.applications.options | "\(.exceptions) \(.responses."5xx")"')" '0 0'
    stop_reeve
}

@test "reloads under load that is kept alive: no error, each in force when it says so" {
    reload_under_load
}

@test "reloads under load of one request a connection: the same" {
    reload_under_load -H 'Connection: close'
}

# of_app N BUILD [OPTION...]: a configuration with one app, and another port for each N
of_app() {
    {
        echo "control = \"$CONTROL\""
        echo "state_dir = \"$DIR/state\""
        echo 'workers = 2'
        echo "listen \"127.0.0.$1:0\" { }"
        echo "app \"a\" { module = \"$BATS_FILE_TMPDIR/$2.so\" option { go = \"$DIR/go\" ${*:3} } }"
    } >"$CONFIG"
}

# answered N: which builds answer ten requests at the address of that number
answered() {
    local port
    port=$(api /v1/status | jq -r '.sockets[0].address' | sed 's/.*://')
    curl -sSf --max-time 30 -H 'Connection: close' "http://127.0.0.$1:$port/?[1-10]" | cut -d' ' -f1,2 | sort -u
}

@test "a worker that dies before the first new one is ready leaves no successor of the former configuration" {
    CONFIG=$DIR/reeve.conf CONTROL=$DIR/control.sock LOG=$DIR/log
    export CONFIG CONTROL LOG
    of_app 1 build1
    start_again
    of_app 2 waits
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    local client=$!
    wait_until grep -q spawned "$DIR/stream"
    kill -KILL "$(worker_pids | tail -n 1)"
    wait_until is_equal 2 eval 'worker_pids | wc -l' # its successor, of the former one: the new one waits
    touch "$DIR/go"
    wait "$client"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" live
    assert_equal "$(answered 2)" 'build 5'
    assert_equal "$(worker_pids | wc -l)" 2
    run -7 curl -sS "$URL/"
    stop_reeve
}

@test "it is in force, and proved, when not one worker was there to be replaced" {
    CONFIG=$DIR/reeve.conf CONTROL=$DIR/control.sock LOG=$DIR/log
    export CONFIG CONTROL LOG
    build_numbered "$BATS_FILE_TMPDIR/crashes.so" 6 -DCRASH_WITH_FILE
    of_app 1 crashes "crash_with = \"$DIR/crash\""
    start_again
    touch "$DIR/crash"
    worker_pids | xargs kill -KILL
    wait_until has_logged 'the next worker is started in [1-9]' # by now they are few and far between
    of_app 2 build1
    reconfigure
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answered 2)" 'build 1'
    stop_reeve
}

@test "TERM together with HUP, or within the roll, ends the server, and questions are answered until then" {
    begin
    kill -HUP "$REEVE_PID"
    stop_reeve
    begin
    conf green "$LISTEN" "app \"sleep\" { module = \"$APPS/sleep.so\" mount = \"/sleep\" }"
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    wait_until grep -q ready "$DIR/stream"
    kill -TERM "$REEVE_PID"
    wait_until has_logged 'the server is stopping|stopped'
    api /v1/status >/dev/null || true
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    run ! has_logged Sanitizer
}

@test "an app that comes back after a restart goes on with its numbers and its kept builds" {
    begin "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/build1.so\" mount = \"/n\" }"
    api /v1/apps/n/reload -X POST >/dev/null
    stop_reeve
    conf red "$LISTEN"
    start_again
    conf red "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/build2.so\" mount = \"/n\" }"
    reconfigure
    assert_equal "$(verdict '.receipt.apps[0].generation')" 3
    assert_equal "$(get /n | cut -d' ' -f1,2)" 'build 2'
    api /v1/apps/n/rollback -X POST >"$DIR/stream"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" live
    assert_equal "$(get /n | cut -d' ' -f1,2)" 'build 1'
    stop_reeve
}

@test "it can be given up: before the first new worker nothing changes, after it all is taken back" {
    begin
    conf green "$LISTEN" "app \"n\" { module = \"$BATS_FILE_TMPDIR/waits.so\" mount = \"/n\" option { go = \"$DIR/go\" } }"
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    local client=$!
    wait_until grep -q spawned "$DIR/stream"
    assert_equal "$(api /v1/deploys/cancel -X POST | jq -r .cancelled)" 2
    wait "$client"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r '"\(.verdict) \(.reason)"')" 'failed it was given up'
    answers red
    conf green "$LISTEN"
    reconfigure
    answers green
    stop_reeve
}

# with_requests SECONDS COMMAND...: six requests that take so long are all answered, whatever the command does meanwhile
with_requests() {
    local seconds=$1 n before clients=()
    shift
    before=$(figure .requests.active)
    for n in 1 2 3 4 5 6; do
        curl -sS -o /dev/null -w '%{http_code}\n' "$URL/sleep?ms=${seconds}000" >"$DIR/request$n" 2>&1 3>&- &
        clients+=("$!")
    done
    wait_until is_equal $((before + 6)) figure .requests.active
    "$@"
    wait "${clients[@]}" || true
    assert_equal "$(sort "$DIR"/request? | uniq -c | tr -s ' ')" ' 6 200'
}

SLEEP="app \"sleep\" { module = \"$APPS/sleep.so\" mount = \"/sleep\" }"

@test "a drain_timeout that changes: what runs has the time that it was given when its worker was told to go" {
    begin "$LISTEN" "$SLEEP" 'drain_timeout = 1s'
    conf green "$LISTEN" "$SLEEP" 'drain_timeout = 20s'
    with_requests 3 reconfigure
    assert_equal "$(verdict .verdict)" live
    answers green
    run ! has_logged 'cut|did not end in time'
    stop_reeve
}

@test "a boot_timeout is raised together with what needs it" {
    begin "$LISTEN" 'boot_timeout = 1s'
    conf green "$LISTEN" 'boot_timeout = 20s' \
        "app \"n\" { module = \"$BATS_FILE_TMPDIR/waits.so\" mount = \"/n\" option { go = \"$DIR/go\" } }"
    api /v1/config/reload -X POST -N >"$DIR/stream" 3>&- &
    local client=$! beat
    wait_until grep -q spawned "$DIR/stream"
    beat=$(figure '.workers | map(.last_heartbeat) | max')
    wait_until is_equal true figure ".workers | map(.last_heartbeat) | max > $beat + 1.5"
    touch "$DIR/go"
    wait "$client"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" live
    stop_reeve
}

@test "a listener that is removed refuses whoever comes late, and resets nobody" {
    begin "$LISTEN" 'listen "127.0.0.3:0" { }'
    local old n
    old=$(ports | tail -n 1)
    for n in 1 2 3; do
        python3 "$BATS_TEST_DIRNAME/comers.py" 127.0.0.3 "$old" >"$DIR/comers" 3>&- &
        started+=("$!")
        wait_until grep -q served "$DIR/comers"
        conf "green$n" "$LISTEN"
        reconfigure
        assert_equal "$(verdict .verdict)" live
        end_of "${started[-1]}"
        assert_equal "$(sort -u "$DIR/comers" | paste -sd,)" refused,served
        conf "red$n" "$LISTEN" 'listen "127.0.0.3:0" { }'
        reconfigure
        old=$(ports | tail -n 1)
    done
    stop_reeve
}
