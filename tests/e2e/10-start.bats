#!/usr/bin/env bats
# bats file_tags=core
# The command line: reeve starts, says that it is ready, stops; what it cannot do it says in one sentence.
load helpers

# started_with ARGUMENT...: reeve without a configuration file, ready
started_with() {
    write_config </dev/null
    : >"$LOG"
    launch "$REEVE" --control "$CONTROL" --state-dir "$DIR/state" "$@"
    wait_until -t 60 is_ready
    is_alive "$REEVE_PID" || fail "$(cat "$LOG")"
    find_port
}

@test "a module and an address are enough to be served, by as many workers as there are CPUs" {
    started_with --listen 127.0.0.1:0 "$APPS/hello.so"
    run -0 get /
    assert_output "Hello, World!"
    assert_equal "$(worker_pids | wc -l)" "$(nproc)"
    stop_reeve
}

@test "further modules are mounted under their names" {
    started_with --listen 127.0.0.1:0 --workers 1 "$APPS/hello.so" "$APPS/echo.so"
    assert_equal "$(get /anything)" "Hello, World!"
    assert_equal "$(get /echo --data back)" back
    stop_reeve
}

@test "the other options of the command line reach the server" {
    started_with --listen 127.0.0.1:0 --workers 3 --log-level debug --access-log "$DIR/access" --pid-file "$DIR/pid" \
        "$APPS/hello.so"
    assert_equal "$(cat "$DIR/pid")" "$REEVE_PID"
    assert_equal "$(worker_pids | wc -l)" 3
    assert_equal "$(api /v1/config | jq -r .log_level)" debug
    get / >/dev/null
    stop_reeve
    run -0 grep -c '"GET / HTTP/1.1" 200 14' "$DIR/access"
    assert_no_file "$DIR/pid"
}

@test "it listens on IPv4, IPv6 and Unix sockets at once" {
    [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 here"
    started_with --listen 127.0.0.1:0 --listen '[::1]:0' --listen "unix:$DIR/http.sock" "$APPS/hello.so"
    assert_equal "$(get /)" "Hello, World!"
    assert_equal "$(curl -sS --unix-socket "$DIR/http.sock" http://reeve/)" "Hello, World!"
    local six
    six=$(grep -o '\[::1\]:[0-9]*' "$LOG" | tail -n 1)
    assert_equal "$(curl -sS -g "http://$six/")" "Hello, World!"
    stop_reeve
    assert_no_file "$DIR/http.sock"
    assert_no_file "$CONTROL"
}

@test "one address for both families: *:0" {
    started_with --listen '*:0' "$APPS/hello.so"
    assert_equal "$(get /)" "Hello, World!"
    [ -e /proc/net/if_inet6 ] || skip "no IPv6 here"
    assert_equal "$(curl -sS -g "http://[::1]:$PORT/")" "Hello, World!"
}

@test "the ready line comes when the workers serve, with their number and the addresses" {
    start_reeve <<<'workers = 3'
    assert_equal "$(grep -c 'ready: 3 workers, listening on 127.0.0.1:[0-9]*$' "$LOG")" 1
    assert_equal "$(worker_pids | wc -l)" 3
}

@test "the log goes to stderr, one line an event with time, level and process" {
    start_reeve </dev/null
    stop_reeve
    run ! grep -vE '^[^ ]+ .*(debug|info|warn|error).*(master|worker|preflight)' "$LOG"
}

@test "versions and help" {
    run -0 "$REEVE" --version
    assert_output --regexp '^reeve [0-9]+\.[0-9]+\.[0-9]+$'
    local version=$output
    run -0 "$REEVE" -v
    assert_output "$version"
    run -0 "$REEVE" --help
    assert_output --partial 'usage: reeve'
    local option
    for option in --config --test --listen --workers --control --state-dir --log-level --access-log --pid-file; do
        case $option in --config) assert_output --partial '-c FILE' ;; *) assert_output --partial -- "$option" ;; esac
    done
    start_reeve </dev/null
    assert_equal "reeve $(figure .version)" "$version"
}

# refused STATUS TEXT ARGUMENT...: reeve ends with that status and one line with that text on stderr
refused() {
    local status=$1 text=$2
    shift 2
    run --separate-stderr -"$status" "$REEVE" "$@"
    assert_equal "$output" ""
    # shellcheck disable=SC2154
    assert_equal "${#stderr_lines[@]}" 1
    # shellcheck disable=SC2154
    output=$stderr assert_output --partial -- "$text"
}

@test "bad usage is one sentence and exit status 2" {
    refused 2 'is missing'
    refused 2 '--no-such-option' "$APPS/hello.so" --no-such-option
    refused 2 '--no-such-option' --no-such-option
    refused 2 '-x' -x
    refused 2 '-c needs a value' -c
    refused 2 '--listen needs a value' "$APPS/hello.so" --listen
    refused 2 'of no use beside -c' -c "$TOP/etc/run.conf" --workers 2
    refused 2 'of no use beside -c' -c "$TOP/etc/run.conf" "$APPS/hello.so"
    refused 2 '--workers must be' --workers none "$APPS/hello.so"
    refused 2 'nowhere' --listen nowhere "$APPS/hello.so"
    refused 2 'no-such.so' no-such.so
    refused 2 '/no/such/file' -c /no/such/file
}

@test "a port in use is said, and nothing is left behind" {
    start_reeve </dev/null
    run -1 "$REEVE" --listen "127.0.0.1:$PORT" --control "$DIR/other.sock" --state-dir "$DIR/other" "$APPS/hello.so"
    assert_output --partial "not started: cannot listen on 127.0.0.1:$PORT: Address already in use"
    assert_no_file "$DIR/other.sock"
    assert_equal "$(get /)" "Hello, World!"
}

@test "a state folder in use is said, with the process that has it" {
    start_reeve </dev/null
    run -1 "$REEVE" --listen 127.0.0.1:0 --control "$DIR/other.sock" --state-dir "$DIR/state" "$APPS/hello.so"
    assert_output --partial "in use by another reeve, pid $REEVE_PID"
    assert_equal "$(get /)" "Hello, World!"
}

@test "a socket file left by a server that was killed does not stop the next" {
    start_reeve <<<"listen \"unix:$DIR/http.sock\" { }
listen \"127.0.0.1:0\" { }"
    local workers
    workers=$(worker_pids)
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    # shellcheck disable=SC2086
    wait_until are_dead $workers
    [ -S "$CONTROL" ] && [ -S "$DIR/http.sock" ]
    start_again
    assert_equal "$(curl -sS --unix-socket "$DIR/http.sock" http://reeve/)" "Hello, World!"
    stop_reeve
}

@test "a socket file that another server listens at is not taken" {
    start_reeve <<<"listen \"unix:$DIR/http.sock\" { }"
    run -1 "$REEVE" --listen "unix:$DIR/http.sock" --control "$DIR/other.sock" --state-dir "$DIR/other" "$APPS/hello.so"
    assert_output --partial 'Address already in use'
    assert_equal "$(curl -sS --unix-socket "$DIR/http.sock" http://reeve/)" "Hello, World!"
}

@test "a control socket that another server answers at is not taken: reevectl would mean the wrong one" {
    start_reeve </dev/null
    run -1 "$REEVE" --listen 127.0.0.1:0 --control "$CONTROL" --state-dir "$DIR/other" "$APPS/hello.so"
    assert_output --partial "another server answers at its control socket $CONTROL"
    run -0 ctl status
}

@test "without a state folder one is made, said once, and removed at the end" {
    write_config </dev/null
    sed -i '/^state_dir/d' "$CONFIG"
    mkdir "$DIR/tmp"
    if [ -w /var/lib/reeve ]; then skip "/var/lib/reeve is there"; fi
    TMPDIR=$DIR/tmp start_again
    assert_equal "$(grep -c 'no state_dir' "$LOG")" 1
    assert_equal "$(get /)" "Hello, World!"
    stop_reeve
    assert_equal "$(ls -A "$DIR/tmp")" ""
}

@test "stdin may be closed, and the folder it was started in may be any" {
    write_config </dev/null
    : >"$LOG"
    closed() { cd / && exec "$@" <&-; }
    launch closed "$REEVE" -c "$CONFIG"
    wait_until -t 60 is_ready
    find_port
    assert_equal "$(get /)" "Hello, World!"
    stop_reeve
}

@test "what the README's first command serves: every bundled app, from etc/run.conf" {
    write_config </dev/null
    # The apps of the build that is tested, and ports and folders of this test's.
    sed -e "s|127.0.0.1:8080|127.0.0.1:0|" -e "s|127.0.0.1:808\([1-9]\)|127.0.1.\1:0|" -e "s|build/run|$DIR|" \
        -e "s|build/apps|$APPS|" "$TOP/etc/run.conf" >"$CONFIG"
    cd "$TOP"
    start_again
    assert_equal "$(get /)" "Hello, World!"
    assert_equal "$(get /echo --data x)" x
    assert_equal "$(get /environ | jq -r .SCRIPT_NAME)" /environ
    assert_equal "$(get '/sleep?ms=1')" "slept 1 ms"
    run -0 get /files/hello/hello.c
    assert_output --partial REEVE_APP
    stop_reeve
}

@test "make run and make check are what the README says" {
    run -0 grep -c 'make run' "$TOP/README.md"
    run -0 grep -c 'make check' "$TOP/README.md"
    run -0 make -C "$TOP" -n run
    assert_output --partial 'build/bin/reeve -c etc/run.conf'
}
