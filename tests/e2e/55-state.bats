#!/usr/bin/env bats
# What goes over from one build of an app to the next, and what keeps the old one: the state that it hands over, and the
# requests that still run in it, each named by the place in its source where it waits.
load helpers

setup_file() { build_counter "$DIR/build1.so" 1; }

# put FILE: takes the place of the module, as a whole
put() { cp "$1" "$DIR/c.so.new" && mv "$DIR/c.so.new" "$DIR/c.so"; }

# begin [SETTINGS [FILE]]: with the module in FILE, build 1 by default
begin() {
    put "${2:-$BATS_FILE_TMPDIR/build1.so}"
    start_reeve <<EOF
${1:-workers = 1}
app "c" { module = "$DIR/c.so" }
EOF
    PIDS=$(worker_pids)
}

# build_counter OUT N [FLAG...]: build N of tests/apps/counter
build_counter() {
    cc -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -DBUILD="$2" "${@:3}" \
        -o "$1" "$TOP/tests/apps/counter/counter.c"
}

# deploy N [FLAG...]: a build of its own takes over
deploy() {
    build_counter "$DIR/new.so" "$@"
    put "$DIR/new.so"
    ctl reload c >"$DIR/reload" || { cat "$DIR/reload" && return 1; }
}

# counts: what the next answer says, without the process id
counts() { get / | cut -d' ' -f1-6; }

# waiting N: another request that waits, N of them now
waiting() {
    curl -sS -o "$DIR/old$1" "$URL/?until=$DIR/go" 2>>"$DIR/errors" 3>&- &
    started+=("$!")
    wait_until is_equal "$1" figure .requests.active
}

# generation N: what is told of it
generation() { api /v1/apps/c | jq -c ".generations[] | select(.generation == $1)"; }
# holders N: "request reeve_sleep wait_for (counter.c:31) 1", a line each
holders() { generation "$1" | jq -r '.by[] | "\(.kind) \(.waits_in) \(.site) \(.count)"'; }
# held: which generations are held
held() { api /v1/apps/c | jq -c '[.generations[] | select(.held > 0) | .generation]'; }

@test "the count goes on over twenty deployments of different builds" {
    begin
    local n
    assert_equal "$(counts)" 'build 1 count 1 handovers 0'
    for n in {2..21}; do
        deploy "$n"
        assert_equal "$(counts)" "build $n count $n handovers $((n - 1))"
    done
    assert_equal "$(worker_pids)" "$PIDS"
    stop_reeve
}

@test "requests that run meanwhile count in the same state, whatever build they are of" {
    begin 'workers = 1
unload_wait = 0'
    local n
    get / >/dev/null
    for n in {2..21}; do
        waiting $((n - 1))
        deploy "$n"
        assert_equal "$(counts)" "build $n count $n handovers $((n - 1))"
    done
    # All of them are still there, though only a few have figures of their own, or a row for each of their holders.
    assert_equal "$(figure '.applications.c.held')" "$((3 * 20))" # requests, and the state: for each of them, and for its build
    touch "$DIR/go"
    wait_until is_equal 0 figure .requests.active
    assert_equal "$(cat "$DIR"/old* | cut -d' ' -f1,2 | sort -u | wc -l)" 20
    assert_equal "$(cat "$DIR"/old* | cut -d' ' -f4 | sort -n | paste -sd,)" "$(seq -s, 22 41)"
    assert_equal "$(counts)" 'build 21 count 42 handovers 20'
    wait_until is_equal '[]' held
    assert_equal "$(worker_pids)" "$PIDS"
    stop_reeve
}

@test "the version of the state may go up and down again, when both sides agree" {
    begin
    get / >/dev/null
    deploy 2 -DVERSION=2 -DTAKES=1
    assert_equal "$(counts)" 'build 2 count 2 handovers 1'
    deploy 1 -DVERSION=1 -DTAKES=2 -DSET_DATA
    assert_equal "$(counts)" 'build 1 count 3 handovers 2'
    stop_reeve
}

@test "a version that the new build does not take: it begins anew, and the old one frees its own" {
    begin
    get / >/dev/null
    deploy 2 -DVERSION=2
    assert_equal "$(counts)" 'build 2 count 1 handovers 0'
    deploy 3 -DVERSION=2 -DNO_HANDOVER
    assert_equal "$(counts)" 'build 3 count 1 handovers 0'
    stop_reeve
}

@test "a state that the old build does not give: the new one begins anew" {
    build_counter "$DIR/first.so" 1 -DGIVES_TO=1
    begin '' "$DIR/first.so"
    get / >/dev/null
    deploy 2 -DVERSION=2 -DTAKES=1
    assert_equal "$(counts)" 'build 2 count 1 handovers 0'
    deploy 3 -DVERSION=2 -DKEEP_ALL
    assert_equal "$(counts)" 'build 3 count 2 handovers 1'
    deploy 4 -DVERSION=2
    assert_equal "$(counts)" 'build 4 count 1 handovers 0'
    stop_reeve
}

@test "an app on the loop's own stack hands over like any other" {
    build_counter "$DIR/first.so" 1 -DON_LOOP
    begin '' "$DIR/first.so"
    get / >/dev/null
    deploy 2 -DON_LOOP
    assert_equal "$(counts)" 'build 2 count 2 handovers 1'
    stop_reeve
}

@test "a crash in the handover is a worker's death: its successor has the new code" {
    begin 'workers = 2'
    get / >/dev/null
    build_counter "$DIR/new.so" 2 -DCRASH_IN_HANDOVER
    put "$DIR/new.so"
    ctl reload c >"$DIR/reload" 2>&1 || true
    are_new() { [ "$(worker_pids | wc -l)" -eq 2 ] && [ -z "$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))" ]; }
    wait_until are_new
    assert_equal "$(builds)" 'build 2'
    assert_equal "$(figure .applications.c.generation)" 2
}

# ask N: so many requests, each on a connection of its own; every answer is kept in $DIR/all
ask() { curl -sSf --max-time 30 -H 'Connection: close' "$URL/?[1-$1]" >>"$DIR/all"; }
# is_all_counted: what the workers have counted last is all that was ever asked
is_all_counted() {
    local sum
    sum=$(awk '{ if ($4 > last[$8]) last[$8] = $4 } END { for (pid in last) sum += last[pid]; print sum }' "$DIR/all")
    [ "$sum" -eq "$(wc -l <"$DIR/all")" ] || fail "$sum of $(wc -l <"$DIR/all")"
}

# begin_canary N TIME [OPTION...]: build N on one of the workers; CANARY is the process that waits for the verdict. The
# flags that it is built with are in FLAGS.
begin_canary() {
    build_counter "$DIR/new.so" "$1" "${FLAGS[@]}"
    put "$DIR/new.so"
    ctl -j reload c --canary 1 --for "${@:2}" >"$DIR/canary" 2>&1 3>&- &
    CANARY=$!
    started+=("$CANARY")
    wait_until grep -q '"step":"canary"' "$DIR/canary"
}

@test "a canary whose handover crashes is taken back: the other worker has lost nothing" {
    begin 'workers = 2'
    ask 40
    local others
    build_counter "$DIR/new.so" 2 -DCRASH_IN_HANDOVER
    put "$DIR/new.so"
    run -5 ctl reload c --canary 1 --for 60s
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    others=$(comm -12 <(worker_pids | sort) <(sort <<<"$PIDS"))
    assert_equal "$(wc -l <<<"$others")" 1
    ask 40
    assert_equal "$(cut -d' ' -f1,2 "$DIR/all" | sort -u)" 'build 1'
    stop_reeve
}

# cancel: the canary is taken back
cancel() {
    api /v1/deploys/cancel -X POST -d '{}' >/dev/null
    end_of "$CANARY"
}

@test "a canary that is taken back gives the state back: nothing of the count is lost" {
    begin 'workers = 2'
    ask 40
    begin_canary 2 60s
    ask 80
    assert_equal "$(tail -n 80 "$DIR/all" | cut -d' ' -f1,2 | sort -u | paste -sd,)" 'build 1,build 2'
    is_all_counted
    cancel
    ask 80
    assert_equal "$(tail -n 80 "$DIR/all" | cut -d' ' -f1,2 | sort -u)" 'build 1'
    assert_equal "$(tail -n 80 "$DIR/all" | cut -d' ' -f5,6 | sort -u | paste -sd,)" 'handovers 0,handovers 2'
    is_all_counted
    assert_equal "$(worker_pids)" "$PIDS"
    stop_reeve
}

@test "a canary that made a state of its own: what it was made from is not freed under requests that began before" {
    build_counter "$DIR/first.so" 1 -DCONVERT
    begin 'workers = 1' "$DIR/first.so"
    get / >/dev/null
    local n FLAGS=(-DCONVERT)
    for n in 1 2 3; do waiting "$n"; done
    begin_canary 2 60s
    assert_equal "$(counts)" 'build 2 count 2 handovers 1'
    waiting 4
    cancel
    assert_equal "$(counts)" 'build 1 count 3 handovers 2'
    # Both states are still in use, the canary's by a request of its own and by those before it.
    assert_equal "$(holders 2 | cut -d' ' -f1 | sort | paste -sd,)" 'request,state'
    deploy 3 -DCONVERT
    assert_equal "$(counts)" 'build 3 count 4 handovers 3'
    touch "$DIR/go"
    wait_until is_equal 0 figure .requests.active
    assert_equal "$(cat "$DIR"/old[123] | cut -d' ' -f1-3 | sort -u)" 'build 1 count'
    assert_equal "$(cut -d' ' -f1-3 "$DIR/old4")" 'build 2 count'
    wait_until is_equal '[]' held
    assert_equal "$(counts)" 'build 3 count 5 handovers 3'
    assert_equal "$(worker_pids)" "$PIDS"
    stop_reeve
}

@test "a canary whose state does not come back goes at once, and later when older requests use it" {
    begin 'workers = 1
unload_timeout = 1s'
    get / >/dev/null
    local FLAGS=(-DVERSION=2 -DTAKES=1)
    begin_canary 2 60s
    assert_equal "$(counts)" 'build 2 count 2 handovers 1'
    cancel
    assert_equal "$(get /)" 'build 1 has no state'
    wait_until is_equal '[]' held
    assert_equal "$(grep -cE '/spool/c/2-' "/proc/$PIDS/maps")" 0

    # One that has the state is held by a request, and by nothing else.
    deploy 3
    waiting 1
    assert_equal "$(counts)" 'build 3 count 1 handovers 0'
    begin_canary 4 60s
    cancel
    assert_equal "$(get /)" 'build 3 has no state'
    assert_equal "$(holders 4)" 'state null null 1'
    touch "$DIR/go"
    wait_until is_equal '[]' held
    assert_equal "$(cut -d' ' -f1-6 "$DIR/old1")" 'build 3 count 2 handovers 1'
    stop_reeve
}

@test "a canary that is promoted keeps the state, and the other workers hand over theirs" {
    begin 'workers = 2'
    ask 40
    begin_canary 2 1s --min-requests 1
    ask 40
    end_of "$CANARY"
    ask 80
    assert_equal "$(tail -n 80 "$DIR/all" | cut -d' ' -f1,2,5,6 | sort -u)" 'build 2 handovers 1'
    is_all_counted
    assert_equal "$(worker_pids)" "$PIDS"
    stop_reeve
}

@test "what an old generation still holds is named by function, file and line, and gone when it has ended" {
    build_counter "$DIR/first.so" 1 -g
    begin 'workers = 1
unload_wait = 200ms' "$DIR/first.so"
    local n line
    line=$(grep -n 'reeve_sleep(0.01)' "$TOP/tests/apps/counter/counter.c" | cut -d: -f1)
    for n in 1 2 3; do waiting "$n"; done
    # The live one's are not told.
    assert_equal "$(generation 1 | jq -c .by)" '[]'
    build_counter "$DIR/new.so" 2
    put "$DIR/new.so"
    run -0 ctl -j reload c
    assert_equal "$(tail -n 1 <<<"$output" | jq -c '.receipt.held | map([.app, .generation, .count, .by])')" \
        "[[\"c\",1,3,[{\"kind\":\"request\",\"waits_in\":\"reeve_sleep\",\"site\":\"wait_for (counter.c:$line)\",\"count\":3}]]]"
    assert_equal "$(holders 1)" "request reeve_sleep wait_for (counter.c:$line) 3"
    assert_equal "$(generation 1 | jq .held)" 3
    # One that has no figures of its own any more is still told, without them.
    deploy 3
    deploy 4
    assert_equal "$(holders 1)" "request reeve_sleep wait_for (counter.c:$line) 3"
    assert_equal "$(generation 1 | jq -c 'keys')" '["by","generation","held"]'
    touch "$DIR/go"
    wait_until is_equal '' generation 1
}

@test "without debug information a place is told by its symbol, without symbols by its number" {
    begin 'workers = 1
unload_wait = 0'
    waiting 1
    deploy 2 -s
    assert_regex "$(holders 1)" '^request reeve_sleep [a-z_.0-9]+\+0x[0-9a-f]+ 1$'
    assert_equal "$(holders 1 | grep -c 'c\.so')" 0
    waiting 2
    deploy 3
    assert_regex "$(holders 2 | grep request)" '^request reeve_sleep c\.so\+0x[0-9a-f]+ 1$'
    touch "$DIR/go"
    wait_until is_equal 0 figure .requests.active
}

@test "what a worker holds that does not answer is not known, and that is said" {
    begin 'workers = 1
unload_wait = 4s'
    waiting 1
    build_counter "$DIR/new.so" 2
    put "$DIR/new.so"
    ctl -j reload c >"$DIR/reload" 3>&- &
    local reload=$!
    started+=("$reload")
    wait_until grep -q '"step":"commit"' "$DIR/reload"
    orphans+=("$PIDS")
    kill -STOP "$PIDS"
    end_of "$reload"
    kill -CONT "$PIDS"
    assert_equal "$(tail -n 1 "$DIR/reload" | jq -c '.receipt.held | map([.generation, .worker, .reason])')" '[[1,0,"does not answer"]]'
    touch "$DIR/go"
    wait_until is_equal '[]' held
}
