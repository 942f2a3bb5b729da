#!/usr/bin/env bats
# Routes, controllers and middleware (reeve/router.h), as a client sees them. What a pattern matches and which tables are
# refused is for the unit tests.
load helpers

setup_file() {
    start_reeve <<EOF
workers = 1
app "routed" { module = "$TEST_APPS/routed.so" }
app "mounted" { module = "$TEST_APPS/routed.so" mount = "/mount" }
EOF
}

# each FORMAT [METHOD PATH]...: asks for all of them in turn, and writes FORMAT (curl -w) for each
each() {
    local format=$1 arguments=()
    shift
    while [ $# -gt 0 ]; do
        [ ${#arguments[@]} -eq 0 ] || arguments+=(--next)
        arguments+=(-sS --max-time 30 --path-as-is -o /dev/null -w "$format\n" "$URL$2")
        if [ "$1" = HEAD ]; then arguments+=(--head); else arguments+=(-X "$1"); fi
        shift 2
    done
    curl "${arguments[@]}"
}

@test "a pattern has methods: HEAD and OPTIONS by themselves, 405 and 404 otherwise" {
    run -0 each '%{http_code}:%header{allow}' GET /names/a POST /names/a HEAD /names/a OPTIONS /names/a \
        DELETE /names/a OPTIONS /own GET /own GET /nothing OPTIONS /nothing
    assert_output - <<'EOF'
200:
200:
200:
204:GET, HEAD, POST, OPTIONS
405:GET, HEAD, POST, OPTIONS
200:of my own
405:OPTIONS
404:
404:
EOF
}

@test "HEAD is GET without the body, on a connection that goes on" {
    # Bytes too many would be taken for the next answer.
    run -0 each '%{http_code} %{num_connects}' HEAD /users/7 GET /users/7 HEAD /own GET /users/7
    assert_output $'200 1\n200 0\n405 0\n200 0'
    assert_equal "$(header_of Content-Length /users/7 --head)" "$(printf 'HEAD 7 /users/{id:int}\n' | wc -c)"
}

@test "parameters are decoded, typed, and of each request its own" {
    run -0 curl -sS --max-time 30 "$URL/files/a%20b//%252e/" "$URL/files/" "$URL/names/%C3%A9" "$URL/users/-0007"
    assert_output - <<'EOF'
rest [a b//%2e/]
rest []
name [é]
GET -7 /users/{id:int}
EOF
    run -0 each '%{http_code}' GET /users/x GET /users/9223372036854775808 GET /names/ GET /names/a%2Fb
    assert_output $'404\n404\n404\n404'
    # Twenty at once, all of them waiting in the same handler.
    run -0 --separate-stderr curl -sS --max-time 30 -Z "$URL/users/[1-20]"
    assert_equal "$(sort -n -k2 <<<"$output")" "$(printf 'GET %d /users/{id:int}\n' {1..20})"
}

@test "middleware wraps: the router's, the controller's, the route's; then the hooks" {
    run -0 each '%{http_code} %header{trail}' GET /users/1 DELETE /users/1 GET /names/a GET /nothing
    assert_line --index 0 '200 router users one before'
    assert_line --index 1 '200 router users before'
    assert_line --index 2 '200 router'
    wait_until has_logged 'router of nothing: 0'
    has_logged 'one of /users/\{id:int\}: 0'
    has_logged 'users of /users/\{id:int\}: 0'
    has_logged 'router of /users/\{id:int\}: 0'
}

@test "a controller's middleware guards what the router says there, too" {
    run -0 each '%{http_code}:%header{allow}' GET /guarded POST /guarded OPTIONS /guarded
    assert_output $'401:\n401:\n401:'
    assert_equal "$(status_of /guarded -H 'X-Word: open' -X POST)" 405
}

@test "hooks: before may answer, after always runs, and may save what failed" {
    start_reeve <<EOF
workers = 1
app "routed" { module = "$TEST_APPS/routed.so" }
EOF
    run -0 curl -sS --max-time 30 "$URL/users?before" "$URL/users/1" "$URL/users"
    assert_output $'answered before\nGET 1 /users/{id:int}\nasked 3, done 2'
    run -0 each '%{http_code}' GET /users/fail GET '/users/fail?rescue'
    assert_output $'500\n503'
    assert_equal "$(get /users)" 'asked 6, done 5'
    # A build with a router is replaced and unloaded like any other.
    run -0 ctl -j reload routed
    assert_equal "$(tail -n 1 <<<"$output" | jq -c '[.verdict, .receipt.workers[0].unloaded]')" '["live",true]'
    assert_equal "$(get /users)" 'asked 1, done 0'
    stop_reeve
}

@test "a slash too many or too few is redirected to the path that there is" {
    run -0 each '%{http_code}:%header{location}' GET '/users/?a=%20b' POST /names/a%3F%20b/ GET /files GET /dir \
        GET //users/ GET '/mount/users/' GET '/mount' GET '/mount/users'
    assert_output - <<'EOF'
308:/users?a=%20b
308:/names/a%3F%20b
308:/files/
308:/dir/
404:
308:/mount/users
404:
200:
EOF
    assert_equal "$(get /users/7/ --location -X DELETE)" 'DELETE 7 /users/{id:int}'
}

@test "a router that is wrong refuses the build, and says where" {
    write_config <<EOF
app "routed" { module = "$TEST_APPS/routed.so" option { refuse = "1" } }
EOF
    run ! "$REEVE" -t -c "$CONFIG"
    assert_output --partial 'route GET "/names/{other}": it matches the same paths as "/names/{name}"'
}
