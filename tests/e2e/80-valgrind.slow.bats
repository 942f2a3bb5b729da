#!/usr/bin/env bats
# bats file_tags=core
# The whole life of a server under valgrind: no invalid access, and no memory that is definitely lost, in any process.
load helpers

under_valgrind() {
    exec valgrind --quiet --trace-children=no --child-silent-after-fork=no --leak-check=full --show-leak-kinds=definite \
        --errors-for-leak-kinds=definite --error-exitcode=99 --log-file="$DIR/valgrind.%p" "$@"
}

# no_errors: what valgrind says of every process is nothing
no_errors() {
    local log count=0
    for log in "$DIR"/valgrind.*; do
        count=$((count + 1))
        [ ! -s "$log" ] || fail "$log: $(cat "$log")"
    done
    [ "$count" -ge "$1" ] || fail "only $count processes were watched"
}

@test "start, load, reload, a refused build, restart, reopen, stop: no error and no leak" {
    need valgrind wrk
    build_numbered "$DIR/n.so" 1
    # Without the files app: valgrind 3.19 does not know openat2.
    write_config <<EOF
workers     = 2
unload_wait = 200ms
access_log  = "$DIR/access"
app "n"       { module = "$DIR/n.so" }
app "hello"   { module = "$APPS/hello.so" mount = "/hello" }
app "echo"    { module = "$APPS/echo.so" mount = "/echo" }
app "sleep"   { module = "$APPS/sleep.so" mount = "/sleep" }
app "environ" { module = "$APPS/environ.so" mount = "/environ" }
app "bad"     { module = "$TEST_APPS/misbehave.so" mount = "/bad" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
    start_again under_valgrind
    head -c 300000 /dev/urandom >"$DIR/body"
    get /echo --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get /echo -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get '/environ?a=b' -H 'Cookie: a=1' -H 'Cookie: b=2' | jq -e . >/dev/null
    get '/sleep?ms=20' >/dev/null
    get '/streams/iterable?count=50' >/dev/null
    get '/streams/big?mb=2' >/dev/null
    get /streams/hooks >/dev/null
    curl -sS "$URL/bad/fails-sent" >/dev/null 2>&1 || true
    get /bad/fails >/dev/null
    raw check "$PORT" <<'EOF'
400 close | nonsense\r\n\r\n
431 close | GET / HTTP/1.1\r\nHost: a\r\nX: {x*40000}\r\n\r\n
200 200 close | GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.0\r\n\r\n
EOF
    raw send --half-close "$PORT" 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1' >/dev/null || true
    wrk -t1 -c8 -d1s "$URL/hello" >/dev/null
    api /metrics >/dev/null
    ctl stats >/dev/null
    hold /
    build_numbered "$DIR/n.so" 2
    ctl reload n >/dev/null # waits for the old code to go, in vain: unload_wait
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 2'
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    build_numbered "$DIR/n.so" 3 -DFAIL_IN_WORKER
    run -4 ctl reload n
    build_numbered "$DIR/n.so" 3 -DMISSING_SYMBOL
    run -4 ctl reload n
    ctl restart >/dev/null
    assert_equal "$(get / | cut -d' ' -f1,2)" 'build 2'
    ctl reopen >/dev/null
    ctl scale 1 >/dev/null
    raw send "unix:$CONTROL" 'nonsense\r\n\r\n' >/dev/null || true
    get /hello >/dev/null
    stop_reeve
    no_errors 8
}
