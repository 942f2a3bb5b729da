#!/usr/bin/env bats
# What the server says about itself: the documented fields, true figures, and counters that only grow.
load helpers

apps() {
    cat <<EOF
app "hello"     { module = "$APPS/hello.so" }
app "echo"      { module = "$APPS/echo.so"  mount = "/echo" }
app "sleep"     { module = "$APPS/sleep.so" mount = "/sleep" }
app "misbehave" { module = "$TEST_APPS/misbehave.so" mount = "/bad" }
EOF
}

setup() {
    start_reeve < <(apps)
}

metrics() { python3 "$BATS_TEST_DIRNAME/metrics.py" "$@"; }

# has JQ...: /v1/stats fulfils each of the conditions
has() {
    local condition
    api /v1/stats >"$DIR/stats"
    for condition in "$@"; do
        jq -e "$condition" "$DIR/stats" >/dev/null || fail "not so: $condition
$(jq -c . "$DIR/stats")"
    done
}

@test "every documented field is there, with its type" {
    get / >/dev/null
    has '.version | type == "string"' ".pid == $REEVE_PID" '.generation == 1' '.uptime > 0 and .uptime < 60' \
        "(.started_at - $(date +%s) | fabs) < 60" \
        '.connections | [.accepted, .active, .idle, .closed] | all(type == "number")' \
        '.requests | [.total, .active] | all(type == "number")' \
        ".sockets | length == 1 and .[0].address == \"127.0.0.1:$PORT\"" \
        '.sockets[0] | .protocol == "http" and .app == null' \
        '.connections | [.chats, .websockets] | all(. == 0)' '.pubsub | [.published, .delivered, .missed] | all(. == 0)' \
        '.workers[] | [.connections.chats, .connections.websockets, .pubsub.missed] | all(. == 0)' \
        '.applications.hello | [.connections[], .messages_in, .messages_out] | length == 6 and all(. == 0)' \
        '.workers | length == 2' \
        '.workers[] | [.id, .incarnation, .pid, .requests, .delta_requests, .exceptions, .rss, .last_spawn,
                       .respawn_count, .last_heartbeat] | all(type == "number")' \
        '.workers[] | .status | IN("starting", "idle", "busy", "draining", "stuck")' \
        '.workers[] | .booted == true and .accepting == true and .incarnation == 1 and .respawn_count == 0' \
        '[.workers[].id] | sort == [0, 1]' \
        '.workers[] | .rss > 500000 and .rss < 500000000' \
        '.applications | keys == ["echo", "hello", "misbehave", "sleep"]' \
        '.applications[] | .generation == 1' \
        '.applications.hello.mount == "/" and .applications.hello.requests == 1'
    local pid
    for pid in $(figure '.workers[].pid'); do assert_equal "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$REEVE_PID"; done
}

@test "status, workers and apps are parts of the same" {
    assert_equal "$(api /v1/status | jq -r '.pid')" "$REEVE_PID"
    assert_equal "$(api /v1/status | jq -r '.applications.echo.mount')" /echo
    assert_equal "$(api /v1/workers | jq '.workers | length')" 2
    assert_equal "$(api /v1/apps | jq -r '.applications | keys | join(" ")')" 'echo hello misbehave sleep'
    assert_equal "$(api /v1/apps/echo | jq -r '[.name, .module] | join(" ")')" "echo $APPS/echo.so"
    assert_equal "$(api /v1 | jq -r '.paths | map(.path) | index("/v1/stats") != null')" true
    assert_equal "$(api /v1/stats -I | tr -d '\r' | sed -n 's/^Content-Type: //p')" application/json
}

@test "requests, answers by class, bytes and exceptions are counted where they belong" {
    local n
    for n in 1 2 3; do get / >/dev/null; done
    get /echo --data 12345 >/dev/null
    get '/sleep?ms=bad' >/dev/null
    get /bad/fails >/dev/null
    get /bad/304 >/dev/null
    run ! curl -sS "$URL/bad/fails-sent"
    raw send "$PORT" 'nonsense\r\n\r\n' >/dev/null
    raw send "$PORT" 'GET /.. HTTP/1.1\r\nHost: a\r\n\r\n' >/dev/null
    wait_until is_equal 10 figure '.connections.closed'
    has '.requests.total == 10 and .requests.active == 0 and .requests.refused == 2 and .requests.exceptions == 2' \
        '.applications.hello | .requests == 3 and .responses."2xx" == 3 and .bytes_out == 42 and .exceptions == 0' \
        '.applications.echo | .bytes_in == 5 and .bytes_out == 5' \
        '.applications.sleep.responses."4xx" == 1' \
        '.applications.misbehave | .exceptions == 2 and .responses."3xx" == 1 and .responses."5xx" == 1' \
        '.applications.misbehave | .responses | add == 3' \
        '[.workers[].requests] | add == 10' '[.workers[].exceptions] | add == 2' \
        '.connections | .accepted == 10 and .closed == 10 and .active == 0 and .idle == 0' \
        '.applications.hello.latency | .count == 3 and .max >= .p99 and .p99 >= .p50 and .p50 > 0 and .max < 10' \
        '.applications.hello.generations | length == 1 and .[0].generation == 1 and .[0].requests == 3'
}

@test "what runs now is seen now: a sleeping request, an idle connection" {
    curl -sS -o /dev/null "$URL/sleep?ms=60000" 3>&- &
    started+=("$!")
    wait_until is_equal 1 figure .requests.active
    has '.applications.sleep | .active == 1 and .held == 1' '[.workers[] | select(.status == "busy")] | length == 1' \
        '.connections | .active == 1 and .idle == 0'
    python3 - "$PORT" "$DIR/go" <<EOF 3>&- &
import sys, time, os; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client(sys.argv[1])
assert client.ask("/").status == 200
client.rest()
EOF
    started+=("$!")
    wait_until is_equal 1 figure .connections.idle
    has '.connections | .active == 1 and .idle == 1 and .accepted == 2' '[.workers[].connections.open] | add == 2' \
        '[.workers[].connections.idle] | add == 1'
    end_started_clients
    wait_until is_equal '0 0' figure '"\(.connections.idle) \(.workers | map(.connections.idle) | add)"'
}

# Ends what the test has started beside the server.
end_started_clients() {
    local pid server=${started[0]}
    for pid in "${started[@]:1}"; do
        kill "$pid"
        wait "$pid" || true
    done
    started=("$server")
}

@test "latency is what the client waits" {
    get '/sleep?ms=300' >/dev/null
    has '.applications.sleep.latency | .count == 1 and .max >= 0.3 and .max < 5 and .p50 >= 0.28'
}

@test "heartbeats go on, and the time they are late is measured" {
    local before
    before=$(figure '.workers[0].last_heartbeat')
    later() { [ "$(figure ".workers[0].last_heartbeat > $before and .workers[0].loop_lag.count > 0")" = true ]; }
    wait_until later
}

@test "counters only grow, across the kill -9 of a worker too; gauges are settled" {
    get '/?[1-20]' -H 'Connection: close' >/dev/null
    get /bad/fails >/dev/null
    get /echo --data 12345 >/dev/null
    wait_until is_equal 22 figure '.applications.hello.latency.count + .applications.misbehave.latency.count + .applications.echo.latency.count'
    api /v1/stats >"$DIR/before"
    api /metrics >"$DIR/metrics.before"
    local id
    for id in 0 1; do
        kill -KILL "$(figure ".workers[] | select(.id == $id) | .pid")"
        wait_until is_equal true figure "[.workers[] | select(.id == $id)][0] | .incarnation == 2 and .accepting"
    done
    api /metrics >"$DIR/metrics.after"
    has '.requests.total == 22' '.requests.exceptions == 1' '.applications.hello | .requests == 20 and .latency.count == 20' \
        '.applications.echo.bytes_in == 5' '.processes.respawns == 2' \
        '.workers[] | .respawn_count == 1 and .delta_requests == 0' '[.workers[].requests] | add == 22' \
        '.requests.active == 0 and .connections.active == 0 and .connections.idle == 0' \
        '.connections.accepted == .connections.closed'
    metrics grown "$DIR/metrics.before" "$DIR/metrics.after"
    # A worker that dies with requests in hand takes them out of the gauges, not out of the counters.
    curl -sS -o /dev/null "$URL/sleep?ms=60000" 2>/dev/null 3>&- &
    started+=("$!")
    wait_until is_equal 1 figure .requests.active
    kill -KILL "$(figure '.workers[] | select(.active == 1) | .pid')"
    wait_until is_equal '0 0 0 23' figure '"\(.requests.active) \(.applications.sleep.active) \(.connections.active) \(.requests.total)"'
}

@test "counters go on over a reload and a restart, and each generation has a column of its own" {
    build_numbered "$DIR/n.so" 1
    stop_reeve
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    local n
    for n in 1 2 3; do get / >/dev/null; done
    build_numbered "$DIR/n.so" 2
    ctl reload n >/dev/null
    for n in 1 2; do get / >/dev/null; done
    has '.applications.n | .requests == 5 and .generation == 2 and .reloads == 1' \
        '[.applications.n.generations[] | [.generation, .requests]] | sort == [[1, 3], [2, 2]]' '.generation == 3'
    api /metrics >"$DIR/metrics.before"
    ctl restart >/dev/null
    get / >/dev/null
    api /metrics >"$DIR/metrics.after"
    has '.applications.n.requests == 6' '.requests.total == 6'
    # Samples of a worker's own end with its slot: those of the server and the apps are looked at.
    grep -v '{worker=' "$DIR/metrics.before" >"$DIR/metrics.before.server"
    metrics grown "$DIR/metrics.before.server" "$DIR/metrics.after"
}

@test "/metrics is well-formed, in both formats, and agrees with /v1/stats" {
    for _ in 1 2 3; do get / >/dev/null; done
    get /bad/fails >/dev/null
    wait_until is_equal 4 figure .connections.closed
    api /metrics -D "$DIR/head" >"$DIR/metrics"
    grep -qi '^content-type: text/plain; version=0.0.4' "$DIR/head"
    metrics check "$DIR/metrics"
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_requests_total{app="hello",code_class="2xx"}')" 3
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_app_requests_begun_total{app="hello"}')" 3
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_requests_begun_total')" 4
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_app_exceptions_total{app="misbehave"}')" 1
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_request_duration_seconds_count{app="hello"}')" 3
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_request_duration_seconds_bucket{app="hello",le="+Inf"}')" 3
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_connections_closed_total')" 4
    assert_equal "$(metrics get "$DIR/metrics" 'reeve_workers_target')" 2
    api /metrics -H 'Accept: application/openmetrics-text; version=1.0.0' -D "$DIR/head" >"$DIR/open"
    grep -qi '^content-type: application/openmetrics-text' "$DIR/head"
    metrics check "$DIR/open"
    assert_equal "$(tail -n 1 "$DIR/open")" '# EOF'
}

@test "the listen queue is told while nobody accepts" {
    local pid
    for pid in $(worker_pids); do kill -STOP "$pid"; done
    python3 - "$PORT" 3>&- <<EOF &
import sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
held = [Client(sys.argv[1]) for _ in range(7)]
held[0].rest()
EOF
    started+=("$!")
    wait_until is_equal 7 figure '.sockets[0].queue'
    # And all of it was told while every worker hangs.
    for pid in $(figure '.workers[].pid'); do kill -CONT "$pid"; done
    wait_until is_equal 0 figure '.sockets[0].queue'
}

@test "a worker whose loop does not turn is called stuck, until it recovers or is replaced" {
    stop_reeve
    start_reeve <<<'hang_timeout = 1s'
    local pid
    pid=$(figure '.workers[0].pid')
    kill -STOP "$pid"
    wait_until is_equal '1 stuck' figure "\"\(.processes.stuck) \(.workers[] | select(.pid == $pid) | .status)\""
    kill -CONT "$pid"
    wait_until is_equal idle figure '.workers[0].status'
}
