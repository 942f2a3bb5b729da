#!/usr/bin/env bats
# Which app gets a request, and what it is told of the path.
load helpers

setup_file() {
    start_reeve <<EOF
listen "127.0.0.1:0"           { name = "first" }
listen "unix:$DIR/second.sock" { name = "second" mode = 0600 }
app "root"     { module = "$APPS/environ.so" mount = "/"     listen = {"first"} }
app "api"      { module = "$APPS/environ.so" mount = "/api"  listen = {"first"} }
app "v2"       { module = "$APPS/environ.so" mount = "/api/v2" }
app "other"    { module = "$APPS/echo.so"    mount = "/"     listen = {"second"} }
app "apix"     { module = "$APPS/hello.so"   mount = "/apix" }
EOF
    SOCKET=$DIR/second.sock
    export SOCKET
}

# where PATH: SCRIPT_NAME and PATH_INFO of what answered
where() { get "$1" --path-as-is | jq -r '"\(.SCRIPT_NAME)|\(.PATH_INFO)"'; }

@test "the longest mount wins, on whole segments; the app gets the rest of the path" {
    assert_equal "$(where /)" '|/'
    assert_equal "$(where /x/y)" '|/x/y'
    assert_equal "$(where /api)" '/api|'
    assert_equal "$(where /api/)" '/api|/'
    assert_equal "$(where /api/x)" '/api|/x'
    assert_equal "$(where /api/v2)" '/api/v2|'
    assert_equal "$(where /api/v2/x/)" '/api/v2|/x/'
    assert_equal "$(where /api/v22)" '/api|/v22'
    assert_equal "$(where /apiary)" '|/apiary'
    assert_equal "$(where /API/x)" '|/API/x'
    assert_equal "$(get /apix)" 'Hello, World!'
    assert_equal "$(where '//api/x')" '|//api/x'
}

@test "SCRIPT_NAME and PATH_INFO together are the decoded path, REQUEST_URI the target as it came" {
    assert_equal "$(where '/api/a%20b%2Fc%3F')" '/api|/a b/c?'
    assert_equal "$(where '/%61pi/x')" '/api|/x'
    assert_equal "$(where '/api%2Fv2/x')" '/api/v2|/x'
    assert_equal "$(where '/%2561')" '|/%61'
    assert_equal "$(where '/a+b;c=d,e')" '|/a+b;c=d,e'
    assert_equal "$(get '/a%20b?q=%20&r=+#f' | jq -r '"\(.REQUEST_URI)|\(.QUERY_STRING)"')" '/a%20b?q=%20&r=+|q=%20&r=+'
    assert_equal "$(get '/caf%C3%A9' | jq -r .PATH_INFO)" '/café'
}

@test "dots, NUL and bad escapes are refused before an app sees them" {
    raw check "$PORT" <<'EOF'
400 close | GET /.. HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a/.%2e HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /api%2f..%2fx HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a%0ab HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /a%1 HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET /%gg HTTP/1.1\r\nHost: a\r\n\r\n
400 close | GET http://a/../x HTTP/1.1\r\nHost: a\r\n\r\n
200 open  | GET /a/...b/.c/d. HTTP/1.1\r\nHost: a\r\n\r\n
200 open  | GET /a?../%00 HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "apps bound to listeners: several servers in one" {
    assert_equal "$(curl -sS --unix-socket "$SOCKET" http://a/x --data 'from second')" 'from second'
    assert_equal "$(curl -sS --unix-socket "$SOCKET" http://a/api --data 'no api here')" 'no api here'
    assert_equal "$(curl -sS --unix-socket "$SOCKET" http://a/api/v2/x | jq -r .SCRIPT_NAME)" '/api/v2'
    assert_equal "$(where /x)" '|/x'
    assert_equal "$(stat -c %a "$SOCKET")" 600
}

@test "what no app is mounted for is 404, from the server, with the request's id, and the connection goes on" {
    start_reeve <<<"app \"hello\" { module = \"$APPS/hello.so\" mount = \"/hello\" }"
    run -0 curl -sS -i "$URL/other"
    assert_line --index 0 --partial '404 Not Found'
    assert_line --regexp '^request id [0-9a-f]{16}$'
    raw check "$PORT" <<'EOF'
404 404 200 any | GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /helloo HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n
EOF
    assert_equal "$(figure '.requests.refused')" 3
    assert_equal "$(figure '.applications.hello.requests')" 1
}

@test "the environ has what CGI and WSGI promise" {
    get '/api/x?y=1' -H 'X-Test: 1' -H 'Content-Type: text/x' --data abc >"$DIR/environ"
    jq -e --arg port "$PORT" '.REQUEST_METHOD == "POST" and .SCRIPT_NAME == "/api" and .PATH_INFO == "/x"
        and .QUERY_STRING == "y=1" and .CONTENT_TYPE == "text/x" and .CONTENT_LENGTH == "3"
        and .SERVER_NAME == "127.0.0.1" and .SERVER_PORT == $port and .SERVER_PROTOCOL == "HTTP/1.1"
        and (.SERVER_SOFTWARE | startswith("reeve/")) and .REMOTE_ADDR == "127.0.0.1" and (.REMOTE_PORT | test("^[0-9]+$"))
        and .HTTP_X_TEST == "1" and .HTTP_HOST == "127.0.0.1:" + $port and .GATEWAY_INTERFACE == "CGI/1.1"
        and (.REQUEST_ID | test("^[0-9a-f]{16}$")) and .["wsgi.url_scheme"] == "http"
        and .["wsgi.multiprocess"] == "true" and .["wsgi.multithread"] == "false" and .["wsgi.run_once"] == "false"' \
        "$DIR/environ" || fail "$(cat "$DIR/environ")"
    assert_equal "$(get / | jq 'has("CONTENT_LENGTH") and .CONTENT_LENGTH != ""')" false
    assert_equal "$(raw send "$PORT" 'GET / HTTP/1.0\r\n\r\n' | grep -o '"SERVER_PROTOCOL": "[^"]*"')" '"SERVER_PROTOCOL": "HTTP/1.0"'
}

@test "server_header = off leaves the name out" {
    start_reeve <<<'server_header = off'
    assert_equal "$(header_of Server /)" ''
    run -0 raw send "$PORT" 'nonsense\r\n\r\n'
    refute_output --partial 'Server:'
    assert_output --partial 'Date: '
}
