#!/usr/bin/env bats
# bats file_tags=core
# New connections go to the workers that have little to do.
load helpers

# A client that keeps connections open: it asks on each, one after the other, and holds all of them until it is told to
# end. hold N PATH
hold() {
    python3 - "$PORT" "$1" "$2" >"$DIR/held" 2>&1 3>&- <<'PYTHON' &
import signal, socket, sys, time
port, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
held = []
for _ in range(count):
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    if path == "/":
        s.recv(4096)
    else:
        time.sleep(0.02)
    held.append(s)
print("all held", flush=True)
signal.pause()
PYTHON
    HOLDER=$!
    started+=("$HOLDER")
    wait_until grep -q 'all held' "$DIR/held"
}

# let_go: those connections are closed, so that a stop need not wait for them
let_go() {
    kill -TERM "$HOLDER"
    wait_until is_dead "$HOLDER"
}

# open_connections: of each worker, a number a line, the least first
open_connections() { figure '.workers[].connections.open' | sort -n; }

# even MOST: the one that has most has at most MOST times what the one with the least has, and four more
is_even() {
    open_connections | awk -v most="$1" 'NR == 1 { least = $1 } { last = $1 } END { print least, last; exit !(last <= most * least + 4) }'
}

has_served() { [ "$(figure .requests.total)" -ge "$1" ]; }

with_four() {
    start_reeve <<<"workers = 4
app \"hello\" { module = \"$APPS/hello.so\" }
app \"sleep\" { module = \"$APPS/sleep.so\" mount = \"/sleep\" }"
}

@test "long-lived connections are spread over four workers, while others come and go" {
    with_four
    python3 "$BATS_TEST_DIRNAME/clients.py" "$PORT" 2 / >"$DIR/answers" 3>&- &
    local clients=$!
    started+=("$clients")
    wait_until has_served 20
    hold 100 /
    wait_until is_even 3
    kill -TERM "$clients"
    wait_until is_dead "$clients"
    run -0 jq -r 'keys | join(" ")' "$DIR/answers"
    assert_output 200
    let_go
    stop_reeve
}

@test "a worker whose requests take long gets fewer of the next ones" {
    with_four
    hold 40 '/sleep?ms=60000'
    wait_until is_equal 40 figure .requests.active
    run -0 is_even 3
    kill -KILL "$(figure '.workers[0].pid')"
    wait_until is_equal 4 eval "figure '.workers | map(select(.accepting)) | length'"
    # Its successor has nothing to do: the next ones are its.
    hold 8 /
    run -0 is_even 3
}

@test "connections are accepted when the workers that have less to do cannot" {
    with_four
    local pids
    pids=$(figure '.workers[1:][].pid')
    hold 40 /
    # shellcheck disable=SC2086
    kill -STOP $pids
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(get /)" 'Hello, World!'
    # shellcheck disable=SC2086
    kill -CONT $pids
    let_go
    stop_reeve
}
