#!/usr/bin/env bats
# Canaries: some workers run the new build for a while under load; what is as good as the old one goes everywhere, what is
# not is taken back by itself. Proved by which worker answers with which build, not only by what is said.
load deploys

setup_file() {
    build_all
    build_numbered "$DIR/fails.so" 2 -DFAIL_EVERY=20
    build_numbered "$DIR/slow.so" 2 -DSLOW=30
}

# start_load [PATH...]: requests from 4 clients, until stop_load
start_load() {
    local before
    before=$(figure .requests.total)
    python3 "$BATS_TEST_DIRNAME/clients.py" "$PORT" 4 "${@:-/}" >"$DIR/load" 3>&- &
    LOAD=$!
    started+=("$LOAD")
    wait_until is_equal true figure ".requests.total > $before + 50"
}

# stop_load JQ: and what its figures are to show
stop_load() {
    kill "$LOAD"
    end_of "$LOAD"
    cat "$DIR/load"
    assert_equal "$(jq "$1" "$DIR/load")" true
}

# canary [WORKERS] [RULES]: a's new build is tried, for two seconds unless the rules say otherwise; waits until it is live there
canary() {
    order /v1/apps/a/reload "{\"canary\":\"${1:-1}\",$([[ ${2:-} == *'"for"'* ]] || echo '"for":2,') ${2:-\"min_requests\":20}}"
    wait_until has_step canary
}

# who [PATH]: which workers answer with which build, seen in 60 requests: "1: 2 3, 2: 0 1"
who() {
    local path=${1:-/}
    curl -sSf -H 'Connection: close' "$URL$path?[1-60]" >"$DIR/who" || return 1
    api /v1/workers | jq -r '.workers[] | "\(.pid) \(.id)"' >"$DIR/ids"
    awk 'NR == FNR { id[$1] = $2; next } /^build/ { print $2, id[$4] }' "$DIR/ids" "$DIR/who" | sort -u |
        awk '{ at[$1] = at[$1] " " $2 } END { for (n in at) print n ":" at[n] }' | sort | paste -sd, | sed 's/,/, /g'
}

# taken_back REASON: it was, and the old build is again, or still, all there is; CANARY is its number
taken_back() {
    CANARY=$NUMBER
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    assert_equal "$(verdict '.receipt | "\(.outcome), \(.apps[0].outcome), \(.canary.verdict)"')" 'rolled back, rolled back, taken back'
    run -0 verdict .reason
    assert_output --partial "$1"
    assert_equal "$(verdict .receipt.canary.reason)" "$output"
    assert_equal "$(jq -r 'select(.step == "take back") | .reason' "$DIR/stream")" "$output"
    wait_until is_equal '1: 0 1' who
    wait_until mapped a 1
    is_tidy
    assert_equal "$(figure '.applications.a | "\(.generation) \(.reloads) \(.refusals)"')" '1 0 1'
    # It is nothing that one could go back to, and the next one is an ordinary one.
    run -0 refusal /v1/apps/a/rollback '{"generation":2}'
    assert_output '404 generation 2 of app "a" is not kept'
    put 3
    deploy /v1/apps/a/reload
    assert_equal "$(verdict .verdict)" live
    wait_until is_equal '3: 0 1' who
}

# promoted BUILD GENERATION WORKERS: it is what these workers answer with, and the old one has gone
promoted() {
    await
    assert_equal "$(verdict '"\(.verdict) \(.receipt.canary.verdict)"')" 'live promoted'
    assert_equal "$(grep -c '"step":"promote"' "$DIR/stream")" 1
    wait_until is_equal "$1: $3" who
    wait_until mapped a "$2"
    is_tidy
    assert_equal "$(figure .applications.a.generation)" "$2"
}

@test "a build that fails 5% of its requests is taken back, and both columns of figures say why" {
    begin
    start_load
    put fails
    canary 1 '"for":60'
    taken_back 'answers failed, 0% of the old code'
    stop_load '.lost == null and .["500"] >= 5'
    assert_equal "$(receipt '.canary.workers | @csv' "$CANARY")" 0
    assert_equal "$(receipt '.canary | .seconds < 60 and .seconds > 0' "$CANARY")" true
    assert_equal "$(receipt '.canary.new | .generation == 2 and .requests >= 20 and .errors >= 5 and .error_rate > 0.02
        and .crashes == 0 and .hangs == 0 and .p50 > 0 and .p99 >= .p50' "$CANARY")" true
    assert_equal "$(receipt '.canary.old | .generation == 1 and .requests > 0 and .errors == 0 and .error_rate == 0 and .p99 > 0' "$CANARY")" true
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
}

@test "a good build is promoted: live everywhere, and nothing was lost" {
    begin
    start_load
    put 2
    canary
    wait_until is_equal '1: 1, 2: 0' who
    assert_equal "$(receipt '"\(.outcome)"')" running
    promoted 2 2 '0 1'
    stop_load '.lost == null and .["500"] == null and .["200"] > 200'
    assert_equal "$(jq -r 'select(.step) | .step' "$DIR/stream" | sort -u | paste -sd,)" \
        'begin,canary,commit,preflight,prepare,promote,unload'
    assert_equal "$(jq -c 'select(.step == "canary") | .workers' "$DIR/stream" | sort -u)" '[0]'
    assert_equal "$(jq 'select(.step == "canary") | .seconds_left' "$DIR/stream" | sort -rn | head -1)" 2
    assert_equal "$(receipt '.seconds | .canary >= 2 and .canary < 10 and .total > .canary')" true
    assert_equal "$(receipt '.workers | map("\(.id) \(.ok) \(.committed) \(.unloaded)") | join(", ")')" '0 true true true, 1 true true true'
    deploy /v1/apps/a/rollback
    assert_equal "$(answers)" '1 1 1'
}

@test "as many workers run it as were wanted, by number or by share, and no more" {
    begin 'workers = 4'
    local wanted
    while read -r wanted expected; do
        put 2
        canary "$wanted" '"for":60'
        wait_until is_equal "$expected" who
        api /v1/deploys/cancel -d '{}' >/dev/null
        await
        wait_until is_equal '1: 0 1 2 3' who
    done <<'EOF2'
1 1: 1 2 3, 2: 0
2 1: 2 3, 2: 0 1
25% 1: 1 2 3, 2: 0
26% 1: 2 3, 2: 0 1
100% 2: 0 1 2 3
9 2: 0 1 2 3
EOF2
    start_load
    put 2
    canary 50%
    # The old one's figures are still counted, after it was live again in every worker.
    promoted 2 8 '0 1 2 3'
    stop_load '.lost == null'
    assert_equal "$(receipt '.canary.old | .requests >= 20 and .p50 > 0')" true
}

@test "a worker that comes during a canary has the old build until it is promoted" {
    begin
    start_load
    put 2
    canary 1 '"for":4'
    api /v1/workers/scale -d '{"workers":3}' >/dev/null
    wait_until is_equal '1: 1 2, 2: 0' who
    kill -KILL "$(pid_of 1)"
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    wait_until is_equal '1: 1 2, 2: 0' who
    promoted 2 2 '0 1 2'
    stop_load '.["200"] > 200'
}

@test "a build that kills its worker is taken back at once" {
    begin
    build_numbered "$DIR/a.so" 2 -DIN_REQUEST="if (access(\"$DIR/crash\", F_OK) == 0) raise(SIGKILL)"
    canary 1 '"for":60'
    wait_until is_equal '1: 1, 2: 0' who
    touch "$DIR/crash"
    wait_until eval 'curl -s -H "Connection: close" "$URL/?[1-20]"; has_step "take back"'
    rm "$DIR/crash"
    taken_back '1 worker with it crashed'
    assert_equal "$(receipt .canary.new.crashes "$CANARY")" 1
    assert_equal "$(receipt '.canary.seconds < 30' "$CANARY")" true
}

@test "a build that hangs its worker is taken back, and the worker is replaced" {
    begin $'hang_timeout = 1s\nunload_wait = 1s'
    build_numbered "$DIR/a.so" 2 -DIN_REQUEST="while (access(\"$DIR/hang\", F_OK) == 0) usleep(10000)"
    canary 1 '"for":60'
    wait_until is_equal '1: 1, 2: 0' who
    touch "$DIR/hang"
    local hung
    hung=$(pid_of 0)
    wait_until eval 'curl -s --max-time 0.2 -H "Connection: close" "$URL/?[1-20]"; has_step "take back"'
    await
    assert_equal "$(verdict '"\(.verdict), \(.reason)"')" 'rolled back, 1 worker with it hung'
    assert_equal "$(receipt .canary.new.hangs)" 1
    wait_until -t 10 is_dead "$hung"
    wait_until is_equal '1: 0 1' who
    wait_until mapped a 1
}

@test "a build that is many times slower is taken back" {
    begin
    start_load
    put slow
    canary 1 '"for":60'
    taken_back 'is allowed (--max-latency)'
    assert_equal "$(receipt '.canary | .new.p50 > .old.p50 * 3 and .new.errors == 0' "$CANARY")" true
    stop_load '.lost == null and .["500"] == null'
}

@test "limits are those that were given: what is allowed to fail and to be slow is promoted" {
    begin
    start_load
    put fails
    canary 1 '"max_errors":0.5,"max_latency":1000'
    promoted 2 2 '0 1'
}

@test "with too few requests to judge it is taken back, unless none are wanted" {
    begin
    put 2
    canary 1 '"for":"500ms"'
    await
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" \
        'rolled back: no request in 0.5 s: too few to judge (--min-requests)'
    assert_equal "$(answers)" '1 1 1'
    put 2
    canary 1 '"for":"500ms","min_requests":0'
    promoted 2 3 '0 1'
}

@test "a canary can be given up" {
    begin
    put 2
    canary 1 '"for":60'
    run -0 api /v1/deploys/cancel -d '{}'
    assert_output "{\"cancelled\":$NUMBER}"
    taken_back 'it was given up'
}

@test "a worker of the canary that dies takes it back, whoever killed it; any other does not" {
    begin
    start_load
    put 2
    canary 1 '"for":4'
    kill -KILL "$(pid_of 1)"
    promoted 2 2 '0 1'
    put 3
    canary 1 '"for":60'
    kill -KILL "$(pid_of 0)"
    await
    assert_equal "$(verdict '"\(.verdict): \(.reason)"')" 'rolled back: 1 worker with it crashed'
    wait_until is_equal '2: 0 1' who
    wait_until mapped a 2
    stop_load '.["200"] > 200'
}

@test "a canary goes on while one of its workers is left, and is taken back with the last that is drained" {
    begin
    start_load
    put 2
    canary 2 '"for":4'
    api /v1/workers/scale -d '{"workers":1}' >/dev/null
    wait_until is_equal 1 eval 'worker_pids | wc -l'
    api /v1/workers/scale -d '{"workers":2}' >/dev/null
    promoted 2 2 '0 1'
    put 3
    canary 2 '"for":60'
    local pid
    # They end by themselves, as a worker does that has served its time: each is replaced, with the old build.
    api /v1/workers/scale -d '{"workers":3}' >/dev/null
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    for pid in $(pid_of 0) $(pid_of 1); do kill -TERM "$pid"; done
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    run -0 verdict .reason
    assert_output 'no worker is left to run it'
    wait_until is_equal 3 eval 'worker_pids | wc -l'
    wait_until is_equal 'build 2' builds
}

@test "a canary's worker that leaves for reasons of its own is followed by another one" {
    begin
    start_load
    put 2
    canary 1 '"for":60'
    wait_until is_equal '1: 1, 2: 0' who
    kill -TERM "$(pid_of 0)"
    wait_until is_equal '2: 1' eval 'who | grep -o "2: 1"'
    api /v1/deploys/cancel -X POST >/dev/null
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    wait_until is_equal 'build 1' builds
    stop_load '.["500"] == null'
}

@test "a build that stops its worker's loop is taken back, long before hang_timeout, and what it held is healed" {
    begin
    build_numbered "$DIR/hangs.so" 2 '-DIN_REQUEST=if (reeve_query_get(env, "hang") != NULL) for (;;) pause()'
    cp "$DIR/hangs.so" "$DIR/a.so.new" && mv "$DIR/a.so.new" "$DIR/a.so"
    order /v1/apps/a/reload '{"canary":"1","for":60,"min_requests":0}'
    wait_until has_step canary
    curl -sS --max-time 60 -H 'Connection: close' "$URL/?hang&[1-500]" >/dev/null 2>&1 3>&- &
    started+=("$!")
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    run -0 verdict .reason
    assert_output --partial 'hung'
    assert_equal "$(verdict '.receipt.canary.new.hangs')" 1
    wait_until is_equal '1: 0 1' who
}

@test "a worker that dies, or hangs, while a canary is taken back from it is replaced by one with the old build" {
    begin 'unload_wait = 1s'
    bring_to 'take back'
    kill -KILL "$W0"
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    wait_until is_equal '1: 0 1' who
    bring_to 'take back'
    await
    assert_equal "$(verdict .verdict)" 'rolled back'
    wait_until -t 10 is_dead "$W0"
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    wait_until is_equal '1: 0 1' who
    wait_until mapped a 1
}

@test "two applications in one canary: promoted together, or taken back together, by the worse of them" {
    begin
    start_load / /b
    put 2 a
    put 2 b
    order /v1/apps/reload '{"apps":["a","b"],"canary":"1","for":2}'
    wait_until has_step canary
    wait_until is_equal '1: 1, 2: 0' who
    wait_until is_equal '1: 1, 2: 0' who /b
    await
    assert_equal "$(verdict '"\(.verdict) \(.receipt.canary.verdict) \(.receipt.canary.apps | keys | join(" "))"')" 'live promoted a b'
    assert_equal "$(verdict '.receipt.canary.apps | map(.new.requests >= 20 and .old.requests >= 20) | all')" true
    assert_equal "$(answers)" '2 2 1'
    put 3 a
    put fails b
    order /v1/apps/reload '{"apps":["a","b"],"canary":"1","for":60}'
    await
    assert_equal "$(verdict '"\(.verdict) \(.receipt.apps | map(.outcome) | join(", "))"')" 'rolled back rolled back, rolled back'
    assert_equal "$(verdict '.receipt.canary.apps | "\(.a.new.errors == 0) \(.b.new.errors >= 5)"')" 'true true'
    stop_load '.lost == null'
    assert_equal "$(answers)" '2 2 1'
    wait_until mapped a 2
    wait_until mapped b 2
}

@test "a canary that makes no sense is refused with a sentence" {
    begin
    local body words
    while IFS='|' read -r body words; do
        run -0 refusal /v1/apps/a/reload "$body"
        assert_output "400 $words"
    done <<'EOF2'
{"canary":1}|"canary" has to be a text: "1" or "25%"
{"canary":"0"}|a canary is a number of workers ("1") or a share of them ("25%")
{"canary":"-1"}|a canary is a number of workers ("1") or a share of them ("25%")
{"canary":"101%"}|a canary is a number of workers ("1") or a share of them ("25%")
{"canary":"some"}|a canary is a number of workers ("1") or a share of them ("25%")
{"canary":""}|a canary is a number of workers ("1") or a share of them ("25%")
{"for":30}|"canary" has to be there when "for" or a limit is
{"max_errors":0.1}|"canary" has to be there when "for" or a limit is
{"canary":"1","for":0}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","for":-1}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","for":"soon"}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","for":"2d"}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","for":1e9}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","for":null}|"for" has to be a duration up to a day, as "30s", or seconds
{"canary":"1","max_errors":1}|"max_errors" has to be a share, as "1%" or 0.01
{"canary":"1","max_errors":-0.1}|"max_errors" has to be a share, as "1%" or 0.01
{"canary":"1","max_errors":"few"}|"max_errors" has to be a share, as "1%" or 0.01
{"canary":"1","max_latency":0.5}|"max_latency" has to be a factor, as "2x" or 2, from 1 to 1000
{"canary":"1","max_latency":"fast"}|"max_latency" has to be a factor, as "2x" or 2, from 1 to 1000
{"canary":"1","min_requests":-1}|"min_requests" has to be a whole number
{"canary":"1","min_requests":1.5}|"min_requests" has to be a whole number
{"canary":"1","min_request":1}|the body has a key that is not known here
EOF2
    assert_equal "$(api /v1/deploys | jq -c '.deploys | map(.deploy)')" '[1]'
}
