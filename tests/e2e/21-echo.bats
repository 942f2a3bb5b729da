#!/usr/bin/env bats
# The echo app's contract: 200 to any well-formed request below its mount, with the request's body as the
# answer's. Test suites written elsewhere rely on it.
load helpers

setup_file() {
    start_reeve <<EOF
app "hello" { module = "$APPS/hello.so" }
app "echo"  { module = "$APPS/echo.so" mount = "/echo" }
EOF
}

@test "every method that http-parser knows, except CONNECT, is answered with its body" {
    local method
    for method in DELETE GET POST PUT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND \
        UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK \
        UNLINK SOURCE; do
        echo "200 200 200 open | $method /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello$method /echo/x HTTP/1.1\r\nHost: a\r\n\r\n$method /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    done >"$DIR/table"
    raw check "$PORT" <"$DIR/table"
    assert_equal "$(get /echo -X PROPFIND --data 'the body')" "the body"
    raw check "$PORT" <<<'501 close | CONNECT /echo HTTP/1.1\r\nHost: a\r\n\r\n'
    raw check "$PORT" <<<'501 close | SPROING /echo HTTP/1.1\r\nHost: a\r\n\r\n'
}

@test "HEAD with a body is answered without one" {
    run -0 raw send "$PORT" 'HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'
    assert_output --partial '200 OK'
    assert_output --partial 'Content-Length: 5'
    refute_output --partial 'hello'
}

@test "any path below the mount, any query; beside the mount it is another's" {
    local path
    for path in /echo /echo/ /echo/a/b/c '/echo?x=1' '/echo/%20%41?a=%20' /echo//; do
        assert_equal "$(get "$path" --data 'x')" x
    done
    assert_equal "$(get /echoes --data 'x')" "Hello, World!"
}

@test "no body, an empty body, one byte" {
    assert_equal "$(get /echo | wc -c)" 0
    assert_equal "$(header_of Content-Length /echo)" 0
    assert_equal "$(get /echo -X POST -H 'Content-Length: 0' | wc -c)" 0
    assert_equal "$(get /echo -X POST -H 'Transfer-Encoding: chunked' --data-binary '' | wc -c)" 0
    assert_equal "$(get /echo --data x)" x
}

@test "every byte comes back as it was, with its type" {
    python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 300)' >"$DIR/body"
    get /echo --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get /echo -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    assert_equal "$(header_of Content-Type /echo -H 'Content-Type: text/x-mine; a=b' --data x)" 'text/x-mine; a=b'
}

@test "what has come is answered before the rest comes: a body flows through" {
    python3 - "$PORT" <<EOF
import sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client(sys.argv[1])
client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
for n in range(5):
    client.send(b"6\r\npiece%d\r\n" % n)
    while b"piece%d" % n not in client.data:
        assert client.fill()
client.send(b"0\r\n\r\n")
while not client.data.endswith(b"0\r\n\r\n"):
    assert client.fill()
EOF
}

@test "sizes around those of buffers" {
    local size
    head -c 200000 /dev/urandom >"$DIR/all"
    for size in 1 3999 4000 4001 4095 4096 4097 8191 16000 16383 16384 16385 32767 32768 32769 65535 65536 65537 131073; do
        head -c "$size" "$DIR/all" >"$DIR/body"
        get /echo -H 'Expect:' --data-binary "@$DIR/body" | cmp - "$DIR/body"
        get /echo -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    done
}

@test "many uploads at once do not mix" {
    local n pids=()
    for n in 1 2 3 4 5 6 7 8; do
        head -c $((n * 300000)) /dev/urandom >"$DIR/body$n"
        curl -sS --max-time 60 --data-binary "@$DIR/body$n" -o "$DIR/back$n" "$URL/echo" 3>&- &
        pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n"; done
    for n in 1 2 3 4 5 6 7 8; do cmp "$DIR/body$n" "$DIR/back$n"; done
}
