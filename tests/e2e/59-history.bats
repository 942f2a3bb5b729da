#!/usr/bin/env bats
# The history: receipts and modules that outlive the server, going back to an earlier build, and what becomes of all that
# when the disk is full, cannot be written, or was tampered with.
load deploys

setup_file() {
    build_all
    build_numbered "$DIR/says_no_in_worker.so" 2 -DFAIL_IN_WORKER
}

# history JQ: of all receipts
history() { api /v1/deploys | jq -r ".deploys | $1"; }

# deploy_builds N...: these builds of a, one after the other
deploy_builds() {
    local n
    for n in "$@"; do
        put "$n"
        deploy /v1/apps/a/reload
        assert_equal "$(verdict .verdict)" live
    done
}

# kept: the generations of a whose modules are kept, in one line
kept() { find "$DIR/state/modules/a" -name '*.so' -printf '%f\n' | sed 's/\.so$//' | sort -n | paste -sd' '; }

# ---- numbers ------------------------------------------------------------------------------------------------------------

@test "over restarts of the server receipts stay, and the numbers of deployments and generations go on" {
    begin
    deploy_builds 2
    put says_no
    deploy /v1/apps/a/reload
    put 3
    local before
    before=$(api /v1/deploys | jq -S .)
    stop_reeve
    start_again
    assert_equal "$(api /v1/deploys | jq -S '{deploys: .deploys[:3]}')" "$before"
    assert_equal "$(history 'map("\(.deploy) \(.kind) \(.outcome)") | join(", ")')" \
        '1 start live, 2 reload live, 3 reload rejected, 4 start live'
    # The refused one had a generation as well: a number is used once.
    assert_equal "$(receipt '.apps | map("\(.app) \(.generation)") | join(", ")' 4)" 'a 4, b 2, c 2'
    assert_equal "$(figure '.applications | map(.generation) | join(" ")')" '4 2 2'
    assert_equal "$(answers)" '3 1 1'
    deploy /v1/apps/b/reload
    assert_equal "$(verdict '"\(.deploy) \(.receipt.apps[0].generation) \(.receipt.apps[0].from)"')" '5 3 2'
    assert_equal "$(api '/v1/deploys?limit=2' | jq -c '.deploys | map(.deploy)')" '[4,5]'
}

@test "keep says how many builds there are to go back to" {
    begin 'keep = 2'
    deploy_builds 2 3 4
    assert_equal "$(kept)" '2 3 4' # the live one, and two
    run -0 refusal /v1/apps/a/rollback '{"generation":1}'
    assert_output '404 generation 1 of app "a" is not kept'
    deploy /v1/apps/a/rollback '{"generation":2}'
    assert_equal "$(answers)" '2 1 1'
}

# ---- going back -----------------------------------------------------------------------------------------------------------

@test "rollback goes back to the build before, as a generation of its own, whatever lies at the module's place now" {
    begin
    deploy_builds 2 3
    echo 'no module' >"$DIR/a.so"
    deploy /v1/apps/a/rollback
    assert_equal "$(verdict '"\(.verdict) \(.receipt.kind), \(.receipt.action)"')" \
        'live rollback, a rollback of a to generation 2'
    assert_equal "$(verdict '.receipt.apps[0] | "\(.generation) \(.from) \(.rollback_to) \(.version) \(.outcome)"')" '4 3 2 1.0.2 live'
    assert_equal "$(verdict '.receipt.apps[0].sha256')" "$(receipt '.apps[0].sha256' 2)"
    assert_equal "$(verdict '.receipt.apps[0].module')" "$DIR/state/modules/a/2.so"
    assert_equal "$(answers)" '2 1 1'
    mapped a 4
    is_tidy
    # Once more, and it is the one before that: neither the build that was left, nor the same again.
    deploy /v1/apps/a/rollback
    assert_equal "$(verdict '.receipt.apps[0] | "\(.generation) \(.rollback_to)"')" '5 1'
    assert_equal "$(answers)" '1 1 1'
    # And anywhere, by number.
    deploy /v1/apps/a/rollback '{"generation":3}'
    assert_equal "$(verdict '.receipt.apps[0] | "\(.generation) \(.rollback_to)"')" '6 3'
    assert_equal "$(answers)" '3 1 1'
    mapped a 6
}

@test "a rollback that makes no sense is refused with a sentence" {
    begin
    run -0 refusal /v1/apps/a/rollback '{}'
    assert_output '404 no other build of app "a" is kept to go back to'
    run -0 refusal /v1/apps/a/rollback '{"generation":1}'
    assert_output '404 generation 1 of app "a" is the one that is live'
    run -0 refusal /v1/apps/a/rollback '{"generation":99}'
    assert_output '404 generation 99 of app "a" is not kept'
    local generation
    for generation in 0 -1 1.5 '"1"' null 1e300; do
        run -0 refusal /v1/apps/a/rollback "{\"generation\":$generation}"
        assert_output '400 "generation" has to be a whole number from 1 on'
    done
    deploy_builds 2
    rm "$DIR/state/modules/a/1.so"
    run -0 refusal /v1/apps/a/rollback '{"generation":1}'
    assert_output '404 generation 1 of app "a" is not kept'
    run -0 refusal /v1/apps/a/rollback '{}'
    assert_output '404 no other build of app "a" is kept to go back to'
    assert_equal "$(history 'map(.deploy) | @csv')" 1,2
    assert_equal "$(answers)" '2 1 1'
}

@test "builds of an earlier life of the server can be gone back to" {
    begin
    deploy_builds 2
    stop_reeve
    put 3
    start_again
    assert_equal "$(answers)" '3 1 1'
    deploy /v1/apps/a/rollback
    assert_equal "$(verdict '.receipt.apps[0] | "\(.generation) \(.from) \(.rollback_to)"')" '4 3 2'
    assert_equal "$(answers)" '2 1 1'
    deploy /v1/apps/a/rollback '{"generation":1}'
    assert_equal "$(answers)" '1 1 1'
}

@test "a kept module that was changed is refused, and what is live goes on" {
    begin
    deploy_builds 2 3
    printf x >>"$DIR/state/modules/a/1.so"
    deploy /v1/apps/a/rollback '{"generation":1}'
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" \
        "rejected: its kept module was changed since: its SHA-256 is not the receipt's"
    : >"$DIR/state/modules/a/2.so"
    run -0 refusal /v1/apps/a/rollback '{"generation":2}'
    assert_output '404 generation 2 of app "a" is not kept'
    head -c 100 "$BATS_FILE_TMPDIR/2.so" >"$DIR/state/modules/a/2.so"
    deploy /v1/apps/a/rollback '{"generation":2}'
    assert_equal "$(verdict .verdict)" rejected
    assert_equal "$(answers)" '3 1 1'
    mapped a 3
    is_tidy
}

@test "a rollback that a worker refuses is aborted as a reload is" {
    build_numbered "$DIR/moody.so" 2 -DCRASH_WITH_FILE
    put 1 b
    put 1 c
    cp "$DIR/moody.so" "$DIR/a.so"
    start_reeve <<CONF
app "a" { module = "$DIR/a.so" option { crash_with = "$DIR/crash" } }
app "b" { module = "$DIR/b.so" mount = "/b" }
app "c" { module = "$DIR/c.so" mount = "/c" }
CONF
    deploy_builds 3
    touch "$DIR/crash"
    deploy /v1/apps/a/rollback
    assert_equal "$(verdict '"\(.verdict) \(.receipt.apps[0].outcome)"')" 'aborted aborted'
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(answers)" '3 1 1'
    rm "$DIR/crash"
    deploy /v1/apps/a/rollback
    assert_equal "$(answers)" '2 1 1'
}

@test "going back again and again never comes round to a build that was left" {
    begin
    deploy_builds 2 3
    local want
    for want in 2 1; do
        deploy /v1/apps/a/rollback
        assert_equal "$(answers)" "$want 1 1"
    done
    run -0 refusal /v1/apps/a/rollback '{}'
    assert_output --partial '404 no other build of app "a" is kept to go back to'
    assert_equal "$(answers)" '1 1 1'
}

# ---- a start with a broken module ---------------------------------------------------------------------------------------

@test "fallback = last-good: a start with a broken module goes on with the last good one, and says so loudly" {
    begin 'fallback = last-good'
    deploy_builds 2
    put says_no
    stop_reeve
    start_again
    assert_equal "$(answers)" '2 1 1'
    assert_equal "$(history '.[-1] | "\(.kind) \(.outcome)"')" 'start live'
    assert_equal "$(history '.[-1].apps[0] | "\(.generation) \(.rollback_to) \(.reason) \(.version) \(.module)"')" \
        "4 2 this build says no 1.0.2 $DIR/state/modules/a/2.so"
    assert_equal "$(history '.[-1].apps[0].sha256')" "$(sha256sum <"$BATS_FILE_TMPDIR/2.so" | cut -d' ' -f1)"
    has_logged 'error master.*app a: .*/a\.so was refused: this build says no; FALLING BACK on generation 2'
    # It is an exception for the start only.
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" rejected
    assert_equal "$(answers)" '2 1 1'
    # Whoever starts it again, and again, still has it.
    local n
    for n in 1 2 3; do
        stop_reeve
        if [ $n -eq 2 ]; then rm "$DIR/a.so"; else : >"$DIR/a.so"; fi
        start_again
        assert_equal "$(answers)" '2 1 1'
    done
    put 3
    deploy /v1/apps/a/reload
    assert_equal "$(answers)" '3 1 1'
}

@test "fallback = last-good: a build that was rolled back from is not good" {
    begin 'fallback = last-good'
    deploy_builds 2
    deploy /v1/apps/a/rollback
    stop_reeve
    put says_no
    start_again
    assert_equal "$(answers)" '1 1 1'
    assert_equal "$(history '.[-1].apps[0].rollback_to')" 3
}

# fails_to_start TEXT: reeve ends with status 1 and says that, and leaves nothing behind
fails_to_start() {
    : >"$LOG"
    launch ${APART:+nsenter "--mount=/proc/$APART/ns/mnt"} "$REEVE" -c "$CONFIG"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 1
    run -0 cat "$LOG"
    assert_output --regexp "not started: $1"
    assert_equal "$(find "$DIR/state/spool" -type f 2>&1 | grep -c '\.so$')" 0
}

@test "fallback = none: a start with a broken module fails, and the history tells" {
    begin
    deploy_builds 2
    stop_reeve
    put says_no
    fails_to_start 'app "a": this build says no'
    put 2
    start_again
    assert_equal "$(history 'map("\(.kind) \(.outcome)") | .[2:] | join(", ")')" 'start rejected, start live'
    assert_equal "$(receipt '.apps | map("\(.app) \(.outcome)") | join(", ")' 3)" 'a rejected, b aborted, c aborted'
    assert_equal "$(answers)" '2 1 1'
}

@test "a build that no worker can run was never good, and its start is a failed one" {
    begin 'fallback = last-good'
    stop_reeve
    put says_no_in_worker
    fails_to_start 'worker [01].1: app "a", generation 2: not in a worker'
    put says_no
    start_again
    assert_equal "$(history 'map("\(.kind) \(.outcome)") | join(", ")')" 'start live, start failed, start live'
    run -0 receipt .reason 2
    assert_output --partial 'app "a", generation 2: not in a worker'
    assert_equal "$(receipt '.apps[0].outcome' 2)" failed
    assert_equal "$(history '.[-1].apps[0].rollback_to')" 1
    assert_equal "$(answers)" '1 1 1'
}

@test "fallback = last-good: without a good one, or with one that was changed, the start fails" {
    begin 'fallback = last-good'
    stop_reeve
    put says_no
    printf x >>"$DIR/state/modules/a/1.so"
    fails_to_start "app \"a\": its kept module was changed since"
    rm -r "$DIR/state/modules"
    fails_to_start 'app "a": this build says no'
    rm -r "$DIR/state"
    fails_to_start 'app "a": this build says no'
}

# ---- a disk that refuses --------------------------------------------------------------------------------------------------

# begin_apart: as begin, with a state folder on a disk of 256 KiB, in a mount namespace that `apart` enters
begin_apart() {
    local app
    unshare --mount true 2>/dev/null || skip 'mounting is not allowed'
    for app in a b c; do put 1 $app; done
    mkdir "$DIR/state"
    unshare --mount sh -c "mount -t tmpfs -o size=256k none '$DIR/state' && touch '$DIR/apart' && exec sleep 300" 3>&- &
    APART=$!
    started+=("$APART")
    wait_until test -e "$DIR/apart"
    start_reeve nsenter "--mount=/proc/$APART/ns/mnt" <<CONF
app "a" { module = "$DIR/a.so" }
app "b" { module = "$DIR/b.so" mount = "/b" }
app "c" { module = "$DIR/c.so" mount = "/c" }
CONF
}

apart() { nsenter "--mount=/proc/$APART/ns/mnt" "$@"; }

fill() { apart dd if=/dev/zero "of=$DIR/state/fill" bs=1k 2>&1 | grep -q 'No space left'; }

@test "a full disk: a reload is refused with the reason, and what is live goes on; with room again all is well" {
    begin_apart
    fill
    put 2
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" rejected
    run -0 verdict .reason
    assert_output --partial 'No space left on device'
    has_logged 'the history cannot be written: .*/deploys: No space left on device'
    assert_equal "$(answers)" '1 1 1'
    # Its receipt is there all the same, and nothing is left of the attempt.
    assert_equal "$(receipt .outcome)" rejected
    assert_equal "$(apart find "$DIR/state/spool" -type f | wc -l)" 3
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" rejected
    assert_equal "$(grep -c 'the history cannot be written' "$LOG")" 1
    apart rm "$DIR/state/fill"
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answers)" '2 1 1'
    has_logged 'the history works again'
    local number
    for number in 2 3 4; do
        assert_equal "$(apart cat "$DIR/state/deploys/$number.json" | jq .deploy)" $number
    done
}

@test "a full disk and a killed master: the next start is clean" {
    begin_apart
    local pids
    pids=$(worker_pids)
    fill
    put 2
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" rejected
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    # shellcheck disable=SC2086
    wait_until are_dead $pids
    fails_to_start 'app "a": the module cannot be staged: '
    assert_output --partial 'No space left on device'
    apart rm "$DIR/state/fill"
    start_again nsenter "--mount=/proc/$APART/ns/mnt"
    assert_equal "$(answers)" '2 1 1'
    assert_equal "$(apart find "$DIR/state/spool" -type f | wc -l)" 3
    stop_reeve
}

@test "a history that cannot be written is no reason to refuse a build; what is lost is said" {
    begin_apart
    apart mount -t tmpfs -o ro none "$DIR/state/deploys"
    apart mount -t tmpfs -o ro none "$DIR/state/modules"
    put 2
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answers)" '2 1 1'
    assert_equal "$(receipt .outcome)" live
    has_logged 'the history cannot be written: .*/deploys: Read-only file system'
    has_logged 'generation 2 .*cannot be rolled back to.*Read-only file system'
    apart umount "$DIR/state/deploys"
    apart umount "$DIR/state/modules"
    put 3
    deploy /v1/apps/a/reload
    assert_equal "$(answers)" '3 1 1'
    run -0 refusal /v1/apps/a/rollback '{"generation":2}'
    assert_output '404 generation 2 of app "a" is not kept'
    deploy /v1/apps/a/rollback
    assert_equal "$(verdict '.receipt.apps[0].rollback_to')" 1
    assert_equal "$(answers)" '1 1 1'
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    start_again nsenter "--mount=/proc/$APART/ns/mnt"
    assert_equal "$(history 'map(.deploy) | @csv')" 1,2,3,4,5
    assert_equal "$(answers)" '3 1 1'
}

@test "a spool that cannot be written: a reload is refused with the reason" {
    begin_apart
    apart mount -t tmpfs -o ro none "$DIR/state/spool"
    put 2
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" rejected
    run -0 verdict .reason
    assert_output --partial 'Read-only file system'
    assert_equal "$(answers)" '1 1 1'
    apart umount "$DIR/state/spool"
    deploy /v1/apps/a/reload
    assert_equal "$(answers)" '2 1 1'
}
