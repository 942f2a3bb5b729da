#!/usr/bin/env bats
# bats file_tags=core
# HTTP/1.1 as a client sees it: framing, connections, methods, limits; and what must not be let through.
load helpers

setup_file() {
    start_reeve <<EOF
workers  = 1
max_body = 2m
app "hello"   { module = "$APPS/hello.so" }
app "echo"    { module = "$APPS/echo.so"    mount = "/echo" }
app "environ" { module = "$APPS/environ.so" mount = "/environ" }
app "sleep"   { module = "$APPS/sleep.so"   mount = "/sleep" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
}

# python <<EOF: a script that has raw.py's Client as `client`, connected
python() {
    { echo "import os, sys, time, re, json; sys.path.insert(0, os.path.dirname('$RAW'))"
      echo "from raw import Client; client = Client('$PORT')"
      cat; } | python3 -
}

# check_both <<EOF: the table of raw.py's check, with whole requests and byte by byte
check_both() {
    local table
    table=$(cat)
    raw check "$PORT" <<<"$table"
    raw check --by 1 "$PORT" <<<"$table"
}

# ---- connections ----

@test "a connection is kept for the next request, and closed when the client asks for it" {
    run -0 curl -sS -o /dev/null -o /dev/null -w '%{num_connects} ' "$URL/" "$URL/environ"
    assert_output "1 0 "
    check_both <<'EOF'
200 200 open  | GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, close\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive,close\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: foo\r\nConnection: close\r\n\r\n
200 open      | GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n
200 open      | GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n
200 close     | GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "the answer says what becomes of the connection" {
    run -0 raw send --answers 1 "$PORT" 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    refute_output --partial 'Connection:'
    run -0 raw send "$PORT" 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    assert_output --partial 'Connection: close'
    run -0 raw send "$PORT" 'GET / HTTP/1.0\r\n\r\n'
    assert_output --partial 'Connection: close'
    run -0 raw send --answers 1 "$PORT" 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    assert_output --partial 'Connection: keep-alive'
}

@test "pipelined requests are answered in their order, also when the first one takes longest" {
    python <<'EOF'
wanted = ["/sleep?ms=300"] + ["/environ?n=%d" % n for n in range(50)] + ["/sleep?ms=20", "/environ?n=last"]
client.send("".join("GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target for target in wanted).encode())
for target in wanted:
    body = client.answer().body.decode()
    if target.startswith("/sleep"):
        assert body == "slept %s ms\n" % target[10:], body
    else:
        assert json.loads(body)["QUERY_STRING"] == target[9:], (target, body)
EOF
}

@test "pipelined answers leave together: few segments for many answers" {
    python <<'EOF'
import socket, struct
client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 16)
for _ in range(16):
    assert client.answer().body == b"Hello, World!\n"
# tcpi_data_segs_in of struct tcp_info
segments, = struct.unpack_from("I", client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)
assert segments <= 2, segments
EOF
}

@test "thousands of requests on one connection, more bytes than any limit on a head" {
    python <<'EOF'
filler = ("X-Filler", "f" * 500)
for n in range(2000):
    answer = client.ask("/?%d" % n, headers=[filler])
    assert answer.status == 200 and answer.body == b"Hello, World!\n", answer.head
EOF
}

@test "a client that has said all that it will say gets its answers" {
    raw check --half-close "$PORT" <<'EOF'
200 close       | GET / HTTP/1.1\r\nHost: a\r\n\r\n
200 200 close   | GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n
200 close       | GET /sleep?ms=200 HTTP/1.1\r\nHost: a\r\n\r\n
200 200 close   | GET /sleep?ms=200 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n
200 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello
200 close       | POST /streams/slow-read?ms=20 HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{x*9000}
200 close       | GET /streams/big?mb=4 HTTP/1.1\r\nHost: a\r\n\r\n
close           | GET / HTTP/1.1\r\nHost: a\r\n
close           |
EOF
    run -0 bash -c 'printf "GET / HTTP/1.0\r\n\r\n" | nc -N 127.0.0.1 "$0"' "$PORT"
    assert_output --partial 'Hello, World!'
}

@test "a body that breaks off with the client is no answer's cause, and hurts nobody" {
    raw check --half-close "$PORT" <<'EOF'
any | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello
any | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel
EOF
    assert_equal "$(get /)" "Hello, World!"
    assert_equal "$(figure '.workers[0].incarnation')" 1
}

# ---- versions and methods ----

@test "HTTP/1.0: no Host needed, closed unless kept alive, never chunked, never a 100" {
    check_both <<'EOF'
200 close       | GET / HTTP/1.0\r\n\r\n
200 open        | GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n
200 open        | GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\n\r\n
200 close       | GET /streams/flushed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n
200 open        | POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi
EOF
    run -0 raw send "$PORT" 'GET /streams/flushed HTTP/1.0\r\n\r\n'
    refute_output --partial 'Transfer-Encoding'
    refute_output --partial 'Content-Length'
    assert_output --partial $'\r\n\r\npiece\npiece\npiece'
    # The answer itself is of the server's version (RFC 9110 section 2.5).
    assert_output --partial 'HTTP/1.1 200 OK'
}

@test "HEAD has the head of GET and no body, and the connection goes on" {
    python <<'EOF'
for target in "/", "/environ", "/streams/flushed", "/echo", "/no-such-thing":
    client.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
    with_body = client.answer()
    client.send(b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
    without = client.answer(is_head=True)
    skip = "date", "content-length" if target == "/environ" else ""  # the method is shorter there
    named = lambda answer: [pair for pair in answer.headers if pair[0].lower() not in skip]
    assert named(with_body) == named(without), (with_body.head, without.head)
assert client.ask("/").body == b"Hello, World!\n"
EOF
}

@test "OPTIONS * asks for the server itself; other methods have no such target" {
    check_both <<'EOF'
200 open        | OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET * HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n
EOF
    run -0 raw send --answers 1 "$PORT" 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'
    assert_output --partial 'Content-Length: 0'
}

@test "a target in absolute form: its host counts, and its path is served" {
    check_both <<'EOF'
200 open        | GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | GET http://b HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | GET HTTP://b:80/?q HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET http://b/ HTTP/1.1\r\n\r\n
400 close       | GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET http://b:x/ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET http://b/#f HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET b HTTP/1.1\r\nHost: a\r\n\r\n
EOF
    python <<'EOF'
environ = json.loads(client.ask("http://other.example:81/environ/x?q=1").body)
assert environ["SERVER_NAME"] == "other.example", environ
assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/environ", "/x", "q=1"), environ
EOF
}

@test "a version other than 1 is 505, a method that is none 400, one that is unknown 501" {
    check_both <<'EOF'
200 open        | GET / HTTP/1.2\r\nHost: a\r\n\r\n
505 close       | GET / HTTP/2.0\r\nHost: a\r\n\r\n
505 close       | GET / HTTP/0.9\r\nHost: a\r\n\r\n
400 close       | GET / HTTP/1.10\r\nHost: a\r\n\r\n
400 close       | GET / HTTP/1\r\nHost: a\r\n\r\n
400 close       | GET / http/1.1\r\nHost: a\r\n\r\n
400 close       | GET / HTTPS/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\r\n\r\n
400 close       | PRI\r\n\r\n
505 close       | PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n
501 close       | BREW / HTTP/1.1\r\nHost: a\r\n\r\n
501 close       | get / HTTP/1.1\r\nHost: a\r\n\r\n
501 close       | GETX / HTTP/1.1\r\nHost: a\r\n\r\n
501 close       | CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n
501 close       | {A*40} / HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | G(T / HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | \x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03
EOF
}

@test "an Upgrade that nobody offers is ignored, and the body behind it is a body" {
    check_both <<'EOF'
200 open        | GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
200 200 open    | POST /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 200 open    | POST /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
EOF
    run -0 curl -sS --http2 "$URL/" # asks for h2c first
    assert_output "Hello, World!"
}

# ---- heads ----

@test "a request line is METHOD SP target SP version CRLF and nothing else" {
    check_both <<'EOF'
400 close       | GET  / HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /  HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET / HTTP/1.1 \r\nHost: a\r\n\r\n
400 close       | GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\tHTTP/1.1\r\nHost: a\r\n\r\n
400 close       | \x20GET / HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET / x HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET / HTTP/1.1\nHost: a\r\n\r\n
400 close       | GET / HTTP/1.1\rHost: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\r\nHost: a\r\n\r\n
400 close       | \nGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | \r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | {\r\n*20}GET / HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "a target has the bytes of RFC 3986 only" {
    check_both <<'EOF'
200 open        | GET /a-._~!$&'()*+,;=:@%20/?/?:@ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /#f HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /"x" HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /<x> HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /\\x HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /?^ HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /% HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | GET x HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "header lines: no bare CR or LF, no folding, no space in a name, no control bytes" {
    check_both <<'EOF'
200 open        | GET / HTTP/1.1\r\nHost: a\r\nX: \t a \t b \t\r\nY:\r\nZ:z\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n!#$%&'*+-.^_`|~0aZ: 1\r\n\r\n
400 close       | GET / HTTP/1.1\nHost: a\n\n
400 close       | GET / HTTP/1.1\r\nHost: a\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\n\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n
400 close       | GET / HTTP/1.1\r\n Host: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost : a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX(: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\n\xe9: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX:\x01a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\x1f\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n
EOF
}

@test "exactly one Host, and it is a host with at most a port" {
    check_both <<'EOF'
400 close       | GET / HTTP/1.1\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n
200 open        | GET / HTTP/1.1\r\nhOsT: 127.0.0.1\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: a:\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: u@a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: u:p@a\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a/b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a?b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a#b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a, b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a:b\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: [::1\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: [x]\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: ::1\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: "a"\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: \xff\r\n\r\n
400 close       | GET / HTTP/1.1\r\nHost: <a>\r\n\r\n
EOF
}

@test "limits of a head: 414 for the target, 431 for headers" {
    check_both <<'EOF'
200 open        | GET /{a*8000} HTTP/1.1\r\nHost: a\r\n\r\n
414 close       | GET /{a*8300} HTTP/1.1\r\nHost: a\r\n\r\n
414 close       | GET /{a*70000}
414 close       | GET http://a/{a*70000} HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | GET / HTTP/1.1\r\nHost: a\r\n{X: y\r\n*99}\r\n
431 close       | GET / HTTP/1.1\r\nHost: a\r\n{X: y\r\n*100}\r\n
200 open        | GET / HTTP/1.1\r\nHost: a\r\nX: {x*30000}\r\n\r\n
431 close       | GET / HTTP/1.1\r\nHost: a\r\nX: {x*33000}\r\n\r\n
431 close       | GET / HTTP/1.1\r\nHost: a\r\n{x*40000}
EOF
}

# ---- bodies ----

@test "Content-Length is digits, once" {
    check_both <<'EOF'
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\nhello
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nhello
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nhello
EOF
}

@test "Transfer-Encoding is exactly one chunked on HTTP/1.1; with a length, or unknown, it is refused" {
    check_both <<'EOF'
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n
200 open        | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n
501 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n
501 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n
501 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n
501 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n
400 close       | POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
EOF
}

@test "chunks: extensions and trailers pass, anything else between them is 400" {
    check_both <<'EOF'
200 200 open    | POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c="d\\"e" ; f\r\nhello\r\n00;x\r\nX-Trailer: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 open        | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 x\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5g\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\x00b\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n X: 1\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\nb\r\n\r\n
400 close       | POST /streams/slow-read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n
EOF
}

@test "trailers and chunk extensions never become headers of a request" {
    python <<'EOF'
client.send(b"POST /environ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;X-Ext=1\r\nabc\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\nGET /environ HTTP/1.1\r\nHost: b\r\n\r\n")
for host in "a", "b":
    environ = json.loads(client.answer().body)
    assert environ["HTTP_HOST"] == host and "HTTP_X_TRAILER" not in environ, environ
EOF
}

@test "100 Continue is sent when the app reads, once, and not when the body has come or nobody wants it" {
    python <<'EOF'
head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

client.send(head % b"/echo")
assert client.answer(with_interim=True).status == 100
client.send(b"hello")
answer = client.answer(with_interim=True)
assert answer.status == 200 and answer.body == b"hello", answer.head

client.send(head % b"/echo" + b"there")
answer = client.answer(with_interim=True)
assert answer.status == 200 and answer.body == b"there", answer.head

# Refused unread: the final answer comes at once, and the connection cannot be used for what may follow.
client.send(head % b"/streams/unread")
answer = client.answer(with_interim=True)
assert answer.status == 200 and answer.get("Connection") == "close", answer.head
assert client.rest() == b""
EOF
    check_both <<'EOF'
417 any         | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\nhello
417 any         | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue, x\r\n\r\nhello
200 open        | GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n
EOF
    head -c 1500000 /dev/urandom >"$DIR/body"
    get /echo -H 'Expect: 100-continue' --data-binary "@$DIR/body" | cmp - "$DIR/body"
}

@test "bodies pass in both directions, with a length and chunked" {
    head -c 1500000 /dev/urandom >"$DIR/body"
    get /echo --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get /echo -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    assert_equal "$(header_of Content-Length /echo --data-binary "@$DIR/body")" 1500000
    assert_equal "$(header_of Transfer-Encoding /echo -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body")" chunked
}

@test "a body above max_body is 413, announced or not, and the client can read that" {
    head -c 3000000 /dev/zero >"$DIR/body"
    assert_equal "$(status_of /echo -H 'Expect:' --data-binary "@$DIR/body")" 413
    assert_equal "$(status_of /streams/slow-read -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body")" 413
    run -0 raw send "$PORT" 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2097153\r\nExpect: 100-continue\r\n\r\n'
    assert_line --index 0 --partial '413'
    raw check "$PORT" <<<'any | POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2097152\r\n\r\n'
}

@test "a body that the app leaves unread is read past, or the connection ends; the next request is never in it" {
    check_both <<'EOF'
200 200 open    | POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\nGET /evil HTTP/1.1\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 200 open    | POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 200 open    | POST /streams/half-read HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{x*20000}GET / HTTP/1.1\r\nHost: a\r\n\r\n
200 200 open    | GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n
200 close       | POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n
EOF
    # Much of it: the answer arrives although the client is still sending.
    head -c 2000000 /dev/zero >"$DIR/body"
    assert_equal "$(get /streams/unread -H 'Expect:' --data-binary "@$DIR/body")" "not read"
}

# ---- answers ----

@test "every answer has Date and Server, the server's own refusals too" {
    local path before after date
    for path in / /no-such /echo; do
        before=$(date +%s)
        date=$(date -d "$(header_of Date "$path")" +%s)
        after=$(date +%s)
        [ "$date" -ge $((before - 1)) ] && [ "$date" -le "$after" ]
        assert_equal "$(header_of Server "$path")" reeve
    done
    run -0 raw send "$PORT" 'nonsense\r\n\r\n'
    assert_line --regexp '^Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT.$'
    assert_line --regexp '^Server: reeve.$'
}

@test "the server's refusals are plain text with the request's id, no two alike, and nothing of the inside" {
    run -0 raw send "$PORT" 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n'
    assert_line --partial 'HTTP/1.1 400 Bad Request'
    assert_line --partial 'Content-Type: text/plain'
    assert_line --regexp '^request id [0-9a-f]{16}$'
    local first=$output
    run -0 raw send "$PORT" 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n'
    [ "$(grep 'request id' <<<"$first")" != "$(grep 'request id' <<<"$output")" ]
}

@test "repeated headers are joined with a comma, Cookie with a semicolon, an underscore is not shown" {
    python <<'EOF'
environ = json.loads(client.ask("/environ", headers=[
    ("X-Many", "1"), ("x-many", "2"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X_Under", "no"), ("Content-Type", "text/x"),
    ("X-Space", "\t padded \t")]).body)
assert environ["HTTP_X_MANY"] == "1, 2", environ
assert environ["HTTP_COOKIE"] == "a=1; b=2", environ
assert environ["HTTP_X_SPACE"] == "padded", environ
assert "HTTP_X_UNDER" not in environ and environ["CONTENT_TYPE"] == "text/x", environ
assert "HTTP_CONTENT_TYPE" not in environ and "HTTP_CONTENT_LENGTH" not in environ, environ
EOF
}

@test "after all of that the worker is the first one, and nothing is left open" {
    # The other tests run beside this one: only what is wrong for good is looked for.
    assert_equal "$(figure '.workers[0].incarnation')" 1
    assert_equal "$(figure '.workers[0].exceptions')" 0
}
