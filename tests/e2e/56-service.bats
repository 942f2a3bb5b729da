#!/usr/bin/env bats
# Under a service manager and in a container: what systemd is told and gives, as process 1, on a read-only root, as a
# user that nobody has heard of, with a full disk; and never more than one warning for what is missing.
# Each test has an environment of its own, and its process ends with it.
# shellcheck disable=SC2030,SC2031,SC2153
load helpers

MANAGER=$BATS_TEST_DIRNAME/manager.py
STRANGER=12345

# ---- the service manager -----------------------------------------------------------------------------------------------

# manage: this test is the service manager; what it hears is in $HEARD
manage() {
    HEARD=$DIR/heard
    : >"$HEARD"
    export NOTIFY_SOCKET=$DIR/notify
    python3 "$MANAGER" hear "$NOTIFY_SOCKET" "$HEARD" 3>&- &
    started+=("$!")
    wait_until test -S "$NOTIFY_SOCKET"
}

has_heard() { grep -qE -- "$1" "$HEARD"; }
# heard_after N PATTERN: in what came after the first N words
heard_after() { tail -n "+$(($1 + 1))" "$HEARD" | grep -qE -- "$2"; }
words() { wc -l <"$HEARD"; }

@test "the manager hears that it is ready, with what it runs, and that it stops" {
    manage
    start_reeve </dev/null
    wait_until has_heard 'READY=1'
    run -0 grep -cE 'READY=1 .*STATUS=2 workers, hello 1$' "$HEARD"
    run ! grep -q 'READY=1' <(sed '/READY=1/,$d' "$HEARD")
    ctl scale 3
    ctl reload hello
    wait_until has_heard 'STATUS=3 workers, hello 2$'
    stop_reeve
    wait_until has_heard 'STOPPING=1'
    run ! grep -q 'READY=1' <(sed '1,/STOPPING=1/d' "$HEARD")
}

@test "while a deployment runs the status says so" {
    manage
    build_numbered "$DIR/n.so" 1
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    wait_until has_heard 'STATUS=2 workers, n 1'
    build_numbered "$DIR/n.so" 2
    ctl reload n
    wait_until has_heard 'STATUS=.*; 1 deployment running'
    wait_until is_equal 'STATUS=2 workers, n 2' tail -n 1 "$HEARD"
}

@test "a reload of the configuration is RELOADING with its time, then READY, also when it is refused" {
    manage
    start_reeve </dev/null
    wait_until has_heard 'READY=1'
    local before
    before=$(words)
    ctl reload --config
    wait_until heard_after "$before" '^RELOADING=1 MONOTONIC_USEC=[0-9]+ '
    wait_until heard_after "$before" '^READY=1 '
    before=$(words)
    echo 'no_such_key = 1' >>"$CONFIG"
    run ! ctl reload --config
    wait_until heard_after "$before" '^READY=1 '
    assert_equal "$(get /)" "Hello, World!"
}

@test "an upgrade goes on speaking to the manager, as the same process" {
    manage
    export WATCHDOG_USEC=300000
    start_reeve </dev/null
    wait_until has_heard 'READY=1'
    local before
    before=$(words)
    ctl upgrade
    wait_until heard_after "$before" '^RELOADING=1 '
    wait_until heard_after "$before" '^READY=1 '
    before=$(words)
    wait_until heard_after "$before" 'WATCHDOG=1'
    is_alive "$REEVE_PID"
    stop_reeve
    wait_until has_heard 'STOPPING=1'
}

# has_stopped PID: as a whole, by SIGSTOP
has_stopped() { grep -q '^State:.T' "/proc/$1/status"; }

@test "the watchdog hears from a master whose loop turns, and from no other" {
    manage
    export WATCHDOG_USEC=200000
    start_reeve </dev/null
    wait_until has_heard 'WATCHDOG=1'
    local before
    before=$(words)
    wait_until heard_after "$((before + 1))" 'WATCHDOG=1'
    kill -STOP "$REEVE_PID"
    wait_until has_stopped "$REEVE_PID"
    python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"MARK", sys.argv[1])' "$NOTIFY_SOCKET"
    wait_until has_heard MARK
    # Five intervals of the worker's clock, whose heartbeats go on.
    assert_equal "$(curl -sS --max-time 30 "$URL/[1-100]" | grep -c Hello)" 100
    run ! grep -q WATCHDOG <(sed '1,/MARK/d' "$HEARD")
    kill -CONT "$REEVE_PID"
    wait_until grep -q WATCHDOG <(sed '1,/MARK/d' "$HEARD")
}

@test "a manager that is gone or does not read is no harm" {
    manage
    start_reeve </dev/null
    wait_until has_heard 'READY=1'
    kill -STOP "${started[0]}"
    local i
    for i in {1..20}; do ctl scale $((i % 2 + 1)) >/dev/null; done
    assert_equal "$(get /)" "Hello, World!"
    kill -KILL "${started[0]}"
    rm -f "$NOTIFY_SOCKET"
    ctl reload hello
    run ! has_logged ' (warn|error) '
    stop_reeve
}

# ---- sockets -----------------------------------------------------------------------------------------------------------

# port_of NAME: of the socket that the manager gave
port_of() { sed -n "s/^$1 //p" "$LOG" | head -n 1; }

@test "listeners are found among the manager's sockets by their name" {
    start_reeve python3 "$MANAGER" give spare http -- <<EOF
listen "127.0.0.1:1" { name = "http" }
listen "127.0.0.1:0" { }
EOF
    assert_equal "$(curl -sS --max-time 30 "http://127.0.0.1:$(port_of http)/")" "Hello, World!"
    assert_equal "$(get /)" "Hello, World!"
    stop_reeve
}

@test "connections that came before the start are served" {
    need systemd-socket-activate
    start_reeve </dev/null
    stop_reeve
    write_config <<<"listen \"127.0.0.1:$PORT\" { }"
    : >"$LOG"
    launch systemd-socket-activate --listen="127.0.0.1:$PORT" --setenv=PATH "$REEVE" -c "$CONFIG"
    wait_until has_logged "Listening on"
    assert_equal "$(get /)" "Hello, World!"
    wait_until is_ready
    stop_reeve
}

# ---- containers --------------------------------------------------------------------------------------------------------

# need_root_to COMMAND...: skips the test where that is not allowed
need_root_to() {
    [ "$(id -u)" -eq 0 ] || skip "only root can do that"
    "$@" true 2>/dev/null || skip "not allowed here: $*"
}

at_most_one_warning() {
    local count
    count=$(grep -cE '^[^ ]+ (warn|error) ' "$LOG" || true)
    [ "$count" -le 1 ] || fail "$count warnings"
}

# move_in: a folder that any user may look into, with the programs and a configuration without places of its own
move_in() {
    BOX=$(mktemp -d -p /tmp)
    folders+=("$BOX")
    cp -r "$BUILD/bin" "$BOX"
    mkdir "$BOX/apps" "$BOX/empty" "$BOX/run"
    cp "$APPS/hello.so" "$BOX/apps"
    build_numbered "$BOX/apps/n.so" 1
    chmod -R a+rX "$BOX"
    chmod 1777 "$BOX/run"
    REEVE=$BOX/bin/reeve
    write_config <<EOF
app "n"     { module = "$BOX/apps/n.so" }
app "hello" { module = "$BOX/apps/hello.so" mount = "/hello" }
EOF
    grep -vE '^(state_dir|control)' "$CONFIG" >"$BOX/reeve.conf"
    chmod a+r "$BOX/reeve.conf"
    CONFIG=$BOX/reeve.conf
}

as_stranger=(setpriv --reuid "$STRANGER" --regid "$STRANGER" --clear-groups env -u HOME -u TMPDIR)

@test "as a user without a name, a home or a place to write in, with one warning" {
    need_root_to setpriv --reuid "$STRANGER" --regid "$STRANGER" --clear-groups
    move_in
    start_again "${as_stranger[@]}"
    assert_equal "$(builds)" "build 1"
    at_most_one_warning
    stop_reeve
    at_most_one_warning
}

# Nothing can be written but $BOX/run, from which nothing can be executed: as `docker run --read-only --tmpfs` has it.
seal() {
    cat >"$BOX/seal" <<EOF
#!/bin/sh
set -e
for folder in / /tmp /var/tmp /dev /dev/shm /run; do
    [ \$folder = / ] || mount --bind \$folder \$folder
    mount -o remount,ro,bind \$folder
done
mount -t tmpfs -o noexec,mode=1777 none "$BOX/run"
exec "\$@"
EOF
    chmod 755 "$BOX/seal"
}

# in_box COMMAND...: sees the file systems as the server does
in_box() { nsenter --target "$REEVE_PID" --mount "$@"; }

@test "on a read-only root, as any user, with one warning" {
    need_root_to unshare --mount
    move_in
    seal
    start_again unshare --mount "$BOX/seal" "${as_stranger[@]}"
    assert_equal "$(builds)" "build 1"
    run -0 in_box "${as_stranger[@]}" sh -c "! touch $BOX/x /tmp/x /dev/shm/x /var/tmp/x 2>/dev/null"
    has_logged 'no place for state: staged modules are kept in memory'
    at_most_one_warning
    stop_reeve
    at_most_one_warning
}

@test "where nothing can be loaded from a folder, builds are deployed in memory" {
    need_root_to unshare --mount
    move_in
    seal
    echo "control = \"$BOX/run/control.sock\"" >>"$CONFIG"
    start_again unshare --mount "$BOX/seal" "${as_stranger[@]}" TMPDIR="$BOX/run"
    CONTROL=/proc/$REEVE_PID/root$BOX/run/control.sock
    wait_until test -S "$CONTROL"
    start_wrk
    local n
    for n in 2 3 4 5; do
        in_box mount -o remount,rw,bind /tmp
        build_numbered "$DIR/next.so" "$n"
        in_box cp "$DIR/next.so" "$BOX/apps/next.so"
        in_box mv "$BOX/apps/next.so" "$BOX/apps/n.so"
        in_box mount -o remount,ro,bind /tmp
        ctl reload n
        assert_equal "$(builds)" "build $n"
    done
    stop_wrk
    at_most_one_warning
    assert_equal "$(find "/proc/$REEVE_PID/fd" -lname '*memfd:n-*' | wc -l)" 1
    stop_reeve
}

@test "a state folder on a noexec file system keeps the state, and modules are staged in memory" {
    need_root_to unshare --mount
    move_in
    seal
    echo "state_dir = \"$BOX/run/state\"" >>"$CONFIG"
    echo "control = \"$BOX/run/control.sock\"" >>"$CONFIG"
    start_again unshare --mount "$BOX/seal"
    assert_equal "$(builds)" "build 1"
    has_logged 'mounted noexec: staged ones are kept in memory'
    run ! has_logged ' (warn|error) '
    [ -e "/proc/$REEVE_PID/root$BOX/run/state/lock" ]
    stop_reeve
}

@test "a check of the configuration needs no place to write in" {
    need_root_to unshare --mount
    move_in
    seal
    run -0 unshare --mount "$BOX/seal" "${as_stranger[@]}" "$REEVE" -t -c "$CONFIG"
    assert_output --partial ': ok'
}

@test "as process 1 it reaps strangers, and stops by TERM" {
    need_root_to unshare --pid --fork --mount-proc --kill-child
    write_config <<<'log_level = debug'
    start_again unshare --pid --fork --mount-proc --kill-child
    local master
    master=$(pgrep -P "$REEVE_PID")
    assert_equal "$(grep -c 'master\[1\]: ready' "$LOG")" 1
    assert_equal "$(get /)" "Hello, World!"
    # A shell in its process namespace leaves an orphan behind, which the namespace gives to process 1.
    nsenter --target "$master" --pid sh -c '(true; sleep 0.1; exit 3) & exit 0'
    wait_until has_logged 'debug master\[1\]: an unknown child ended'
    run ! pgrep -P "$master" -r Z
    assert_equal "$(get /)" "Hello, World!"
    run ! has_logged ' (warn|error) '
    kill -TERM "$master"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
    has_logged 'master\[1\]: stopped'
}

# ---- disks -------------------------------------------------------------------------------------------------------------

# start_on_small_disk: the state folder is a file system of 1 MiB of its own, seen from here as $STATE
start_on_small_disk() {
    need_root_to unshare --mount
    mkdir "$DIR/state"
    build_numbered "$DIR/n.so" 1
    write_config <<<"app \"n\" { module = \"$DIR/n.so\" }"
    start_again unshare --mount sh -c "mount -t tmpfs -o size=1m none '$DIR/state' && exec \"\$@\"" sh
    STATE=/proc/$REEVE_PID/root$DIR/state
}

@test "on a full disk a reload is refused with the reason, and nothing else happens" {
    start_on_small_disk
    start_wrk
    run ! dd if=/dev/zero of="$STATE/ballast" bs=4k
    build_numbered "$DIR/n.so" 2
    run -4 ctl reload n
    assert_output --partial 'No space left on device'
    assert_equal "$(builds)" "build 1"
    rm "$STATE/ballast"
    run -0 ctl reload n
    assert_equal "$(builds)" "build 2"
    stop_wrk
    stop_reeve
}

@test "in a spool that cannot be written any more a reload is refused, and nothing else happens" {
    start_on_small_disk
    in_box mount -t tmpfs -o ro none "$DIR/state/spool/n"
    build_numbered "$DIR/n.so" 2
    run -4 ctl reload n
    assert_output --partial 'Read-only file system'
    assert_equal "$(builds)" "build 1"
    in_box umount "$DIR/state/spool/n"
    run -0 ctl reload n
    assert_equal "$(builds)" "build 2"
}

@test "garbage in the state folder, and the lock of a killed master, are no obstacle" {
    mkdir -p "$DIR/state/spool/hello/deep/deeper"
    head -c 1000 /dev/urandom >"$DIR/state/spool/hello/1-1.so"
    ln -s /etc "$DIR/state/spool/link"
    start_reeve </dev/null
    [ -e /etc/passwd ]
    # shellcheck disable=SC2034
    mapfile -t orphans < <(worker_pids)
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    start_again
    assert_equal "$(get /)" "Hello, World!"
    assert_equal "$(find "$DIR/state/spool" -type f | wc -l)" 1
    run ! has_logged ' (warn|error) '
    stop_reeve
}

# ---- the unit ----------------------------------------------------------------------------------------------------------

@test "the unit file is one that systemd understands" {
    need systemd-analyze
    mkdir "$DIR/units"
    sed "s|/usr/local/bin/|$BUILD/bin/|" "$TOP/etc/reeve.service" >"$DIR/units/reeve.service"
    cp "$TOP/etc/reeve.socket" "$DIR/units"
    run -0 systemd-analyze verify --man=no "$DIR/units/reeve.service" "$DIR/units/reeve.socket"
    run ! grep "$DIR/units" <<<"$output"
}

# bats test_tags=core
@test "modules load where no memory can become executable that was written" {
    ! is_sanitized || skip "the sanitizer needs such memory"
    run python3 "$MANAGER" forbid true
    [ "$status" -ne 77 ] || skip "this kernel cannot forbid it"
    start_reeve python3 "$MANAGER" forbid </dev/null
    assert_equal "$(get /)" "Hello, World!"
    ctl reload hello
    stop_reeve
}
