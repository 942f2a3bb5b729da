#!/usr/bin/env bats
# bats file_tags=core
# The upgrade: the master becomes another binary, the same process with the same sockets and counters; then its workers
# do. A binary that is no good changes nothing.
load helpers

setup_file() {
    build_numbered "$BATS_FILE_TMPDIR/n.so" 1 -DCRASH_WITH_FILE
    # Others that are really other files, and say so.
    local n
    for n in 1 2; do other_version "$REEVE" "$BATS_FILE_TMPDIR/reeve-0.1.$n" "0.1.$n"; done
    compile hangs 'for (;;) pause();'
    compile crashes 'abort();'
    compile floods 'for (;;) puts("all work and no play");'
    compile silent 'return 0;'
    compile boasts 'puts("{\"nonce\":\"1\",\"version\":\"9\"}");'
}

# other_version FROM TO VERSION: the same program, but for what it says of itself; the file appears whole
other_version() {
    LC_ALL=C sed "s/0\.1\.[0-9]\x00/$3\x00/g" "$1" >"$2.new"
    chmod +x "$2.new"
    mv "$2.new" "$2"
}

# compile NAME STATEMENTS: a program that is no reeve
compile() {
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void){%s return 0;}\n' "$2" |
        cc -xc -O1 -w -o "$BATS_FILE_TMPDIR/$1" -
}

# begin [LINES] [WRAPPER...]: a server from a binary of its own, which may be replaced
begin() {
    local lines=${1:-}
    shift || true
    cp "$REEVE" "$DIR/reeve"
    cp "$BATS_FILE_TMPDIR/n.so" "$DIR/n.so"
    write_config <<CONF
$lines
app "n" { module = "$DIR/n.so" option { crash_with = "$DIR/crash" } }
CONF
    REEVE=$DIR/reeve start_again "$@"
    PIDS=$(worker_pids)
}

# A figure of the receipt of $NUMBER; while nobody answers there is none
receipt() { api "/v1/deploys/$NUMBER" | jq -r "$1"; }
is_over() { [[ $(receipt .outcome) =~ ^(done|rejected|failed|timed\ out)$ ]]; }

# order [BINARY]: asks for an upgrade, and waits until it has begun
order() {
    api /v1/upgrade -d "${1:+{\"binary\":\"$1\"\}}" >"$DIR/stream" 2>/dev/null || true # cut by the exec
    NUMBER=$(head -n 1 "$DIR/stream" | jq .deploy)
}

# upgrade OUTCOME [BINARY]: asks for one, and waits until it has ended like that
upgrade() {
    order "${2:-}"
    wait_until is_over
    assert_equal "$(receipt .outcome)" "$1"
}

# is_upgraded VERSION: it is this version in the same process, and every worker another process than before
is_upgraded() {
    assert_equal "$(figure '"\(.version) \(.pid)"')" "$1 $REEVE_PID"
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    assert_equal "$(worker_pids | wc -l)" "$(wc -l <<<"$PIDS")"
    PIDS=$(worker_pids)
}

# is_untouched: everything is as before
is_untouched() {
    assert_equal "$(figure '"\(.version) \(.pid)"')" "0.1.0 $REEVE_PID"
    assert_equal "$(worker_pids)" "$PIDS"
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
}

counters() {
    figure '[.started_at, .connections.accepted, .requests.total, .applications.n.reloads, .processes.respawns,
        .applications.n.generation] | map(tostring) | .[]'
}

# have_grown BEFORE: no counter is smaller
have_grown() {
    paste <(echo "$1") <(counters) | awk '$2 < $1 { print "smaller: " $0; bad = 1 } END { exit bad }'
}

# bells PID: the eventfds that a process has, one for each slot, by which workers wake each other
bells() { sed -n 's/^eventfd-id: *//p' "/proc/$1/fdinfo"/* 2>/dev/null | sort; }

open_descriptors() { find "/proc/$REEVE_PID/fd" -mindepth 1 | wc -l; }

# ---- good ones --------------------------------------------------------------------------------------------------------

@test "another binary: the same master process, other workers, the same code, and counters that go on" {
    begin
    get '/?crash' || true
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    ctl reload n
    PIDS=$(worker_pids)
    local before bells
    before=$(counters)
    bells=$(bells "$REEVE_PID")
    run -0 ctl upgrade --binary "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
    have_grown "$before"
    assert_equal "$(wc -l <<<"$bells")" "$(api /v1/config | jq .max_workers)"
    assert_equal "$(bells "$REEVE_PID")" "$bells"
    assert_equal "$(bells "$(head -n 1 <<<"$PIDS")" | comm -12 - <(echo "$bells"))" "$bells"
    assert_equal "$(figure .applications.n.generation)" 2
    assert_equal "$(figure .applications.n.reloads)" 1
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    assert_equal "$(readlink "/proc/$REEVE_PID/exe")" "$BATS_FILE_TMPDIR/reeve-0.1.1"
    stop_reeve
    assert_no_file "$CONTROL"
}

@test "without a name it is the file that the server was started from, whatever lies there now" {
    begin
    other_version "$REEVE" "$DIR/reeve" 0.1.2
    upgrade 'done'
    is_upgraded 0.1.2
    assert_equal "$(tr '\0' ' ' <"/proc/$REEVE_PID/cmdline")" "$DIR/reeve -c $CONFIG "
}

@test "a link is followed anew: that is how packages change versions" {
    cp "$REEVE" "$DIR/reeve-0.1.0"
    ln -s reeve-0.1.0 "$DIR/reeve"
    write_config <<<"app \"n\" { module = \"$BATS_FILE_TMPDIR/n.so\" option { crash_with = \"$DIR/crash\" } }"
    : >"$LOG"
    in_path() { cd / && PATH=$DIR:$PATH exec "$@"; }
    launch in_path reeve -c "$CONFIG" # found by PATH
    wait_until is_ready
    find_port
    PIDS=$(worker_pids)
    ln -sfn "$BATS_FILE_TMPDIR/reeve-0.1.1" "$DIR/reeve"
    upgrade 'done'
    is_upgraded 0.1.1
}

@test "USR2 does it, too" {
    begin
    other_version "$REEVE" "$DIR/reeve" 0.1.2
    kill -USR2 "$REEVE_PID"
    NUMBER=2
    wait_until is_over
    is_upgraded 0.1.2
    assert_equal "$(receipt '"\(.outcome) \(.kind) \(.asked_by.signal)"')" 'done upgrade SIGUSR2'
}

@test "the receipt tells who asked, how it went, and which workers came" {
    begin
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    assert_equal "$(jq -r '.step' "$DIR/stream" | paste -sd' ')" 'begin check exec'
    assert_equal "$(receipt '"\(.kind) \(.action) \(.asked_by.uid)"')" "upgrade an upgrade $(id -u)"
    assert_equal "$(receipt '.workers | length')" 2
    assert_equal "$(api /v1/deploys | jq -c '[.deploys[] | "\(.deploy) \(.outcome)"]')" '["1 live","2 done"]'
    assert_equal "$(receipt '.seconds.total > 0 and .seconds.total < 60')" true
}

@test "10 upgrades under load of 32 connections that are kept, and of 32 that are not: 0 errors" {
    need wrk
    begin
    start_wrk
    local kept=$WRK n before
    wrk -t1 -c32 -d300s --timeout 20s -H 'Connection: close' "$URL/" >"$DIR/wrk.close" 2>&1 3>&- &
    local closing=$!
    started+=("$closing")
    for n in 1 2 1 2 1 2 1 2 1 2; do
        before=$(counters)
        upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.$n"
        is_upgraded "0.1.$n"
        have_grown "$before"
    done
    kill -INT "$closing"
    end_of "$closing"
    cat "$DIR/wrk.close"
    grep -q 'requests in' "$DIR/wrk.close"
    run ! grep -E 'Socket errors|Non-2xx' "$DIR/wrk.close"
    WRK=$kept
    stop_wrk
    stop_reeve
}

@test "a request that runs across it is finished by its old worker, and its client sees nothing" {
    begin
    hold /
    local old
    old=$(figure '.workers[] | select(.active == 1) | .pid')
    order "$BATS_FILE_TMPDIR/reeve-0.1.1"
    wait_until is_equal 0.1.1 figure .version
    is_alive "$old"
    release
    assert_equal "$(cat "$DIR/held")" "build 1 pid $old"
    wait_until is_over
    assert_equal "$(receipt .outcome)" 'done'
    is_upgraded 0.1.1
}

@test "idle connections are kept, and answered by the new workers" {
    begin 'keep_alive = 120s'
    # What handoff.py takes for reevectl, and for a restart.
    # shellcheck disable=SC2016
    printf '#!/usr/bin/env bash\nexec %q "${@/restart/upgrade}"\n' "$REEVECTL" >"$DIR/ctl"
    chmod +x "$DIR/ctl"
    run -0 timeout 60 python3 "$BATS_TEST_DIRNAME/handoff.py" idle "$PORT" "$DIR/ctl" "$CONTROL" 50 3
    assert_output "$(printf '%s\n' 'done' "$(worker_pids)")"
    is_upgraded 0.1.0
}

@test "afterwards everything works: reload, rollback, configuration, scale, restart, signals, a crash, another upgrade" {
    begin
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload n
    assert_equal "$(builds)" 'build 2'
    run -0 ctl rollback n
    assert_equal "$(builds)" 'build 1'
    ctl scale 3
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    echo 'keep_alive = 30s' >>"$CONFIG"
    run -0 ctl reload --config
    PIDS=$(worker_pids)
    NUMBER=$(($(figure .generation) + 1))
    kill -HUP "$REEVE_PID"
    wait_until is_equal live receipt .outcome
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    PIDS=$(worker_pids)
    run -0 ctl restart
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    PIDS=$(worker_pids)
    kill -KILL "$(head -n 1 <<<"$PIDS")"
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    wait_until is_equal 1 figure '.workers | map(.respawn_count) | add'
    PIDS=$(worker_pids)
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.2"
    is_upgraded 0.1.2
    assert_equal "$(builds)" 'build 1'
    stop_reeve
}

@test "old code that a worker still holds, and a worker that drains, are known to the new master" {
    begin
    hold /
    build_numbered "$DIR/n.so" 2
    order_reload() { api /v1/apps/n/reload -d '{}' >"$DIR/reload" 3>&-; }
    order_reload & # waits for the old code, which is held
    started+=("$!")
    wait_until is_equal 'build 2' builds
    local old
    old=$(figure '.workers[] | select(.active == 1) | .pid')
    wait_until -t 30 is_equal running-none eval "api /v1/deploys | jq -r '.deploys[-1].outcome' | sed 's/^live$/running-none/'"
    order "$BATS_FILE_TMPDIR/reeve-0.1.1"
    wait_until is_equal 0.1.1 figure .version
    wait_until is_equal draining figure ".workers[] | select(.pid == $old) | .status"
    upgrade_again() { api /v1/upgrade -d '{}'; }
    run -0 upgrade_again
    assert_output --partial "deployment $NUMBER (an upgrade)"
    release
    assert_equal "$(cat "$DIR/held")" "build 1 pid $old"
    wait_until is_over
    wait_until is_equal 1 eval "find '$DIR/state/spool' -type f | wc -l"
    stop_reeve
}

# check_descriptors: of a program that is checked: no more than it needs come to it
check_descriptors() {
    local check
    api /v1/upgrade -d "{\"binary\":\"$BATS_FILE_TMPDIR/hangs\"}" >"$DIR/stream" 3>&- &
    started+=("$!")
    wait_until pgrep -P "$REEVE_PID" -f "$BATS_FILE_TMPDIR/hangs" >&2
    check=$(pgrep -P "$REEVE_PID" -f "$BATS_FILE_TMPDIR/hangs")
    find "/proc/$check/fd" -mindepth 1 | wc -l
    kill -KILL "$check"
    wait "$!"
}

@test "the 5th upgrade has as many descriptors as the first" {
    begin
    local n before checked
    checked=$(check_descriptors)
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    wait_until is_equal "$(open_descriptors)" open_descriptors
    before=$(open_descriptors)
    for n in 2 1 2 1; do
        upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.$n"
        is_upgraded "0.1.$n"
    done
    wait_until is_equal "$before" open_descriptors
    assert_equal "$(check_descriptors)" "$checked"
    stop_reeve
}

@test "receipts that the disk did not take go on, and are written when it does" {
    begin
    rm -r "$DIR/state/deploys"
    touch "$DIR/state/deploys" # no folder
    ctl reload n
    PIDS=$(worker_pids)
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
    assert_equal "$(api /v1/deploys | jq -c '[.deploys[] | "\(.deploy) \(.outcome)"]')" '["1 live","2 live","3 done"]'
    rm "$DIR/state/deploys"
    ctl reload n
    assert_equal "$(cd "$DIR/state/deploys" && echo *)" '1.json 2.json 3.json 4.json'
}

@test "modules that are kept in memory go on" {
    unshare -m true 2>/dev/null || skip 'no namespace can be made'
    mkdir "$DIR/place"
    # shellcheck disable=SC2016
    begin "state_dir = \"$DIR/place/state\"" unshare -m sh -c \
        'mount -t tmpfs -o noexec none "$0" && exec "$@"' "$DIR/place"
    has_logged 'modules cannot be loaded from'
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
    assert_equal "$(builds)" 'build 1'
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload n
    assert_equal "$(builds)" 'build 2'
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.2"
    is_upgraded 0.1.2
    assert_equal "$(builds)" 'build 2'
    assert_equal "$(api /v1/deploys | jq -r '.deploys | map(.deploy | tostring) | join(" ")')" '1 2 3 4'
}

@test "a server without a configuration file, with a private state folder and a Unix socket" {
    write_config </dev/null
    cp "$REEVE" "$DIR/reeve"
    : >"$LOG"
    mkdir "$DIR/tmp"
    export TMPDIR=$DIR/tmp
    launch "$DIR/reeve" --listen 127.0.0.1:0 --listen "unix:$DIR/web.sock" --workers 2 --control "$CONTROL" \
        --pid-file "$DIR/pid" --state-dir "$DIR/state" "$APPS/hello.so"
    wait_until is_ready
    find_port
    PIDS=$(worker_pids)
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(curl -sS --unix-socket "$DIR/web.sock" http://reeve/)" 'Hello, World!'
    assert_equal "$(cat "$DIR/pid")" "$REEVE_PID"
    stop_reeve
    assert_no_file "$DIR/pid"
    assert_no_file "$DIR/web.sock"
}

# ---- bad ones -----------------------------------------------------------------------------------------------------------

# refuses BINARY PART: the reason has it, and nothing has changed
refuses() {
    upgrade rejected "$1"
    run -0 receipt .reason
    assert_output --partial "$2"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" rejected
    is_untouched
}

@test "every binary that is no good is refused with its reason, under load, and a good one is taken after it" {
    need wrk
    begin 'upgrade_timeout = 2s'
    start_wrk
    local bad=$DIR/bad descriptors
    descriptors=$(open_descriptors)
    refuses "$DIR/none" 'No such file or directory'
    refuses "$DIR" 'is no file'
    : >"$bad" && chmod -x "$bad"
    refuses "$bad" 'cannot be executed: Permission denied'
    chmod +x "$bad"
    refuses "$bad" 'is no program'
    printf '#!/bin/sh\nexec %s "$@"\n' "$REEVE" >"$bad"
    refuses "$bad" 'is no program'
    head -c 5000 "$REEVE" >"$bad"
    refuses "$bad" "$bad"
    cp "$REEVE" "$bad" && printf '\x08\x00' | dd of="$bad" bs=1 seek=18 conv=notrunc status=none
    refuses "$bad" 'for another machine'
    refuses /bin/true 'did not answer its check as a reeve does: it exited with status 0'
    refuses /bin/ls 'unrecognized option'
    refuses /bin/echo 'did not answer its check'
    refuses "$BATS_FILE_TMPDIR/silent" 'it exited with status 0'
    refuses "$BATS_FILE_TMPDIR/boasts" 'did not answer its check'
    refuses "$BATS_FILE_TMPDIR/crashes" 'was killed by signal 6'
    refuses "$BATS_FILE_TMPDIR/hangs" 'did not answer its check within 2 s'
    refuses "$BATS_FILE_TMPDIR/floods" 'did not answer its check'
    refuses "$REEVECTL" 'did not answer its check'
    run ! pgrep -P "$REEVE_PID" -f "$BATS_FILE_TMPDIR" # none is left
    wait_until is_equal "$descriptors" open_descriptors
    # Those that cannot be right are no action at all.
    assert_equal "$(api /v1/upgrade -d '{"binary":"reeve"}' | jq -r .error)" 'bad request'
    stop_wrk
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
}

@test "one with another scoreboard, or of another form of the state, says so in its check" {
    local protocol state
    protocol=$(sed -n 's/^#define CHANNEL_PROTOCOL //p' "$TOP/server/base/channel.h")
    state="\"format\":1,\"protocol\":$protocol,\"nonce\":\"n\",\"control\":\"c\",\"action\":\"a\",\"board_fd\":4"
    truncate -s 64K "$DIR/board"
    check() {
        echo "{$1}" >"$DIR/document"
        "$REEVE" --check-upgrade=3 "$APPS/hello.so" 3<"$DIR/document" 4<>"$DIR/board"
    }
    run -1 check "$state"
    assert_output '{"nonce":"n","refusal":"its scoreboard has another layout: stop the server and start the new one"}'
    run -1 check "${state/\"format\":1/\"format\":99}"
    assert_output --partial 'stop the server and start the new one'
    run -1 check "${state/\"protocol\":$protocol/\"protocol\":99}"
    assert_output --partial 'does not understand the workers'
}

@test "a configuration that was broken, or changed too much, is refused; one that was changed is taken" {
    begin
    local good
    good=$(cat "$CONFIG")
    echo 'no_such_key = 1' >>"$CONFIG"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" "$CONFIG:$(wc -l <"$CONFIG"): "
    { echo "$good" && echo 'max_apps = 3'; } >"$CONFIG"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" 'max_apps cannot change while the server runs'
    { echo "$good" && echo 'pubsub_ring = 64k'; } >"$CONFIG"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" 'pubsub_ring cannot change while the server runs (it is 1024k)'
    { echo "$good" && echo "app \"hello\" { module = \"$APPS/hello.so\" mount = \"/hello\" }"; } >"$CONFIG"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" 'names an app that is not in force, "hello": reload the configuration first'
    { echo "$good" && echo "listen \"unix:$DIR/x.sock\" { }"; } >"$CONFIG"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" 'names a listener that is not in force'
    { echo "$good" && echo 'server_header = false'; } >"$CONFIG"
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    is_upgraded 0.1.1
    assert_equal "$(header_of Server /)" ''
}

@test "a module that does not come up under the new binary is a refusal" {
    build_numbered "$BATS_FILE_TMPDIR/once.so" 1 \
        -DIN_INIT='if (access(reeve_option(module, "crash_with"), F_OK) == 0) return reeve_refuse(module, "not again")'
    begin
    cp "$BATS_FILE_TMPDIR/once.so" "$DIR/n.so"
    ctl reload n
    touch "$DIR/crash"
    refuses "$BATS_FILE_TMPDIR/reeve-0.1.1" 'app "n": not again'
    rm "$DIR/crash"
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
}

@test "a replacement that does not get ready ends it: the new master goes on with the old workers" {
    begin
    touch "$DIR/crash"
    upgrade failed "$BATS_FILE_TMPDIR/reeve-0.1.1"
    run -0 receipt .reason
    assert_output --partial 'exited with status 3'
    assert_equal "$(figure .version)" 0.1.1
    assert_equal "$(worker_pids)" "$PIDS"
    assert_equal "$(builds)" 'build 1'
    rm "$DIR/crash"
    run -0 ctl restart
    is_upgraded 0.1.1
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.2"
    is_upgraded 0.1.2
}

@test "a binary that is replaced while it is checked is not executed" {
    build_numbered "$BATS_FILE_TMPDIR/waits.so" 1 \
        -DIN_INIT='if (access(reeve_option(module, "crash_with"), F_OK) == 0) wait_for(reeve_option(module, "go"))'
    begin
    cp "$BATS_FILE_TMPDIR/waits.so" "$DIR/n.so"
    sed -i "s|crash_with =|go = \"$DIR/go\" crash_with =|" "$CONFIG"
    ctl reload --config
    ctl reload n
    PIDS=$(worker_pids)
    touch "$DIR/crash"
    other_version "$REEVE" "$DIR/reeve" 0.1.2
    order & # the check waits for the module
    started+=("$!")
    wait_until pgrep -f "$DIR/reeve --check-upgrade"
    cp "$BATS_FILE_TMPDIR/hangs" "$DIR/reeve.new"
    mv "$DIR/reeve.new" "$DIR/reeve"
    touch "$DIR/go"
    NUMBER=$(figure .generation)
    wait_until is_over
    assert_equal "$(receipt '"\(.outcome): \(.reason)"')" "rejected: $DIR/reeve was changed while it was checked"
    is_untouched
}

# ---- at the wrong moment --------------------------------------------------------------------------------------------------

# begin_check: an upgrade is being checked, by a program that does not answer, and the orders of others are refused
begin_check() {
    begin 'upgrade_timeout = 60s'
    curl -sSN --unix-socket "$CONTROL" -d "{\"binary\":\"$BATS_FILE_TMPDIR/hangs\"}" http://reeve/v1/upgrade \
        >"$DIR/stream" 3>&- &
    started+=("$!")
    wait_until grep -q check "$DIR/stream"
    NUMBER=$(head -n 1 "$DIR/stream" | jq .deploy)
    wait_until pgrep -P "$REEVE_PID" -f "$BATS_FILE_TMPDIR/hangs"
    CHECK=$(pgrep -P "$REEVE_PID" -f "$BATS_FILE_TMPDIR/hangs")
}

@test "while one is checked, others are busy, requests are served, and a worker that dies is replaced" {
    begin_check
    assert_equal "$(api /v1/upgrade -d '{}' | jq -r .error)" busy
    assert_equal "$(api /v1/apps/n/reload -d '{}' | jq -r .error)" busy
    kill -KILL "$(head -n 1 <<<"$PIDS")"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 1'
    kill -KILL "$CHECK"
    wait_until is_over
    assert_equal "$(receipt .outcome)" rejected
    assert_equal "$(receipt .reason | grep -c 'killed by signal 9')" 1
}

@test "a server that is stopped while one is checked ends at once, and the receipt says so" {
    begin_check
    stop_reeve
    is_dead "$CHECK"
    assert_equal "$(jq -r .outcome "$DIR/state/deploys/$NUMBER.json")" failed
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" failed
}

@test "a master that is killed while one is checked takes the check along" {
    begin_check
    # shellcheck disable=SC2206
    orphans+=($PIDS)
    kill -KILL "$REEVE_PID"
    wait_until is_dead "$CHECK"
    # shellcheck disable=SC2086
    wait_until are_dead $PIDS
}

@test "a worker that dies within the exec is replaced by the new master" {
    ! is_sanitized || skip 'nothing can be loaded before the sanitizer'
    # Before main: kills the worker of that process id, and waits for its end.
    cat >"$DIR/before.c" <<CODE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
__attribute__((constructor)) static void begin(void)
{
    FILE *file = getenv("REEVE_SUCCESSION") ? fopen("$DIR/victim", "r") : NULL;
    siginfo_t info;
    int pid;

    if (file != NULL && fscanf(file, "%d", &pid) == 1 && kill(pid, SIGKILL) == 0)
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}
CODE
    cc -D_GNU_SOURCE -shared -fPIC -o "$DIR/before.so" "$DIR/before.c"
    begin '' env "LD_PRELOAD=$DIR/before.so"
    head -n 1 <<<"$PIDS" >"$DIR/victim"
    upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.1"
    has_logged "pid $(cat "$DIR/victim") was killed by signal 9"
    is_upgraded 0.1.1
    assert_equal "$(figure .processes.respawns)" 1
    stop_reeve
}

@test "workers that die while the order waits, just before the exec, are replaced" {
    begin 'workers = 4'
    local pid
    kill -STOP "$REEVE_PID" # what comes now is found at the exec, or after it
    order "$BATS_FILE_TMPDIR/reeve-0.1.1" &
    local asking=$!
    started+=("$asking")
    for pid in $(head -n 2 <<<"$PIDS"); do kill -KILL "$pid"; done
    kill -CONT "$REEVE_PID"
    wait_until is_equal 0.1.1 figure .version
    wait_until is_equal 4 eval 'worker_pids | wc -l'
    wait_until is_equal 'build 1' builds
    NUMBER=2
    wait_until is_over
    wait_until is_equal 4 eval 'worker_pids | wc -l'
    stop_reeve
}

@test "a master that is killed after the exec: its workers finish, and the next start is clean" {
    begin
    hold /
    local held
    held=$(figure '.workers[] | select(.active == 1) | .pid')
    order "$BATS_FILE_TMPDIR/reeve-0.1.1"
    wait_until is_equal 0.1.1 figure .version
    # shellcheck disable=SC2206
    orphans+=($PIDS $(worker_pids))
    kill -KILL "$REEVE_PID"
    release
    assert_equal "$(cat "$DIR/held")" "build 1 pid $held"
    wait_until are_dead "${orphans[@]}"
    end_of "$REEVE_PID"
    REEVE=$DIR/reeve start_again
    assert_equal "$(builds)" 'build 1'
    assert_equal "$(receipt .outcome)" interrupted
}

@test "no client of the control socket finds nobody there, however often it asks" {
    begin
    local n
    ask_on() {
        local code
        while [ ! -e "$DIR/enough" ]; do
            code=0
            api /v1/status >/dev/null 2>&1 || code=$?
            echo "$code"
        done >"$DIR/codes"
    }
    ask_on 3>&- &
    local asking=$!
    started+=("$asking")
    for n in 1 2 1; do upgrade 'done' "$BATS_FILE_TMPDIR/reeve-0.1.$n"; done
    touch "$DIR/enough"
    wait "$asking"
    assert_equal "$(sort -u "$DIR/codes")" 0
}
