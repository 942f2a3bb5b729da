#!/usr/bin/env bats
# bats file_tags=core
# The application interface, from the side of applications that break its rules: what the client gets, and what not.
load helpers

setup_file() {
    start_reeve <<EOF
workers = 1
app "misbehave" { module = "$TEST_APPS/misbehave.so" }
app "hello"     { module = "$APPS/hello.so" mount = "/hello" }
app "onloop"    { module = "$TEST_APPS/onloop.so" mount = "/onloop" }
EOF
}

# streams: a server of this test's own, whose journal is no other test's
start_streams() {
    start_reeve <<EOF
workers = 1
write_timeout = ${WRITE_TIMEOUT:-60s}
app "streams" { module = "$TEST_APPS/streams.so" option { journal = "$DIR/journal" } }
EOF
}

has_journal() { grep -qx "$1" "$DIR/journal"; }

# is_500 PATH: the client gets a 500 that tells the request's id and nothing else, and the log has that id
is_500() {
    run -0 curl -sS -i "$URL$1"
    assert_line --index 0 --partial 'HTTP/1.1 500 Internal Server Error'
    refute_output --partial secret
    refute_output --partial misbehave
    local id
    id=$(sed -n 's/^request id \([0-9a-f]\{16\}\)$/\1/p' <<<"$output")
    [ -n "$id" ]
    wait_until has_logged "misbehave 1: request $id: GET $1: (failed|returned without)"
}

# ---- start_response ----

@test "an app that fails before its first byte gives 500 with the request's id and no details" {
    is_500 /no-answer
    is_500 /fails
    is_500 /fails-started
    is_500 /fails-written
    has_logged 'a secret for the log only'
    # The connection is as good as before.
    raw check "$PORT" <<'EOF'
500 200 500 any | GET /fails HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /no-answer HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "an app that fails after its first byte is cut off: the client sees that it is not whole" {
    run curl -sS "$URL/fails-sent"
    assert [ "$status" -ne 0 ]
    assert_output --partial begun
    refute_output --partial 500
}

@test "start_response again replaces what was not sent, and is refused afterwards" {
    run -0 curl -sS -i "$URL/replaces"
    assert_line --partial '404 Not Found'
    assert_line --partial 'X-Second: 2'
    refute_output --partial first
    refute_output --partial X-First
    assert_line second
    assert_equal "$(get /starts-late)" "sent, EALREADY"
    assert_equal "$(get /writes-first)" "EPROTO"
}

@test "a header that would inject another, or is no header, is refused" {
    local value
    for value in 'a%0d%0aX-Injected:%201' 'a%0aX-Injected:%201' 'a%0d' 'a%01b' '%7f'; do
        run -0 curl -sS -i "$URL/header?name=X-Test&value=$value"
        assert_line EINVAL
        refute_output --partial X-Injected
        refute_output --partial X-Before
    done
    for value in 'X%20Y' 'X:' 'X%0d%0aY' 'X%28' '%c3%a9'; do
        assert_equal "$(get "/header?name=$value&value=1")" EINVAL
    done
    assert_equal "$(get /empty-name)" EINVAL
    run -0 curl -sS -i "$URL/header?name=X-Good&value=a%20%09b"
    assert_line --partial "X-Good: a $(printf '\t')b"
    assert_line accepted
}

@test "a hop-by-hop header is the server's own" {
    local name
    for name in Connection connection Transfer-Encoding Keep-Alive Upgrade TE Trailer Proxy-Connection; do
        assert_equal "$name $(get "/header?name=$name&value=x")" "$name EPERM"
    done
}

@test "a status is three digits from 200 to 599 and a reason" {
    local line
    for line in 200 '20%20OK' 'OK' '99%20Low' '600%20High' '100%20Continue' '200%20a%0d%0aX:%20y' '%20200%20OK' '2000%20OK'; do
        assert_equal "$line $(get "/status?line=$line")" "$line EINVAL"
    done
    assert_equal "$(status_of '/status?line=299%20Odd')" 299
    assert_equal "$(status_of '/status?line=599%20Odd')" 599
}

@test "an app may set its own Date and Server, once each" {
    run -0 head_of /own-stamp
    assert_line 'Date: Thu, 01 Jan 1970 00:00:00 GMT'
    assert_line 'Server: mine'
    assert_equal "$(grep -ciE '^(date|server):' <<<"$output")" 2
}

# ---- lengths ----

@test "a declared Content-Length is kept: more is refused, less is no answer" {
    assert_equal "$(get /too-long)" 12345
    assert_equal "$(header_of Content-Length /too-long)" 5
    run ! curl -sS "$URL/too-short"
    assert_equal "$(curl -s -o /dev/null -w '%{http_code}' "$URL/nothing-declared")" 500 # nothing was sent yet
    local value
    for value in -1 x '' '1%201' 99999999999999999999; do
        assert_equal "$(get "/header?name=Content-Length&value=$value")" EINVAL
    done
    assert_equal "$(get /two-lengths)" EINVAL
}

@test "204 and 304 have no body and no length, whatever the app writes, and the connection goes on" {
    raw check "$PORT" <<'EOF'
204 200 any | GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n
304 200 any | GET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n
EOF
    run -0 head_of /204
    refute_output --partial Content-Length
    refute_output --partial Transfer-Encoding
    run -0 raw send --answers 2 "$PORT" 'GET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n'
    refute_output --partial none
}

@test "Content-Length is added when the whole body is known, chunked otherwise" {
    assert_equal "$(header_of Content-Length /hello)" 14
    assert_equal "$(header_of Content-Length /empty)" 0
    run -0 head_of /starts-late
    assert_line 'Transfer-Encoding: chunked'
    refute_output --partial Content-Length
}

@test "an app that runs on the loop never waits, and is served all the same" {
    assert_equal "$(get /onloop)" "sleep refused, read the end"
    assert_equal "$(get /onloop --data abc)" "sleep refused, read data"
    run -0 raw send --answers 1 "$PORT" 'POST /onloop HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'
    assert_output --partial 'read nothing yet'
}

# ---- bodies ----

@test "an iterable is fetched piece by piece and closed once, whatever happens" {
    start_streams
    assert_equal "$(get '/iterable?count=3')" $'piece 1\npiece 2\npiece 3'
    wait_until is_equal 1 grep -c '^closed$' "$DIR/journal"
    assert_equal "$(status_of '/iterable?count=5&fails_at=1')" 500
    wait_until is_equal 2 grep -c '^closed$' "$DIR/journal"
    assert_equal "$(status_of /iterable-then-fails)" 500
    wait_until is_equal 3 grep -c '^closed$' "$DIR/journal"
    assert_equal "$(get /iterable-twice)" 'piece 1'
    wait_until is_equal 4 grep -c '^closed$' "$DIR/journal"
    stop_reeve
    assert_equal "$(grep -c '^closed$' "$DIR/journal")" 4
}

@test "an iterable without end is closed when its client goes away" {
    start_streams
    run -23 bash -c "set -o pipefail; curl -s '$URL/iterable' | head -n 2; exit \${PIPESTATUS[0]}"
    assert_line --index 1 'piece 2'
    wait_until has_journal closed
    wait_until is_equal 0 figure .requests.active
    # The server's own view: that is the client's doing, no exception of the app.
    assert_equal "$(figure .applications.streams.exceptions)" 0
}

@test "on_close hooks run when the request ends, the last registered first, after a failure too" {
    start_streams
    assert_equal "$(get /hooks)" hooked
    wait_until is_equal $'second\nfirst' cat "$DIR/journal"
    assert_equal "$(status_of /hooks-then-fails)" 500
    wait_until has_journal 'after a failure'
}

@test "an app that waits learns that its client has gone" {
    start_streams
    python3 - "$PORT" <<EOF
import socket, struct, sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client(sys.argv[1])
client.send(b"GET /until-gone HTTP/1.1\r\nHost: a\r\n\r\n")
while b"waiting" not in client.data:
    assert client.fill()
# A reset, as of a process that died with something unread: a mere end of sending may be a half-close.
client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
EOF
    wait_until has_journal gone
    wait_until is_equal 0 figure .requests.active
}

# A client that takes nothing of a large answer, until told to: its kernel's buffers are small.
slow_reader() {
    exec python3 - "$@" <<EOF
import sys, time, os; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
port, target, go_on = sys.argv[1:4]
client = Client(port, receive_buffer=4096)
client.send(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % target.encode())
print("sent", flush=True)
while not os.path.exists(go_on):
    time.sleep(0.02)
print(len(client.answer().body))
EOF
}

@test "a large answer waits for a slow reader, in bounded memory, and holds up nobody" {
    start_streams
    local pid before
    pid=$(worker_pids)
    get /vector >/dev/null
    before=$(memory_of "$pid" VmRSS)
    slow_reader "$PORT" '/big?mb=40' "$DIR/go" >"$DIR/out" 3>&- &
    local reader=$!
    started+=("$reader")
    wait_until grep -q sent "$DIR/out"
    wait_until is_equal 1 figure .requests.active
    for _ in 1 2 3 4 5 6 7 8 9 10; do assert_equal "$(get /vector)" 'one two three'; done
    assert_equal "$(figure .requests.active)" 1
    is_sanitized || [ "$(memory_of "$pid" VmHWM)" -lt $((before + 4096)) ]
    touch "$DIR/go"
    wait "$reader"
    assert_equal "$(tail -n 1 "$DIR/out")" $((40 * 1024 * 1024))
    is_sanitized || [ "$(memory_of "$pid" VmHWM)" -lt $((before + 4096)) ]
    wait_until has_journal 'big has ended'
}

@test "a reader that takes nothing for write_timeout is cut off, and the app is told" {
    WRITE_TIMEOUT=300ms start_streams
    slow_reader "$PORT" '/big?mb=50' "$DIR/never" >"$DIR/out" 2>&1 3>&- &
    started+=("$!")
    wait_until has_journal 'big: timed out'
    wait_until has_journal 'big has ended'
    wait_until is_equal 0 figure '.connections.active + .requests.active'
}

@test "a large answer whose client goes away ends at once" {
    start_streams
    run -23 bash -c "set -o pipefail; curl -sS '$URL/big?mb=1000' | head -c 1000000 >/dev/null; exit \${PIPESTATUS[0]}"
    wait_until has_journal 'big: gone'
    wait_until is_equal 0 figure .requests.active
}

@test "written pieces, a vector and flushes arrive as one body" {
    start_streams
    assert_equal "$(get /vector)" 'one two three'
    assert_equal "$(header_of Content-Length /vector)" 14
    assert_equal "$(get /flushed)" $'piece\npiece\npiece'
}

@test "a file is sent as part of a body, from where the app says; one too short cuts the connection" {
    start_streams
    seq 100000 >"$DIR/file"
    local size
    size=$(wc -c <"$DIR/file")
    get "/file?path=$DIR/file&offset=0&size=$size" >"$DIR/got"
    { echo before && cat "$DIR/file" && echo after; } | cmp - "$DIR/got"
    get "/file?path=$DIR/file&offset=10&size=5" >"$DIR/got"
    { echo before && tail -c +11 "$DIR/file" | head -c 5 && echo after; } | cmp - "$DIR/got"
    run -0 raw send "$PORT" "GET /file?path=$DIR/file&offset=0&size=100 HTTP/1.0\r\n\r\n"
    assert_output --partial 'after'
    run ! curl -sS -o /dev/null "$URL/file?path=$DIR/file&offset=0&size=$((size + 1))"
    wait_until has_journal 'file: EIO'
    assert_equal "$(status_of "/file?path=$DIR/missing&size=1")" 500
    # HEAD sends nothing of it.
    run -0 raw send "$PORT" "HEAD /file?path=$DIR/file&offset=0&size=100 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    refute_output --partial before
}

@test "an app that reads learns that its client has gone in the middle of a body" {
    start_streams
    run raw send --half-close "$PORT" 'POST /slow-read HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello'
    wait_until has_journal 'read: gone'
    wait_until is_equal 0 figure .requests.active
}

@test "environ can be written, and what is removed is gone" {
    start_streams
    assert_equal "$(get /overrides -H 'X-Old: 1')" 'ada /changed removed'
}

@test "an app that crashes takes its worker along, which is replaced; others are served" {
    start_reeve <<EOF
workers = 1
app "misbehave" { module = "$TEST_APPS/misbehave.so" }
EOF
    run ! curl -sS "$URL/crashes"
    wait_until is_equal 404 status_of /
    assert_equal "$(figure '.workers[0] | [.incarnation, .respawn_count] | join(" ")')" "2 1"
    has_logged 'worker 0.1 pid [0-9]+ was killed by signal 6'
}
