#!/usr/bin/env bats
# bats file_tags=core
# What waits, and in which code: by the thousand, without anybody noticing; also when a worker does not answer or dies, the
# one who asks goes away, or code is deployed meanwhile.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load helpers

# build_napper [FLAG...]: with the flags that app authors are told of
build_napper() {
    cc -O2 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" "$@" \
        -o "$DIR/napper.so.new" "$BATS_TEST_DIRNAME/napper.c" && mv "$DIR/napper.so.new" "$DIR/napper.so"
}

# configure [LINES]: napper at /nap, beside hello; its init ends at once
configure() {
    [ -e "$DIR/napper.so" ] || build_napper
    touch "$DIR/init-may-end"
    write_config <<EOF
${1:-}
app "hello" { module = "$APPS/hello.so" }
app "napper" { module = "$DIR/napper.so" mount = "/nap" option { init = "$DIR/init-may-end" } }
EOF
}

serve() {
    configure "$@"
    start_again
}

# nap N [PATH]: N requests that wait until wake, from one process, which counts their answers in $DIR/naps
nap() {
    local before
    before=$(figure .requests.active)
    python3 - "$PORT" "$1" "${2:-/nap/?until=$DIR/wake}" >"$DIR/naps" 3>&- <<'EOF' &
import collections, json, resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
held = []
for _ in range(count):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    held.append(sock)
answers = collections.Counter()
for sock in held:
    data = b""
    try:
        while piece := sock.recv(4096):
            data += piece
        is_right = data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\nwell rested\n")
        answers["right" if is_right else "wrong"] += 1
    except OSError:
        answers["lost"] += 1
print(json.dumps(answers))
EOF
    NAPPERS=$!
    started+=("$NAPPERS")
    wait_until -t 60 is_equal $((before + $1)) figure .requests.active
}

# were_answered N: so many, and all of them rightly
were_answered() {
    end_of "$NAPPERS"
    assert_equal "$(cat "$DIR/naps")" "{\"right\": $1}"
}

# wake N: now they are answered
wake() {
    touch "$DIR/wake"
    were_answered "$1"
}

# stacks QUERY JQ: asks; the answer stays in $DIR/stacks
stacks() { api "/v1/stacks$1" >"$DIR/stacks" && told "$2"; }
told() { jq -r "$1" "${2:-$DIR/stacks}"; }

# calls: the application's functions that the first one is in: "nap short_view"
calls() { told '[.stacks[0].backtrace[] | select(.object == "napper.so") | .function] | join(" ")'; }

pid_of() { figure ".workers[] | select(.id == $1) | .pid"; }

# ask FILE [QUERY]: in the background
ask() {
    curl -sS --max-time 30 --unix-socket "$CONTROL" "http://reeve/v1/stacks${2:-}" >"$DIR/$1" 2>&1 3>&- &
    ASKED=$!
    started+=("$ASKED")
}

# ---- what is told -------------------------------------------------------------------------------------------------------

@test "1,000 requests that wait are told of with their code, and nobody notices" {
    all_descriptors() { ulimit -n "$(ulimit -Hn)" && exec "$@"; }
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 2000 ] || skip "the limit on descriptors is too low"
    configure
    start_again all_descriptors
    nap 1000 "/nap/short?until=$DIR/wake"
    local pid n clients line before=()
    for pid in $(worker_pids); do before+=("$(memory_of "$pid" VmRSS)"); done
    # While they are looked at again and again others are served.
    python3 "$BATS_TEST_DIRNAME/clients.py" "$PORT" 2 / >"$DIR/clients" 3>&- &
    clients=$!
    started+=("$clients")
    for n in 1 2 3 4 5; do
        assert_equal "$(stacks '' '.stacks | length')" 1000
        assert_equal "$(told '[.stacks[].id] | unique | length')" 1000
        assert_equal "$(told '[.workers[] | [.id, .ok]] | sort | tojson')" '[[0,true],[1,true]]'
        assert_equal "$(told '[.stacks[].worker] | unique | tojson')" '[0,1]'
        assert_equal "$(told '[.stacks[] | [.app, .generation, .method, .path, .phase, .waits_in]] | unique | tojson')" \
            '[["napper",1,"GET","/nap/short","waiting","reeve_sleep"]]'
        assert_equal "$(told 'all(.stacks[]; .age >= .waited and .waited >= 0)')" true
        # The oldest first; ages are those of when its worker was looked at.
        assert_equal "$(told '[.stacks[] | select(.worker == 0) | .age] | . == (sort | reverse)')" true
    done
    kill "$clients"
    end_of "$clients"
    assert_equal "$(jq -c keys "$DIR/clients")" '["200"]'
    # Each in the same place, by function, file and line, static and inlined ones included.
    assert_equal "$(calls)" 'nap nap_until short_view napper'
    assert_equal "$(told '[.stacks[].backtrace[] | select(.object == "napper.so")] | length')" 4000
    assert_equal "$(told '[.stacks[].backtrace[] | select(.object == "napper.so") | .file] | unique | tojson')" '["napper.c"]'
    line=$(grep -n 'reeve_sleep(seconds)' "$BATS_TEST_DIRNAME/napper.c" | cut -d: -f1)
    assert_equal "$(told '[.stacks[].backtrace[] | select(.function == "nap") | .line] | unique | tojson')" "[$line]"
    assert_equal "$(told '[.stacks[].backtrace[] | select(.function == "nap_until") | .inlined] | unique | tojson')" '[true]'
    # Not a page more in each of the stacks.
    n=0
    for pid in $(worker_pids); do
        echo "# memory of worker $pid: ${before[n]} KiB before, $(memory_of "$pid" VmRSS) KiB now" >&3
        is_sanitized || [ "$(memory_of "$pid" VmRSS)" -lt $((before[n] + 1400)) ]
        n=$((n + 1))
    done
    wake 1000
    assert_equal "$(figure '[.workers[].incarnation] | unique | tojson')" '[1]'
    stop_reeve
}

@test "reevectl stacks puts together what waits in one place, the oldest first" {
    serve
    run -0 ctl stacks
    assert_output 'no request waits'
    nap 7 "/nap/?ms=60000&until=$DIR/wake"
    run -0 ctl stacks
    assert_line --index 0 '7 requests of napper 1 wait in reeve_sleep'
    assert_line --index 1 --regexp '^  [0-9a-f]{16} GET /nap/  worker [01]\.1, [0-9.]+ m?s, waits [0-9.]+ m?s$'
    assert_line --index 6 '  and 2 more'
    assert_line --index 7 --regexp '^  nap \(napper\.c:[0-9]+\) in napper\.so$'
    assert_line --index 8 --regexp '^  long_view \(napper\.c:[0-9]+\)$'
    assert_line --index 9 --regexp '^  napper \(napper\.c:[0-9]+\)$'
    refute_output --partial coro_wait
    run -0 ctl -j stacks 0
    assert_equal "$(jq -c '[.stacks[].worker] | unique' <<<"$output")" '[0]'
    assert_equal "$(jq -c '[.workers[].id]' <<<"$output")" '[0]'
    assert_equal "$(jq '[.stacks[0].backtrace[].function] | index("coro_wait") != null' <<<"$output")" true
    run -0 ctl stacks 1.1
    run -1 ctl stacks 1.7
    run -1 ctl stacks 99
    assert_output --partial 'there is no worker 99'
    run -2 ctl stacks hello
    assert_equal "$(stacks '?app=hello' '.stacks | length')" 0
    assert_equal "$(stacks '?app=napper' '.stacks | length')" 7
    assert_equal "$(stacks '?app=nobody' .error)" 'no such application'
}

@test "without debug information there are the functions, and without symbols the places" {
    build_napper -g0
    serve 'workers = 1'
    nap 1
    assert_equal "$(stacks '' '.workers[].ok')" true
    [[ $(calls) == 'nap '*napper ]]
    wake 1
    build_napper -g0 -s
    ctl reload napper
    rm "$DIR/wake"
    nap 1
    assert_equal "$(stacks '' '.stacks[].generation')" 2
    assert_equal "$(told '[.stacks[0].backtrace[] | select(.object == "napper.so") | has("function")] | unique | tojson')" '[false]'
    assert_equal "$(told 'all(.stacks[0].backtrace[]; .offset | startswith("0x"))')" true
    wake 1
}

@test "an init that waits is told of, while its worker starts" {
    configure 'workers = 1'
    rm "$DIR/init-may-end"
    : >"$LOG"
    launch "$REEVE" -c "$CONFIG"
    waits_in_init() { stacks '' '.stacks[] | [.app, .generation, .step, .waits_in] | join(" ")'; }
    wait_until is_equal 'napper 1 in init reeve_sleep' waits_in_init
    assert_equal "$(told '.stacks[0] | has("id")')" false
    assert_equal "$(calls)" 'nap nap_until wait_in_init init'
    run -0 ctl stacks
    assert_line --index 0 '1 init of napper 1 waits in reeve_sleep'
    touch "$DIR/init-may-end"
    wait_until is_ready
    run -0 ctl stacks
    assert_output 'no request waits'
    stop_reeve
}

# ---- who does not answer ------------------------------------------------------------------------------------------------

@test "of a worker that does not answer it is told what the flight recorder knows" {
    serve
    nap 40 "/nap/?ms=60000&until=$DIR/wake"
    local pid
    pid=$(pid_of 0)
    kill -STOP "$pid"
    ask all
    ask other '?worker=1'
    wait "$ASKED"
    assert_equal "$(told '[.workers[] | [.id, .ok]] | tojson' "$DIR/other")" '[[1,true]]'
    wait_until [ -s "$DIR/all" ]
    assert_equal "$(told '[.workers[] | [.id, .ok]] | sort | tojson' "$DIR/all")" '[[0,false],[1,true]]'
    assert_equal "$(told '.workers[] | select(.id == 0) | .reason[:15]' "$DIR/all")" 'does not answer'
    assert_equal "$(told '.stacks | length' "$DIR/all")" 40
    assert_equal "$(told '[.stacks[] | select(.worker == 0) | [.phase, .waits_in, (.backtrace[] | .function, .file)]]
        | unique | tojson' "$DIR/all")" '[["waiting","reeve_sleep","nap","napper.c"]]'
    run -0 ctl stacks 0
    assert_output --partial 'worker 0.1 does not answer'
    kill -CONT "$pid"
    wait_until is_equal true stacks '?worker=0' '.workers[].ok'
    assert_equal "$(stacks '' '.stacks | length')" 40
}

@test "a worker that dies meanwhile is told of as gone" {
    serve
    local pid
    pid=$(pid_of 1)
    kill -STOP "$pid"
    ask all
    wait_until is_equal 0 stacks '?worker=0' '.stacks | length' # it has been asked, too, by now
    kill -KILL "$pid"
    wait "$ASKED"
    assert_equal "$(told '[.workers[] | [.id, .ok]] | sort | tojson' "$DIR/all")" '[[0,true],[1,false]]'
    assert_equal "$(told '.workers[] | select(.id == 1) | .reason' "$DIR/all")" 'has ended meanwhile'
    wait_until is_equal '[[0,true],[1,true]]' stacks '' '[.workers[] | [.id, .ok]] | sort | tojson'
}

@test "a worker without a descriptor left says so, and the others are told of" {
    serve
    nap 24 # some of them in worker 1
    local pid
    pid=$(pid_of 0)
    prlimit --pid "$pid" --nofile=3:
    assert_equal "$(stacks '' '.workers[] | select(.id == 0) | .reason')" 'cannot write them down: Too many open files'
    assert_equal "$(told '[.stacks[].worker] | unique | tojson')" '[1]'
    run -0 ctl stacks
    assert_output --partial 'worker 0.1 cannot write them down'
    prlimit --pid "$pid" --nofile=1000:
    assert_equal "$(stacks '' '[.workers[].ok] | tojson')" '[true,true]'
    wake 24
}

@test "who asks may go away, several may ask at once, and the server stops with questions open" {
    serve
    nap 20
    local pid n asked=()
    pid=$(pid_of 0)
    kill -STOP "$pid"
    for n in 1 2 3 4 5 6 7 8; do
        run -28 curl -sS --max-time 0.05 --unix-socket "$CONTROL" http://reeve/v1/stacks
    done
    kill -CONT "$pid"
    for n in 1 2 3 4 5 6 7 8; do
        ask "$n"
        asked+=("$ASKED")
    done
    for n in 1 2 3 4 5 6 7 8; do
        wait "${asked[n - 1]}"
        assert_equal "$(told '.stacks | length' "$DIR/$n")" 20
        assert_equal "$(told '[.workers[].ok] | tojson' "$DIR/$n")" '[true,true]'
    done
    # A client that has closed its side for writing still hears.
    printf 'GET /v1/stacks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' |
        timeout 30 nc -N -U "$CONTROL" | tail -n 1 >"$DIR/stacks"
    assert_equal "$(told '.stacks | length')" 20
    wake 20
    kill -STOP "$pid"
    ask last
    stop_reeve QUIT
}

@test "while code is deployed and workers are replaced each question is answered" {
    serve
    nap 30
    local n=0
    deploy_all() {
        for n in 1 2 3; do
            build_napper -DBUILD="$n" && ctl reload napper && ctl restart || return 1
        done
    }
    deploy_all >"$DIR/deploys" 2>&1 3>&- &
    local deploys=$!
    started+=("$deploys")
    while is_alive "$deploys"; do
        assert_equal "$(stacks '' '[.stacks[].app] - ["napper"] | tojson')" '[]'
        assert_equal "$(told '[.workers[] | select(.ok | not) | .reason] - ["has ended meanwhile", "ends"] | tojson')" '[]'
        n=$((n + 1))
        [ "$n" -ne 5 ] || touch "$DIR/wake" # until then the first restart waits for them
    done
    end_of "$deploys"
    cat "$DIR/deploys"
    assert_equal "$STATUS" 0
    were_answered 30
    assert_equal "$(figure .applications.napper.generation)" 4
    stop_reeve
}
