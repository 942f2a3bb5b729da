#!/usr/bin/env bats
# A deployment as a transaction: several applications at once, all live or none; what its receipt says; giving it up; and a
# worker, the preflight, the master that dies, or a server that is told to stop, in each of its phases.
load deploys

# In its preflight: a grandchild that no kill of the process group reaches and that keeps the link open, then it waits.
FORKS='if (reeve_is_preflight() && fork() == 0) { setsid(); creat(reeve_option(module, "first"), 0600); sleep(20); _exit(0); }'
FORKS+=' if (reeve_is_preflight() && wait_for(reeve_option(module, "go")) != 0) return -1'

setup_file() {
    build_all
    build_numbered "$DIR/forks.so" 2 -DIN_INIT="$FORKS"
    build_numbered "$DIR/says_no_in_worker.so" 2 -DFAIL_IN_WORKER
    build_numbered "$DIR/says_no_in_second.so" 2 -DFAIL_IN_SECOND
    build_numbered "$DIR/kills.so" 2 -DCRASH_IN_WORKER
    build_numbered "$DIR/hangs.so" 2 -DHANG_IN_WORKER
}

outcomes() { verdict '"\(.verdict): " + (.receipt.apps | map("\(.app) \(.generation) \(.outcome)") | join(", "))'; }

# ---- all or none --------------------------------------------------------------------------------------------------------

@test "several applications are live at once, by one deployment with one number, and the others stay" {
    begin
    put 2 a
    put 3 b
    put 4 c
    deploy /v1/apps/reload '{"apps":["a","b"]}'
    assert_equal "$(outcomes)" 'live: a 2 live, b 2 live'
    assert_equal "$(verdict .deploy)" "$NUMBER"
    assert_equal "$(jq -r 'select(.step) | .step' "$DIR/stream" | sort | uniq -c | tr -s ' ' | paste -sd,)" \
        ' 1 begin, 1 commit, 2 preflight, 4 prepare, 4 unload'
    assert_equal "$(answers)" '2 3 1'
    mapped a 2
    mapped b 2
    mapped c 1
    is_tidy
    deploy /v1/apps/reload
    assert_equal "$(outcomes)" 'live: a 3 live, b 3 live, c 2 live'
    assert_equal "$(verdict .deploy)" $((NUMBER))
    assert_equal "$(answers)" '2 3 4'
}

# in_vain BUILD VERDICT B_OUTCOME REASON: b's build is that one, and so neither a's nor b's is live
in_vain() {
    put 2 a
    put "$1" b
    deploy /v1/apps/reload '{"apps":["a","b"]}'
    assert_equal "$(verdict .verdict)" "$2"
    assert_equal "$(verdict '.receipt.apps | map(.outcome) | join(" ")')" "aborted $3"
    assert_equal "$(verdict '.receipt.apps[0].reason // ""')" ''
    run -0 verdict .reason
    assert_output --partial "$4"
    run -0 verdict '.receipt.apps[1].reason'
    assert_output --partial "$4"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(answers)" '1 1 1'
    wait_until mapped a 1
    wait_until mapped b 1
    is_tidy
    assert_equal "$(figure '.applications | map(.generation) | join(" ")')" '1 1 1'
}

@test "when one of them is refused in its preflight, none is live" {
    begin
    in_vain says_no rejected rejected 'this build says no'
    assert_equal "$(verdict '.receipt.workers | length')" 0
    put 2 b
    deploy /v1/apps/reload '{"apps":["a","b"]}'
    assert_equal "$(outcomes)" 'live: a 3 live, b 3 live'
    assert_equal "$(answers)" '2 2 1'
}

@test "when one of them is refused by a worker, or by the second one only, none is live" {
    begin
    in_vain says_no_in_worker aborted rejected 'not in a worker'
    in_vain says_no_in_second aborted rejected 'not in a second worker'
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
}

@test "when one of them kills the worker that prepares it, none is live" {
    begin
    in_vain kills aborted aborted 'was killed by signal 9'
}

@test "when one of them hangs in a worker, none is live" {
    begin 'prepare_timeout = 1s'
    in_vain hangs aborted aborted 'within 1 s'
}

@test "an order that makes no sense is refused with a sentence, and is no deployment" {
    begin
    run -0 refusal /v1/apps/reload '{"apps":["a","nobody"]}'
    assert_output '404 there is no application "nobody"'
    run -0 refusal /v1/apps/nobody/reload '{}'
    assert_output '404 there is no application "nobody"'
    run -0 refusal /v1/apps/reload '{"apps":["a","b","a"]}'
    assert_output '400 an app is named twice'
    local body
    for body in '{"apps":[]}' '{"apps":"a"}' '{"apps":[1]}' '{"apps":null}' '{"apps":["a",null]}'; do
        run -0 refusal /v1/apps/reload "$body"
        assert_output '400 "apps" has to be a list of names'
    done
    run -0 refusal /v1/apps/a/reload '{"apps":["a"]}'
    assert_output '400 the body has a key that is not known here'
    run -0 refusal /v1/apps/nobody/rollback '{}'
    assert_output '404 there is no application "nobody"'
    run -0 refusal /v1/deploys/cancel '{}'
    assert_output '409 no deployment is running'
    assert_equal "$(api /v1/deploys | jq -c '.deploys | map(.deploy)')" '[1]'
    assert_equal "$(answers)" '1 1 1'
}

@test "a second one meanwhile is refused with the number of the first" {
    begin
    bring_to prepare
    local path
    for path in apps/reload apps/b/reload workers/restart; do
        run -0 refusal "/v1/$path" '{}'
        assert_output "409 deployment $NUMBER (a reload of a) is running; try again when it is over"
    done
    let_go
    await
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(api /v1/deploys | jq -c '.deploys | map(.deploy)')" "[1,$NUMBER]"
}

# ---- the receipt --------------------------------------------------------------------------------------------------------

@test "the receipt says what was deployed, by whom, and how long it took" {
    begin
    put 2
    local before
    before=$(date +%s)
    deploy /v1/apps/a/reload
    assert_equal "$(receipt '"\(.deploy) \(.kind) \(.action) \(.outcome)"')" "$NUMBER reload a reload of a live"
    assert_equal "$(receipt '"\(.asked_by.uid) \(.asked_by.pid)"')" "$(id -u) $ORDER"
    assert_equal "$(receipt ".began_at >= $before and .began_at <= now")" true
    assert_equal "$(receipt '.apps[0] | "\(.app) \(.generation) \(.from) \(.version) \(.module)"')" "a 2 1 1.0.2 $DIR/a.so"
    assert_equal "$(receipt '.apps[0].sha256')" "$(sha256sum <"$DIR/a.so" | cut -d' ' -f1)"
    assert_equal "$(receipt '.apps[0].size')" "$(stat -c %s "$DIR/a.so")"
    assert_equal "$(receipt '.apps[0].build_id // ""')" "$(readelf -n "$DIR/a.so" | sed -nE 's/.*Build ID: //p')"
    assert_equal "$(receipt '.workers | map("\(.id).\(.incarnation) \(.ok) \(.committed) \(.unloaded)") | join(", ")')" \
        '0.1 true true true, 1.1 true true true'
    assert_equal "$(receipt '.seconds | .total >= .preflight and .preflight > 0 and .prepare > 0 and .commit > 0 and .unload > 0')" true
    # It is the one that was streamed, and the one of the start is there as well.
    assert_equal "$(receipt . | jq -S .)" "$(verdict .receipt | jq -S .)"
    assert_equal "$(receipt '"\(.kind) \(.outcome) \(.asked_by) \(.apps | map(.generation) | add)"' 1)" 'start live null 3'
    assert_equal "$(jq -S . "$DIR/state/deploys/$NUMBER.json")" "$(verdict .receipt | jq -S .)"
}

@test "a receipt is there while the deployment runs, and says so" {
    begin
    bring_to preflight
    assert_equal "$(receipt '"\(.outcome) \(.apps | map("\(.app) \(.generation) \(.outcome)") | join(" "))"')" 'running a 2 running'
    go
    await
    assert_equal "$(receipt .outcome)" live
    run -0 api /v1/deploys/99
    assert_output --partial 'no such deployment'
    run -0 api /v1/deploys/1x
    assert_output --partial 'no such deployment'
}

@test "a preflight that cannot be had says why" {
    begin
    put 2
    # Without a descriptor for whoever asks: who does waits, and the master goes on.
    prlimit --pid "$REEVE_PID" --nofile=3:
    run -28 api /v1/status --max-time 0.5
    wait_until has_logged 'control: cannot accept'
    # With one more, it can be asked.
    prlimit --pid "$REEVE_PID" --nofile=$(($(find "/proc/$REEVE_PID/fd" -mindepth 1 | wc -l) + 2))
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" failed
    run -0 verdict .reason
    assert_output 'its preflight could not be started: Too many open files'
    assert_equal "$(answers)" '1 1 1'
}

# ---- giving up ----------------------------------------------------------------------------------------------------------

# given_up: a deployment that was cancelled ends, and nothing is changed
given_up() {
    run -0 api /v1/deploys/cancel -d '{}'
    assert_output "{\"cancelled\":$NUMBER}"
    await
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" 'failed: it was given up'
    assert_equal "$(verdict '.receipt.apps[0].outcome')" failed
    assert_equal "$(answers)" '1 1 1'
    let_go
    wait_until mapped a 1
    wait_until is_tidy
}

@test "it can be given up during its preflight, and before all workers have prepared it" {
    begin
    bring_to preflight
    given_up
    rm "$DIR/go"*
    bring_to prepare
    given_up
    put 3
    deploy /v1/apps/a/reload
    assert_equal "$(answers)" '3 1 1'
}

@test "once it is decided it is too late to give it up" {
    begin 'unload_wait = 30s'
    bring_to unload
    run -0 refusal /v1/deploys/cancel '{}'
    assert_output '409 it is too late: what the deployment decided is being carried out'
    release
    await
    assert_equal "$(outcomes)" 'live: a 2 live'
}

@test "a listener who hangs up does not stop it" {
    begin
    local phase
    for phase in preflight prepare; do
        rm -f "$DIR/go"*
        bring_to $phase
        kill "$ORDER"
        end_of "$ORDER"
        let_go
        wait_until is_equal live receipt .outcome
        assert_equal "$(answers)" '2 1 1'
        put 1
        deploy /v1/apps/a/reload
        assert_equal "$(answers)" '1 1 1'
    done
}

# ---- a worker that dies -------------------------------------------------------------------------------------------------

# whole BUILDS GENERATION: these builds answer, two workers have nothing else, and the next deployment is an ordinary one
whole() {
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(answers)" "$1"
    wait_until mapped a "$2"
    wait_until is_tidy
    put 3
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answers)" '3 1 1'
}

@test "a worker that dies during the preflight is replaced, and the deployment goes on" {
    begin
    bring_to preflight
    kill -KILL "$W0"
    wait_until is_dead "$W0"
    let_go
    await
    assert_equal "$(outcomes)" 'live: a 2 live'
    whole '2 1 1' 2
}

@test "a worker that dies while it prepares aborts it everywhere" {
    begin
    bring_to prepare
    kill -KILL "$W1"
    await
    assert_equal "$(verdict .verdict)" aborted
    assert_equal "$(verdict .reason)" \
        'worker 1.1: it was killed by signal 9 (Killed) while the new generation was being prepared'
    assert_equal "$(verdict '.receipt.workers | map(.ok) | @csv')" true,false
    let_go
    whole '1 1 1' 1
}

@test "a worker that has prepared it and dies before the others have aborts it everywhere" {
    begin
    bring_to prepare
    kill -KILL "$W0"
    await
    assert_equal "$(verdict .verdict)" aborted
    let_go
    whole '1 1 1' 1
}

@test "a worker that dies before it has committed is replaced by one with the new code" {
    begin 'unload_wait = 30s'
    bring_to commit
    kill -KILL "$W0"
    await
    assert_equal "$(outcomes)" 'live: a 2 live'
    assert_equal "$(verdict '.receipt.workers | map(.committed) | @csv')" false,true
    # Its successor finds the code waiting for its own go.
    local new
    wait_until eval 'new=$(pid_of 0) && [ -n "$new" ] && [ "$new" != "$W0" ]'
    go "$(pid_of 0)"
    whole '2 1 1' 2
}

@test "a worker that does not commit in time is replaced, and what is said is true" {
    begin 'unload_wait = 1s'
    bring_to commit
    await
    assert_equal "$(outcomes)" 'live: a 2 live'
    assert_equal "$(verdict '.receipt.workers | map(.committed) | @csv')" false,true
    wait_until -t 10 is_dead "$W0"
    wait_until eval 'new=$(pid_of 0) && [ -n "$new" ] && [ "$new" != "$W0" ]'
    go "$(pid_of 0)"
    whole '2 1 1' 2
}

@test "a worker that dies with the old code still held ends the waiting for it" {
    begin 'unload_wait = 30s'
    bring_to unload
    local holder
    holder=$(api /v1/workers | jq '.workers[] | select(.requests > 0) | .pid')
    kill -KILL "$holder"
    await
    assert_equal "$(outcomes)" 'live: a 2 live'
    assert_equal "$(verdict '.receipt.held | length')" 0
    run ! release
    whole '2 1 1' 2
}

@test "a preflight process that is killed is a rejection" {
    begin
    bring_to preflight
    local pid
    pid=$(pgrep -P "$REEVE_PID" | grep -vxE "$W0|$W1")
    kill -KILL "$pid"
    await
    assert_equal "$(outcomes)" 'rejected: a 2 rejected'
    run -0 verdict .reason
    assert_output --partial 'crashed with signal 9 (Killed) in init'
    whole '1 1 1' 1
}

# ---- a master that dies -------------------------------------------------------------------------------------------------

# killed_in PHASE: then the next start is a clean one, and knows
killed_in() {
    begin $'unload_wait = 60s\ndrain_timeout = 1s'
    bring_to "$1"
    local generation
    generation=$(receipt '.apps[0].generation')
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    let_go
    wait_until are_dead "$W0" "$W1"
    run ! verdict .verdict
    put 3
    start_again
    assert_equal "$(receipt .outcome)" interrupted
    assert_equal "$(receipt '.apps | map("\(.app) \(.generation) \(.outcome)") | join(" ")')" "a $generation interrupted"
    is_tidy
    assert_equal "$(find "$DIR/state/deploys" "$DIR/state/modules" -type f ! -regex '.*/[0-9]+\.\(json\|so\)')" ''
    assert_equal "$(answers)" '3 1 1'
    assert_equal "$(api /v1/deploys | jq -c '.deploys | map(.deploy)')" "[1,$NUMBER,$((NUMBER + 1))]"
    assert_equal "$(figure .applications.a.generation)" $((generation + 1))
    put 4
    deploy /v1/apps/a/reload
    assert_equal "$(outcomes)" "live: a $((generation + 2)) live"
    assert_equal "$(answers)" '4 1 1'
    stop_reeve
}

@test "a master killed during the preflight: the next start is clean, and the history says so" { killed_in preflight; }
@test "a master killed while workers prepare: likewise" { killed_in prepare; }
@test "a master killed before all workers have committed: likewise" { killed_in commit; }
@test "a master killed while it waits for the old code to go: likewise" { killed_in unload; }
@test "a master killed during a canary: likewise" { killed_in canary; }
@test "a master killed while a canary is taken back: likewise" { killed_in 'take back'; }

# ---- a server that is told to stop --------------------------------------------------------------------------------------

# stopped_in PHASE VERDICT [REASON]: it ends as ever, and whoever listens is told what became of the deployment
stopped_in() {
    begin $'unload_wait = 60s\ndrain_timeout = 1s'
    bring_to "$1"
    stop_reeve
    await
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" "$2: ${3:-null}"
    assert_equal "$(jq -r .outcome "$DIR/state/deploys/$NUMBER.json")" "$2"
    assert_equal "$(find "$DIR/state/spool" -type f 2>&1 | grep -c '\.so$')" 0
    put 3
    let_go
    start_again
    assert_equal "$(receipt .outcome)" "$2"
    assert_equal "$(answers)" '3 1 1'
}

STOPPING='the server is stopping'
@test "a server told to stop during the preflight ends, and gives it up" { stopped_in preflight failed "$STOPPING"; }
@test "a server told to stop while workers prepare ends, and gives it up" { stopped_in prepare failed "$STOPPING"; }
@test "a server told to stop before all workers have committed ends, and it was live" { stopped_in commit live; }
@test "a server told to stop while the old code is held ends, and it was live" { stopped_in unload live; }
@test "a server told to stop during a canary ends, and takes it back" { stopped_in canary 'rolled back' "$STOPPING"; }
@test "a server told to stop while a canary is taken back ends" { stopped_in 'take back' 'rolled back' 'it was given up'; }

@test "a server told to stop during the preflight of its start ends, with exit status 0" {
    local app
    for app in b c; do put 1 $app; done
    put waits_first a
    write_config <<CONF
app "a" { module = "$DIR/a.so" option { go = "$DIR/go" } }
CONF
    : >"$LOG"
    launch "$REEVE" -c "$CONFIG"
    wait_until eval 'pgrep -P "$REEVE_PID"'
    wait_until is_equal running eval 'api /v1/deploys/1 | jq -r .outcome'
    stop_reeve
    assert_equal "$(jq -r '"\(.outcome) \(.reason)"' "$DIR/state/deploys/1.json")" "failed $STOPPING"
}

@test "the start is a deployment as well: until its workers are ready another one is refused, and it can be stopped" {
    begin
    stop_reeve
    put waits
    : >"$LOG"
    launch "$REEVE" -c "$CONFIG"
    wait_until eval '[ "$(pgrep -P "$REEVE_PID" | wc -l)" -eq 2 ] && api /v1/status'
    wait_until eval 'find "$DIR/state/spool" -name "*.so" | grep -c . | grep -qx 3'
    run -0 refusal /v1/apps/b/reload '{}'
    assert_output '409 deployment 2 (the start of the server) is running; try again when it is over'
    run -0 refusal /v1/deploys/cancel '{}'
    assert_output --regexp '^409 .* given up'
    assert_equal "$(receipt .outcome 2)" running
    stop_reeve
    assert_equal "$(jq -r '"\(.outcome) \(.reason)"' "$DIR/state/deploys/2.json")" "failed $STOPPING"
    put 2
    start_again
    assert_equal "$(receipt .outcome 3)" live
    assert_equal "$(answers)" '2 1 1'
}

@test "a server told to stop ends although what a build has forked in its preflight is still there" {
    begin
    put forks
    order /v1/apps/a/reload
    wait_until test -e "$DIR/first"
    stop_reeve
    await
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" "failed: $STOPPING"
}
