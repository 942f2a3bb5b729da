#!/usr/bin/env bats
# The master killed, or told to stop, in each phase of a reload of the configuration, of a rolling restart and of an upgrade;
# and ways back that fail themselves: the server goes on with what it has, and says so.
load deploys

setup_file() {
    local n
    for n in 1 3 4; do build_numbered "$DIR/$n.so" $n; done
    local code='char go[256]; snprintf(go, sizeof(go), "%s.%d", reeve_option(module, "go"), (int)getpid());'
    local later='if (!reeve_is_preflight() && open(reeve_option(module, "first"), O_CREAT | O_EXCL, 0600) == -1)'
    local no='reeve_refuse(module, "not in a second worker")'
    build_numbered "$DIR/waits_first.so" 2 -DIN_INIT='if (wait_for(reeve_option(module, "go")) != 0) return -1'
    build_numbered "$DIR/hangs_first.so" 2 -DHANG_INIT
    build_numbered "$DIR/waits.so" 2 -DIN_INIT="$code if (!reeve_is_preflight() && wait_for(go) != 0) return -1"
    build_numbered "$DIR/hangs.so" 2 -DHANG_IN_WORKER
    build_numbered "$DIR/waits_for_go.so" 1 -DWAIT_IN_WORKER
    build_numbered "$DIR/moody.so" 1 -DCRASH_WITH_FILE
    # The second worker waits for go, and refuses then.
    build_numbered "$DIR/second.so" 2 \
        -DIN_INIT="$later return wait_for(reeve_option(module, \"go\")) != 0 ? -1 : $no"
    # Where the file is that the others crash with, all but one refuse.
    build_numbered "$DIR/one.so" 1 \
        -DIN_INIT="if (access(reeve_option(module, \"crash_with\"), F_OK) == 0) $later return $no"
    LC_ALL=C sed 's/0\.1\.[0-9]\x00/0.1.1\x00/g' "$REEVE" >"$DIR/reeve-0.1.1"
    chmod +x "$DIR/reeve-0.1.1"
}

# conf BUILD [LINE...]: the whole file anew; the app n has that build
conf() {
    cat >"$CONFIG" <<CONF
control = "$CONTROL"
state_dir = "$DIR/state"
workers = 2
drain_timeout = ${DRAIN_TIMEOUT:-60s}
listen "127.0.0.1:0" { }
$(printf '%s\n' "${@:2}")
app "n" {
    module = "$BATS_FILE_TMPDIR/$1.so"
    option { go = "$DIR/go" first = "$DIR/first" crash_with = "$DIR/crash" }
}
CONF
}

# begin BUILD: a server with it
begin() {
    CONFIG=$DIR/reeve.conf CONTROL=$DIR/control.sock LOG=$DIR/log
    export CONFIG CONTROL LOG
    conf "$1"
    start_again
    PIDS=$(worker_pids)
}

# answer: which builds answer, "1" or "1+2"
answer() { builds | cut -d' ' -f2 | paste -sd+; }

# reload BUILD: orders a configuration with that build, another listener and another app
reload() {
    conf "$1" 'listen "127.0.0.2:0" { name = "other" }' \
        "app \"more\" { module = \"$BATS_FILE_TMPDIR/4.so\" mount = \"/more\" }"
    order /v1/config/reload
}

# spawned N: the process id of the Nth worker that was started
spawned() { jq -r 'select(.step == "spawned") | .pid' "$DIR/stream" | sed -n "$1p"; }

# hold_new: a request in the new worker, while the old one cannot take it
hold_new() {
    local old
    old=$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))
    kill -STOP "$old"
    hold /
    kill -CONT "$old"
}

# bring_to PHASE: a reload, a restart or an upgrade that stays there
bring_to() {
    case $1 in
    trial | 'hanging trial')
        begin 1
        case $1 in trial) reload waits_first ;; *) reload hangs_first ;; esac
        wait_until has_step preflight 2
        ;;
    roll | 'hanging roll' | 'half a roll')
        begin 1
        case $1 in hanging*) reload hangs ;; *) reload waits ;; esac
        wait_until has_step spawned
        [ "$1" = 'half a roll' ] || return 0
        touch "$DIR/go.$(spawned 1)"
        wait_until has_step spawned 2
        ;;
    'end of a roll')
        begin 1
        hold /
        reload 4
        wait_until has_step draining 2
        ;;
    'way back')
        begin 1
        reload second
        wait_until has_step spawned 2
        hold_new
        touch "$DIR/go"
        wait_until has_step draining 2
        ;;
    restart | upgrade)
        touch "$DIR/go"
        begin waits_for_go
        rm "$DIR/go"
        if [ "$1" = restart ]; then
            order /v1/workers/restart
            wait_until has_step spawned
        else
            order /v1/upgrade "{\"binary\":\"$BATS_FILE_TMPDIR/reeve-0.1.1\"}"
            wait_until is_equal 0.1.1 figure .version
            wait_until eval '[ "$(pgrep -P "$REEVE_PID" | wc -l)" -eq 3 ]'
        fi
        ;;
    esac
}

# starts_clean OUTCOME: the next start knows what became of it, and goes on with all numbers; the next reload is ordinary
starts_clean() {
    local last
    last=$(jq -r '.apps | map(select(.app == "n").generation)[0] // 1' "$DIR/state/deploys/$NUMBER.json")
    rm -f "$DIR/first"
    conf 3
    start_again
    assert_equal "$(receipt .outcome)" "$1"
    assert_equal "$(receipt ".apps // [] | map(select(.outcome == \"running\")) | length")" 0
    assert_equal "$(api /v1/deploys | jq -c '.deploys | map(.deploy)')" "[1,$NUMBER,$((NUMBER + 1))]"
    assert_equal "$(figure .applications.n.generation)" $((last + 1))
    assert_equal "$(answer)" 3
    is_tidy 1
    assert_equal "$(find "$DIR/state/deploys" "$DIR/state/modules" -type f ! -regex '.*/[0-9]+\.\(json\|so\)')" ''
    reload 4
    await
    assert_equal "$(verdict '"\(.verdict) \(.deploy)"')" "live $((NUMBER))"
    assert_equal "$(answer)" 4
    stop_reeve
}

# ---- a master that dies -------------------------------------------------------------------------------------------------

# killed_in PHASE: nobody is left, and the next start is a clean one
killed_in() {
    bring_to "$1"
    local all
    all=$(pgrep -P "$REEVE_PID")
    # shellcheck disable=SC2206
    orphans+=($all)
    kill -KILL "$REEVE_PID"
    end_of "$REEVE_PID"
    touch "$DIR/released"
    # shellcheck disable=SC2086
    wait_until -t 5 are_dead $all
    starts_clean interrupted
}

@test "a master killed while a configuration is tried: the next start is clean, and the history says so" { killed_in trial; }
@test "a master killed while a module hangs in that trial: likewise" { killed_in 'hanging trial'; }
@test "a master killed before the first worker of a configuration is ready: likewise" { killed_in roll; }
@test "a master killed when one worker is of the new configuration and one is not: likewise" { killed_in 'half a roll'; }
@test "a master killed while the last worker of the former one finishes: likewise" { killed_in 'end of a roll'; }
@test "a master killed while a configuration is taken back: likewise" { killed_in 'way back'; }
@test "a master killed during a rolling restart: likewise" { killed_in restart; }

# ---- a server that is told to stop --------------------------------------------------------------------------------------

# stopped_in PHASE [VERDICT REASON]: it ends as ever, and whoever listens is told why it came to nothing
stopped_in() {
    local end="${2:-failed}: ${3:-the server is stopping}"
    DRAIN_TIMEOUT=2s # for what is held
    bring_to "$1"
    stop_reeve
    await
    assert_equal "$(jq -r '"\(.outcome): \(.reason)"' "$DIR/state/deploys/$NUMBER.json")" "$end"
    [ "$1" = upgrade ] || assert_equal "$(verdict '"\(.verdict): \(.reason)"')" "$end" # its stream ends at the exec
    touch "$DIR/released"
    starts_clean "${2:-failed}"
}

@test "a server told to stop while a configuration is tried ends, and gives it up" { stopped_in trial; }
@test "a server told to stop while a module hangs in that trial: likewise" { stopped_in 'hanging trial'; }
@test "a server told to stop before the first worker of a configuration is ready: likewise" { stopped_in roll; }
@test "a server told to stop while a module hangs in that worker: likewise" { stopped_in 'hanging roll'; }
@test "a server told to stop when one worker is of the new configuration and one is not: likewise" { stopped_in 'half a roll'; }
@test "a server told to stop while the last worker of the former one finishes ends, and it is live" { stopped_in 'end of a roll' live null; }
@test "a server told to stop while a configuration is taken back: likewise" { stopped_in 'way back'; }
@test "a server told to stop during a rolling restart: likewise" { stopped_in restart; }
@test "a server told to stop while the workers of an upgrade are replaced: likewise" { stopped_in upgrade; }

# ---- ways back that fail ------------------------------------------------------------------------------------------------

# stuck: the way back of a configuration has failed; one worker is of the new one, since nobody could take its place, and the
# other was never replaced
stuck() {
    begin moody
    reload second
    wait_until has_step spawned 2
    touch "$DIR/crash" "$DIR/go"
    await
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(comm -12 <(worker_pids | sort) <(printf '%s\n' "$PIDS" "$(spawned 1)" | sort) | wc -l)" 2
    assert_equal "$(worker_pids | grep -cx "$(spawned 1)")" 1
    run -0 answer
    assert_output --regexp '^(1|2|1\+2)$'
    NEW=$(spawned 1)
    rm "$DIR/crash"
}

# goes_on: whatever comes next is ordinary
goes_on() {
    assert_equal "$(figure '.applications | keys | join(",")')" n
    reload 4
    await
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answer)" 4
    assert_equal "$(worker_pids | wc -l)" 2
    assert_equal "$(get /more | cut -d' ' -f1,2)" 'build 4'
    wait_until -t 5 is_tidy 2
    stop_reeve
}

@test "a configuration that can neither go on nor back: both reasons, and the server goes on with what it has" {
    stuck
    assert_equal "$(verdict .verdict)" failed
    run -0 verdict .reason
    assert_output --partial 'not in a second worker'
    assert_output --partial 'going back failed too: '
    assert_output --partial 'exited with status 3'
    assert_equal "$(receipt .outcome)" failed
    # A deployment reaches both, and a restart brings all of them to the configuration that is in force.
    deploy /v1/apps/n/reload
    assert_equal "$(verdict .verdict)" live
    assert_equal "$(answer)" 1
    deploy /v1/workers/restart
    assert_equal "$(verdict .verdict)" 'done'
    assert_equal "$(answer)" 1
    goes_on
}

@test "what is left then: a worker of the new one that dies has a successor of the former" {
    stuck
    kill -KILL "$NEW"
    wait_until is_dead "$NEW"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(answer)" 1
    goes_on
}

@test "what is left then: another configuration replaces both" {
    stuck
    goes_on
}

@test "what is left then: an upgrade takes both along, and replaces them" {
    stuck
    conf moody
    order /v1/upgrade "{\"binary\":\"$BATS_FILE_TMPDIR/reeve-0.1.1\"}"
    wait_until is_equal 'done' receipt .outcome
    assert_equal "$(answer)" 1
    wait_until is_tidy 1
    goes_on
}

@test "an upgrade whose second replacement does not get ready: one new worker and one old serve on, a restart works" {
    begin one
    touch "$DIR/crash"
    order /v1/upgrade "{\"binary\":\"$BATS_FILE_TMPDIR/reeve-0.1.1\"}"
    wait_until is_equal failed receipt .outcome
    run -0 receipt .reason
    assert_output --partial 'the workers of before that were not replaced go on serving'
    assert_output --partial 'not in a second worker'
    assert_equal "$(figure '"\(.version) \(.pid)"')" "0.1.1 $REEVE_PID"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS") | wc -l)" 1
    assert_equal "$(answer)" 1
    rm "$DIR/crash"
    deploy /v1/workers/restart
    assert_equal "$(verdict .verdict)" 'done'
    assert_equal "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ''
    assert_equal "$(answer)" 1
    stop_reeve
}
