#!/usr/bin/env bats
# Time limits and numbers of connections: what is slow or too many is ended or waits, and others are served.
load helpers

# Times are short here. A test asserts what happens, in which order, and that it was not before its time; that it is
# not much later is only bounded by the client's own patience.
setup_file() {
    start_reeve <<EOF
workers       = 1
head_timeout  = 1s
body_timeout  = 1s
keep_alive    = 1s
write_timeout = 1s
app "hello"   { module = "$APPS/hello.so" }
app "echo"    { module = "$APPS/echo.so" mount = "/echo" }
app "sleep"   { module = "$APPS/sleep.so" mount = "/sleep" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
}

# python <<EOF: a script with raw.py's Client, PORT, a `client` that is connected, since(): seconds since it is, and
# is_at_rest(PID): a process that waits, and does not turn in circles
python() {
    { echo "import os, sys, time, threading; sys.path.insert(0, os.path.dirname('$RAW'))"
      echo "from raw import Client; PORT = '$PORT'; client = Client(PORT); began = time.monotonic()"
      echo "def since(): return time.monotonic() - began"
      echo "def ticks(pid): return sum(map(int, open('/proc/%s/stat' % pid).read().rsplit(')')[1].split()[11:13]))"
      echo "def is_at_rest(pid): before = ticks(pid); time.sleep(1); return ticks(pid) - before < 15 # of a hundred"
      cat; } | python3 -
}

@test "a head that does not become whole in time is 408, and the connection is closed" {
    python <<'EOF'
client.send(b"GET / HTTP/1.1\r\nHos")
answer = client.answer()
assert answer.status == 408 and answer.get("Connection") == "close", answer.head
assert since() > 0.95, since()
assert client.rest() == b""
EOF
}

@test "a head that drips does not gain time by it" {
    python <<'EOF'
client.sock.settimeout(0.05)
got = b""
while since() < 18:
    client.send(b"a" if since() > 0.1 else b"GET /")
    try:
        got = client.sock.recv(4096)
        break
    except TimeoutError:
        pass
assert b" 408 " in got, got
assert 0.95 < since() < 15, since()
EOF
}

@test "the time for a head begins anew with the next one" {
    python <<'EOF'
for _ in range(4):
    client.send(b"GET / HTTP/1.1\r\n")
    time.sleep(0.3)
    client.send(b"Host: a\r\n\r\n")
    assert client.answer().status == 200
assert since() > 1.1, since()
EOF
}

@test "a connection on which nothing is said is closed without an answer" {
    python <<'EOF'
assert client.rest() == b""
assert since() > 0.95, since()
EOF
}

@test "an idle connection is closed after keep_alive, silently, and each request starts that time anew" {
    python <<'EOF'
for _ in range(4):
    assert client.ask("/").status == 200
    time.sleep(0.3)
assert since() > 1.1, since()
last = since()
assert client.rest() == b""
assert since() - last > 0.5, since() - last
EOF
}

@test "keep_alive = 0 closes after each answer, and says so" {
    start_reeve <<<'keep_alive = 0'
    raw check "$PORT" <<<'200 close | GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'
    assert_equal "$(header_of Connection /)" close
}

@test "a body that stalls is 408; one that keeps coming, however slowly, is not" {
    python <<'EOF'
client.send(b"POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
answer = client.answer()
assert answer.status == 408 and answer.get("Connection") == "close", answer.head
assert since() > 0.95, since()

client = Client(PORT)
began = time.monotonic()
client.send(b"POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
for n in range(5):
    client.send(b"xx")
    time.sleep(0.3)
answer = client.answer()
assert answer.status == 200 and answer.body == b"read 10\n", answer.head
assert since() > 1.4
EOF
}

@test "a request that runs long is not limited by any of these" {
    python <<'EOF'
assert client.ask("/sleep?ms=2500").body == b"slept 2500 ms\n"
EOF
}

@test "a reader that takes a little at a time is not cut off; one that takes nothing is" {
    python <<'EOF'
client = Client(PORT, receive_buffer=4096)
client.send(b"GET /streams/big?mb=6 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
total = 0
while True:
    if since() < 3: # well beyond write_timeout
        time.sleep(0.05)
        n = len(client.sock.recv(16384))
    else:
        n = len(client.sock.recv(1 << 20))
    total += n
    if not n:
        break
assert total > 6 << 20, total

# The other one: what the kernel holds already arrives, then the connection is gone.
client = Client(PORT, receive_buffer=4096)
client.send(b"GET /streams/big?mb=50 HTTP/1.1\r\nHost: a\r\n\r\n")
time.sleep(3)
total = 0
try:
    while total < 50 << 20:
        n = len(client.sock.recv(1 << 20))
        if not n:
            break
        total += n
except ConnectionResetError:
    pass
assert total < 50 << 20, total
EOF
}

@test "an answer to a client that is still sending is not lost in a reset" {
    python <<'EOF'
client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
for _ in range(100):
    if not client.send(b"x" * 65536):
        break
answer = client.answer()
assert answer.status == 200 and answer.body == b"Hello, World!\n", answer.head
EOF
}

@test "max_connections: those beyond wait until one is closed, and are served then" {
    start_reeve <<'EOF'
workers         = 1
max_connections = 4
EOF
    python <<'EOF'
held = [client] + [Client(PORT) for _ in range(3)]
for one in held:
    assert one.ask("/").status == 200
late = [Client(PORT) for _ in range(3)] # connected by the kernel, not by reeve
for one in late:
    one.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
late[0].sock.settimeout(0.5)
try:
    late[0].answer()
    sys.exit("it was served beyond the limit")
except TimeoutError:
    pass
assert held[0].ask("/").status == 200 # the others go on
for one in held:
    one.close()
for one in late:
    one.sock.settimeout(20)
    assert one.answer().status == 200
for one in late:
    one.close()
EOF
    assert_equal "$(get /)" 'Hello, World!'
    wait_until is_equal 7 figure '.connections.accepted - 1'
    assert_equal "$(figure '.workers[0].incarnation')" 1
}

@test "max_connections: the other worker takes what one cannot" {
    start_reeve <<'EOF'
workers         = 2
max_connections = 4
EOF
    python <<'EOF'
held = [Client(PORT) for _ in range(7)]
for one in held:
    assert one.ask("/").status == 200
EOF
}

@test "descriptors that run out: accepting pauses, others are served, and it goes on by itself" {
    few() { ulimit -n 48 && exec "$@"; }
    start_reeve few <<<'workers = 1'
    WORKER=$(worker_pids) python <<'EOF'
held = [client]
assert client.ask("/").status == 200
while len(held) < 100: # the kernel takes them all
    held.append(Client(PORT))
for one in held:
    one.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
served = 0
for one in held:
    one.sock.settimeout(1 if served < 10 else 0.01)
    try:
        served += one.answer().status == 200
    except TimeoutError:
        pass
assert 10 <= served < 60, served
assert is_at_rest(os.environ["WORKER"])
assert client.ask("/").status == 200
for one in held[:50]:
    one.close()
for one in held[50:]: # their turn has come
    if not one.data:
        one.sock.settimeout(20)
        assert one.answer().status == 200
    one.close()
EOF
    has_logged 'accepting connections pauses'
    # Said now and then, not for every attempt.
    [ "$(wc -l <"$LOG")" -lt 100 ]
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(figure '.workers[0].incarnation')" 1
    stop_reeve
}

@test "nobody makes a worker turn in circles: half-closed, reset, silent or slow clients" {
    start_reeve <<EOF
workers = 1
app "sleep"   { module = "$APPS/sleep.so" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
    WORKER=$(worker_pids) python <<'EOF'
import socket, struct
def begin(request, **options):
    client = Client(PORT, **options)
    client.send(request)
    return client
asleep = b"GET /?ms=20000 HTTP/1.1\r\nHost: a\r\n\r\n"
half_closed = [begin(asleep), begin(b"GET /?ms=1 HTTP/1.1\r\nHost: a\r\n\r\n" + asleep)]
for one in half_closed:
    one.half_close()
reset = [begin(asleep), begin(b"POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"), begin(b"")]
for one in reset:
    one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
stalled = [begin(b"POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"),
           begin(b"POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5"),
           begin(b"GET / HT"), begin(b""),
           begin(b"GET /streams/big?mb=50 HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)]
more = begin(asleep + asleep) # something to read that nobody wants yet
time.sleep(0.5)
assert is_at_rest(os.environ["WORKER"])
assert client.ask("/?ms=1").status == 200
EOF
}

@test "the soft limit on descriptors is raised to the hard one" {
    soft() { ulimit -Sn 32 && exec "$@"; }
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 256 ] || skip "the hard limit is low"
    start_reeve soft <<<'workers = 1'
    python <<'EOF'
held = [Client(PORT) for _ in range(100)]
for one in held:
    assert one.ask("/").status == 200
EOF
    run ! has_logged 'accepting connections pauses'
}
