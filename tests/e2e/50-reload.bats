#!/usr/bin/env bats
# bats file_tags=core
# Deploying new code in place: everywhere or nowhere, without a lost request. Each test looks at what is answered, by
# which processes, and at the generation: a reload that only says "live" would pass none of them.
load helpers

# The builds that the tests deploy, made once.
setup_file() {
    local n
    for n in 1 2 3 4 5 6; do build_numbered "$DIR/build$n.so" $n; done
}

# put N: build N takes the place of the module, as a whole
put() { cp "$BATS_FILE_TMPDIR/build$1.so" "$DIR/n.so.new" && mv "$DIR/n.so.new" "$DIR/n.so"; }

begin() {
    put 1
    start_reeve <<EOF
${1:-}
app "n"     { module = "$DIR/n.so" option { first = "$DIR/first" go = "$DIR/go" } }
app "hello" { module = "$APPS/hello.so" mount = "/hello" }
EOF
    PIDS=$(worker_pids)
}

# serves N: forty requests are all answered by build N, and by no process but those that were there from the start
serves() {
    assert_equal "$(builds)" "build $1"
    assert_equal "$(comm -23 <(cut -d' ' -f4 "$DIR/answers" | sort -u) <(sort <<<"$PIDS"))" ''
    assert_equal "$(worker_pids)" "$PIDS"
}

# mapped N: generation N of the app, and no other one, is mapped in every worker
mapped() {
    local pid
    for pid in $(worker_pids); do
        is_equal "$1" eval "grep -oE '/spool/n/[0-9]+-' /proc/$pid/maps | grep -oE '[0-9]+' | sort -u" || return 1
    done
}

# verdict: the last line that reevectl -j printed
verdict() { tail -n 1 <<<"$output" | jq -r "$1"; }

@test "after a reload every request is answered by the new build, by the same processes" {
    begin
    serves 1
    put 2
    run -0 ctl -j reload n
    assert_equal "$(verdict '"\(.verdict) \(.receipt.apps | length)"')" 'live 1'
    assert_equal "$(verdict '.receipt.apps[0] | "\(.app) \(.generation) \(.version) \(.outcome)"')" 'n 2 1.0.2 live'
    assert_equal "$(verdict '.receipt.workers | map(.ok and .committed and .unloaded) | @csv')" 'true,true'
    assert_equal "$(verdict '.receipt.held | length')" 0
    assert_equal "$(verdict '.receipt.seconds | [.preflight, .prepare, .commit, .unload, .total] | map(type == "number" and . >= 0) | all')" true
    serves 2
    assert_equal "$(figure '.applications.n | "\(.generation) \(.reloads) \(.refusals)"')" '2 1 0'
    assert_equal "$(figure '.applications.hello.generation')" 1
    mapped 2
    assert_equal "$(get /hello)" 'Hello, World!'
}

@test "the progress is told step by step, each worker by name" {
    begin
    put 2
    run -0 ctl -j reload n
    assert_equal "$(jq -r 'select(.step) | .step' <<<"$output" | sort | uniq -c | tr -s ' ' | paste -sd,)" \
        ' 1 begin, 1 commit, 1 preflight, 2 prepare, 2 unload'
    assert_equal "$(jq -r 'select(.step == "prepare") | "\(.generation) \(.worker).\(.incarnation) \(.ok)"' <<<"$output" | sort | paste -sd,)" \
        '2 0.1 true,2 1.1 true'
    assert_equal "$(jq -r 'select(.step == "unload") | "\(.generation) \(.worker).\(.incarnation) \(.ok)"' <<<"$output" | sort | paste -sd,)" \
        '1 0.1 true,1 1.1 true'
}

@test "many reloads, one after the other, under load: no error, and each is what is answered" {
    need wrk
    begin
    start_wrk
    local n
    for n in 2 3 4 5 6 1 2 3 4 5; do
        put $n
        ctl reload n >/dev/null
        serves $n
    done
    stop_wrk
    assert_equal "$(figure .applications.n.generation)" 11
    mapped 11
    stop_reeve
}

@test "many reloads under load of one connection a request: no error" {
    need wrk
    begin
    start_wrk -H 'Connection: close'
    local n
    for n in 2 3 4 5 6; do
        put $n
        ctl reload n >/dev/null
        serves $n
    done
    stop_wrk
    mapped 6
}

@test "the same connection is served by the old and then by the new build" {
    begin 'workers = 1'
    put 2
    python3 - "$PORT" "$REEVECTL" "$CONTROL" <<EOF
import subprocess, sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client(sys.argv[1])
assert client.ask("/").body.startswith(b"build 1 ")
subprocess.run([sys.argv[2], "-s", sys.argv[3], "reload", "n"], check=True, stdout=subprocess.DEVNULL)
assert client.ask("/").body.startswith(b"build 2 ")
EOF
}

@test "a request that runs across a reload ends on the old code, which is kept until then" {
    begin 'unload_wait = 200ms'
    hold /
    put 2
    run -0 ctl -j reload n
    assert_equal "$(verdict '"\(.verdict) \(.receipt.held | map(.count) | add)"')" 'live 1'
    assert_equal "$(figure '.applications.n.generations | map(select(.generation == 1))[0] | "\(.active) \(.held)"')" '1 1'
    run ! mapped 2
    serves 2
    has_logged 'generation 2 is live, the old code is still held in 1 worker'
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    wait_until mapped 2
}

@test "an answer that streams goes on through reloads on its own build, until its client goes" {
    begin 'unload_wait = 0'
    curl -sS -N "$URL/?forever" >"$DIR/stream" 3>&- &
    local client=$!
    wait_until grep -q 'build 1' "$DIR/stream"
    local n lines
    for n in 2 3 4; do
        put $n
        ctl reload n >/dev/null
        serves $n
        lines=$(wc -l <"$DIR/stream")
        longer() { [ "$(wc -l <"$DIR/stream")" -gt $((lines + 3)) ]; }
        wait_until longer
    done
    assert_equal "$(sort -u "$DIR/stream")" 'build 1'
    kill "$client"
    wait_until mapped 4
}

@test "the module's file may be overwritten in place while it is served, and deployed afterwards" {
    begin
    # Not by a new file: into the old one, as cp and some linkers do. Whoever had it mapped would crash.
    local n
    for n in 1 2 3 4 5; do head -c 20000 /dev/urandom >"$DIR/n.so"; done
    serves 1
    cat "$BATS_FILE_TMPDIR/build2.so" >"$DIR/n.so"
    serves 1
    ctl reload n >/dev/null
    serves 2
    : >"$DIR/n.so"
    serves 2
    run -4 ctl reload n
    rm "$DIR/n.so"
    serves 2
    run -4 ctl reload n
    assert_output --partial 'No such file or directory'
    serves 2
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
}

# rejected TEXT: a reload is refused with exit status 4 and that text, and everything is as before
rejected() {
    run -4 ctl -j reload n
    assert_equal "$(verdict '.receipt.outcome | IN("rejected", "aborted")')" true
    run -0 verdict '.receipt.reason'
    assert_output --partial "$1"
    serves "${2:-1}"
    assert_equal "$(figure .applications.n.generation)" "${2:-1}"
    wait_until mapped "${2:-1}"
    # What was refused is not kept either.
    assert_equal "$(find "$DIR/state/spool" -name '*.so' | grep -cv hello)" 1
}

@test "a build that does not load is rejected, and the old one goes on: what is no module at all" {
    begin
    head -c 100000 /dev/urandom >"$DIR/n.so"
    rejected "$DIR/n.so"
    echo 'int main;' >"$DIR/n.so"
    rejected "$DIR/n.so"
    : >"$DIR/n.so"
    rejected 'is empty'
    local size half
    size=$(wc -c <"$BATS_FILE_TMPDIR/build2.so")
    for half in 64 1000 $((size / 2)) $((size - 100)); do
        head -c "$half" "$BATS_FILE_TMPDIR/build2.so" >"$DIR/n.so"
        rejected "$DIR/n.so"
    done
    cp "$REEVECTL" "$DIR/n.so"
    rejected ''
    rm "$DIR/n.so"
    mkfifo "$DIR/n.so"
    rejected 'is no regular file'
    rm "$DIR/n.so"
    mkdir "$DIR/n.so"
    rejected ''
    rmdir "$DIR/n.so"
    put 2
    ctl reload n >/dev/null
    serves 2
}

@test "a build that does not fit is rejected: a missing symbol, no descriptor, another machine's" {
    begin
    build_numbered "$DIR/n.so" 2 -DMISSING_SYMBOL
    rejected reeve_no_such_function
    build_numbered "$DIR/n.so" 2 -DNO_DESCRIPTOR
    rejected 'REEVE_APP'
    put 2
    printf '\x03' | dd of="$DIR/n.so" bs=1 seek=18 conv=notrunc status=none # e_machine: 80386
    rejected "$DIR/n.so"
}

@test "a build that says no, crashes, or hangs in its preflight is rejected, with the reason and what it said" {
    begin 'prepare_timeout = 1s'
    build_numbered "$DIR/n.so" 2 -DFAIL_INIT
    rejected 'this build says no'
    build_numbered "$DIR/n.so" 2 -DFAIL_SELFTEST
    rejected '2 and 2 make 5'
    build_numbered "$DIR/n.so" 2 -DCRASH_INIT
    rejected 'crashed with signal 6'
    build_numbered "$DIR/n.so" 2 -DHANG_INIT
    rejected 'did not finish its preflight within 1 s'
    assert_equal "$(figure .applications.n.refusals)" 4
    assert_equal "$(get /hello)" 'Hello, World!'
}

@test "one worker that refuses is enough: nowhere is it live" {
    begin
    build_numbered "$DIR/n.so" 2 -DFAIL_IN_WORKER
    rejected 'not in a worker'
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
}

@test "a worker that had it prepared already forgets it when another one refuses" {
    begin
    build_numbered "$DIR/n.so" 2 -DFAIL_IN_SECOND
    rejected 'not in a second worker'
    # Loaded in one of them it was, and is no more: `rejected` has looked at what is mapped.
    [ -e "$DIR/first" ]
    put 3
    ctl reload n >/dev/null
    serves 3
    mapped 3
}

@test "a build that kills the worker that prepares it is live nowhere, and the worker is replaced" {
    begin
    build_numbered "$DIR/n.so" 2 -DCRASH_IN_WORKER
    run -4 ctl -j reload n
    assert_equal "$(verdict .verdict)" aborted
    run -0 verdict '.receipt.reason'
    assert_output --partial 'was killed by signal 9'
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(builds)" 'build 1'
    wait_until mapped 1
}

@test "a build that hangs in the workers is aborted in time" {
    begin 'prepare_timeout = 1s'
    build_numbered "$DIR/n.so" 2 -DHANG_IN_WORKER
    run -4 ctl -j reload n
    assert_equal "$(verdict .verdict)" aborted
    run -0 verdict '.receipt.reason'
    assert_output --partial 'within 1 s'
    wait_until is_equal 'build 1' eval "get / --max-time 5 | cut -d' ' -f1,2"
    assert_equal "$(builds)" 'build 1'
    put 3
    run -0 ctl reload n
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 3'
}

@test "a build with a shared library of its own is refused: the older copy would be used" {
    begin
    echo 'int own(void) { return 2; }' | cc -shared -fPIC -xc -o "$DIR/libown.so" -
    cat >"$DIR/own.c" <<'EOF'
#include <reeve/app.h>
int own(void);
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, "200 OK", REEVE_NO_HEADERS) + own() - 2;
}
REEVE_APP(.name = "own", .version = "2", .application = answer);
EOF
    cc -shared -fPIC -I"$TOP/include" -o "$DIR/n.so" "$DIR/own.c" -L"$DIR" -lown "-Wl,-rpath,$DIR"
    run -4 ctl reload n
    assert_output --partial "$DIR/libown.so, a shared library of its own"
    assert_output --partial 'link it statically'
    assert_equal "$(builds)" 'build 1'
}

@test "a build whose init takes its time does not keep the worker from serving" {
    begin
    build_numbered "$DIR/n.so" 2 -DWAIT_IN_WORKER
    ctl -j reload n >"$DIR/out" 3>&- &
    local reload=$!
    started+=("$reload")
    wait_until is_equal 2 eval "find '$DIR/state/spool/n' -name '*.so' | wc -l"
    serves 1
    serves 1
    is_alive "$reload"
    touch "$DIR/go"
    wait "$reload"
    serves 2
}

@test "refused builds do not disturb what is served under load" {
    need wrk
    begin
    build_numbered "$DIR/bad.so" 2 -DFAIL_IN_WORKER
    start_wrk
    local n
    for n in 1 2 3 4 5; do
        cp "$DIR/bad.so" "$DIR/n.so"
        run -4 ctl reload n
    done
    stop_wrk
    serves 1
    mapped 1
}

@test "a worker that is born after a reload has the code that was deployed, not what lies there now" {
    begin
    put 2
    ctl reload n >/dev/null
    put 3
    kill -KILL "$(head -n 1 <<<"$PIDS")"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(builds)" 'build 2'
    rm "$DIR/n.so"
    ctl scale 3 >/dev/null
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    assert_equal "$(builds)" 'build 2'
    wait_until mapped 2
}

@test "a worker that dies during a reload neither stops it nor is left behind" {
    begin
    local n
    for n in 2 3 4; do
        put $n
        ctl reload n >"$DIR/out" 2>&1 3>&- &
        local reload=$!
        kill -KILL "$(worker_pids | head -n 1)"
        wait "$reload" || assert_output_of_abort "$DIR/out"
        wait_until is_equal 2 eval 'worker_pids | wc -l'
        # Live everywhere or nowhere.
        assert_equal "$(builds | wc -l)" 1
        wait_until mapped "$(figure .applications.n.generation)"
    done
}

assert_output_of_abort() { grep -q 'while the new generation was being prepared' "$1" || fail "$(cat "$1")"; }

@test "reload without a name deploys every app; the same file again is a generation of its own" {
    begin
    run -0 ctl -j reload
    assert_equal "$(verdict '.receipt.apps | map("\(.app) \(.generation)") | join(", ")')" 'n 2, hello 2'
    serves 1
    mapped 2
    assert_equal "$(figure .generation)" 2
}

@test "a library that the module brings along is its own: no symbol of the server's takes its place" {
    # cJSON_Version is the server's as well, and exported nowhere to modules.
    cat >"$DIR/own.c" <<'EOF'
#include <reeve/app.h>
#include <string.h>
const char *cJSON_Version(void);
const char *cJSON_Version(void) { return "mine"; }
static int app(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, cJSON_Version(), strlen(cJSON_Version()));
}
REEVE_APP(.name = "own", .version = "1", .application = app);
EOF
    cc -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -o "$DIR/own.so" "$DIR/own.c"
    start_reeve <<<"app \"own\" { module = \"$DIR/own.so\" }"
    assert_equal "$(get /)" mine
}
