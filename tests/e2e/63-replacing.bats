#!/usr/bin/env bats
# Workers that are replaced: several at a time when it is asked for, and by the server itself when they hold old code for
# too long.
load helpers

setup_file() {
    build_numbered "$DIR/build1.so" 1
    build_numbered "$DIR/build2.so" 2
    build_numbered "$DIR/waits.so" 3 -DWAIT_IN_WORKER
}

begin() {
    cp "$BATS_FILE_TMPDIR/${MODULE:-build1}.so" "$DIR/n.so"
    start_reeve <<EOF
$1
app "n" { module = "$DIR/n.so" option { go = "$DIR/go" } }
EOF
    PIDS=$(worker_pids)
}

put() { cp "$BATS_FILE_TMPDIR/$1.so" "$DIR/n.so.new" && mv "$DIR/n.so.new" "$DIR/n.so"; }

# restart BODY: streams a restart into $DIR/stream, in the background
restart() {
    api /v1/workers/restart -X POST -N -d "$1" >"$DIR/stream" 3>&- &
    CLIENT=$!
    started+=("$CLIENT")
}
steps() { grep -c "\"$1\"" "$DIR/stream"; }
# fresh: how many workers serve that did not at the start
fresh() { comm -13 <(sort <<<"$PIDS") <(worker_pids | sort) | wc -l; }

@test "a restart replaces as many workers at a time as it is told to, and no more" {
    touch "$DIR/go"
    MODULE=waits begin 'workers = 4'
    rm "$DIR/go"
    restart '{"max_unavailable":3}'
    wait_until is_equal 3 steps spawned
    assert_equal "$(worker_pids)" "$PIDS" # the new ones wait: all of the old ones serve
    assert_equal "$(api /v1/workers | jq '[.workers[] | select(.status == "starting")] | length')" 3
    touch "$DIR/go"
    wait "$CLIENT"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r '"\(.verdict) \(.workers | length)"')" 'done 4'
    assert_equal "$(fresh)" 4
    stop_reeve
}

@test "as the configuration says, when the order does not" {
    touch "$DIR/go"
    MODULE=waits begin $'workers = 4\nmax_unavailable = 2'
    rm "$DIR/go"
    restart '{}'
    wait_until is_equal 2 steps spawned
    touch "$DIR/go"
    wait "$CLIENT"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" 'done'
    stop_reeve
}

@test "nonsense is refused" {
    begin ''
    local body
    for body in '{"max_unavailable":0}' '{"max_unavailable":"two"}' '{"max_unavailable":1.5}' '{"max_unavailable":-1}' '{"other":1}'; do
        assert_equal "$(api /v1/workers/restart -X POST -d "$body" -o /dev/null -w '%{http_code}')" 400
    done
    assert_equal "$(worker_pids)" "$PIDS"
}

@test "a worker that holds old code for longer than unload_timeout is replaced, and no other one" {
    begin $'unload_wait = 100ms\nunload_timeout = 500ms\ndrain_timeout = 20'
    hold /
    put build2
    ctl -j reload n >/dev/null
    wait_until has_logged 'workers that have held old code for 0.5 s are replaced'
    wait_until is_equal 1 fresh
    assert_equal "$(builds)" 'build 2'
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    wait_until is_equal done eval 'api /v1/deploys | jq -r ".deploys[-1] | select(.kind == \"restart\") | .outcome"'
    assert_equal "$(worker_pids | wc -l) $(fresh)" '2 1'
    stop_reeve
}

@test "without unload_timeout it is left alone" {
    begin 'unload_wait = 100ms'
    hold /
    put build2
    ctl -j reload n >/dev/null
    assert_equal "$(builds)" 'build 2'
    assert_equal "$(worker_pids)" "$PIDS"
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    run ! has_logged 'are replaced'
    stop_reeve
}

@test "where there is no slot for a replacement it is not tried for ever" {
    begin $'max_workers = 3\nunload_wait = 100ms\nunload_timeout = 300ms'
    hold / # before the third one is there, which is the first to go again
    api /v1/workers/scale -X POST -d '{"workers":3}' >/dev/null
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    put build2
    ctl -j reload n >/dev/null
    assert_equal "$(builds)" 'build 2'
    local ticks
    ticks=$(figure '.workers | map(.last_heartbeat) | max')
    wait_until is_equal true figure ".workers | map(.last_heartbeat) | max > $ticks + 2.5" # the server looks each second
    assert_equal "$(api /v1/deploys | jq '.deploys | length')" 2
    api /v1/workers/scale -X POST -d '{"workers":2}' >/dev/null
    wait_until has_logged 'workers that have held old code'
    release
    stop_reeve
}
