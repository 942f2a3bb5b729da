#!/usr/bin/env bats
# Workers that have served max_requests or grown beyond max_memory are replaced, each at a limit of its own; nobody else
# notices: no request is lost, no history grows, and whatever an operator asks for comes first.
load helpers

MIB=$((1024 * 1024))

build_trouble() {
    cc -O2 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -pthread \
        -o "$DIR/trouble.so" "$TOP/tests/e2e/trouble.c"
}

recycled() { figure .processes.recycled; }
has_recycled() { is_equal true figure ".processes.recycled >= $1"; }
# lines PATTERN: of the log
lines() { grep -cE -- "$1" "$LOG" || true; }
# reuse N: so many requests, one after the other on one connection, all answered
reuse() { is_equal "$1" eval "curl -sSf --max-time 30 '$URL/?[1-$1]' | wc -l"; }
# look_again: the master has looked at what workers have taken, at least once
look_again() {
    local beat
    beat=$(figure '.workers | map(.last_heartbeat) | max')
    wait_until is_equal true figure ".workers | map(.last_heartbeat) | max > $beat + 0.6"
}

# ---- requests ----

@test "a worker is replaced after max_requests, which its slot's earlier processes do not count towards" {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
workers = 1
max_requests = 10
recycle_jitter = 0
app "n" { module = "$DIR/n.so" }
EOF
    local round
    for round in 0 1 2; do
        reuse 9
        look_again
        assert_equal "$(recycled)" "$round"
        reuse 1
        wait_until has_recycled $((round + 1))
    done
    has_logged 'worker 0\.1 is replaced: it has served 10 requests \(its limit: 10\)'
    # That is no fault of theirs, and no deployment.
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
    assert_equal "$(api /v1/deploys | jq -c '[.deploys[].kind]')" '["start"]'
    stop_reeve
}

@test "a request that runs is finished by the old worker, and its successor may be replaced meanwhile" {
    start_reeve <<EOF
workers = 1
max_requests = 10
recycle_jitter = 0
app "n" { module = "$TEST_APPS/numbered.so" }
EOF
    local old
    old=$(worker_pids)
    hold /
    reuse 9
    wait_until has_recycled 1
    reuse 10
    wait_until has_recycled 2
    is_alive "$old"
    release
    assert_equal "$(cat "$DIR/held")" "build 0 pid $old"
    stop_reeve
}

# bats test_tags=core
@test "under load no request is lost, and each worker has a limit of its own" {
    need wrk
    start_reeve <<EOF
workers = 4
max_requests = 3000
recycle_jitter = 50
EOF
    start_wrk
    wait_until -t 60 has_recycled 8
    stop_wrk
    grep -oE 'it has served .*' "$LOG" | tr -cd '0-9 \n' | awk '{print $1, $2}' >"$DIR/served"
    local served limit
    while read -r served limit; do
        [ "$limit" -ge 1500 ]
        [ "$limit" -le 3000 ]
        [ "$served" -ge "$limit" ]
    done <"$DIR/served"
    [ "$(cut -d' ' -f2 "$DIR/served" | sort -u | wc -l)" -ge 8 ]
    stop_reeve
}

# ---- memory ----

# sample: until $DIR/enough is there, the most memory of any worker and the fewest that take requests
sample() {
    local peak=0 fewest=99 now
    while [ ! -e "$DIR/enough" ]; do
        now=$(api /v1/workers | jq -r '"\([.workers[].rss] | max) \([.workers[] | select(.accepting)] | length)"')
        [ "${now% *}" -le "$peak" ] || peak=${now% *}
        [ "${now#* }" -ge "$fewest" ] || fewest=${now#* }
        echo "$peak $fewest" >"$DIR/samples"
    done
}

# hold_leak WRK OPTION...: 10,000 requests that leak 64 KiB each, 50 MiB a second in each worker: at most what leaks in a
# second may come on top of the limit, before it is noticed, while the successor starts and in the drain
hold_leak() {
    need wrk
    build_trouble
    is_sanitized && export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # which there are
    local fresh limit margin=$((50 * MIB)) leaked peak fewest
    start_reeve <<<"app \"trouble\" { module = \"$DIR/trouble.so\" }"
    fresh=$(figure '.workers | map(.rss) | max')
    stop_reeve
    limit=$((fresh + 50 * MIB))
    # What AddressSanitizer keeps of the memory that the master has freed would count with every worker that is forked.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=4 start_reeve <<EOF
max_memory = $limit
app "trouble" { module = "$DIR/trouble.so" }
EOF
    rm -f "$DIR/enough"
    sample 3>&- &
    local sampler=$!
    URL="$URL/leak?kb=64&ms=10&" start_wrk -c16 "$@"
    wait_until -t 120 is_equal true figure '.requests.total > 10000'
    stop_wrk
    touch "$DIR/enough"
    wait "$sampler"
    echo "fresh $fresh, limit $limit, peak and fewest: $(cat "$DIR/samples"), recycled $(recycled)"
    read -r peak fewest <"$DIR/samples"
    leaked=$(($(figure .requests.total) * 65536))
    [ "$leaked" -gt $((2 * (limit + margin))) ] # or it would prove nothing
    [ "$peak" -gt "$fresh" ]
    [ "$peak" -lt $((limit + margin)) ] || fail "a worker took $peak bytes, its limit was $limit"
    [ "$fewest" -ge 2 ] || fail "only $fewest workers took requests"
    [ "$(recycled)" -ge 4 ]
    has_logged 'is replaced: it has taken [0-9.]+ MiB \(its limit: [0-9.]+ MiB\)'
    run ! has_logged 'max_memory is too small'
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
    stop_reeve
}

@test "a leaking application is held at max_memory for 10,000 requests on connections that are kept" {
    hold_leak
}

@test "a leaking application is held at max_memory for 10,000 requests, each on a connection of its own" {
    hold_leak -H 'Connection: close'
}

@test "a max_memory that is less than what a fresh worker needs is noticed, said once, and does not spin" {
    start_reeve <<<$'workers = 1\nmax_memory = 1m\nrecycle_jitter = 0'
    wait_until has_logged 'max_memory is too small: worker [0-9]\.[0-9]+ had [0-9.]+ MiB when it was ready'
    local before
    before=$(recycled)
    for _ in 1 2 3; do look_again; done
    assert_equal "$(recycled)" "$before"
    [ "$before" -le 4 ]
    assert_equal "$(lines 'max_memory is too small')" 1
    assert_equal "$(get /)" 'Hello, World!'
    # Another limit is given its chance at once.
    sed -i 's/^max_memory.*/max_memory = 2m/' "$CONFIG"
    ctl reload --config >/dev/null
    wait_until has_recycled $((before + 1))
    stop_reeve
}

# ---- what stands in the way ----

# begin_waiting: a server whose workers' successors are not ready before there is $DIR/go; its worker is beyond its limit,
# its successor starts, and has the last free slot
begin_waiting() {
    build_numbered "$DIR/n.so" 1 -DWAIT_IN_WORKER
    touch "$DIR/go"
    start_reeve <<EOF
workers = 1
max_workers = 2
max_requests = 10
recycle_jitter = 0
app "n" { module = "$DIR/n.so" option { go = "$DIR/go" } }
EOF
    OLD=$(worker_pids)
    rm "$DIR/go"
    reuse 10
    wait_until is_equal 1 figure .processes.starting
}

@test "a restart that is asked for meanwhile is not refused: the replacement gives way" {
    begin_waiting
    assert_equal "$(get /)" "build 1 pid $OLD" # which serves on
    ctl -j restart >"$DIR/out" 2>&1 3>&- &
    local restart=$!
    started+=("$restart")
    wait_until grep -q spawned "$DIR/out"
    touch "$DIR/go"
    wait "$restart"
    assert_equal "$(tail -n 1 "$DIR/out" | jq -r .verdict)" 'done'
    run ! has_logged 'go on:'
    assert_equal "$(recycled)" 0
    stop_reeve
}

@test "a reload that is asked for meanwhile goes live, and then the worker is replaced after all" {
    begin_waiting
    build_numbered "$DIR/n.so" 2
    run -0 ctl reload n
    assert_equal "$(builds 3)" 'build 2'
    wait_until has_recycled 1
    wait_until is_dead "$OLD"
    assert_equal "$(api /v1/deploys | jq -c '[.deploys[].kind]')" '["start","reload"]'
    stop_reeve
}

@test "a stop does not wait for the replacement" {
    begin_waiting
    stop_reeve
}

@test "without a free slot it waits, says so once, and goes on when there is one" {
    start_reeve <<<$'workers = 1\nmax_workers = 2\nmax_requests = 5\nrecycle_jitter = 0'
    ctl scale 2 >/dev/null
    wait_until is_equal 2 eval 'worker_pids | wc -l'
    get "/?[1-40]" -H 'Connection: close' >/dev/null
    wait_until has_logged 'no slot for a replacement: max_workers is reached'
    for _ in 1 2 3; do look_again; done
    assert_equal "$(lines 'no slot for a replacement') $(recycled)" '1 0'
    ctl scale 1 >/dev/null
    get "/?[1-10]" >/dev/null # the one that stays may have had few of those before
    wait_until has_recycled 1
    stop_reeve
}

@test "when the successor does not get ready, the worker serves on, and the next try is not at once" {
    build_numbered "$DIR/n.so" 1 -DCRASH_WITH_FILE
    start_reeve <<EOF
workers = 1
max_requests = 10
recycle_jitter = 0
app "n" { module = "$DIR/n.so" option { crash_with = "$DIR/crash" } }
EOF
    touch "$DIR/crash"
    local old
    old=$(worker_pids)
    reuse 10
    wait_until has_logged 'go on: the replacement, worker 1\.1, exited with status 3; the next try is in 10 s'
    for _ in 1 2 3; do look_again; done
    assert_equal "$(lines 'the next try is in')" 1
    assert_equal "$(get /) $(recycled)" "build 1 pid $old 0"
    stop_reeve
}
