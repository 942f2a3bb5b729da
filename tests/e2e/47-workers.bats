#!/usr/bin/env bats
# One worker at a time: killed or replaced because an operator wants it so, and no other one touched.
load deploys

begin() {
    start_reeve <<EOF
app "n" { module = "$TEST_APPS/numbered.so" }
${1:-}
EOF
    W0=$(pid_of 0) W1=$(pid_of 1)
}

# serving N: fails unless exactly N workers serve
serving() { is_equal "$1" eval 'worker_pids | wc -l'; }

# ---- kill ----

@test "worker kill ends one at once: its successor is there at once, and the other one is left alone" {
    begin
    run -0 ctl worker kill 0
    assert_output "worker 0.1 (pid $W0) is killed; lost with it: 0 requests"
    wait_until serving 2
    is_dead "$W0"
    assert_equal "$(figure '.workers[0] | "\(.incarnation) \(.respawn_count)"')" '2 0' # no fault of its
    assert_equal "$(pid_of 1)" "$W1"
    has_logged "worker 0\.1 pid $W0 is killed at the request of user $(id -u)"
    has_logged "info master.*worker 0\.1 pid $W0 was killed by signal 9"
    assert_equal "$(builds 4)" 'build 0'
    stop_reeve
}

@test "the answer says how many requests are lost, and only those are" {
    begin
    hold /
    local victim
    victim=$(figure '.workers[] | select(.active == 1) | .id')
    # The other one's goes on.
    run -0 ctl worker kill $((1 - victim))
    assert_output --partial 'lost with it: 0 requests'
    run -0 ctl -j worker kill "$victim.1"
    assert_equal "$(jq -c '[.killed.id, .killed.incarnation, .requests]' <<<"$output")" "[$victim,1,1]"
    run ! release
    wait_until serving 2
    assert_equal "$(builds 4)" 'build 0'
    stop_reeve
}

@test "a kill under load costs that worker's requests and no more" {
    need wrk
    begin
    start_wrk
    run -0 ctl -j worker kill 1
    local connections
    connections=$(jq .connections <<<"$output")
    wait_until serving 2
    local before
    before=$(figure .requests.total)
    wait_until is_equal true figure ".requests.total > $before + 1000"
    kill -INT "$WRK"
    end_of "$WRK"
    cat "$DIR/wrk"
    # "Socket errors: connect 0, read 12, write 0, timeout 0"
    local errors
    errors=$(sed -nE 's/.*connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)/\1 + \2 + \3 + \4/p' "$DIR/wrk")
    [ $((${errors:-0})) -le "$connections" ]
    run ! grep Non-2xx "$DIR/wrk"
    assert_equal "$(pid_of 0)" "$W0"
    stop_reeve
}

@test "one that does not answer any more can be killed, and one that drains too" {
    begin 'drain_timeout = 60s'
    kill -STOP "$W0"
    run -0 ctl worker kill 0
    wait_until serving 2
    is_dead "$W0"
    hold /
    local id
    id=$(figure '.workers[] | select(.active == 1) | "\(.id).\(.incarnation)"')
    api "/v1/workers/$id/restart" -N -d '{}' >"$DIR/stream" 3>&- &
    local client=$!
    started+=("$client")
    wait_until grep -q draining "$DIR/stream"
    run -0 ctl worker kill "$id"
    assert_output --partial 'lost with it: 1 request'
    wait "$client"
    assert_equal "$(tail -n 1 "$DIR/stream" | jq -r .verdict)" 'done'
    run ! release
    assert_equal "$(worker_pids | wc -l)" 2
    stop_reeve
}

# ---- restart ----

@test "worker restart replaces one, ready before the old one drains; the other one keeps its process" {
    begin
    run -0 ctl -j worker restart 1
    assert_equal "$(jq -r 'select(.step) | .step' <<<"$output" | paste -sd' ')" 'begin spawned ready draining gone'
    assert_equal "$(jq -r 'select(.step == "draining") | .pid' <<<"$output")" "$W1"
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '"\(.verdict) \(.workers | length) \(.receipt.action)"')" \
        'done 2 a restart of worker 1.1'
    is_dead "$W1"
    assert_equal "$(pid_of 0)" "$W0"
    assert_equal "$(worker_pids | wc -l)" 2
    run -0 ctl worker restart 0.1
    assert_output --partial 'worker 0.1 is replaced'
    stop_reeve
}

@test "restarts of one worker after the other under load: no error" {
    need wrk
    begin
    start_wrk
    local id
    for _ in 1 2 3 4 5; do
        id=$(api /v1/workers | jq -r '[.workers[] | select(.accepting)][0] | "\(.id).\(.incarnation)"')
        run -0 ctl worker restart "$id"
    done
    stop_wrk
    stop_reeve
}

@test "a request that runs is finished by the old worker" {
    begin
    hold /
    local id pid
    read -r id pid < <(figure '.workers[] | select(.active == 1) | "\(.id) \(.pid)"')
    ctl worker restart "$id" >"$DIR/out" 3>&- &
    local restart=$!
    started+=("$restart")
    wait_until is_equal 3 figure '[.workers[] | select(.pid > 0)] | length'
    is_alive "$pid"
    release
    assert_equal "$(cat "$DIR/held")" "build 0 pid $pid"
    wait "$restart"
    stop_reeve
}

# ---- refusals ----

@test "a worker that is not there, or not any more, is refused, and so is nonsense" {
    begin
    local action
    for action in kill restart; do
        assert_equal "$(refusal /v1/workers/7/$action '{}')" '404 there is no worker 7'
        assert_equal "$(refusal /v1/workers/0.2/$action '{}')" '409 worker 0.2 is not there: worker 0.1 is'
        local id
        for id in x -1 0. .1 0.0 0.1.1 0x1 99999999999999999999 0.99999999999999999999 1e1; do
            run -0 refusal "/v1/workers/$id/$action" "{}"
            assert_output --partial '404 a worker is named by its id'
        done
        run -1 ctl worker $action 7
        assert_output --partial 'there is no worker 7'
        run -1 ctl worker $action 0.2
        assert_output --partial 'worker 0.1 is'
        run -2 ctl worker $action nobody
        run -2 ctl worker $action
    done
    run -2 ctl worker mend 0
    assert_output --partial 'kill or restart'
    assert_equal "$(api /v1/workers/0/kill -o /dev/null -w '%{http_code}')" 405
    assert_equal "$(api /v1/workers/0/kill -d '{"now":true}' -o /dev/null -w '%{http_code}')" 400
    assert_equal "$(pid_of 0) $(pid_of 1)" "$W0 $W1"
    stop_reeve
}

@test "while an action runs a restart is refused and names it; a kill is not" {
    build_numbered "$DIR/n.so" 1 -DWAIT_IN_WORKER
    touch "$DIR/go"
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" option { go = \"$DIR/go\" } }"
    rm "$DIR/go"
    W1=$(pid_of 1)
    ctl worker restart 0 >"$DIR/out" 3>&- &
    local restart=$!
    started+=("$restart")
    wait_until is_equal 1 figure .processes.starting
    run -1 ctl worker restart 1
    assert_output --partial 'a restart of worker 0.1'
    run -0 ctl worker kill 1
    touch "$DIR/go"
    wait "$restart"
    wait_until serving 2
    is_dead "$W1"
    stop_reeve
}

@test "without a free slot a restart is refused" {
    begin 'max_workers = 3'
    ctl scale 3 >/dev/null
    wait_until serving 3
    run -1 ctl worker restart 0
    assert_output --partial 'max_workers is reached'
    stop_reeve
}

# ---- scale ----

@test "scale takes a number, +N and -N, and refuses what cannot be" {
    begin 'max_workers = 4'
    run -0 ctl scale +1
    assert_output '3 workers wanted, before: 2'
    wait_until serving 3
    run -0 ctl scale -1
    assert_output '2 workers wanted, before: 3'
    wait_until serving 2
    assert_equal "$(pid_of 0) $(pid_of 1)" "$W0 $W1"
    run -0 ctl scale 4
    wait_until serving 4
    run -0 ctl scale 1
    wait_until serving 1
    local nonsense
    for nonsense in -1 +4 0 5 many; do run -2 ctl scale $nonsense; done
    assert_equal "$(figure .processes.target)" 1
    stop_reeve
}
