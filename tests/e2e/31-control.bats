#!/usr/bin/env bats
# The control socket: whatever a client sends or leaves out, the master goes on, and says what was wrong.
load helpers

setup() {
    start_reeve </dev/null
}

# refuses STATUS ERROR PATH [CURL OPTION...]: a JSON object with that error and a detail
refuses() {
    local status=$1 error=$2 path=$3
    shift 3
    curl -sS --max-time 10 --unix-socket "$CONTROL" -o "$DIR/answer" -w '%{http_code} %{content_type}' "$@" "http://reeve$path" >"$DIR/what"
    assert_equal "$path $(cat "$DIR/what")" "$path $status application/json"
    jq -e --arg e "$error" '.error == $e and (.detail | length > 0)' "$DIR/answer" || fail "$(cat "$DIR/answer")"
}

# is_well: the master answers, and the server serves
is_well() {
    assert_equal "$(figure .pid)" "$REEVE_PID"
    assert_equal "$(get /)" 'Hello, World!'
    assert_equal "$(figure '.workers | map(.incarnation) | add')" 2
}

@test "what is not there is 404, what is not meant 405 with Allow, what is wrong 400: each in JSON" {
    refuses 404 'not found' /
    refuses 404 'not found' /v1/nothing
    refuses 404 'not found' /v2/stats
    refuses 404 'not found' /v1/apps//reload -X POST
    refuses 404 'no such application' /v1/apps/none
    refuses 404 'no such application' /v1/apps/none/reload -X POST
    refuses 405 'method not allowed' /v1/stats -X POST
    refuses 405 'method not allowed' /v1/stats -X DELETE
    refuses 405 'method not allowed' /v1/stats -X PATCH
    refuses 405 'method not allowed' /v1/workers/restart
    assert_equal "$(api /v1/stats -X PUT -D - -o /dev/null | tr -d '\r' | sed -n 's/^Allow: //p')" 'GET, HEAD'
    assert_equal "$(api /v1/shutdown -D - -o /dev/null | tr -d '\r' | sed -n 's/^Allow: //p')" POST
    refuses 400 'bad request' /v1/workers/scale -X POST
    refuses 400 'bad request' /v1/workers/scale --data 'nonsense'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":"two"}'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":2.5}'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":0}'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":100000}'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":2,"by":1}'
    refuses 400 'bad request' /v1/workers/scale --data '{"wrokers":2}'
    refuses 400 'bad request' /v1/workers/scale --data '[1]'
    refuses 400 'bad request' /v1/workers/scale --data '{"workers":2} x'
    refuses 400 'bad request' /v1/shutdown --data '{"graceful":1}'
    refuses 400 'bad request' /v1/logs/reopen --data '{"x":1}'
    is_well
}

@test "JSON that is nested a thousand deep, or has NUL and rubbish in it, is 400" {
    python3 -c 'print("[" * 10000)' >"$DIR/deep"
    refuses 400 'bad request' /v1/workers/scale --data-binary "@$DIR/deep"
    python3 -c 'print("{\"workers\":" * 900 + "1" + "}" * 900)' >"$DIR/deep"
    refuses 400 'bad request' /v1/workers/scale --data-binary "@$DIR/deep"
    printf '{"workers":2\0}' >"$DIR/nul"
    refuses 400 'bad request' /v1/workers/scale --data-binary "@$DIR/nul"
    is_well
}

@test "a body that is too much is refused, by evhttp's own answer" {
    head -c 300000 /dev/zero >"$DIR/much"
    curl -sS --unix-socket "$CONTROL" -o "$DIR/answer" -w '%{http_code}' --data-binary "@$DIR/much" \
        http://reeve/v1/workers/scale >"$DIR/what"
    assert_equal "$(cat "$DIR/what")" 413
    is_well
}

@test "every path answers curl --unix-socket, and HEAD as GET without the body" {
    local path
    for path in /v1 /v1/status /v1/stats /v1/workers /v1/apps /v1/apps/hello /v1/deploys /v1/config /metrics; do
        assert_equal "$path $(api "$path" -o /dev/null -w '%{http_code}')" "$path 200"
        assert_equal "$path $(api "$path" -I -o /dev/null -w '%{http_code} %{size_download}')" "$path 200 0"
    done
    assert_equal "$(api '/v1/workers/scale?workers=2' -X POST | jq -c .)" '{"workers":2,"before":2}'
    run -0 curl -sS --unix-socket "$CONTROL" http://reeve/v1/status http://reeve/v1/stats -o /dev/null -o /dev/null -w '%{num_connects} '
    assert_output '1 0 '
}

# bats test_tags=core
@test "rubbish, too much, nothing and hanging up do not disturb the master" {
    head -c 100000 /dev/urandom | nc -N -U "$CONTROL" >/dev/null || true
    run raw send "unix:$CONTROL" 'nonsense\r\n\r\n'
    run raw send "unix:$CONTROL" '\x00\x00\x00\x00'  --half-close
    run raw send "unix:$CONTROL" 'GET /v1/stats HTTP/1.1\r\nX: {x*200000}\r\n\r\n'
    run raw send "unix:$CONTROL" 'GET /{x*200000} HTTP/1.1\r\n\r\n'
    run raw send "unix:$CONTROL" 'POST /v1/workers/scale HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{x*3000000}'
    run raw send "unix:$CONTROL" 'POST /v1/workers/scale HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n{x*3000000}'
    run raw send "unix:$CONTROL" 'POST /v1/workers/scale HTTP/1.1\r\nContent-Length: -1\r\n\r\n'
    run raw send --half-close "unix:$CONTROL" ''
    run raw send --half-close "unix:$CONTROL" 'GET /v1/sta'
    run raw send --half-close "unix:$CONTROL" 'POST /v1/workers/scale HTTP/1.1\r\nContent-Length: 50\r\n\r\n{'
    for _ in $(seq 100); do nc -N -z -U "$CONTROL" 2>/dev/null || true; done
    is_well
    [ "$(memory_of "$REEVE_PID" VmRSS)" -lt 100000 ] || is_sanitized
}

@test "a client that has said all that it will say is answered" {
    run -0 raw send --half-close "unix:$CONTROL" 'GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    assert_output --partial '"pid":'
}

@test "many that connect and say nothing keep nobody else out" {
    python3 - "$CONTROL" "$DIR/ready" 3>&- <<EOF &
import sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
held = [Client("unix:" + sys.argv[1]) for _ in range(60)]
open(sys.argv[2], "w").close()
held[0].sock.settimeout(100)
held[0].rest()
EOF
    started+=("$!")
    wait_until test -e "$DIR/ready"
    is_well
}

@test "a client that leaves in the middle of an action does not end it" {
    build_numbered "$DIR/n.so" 1
    stop_reeve
    start_reeve <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 2
    # Sent, and gone before the first line can have come.
    python3 - "$CONTROL" <<EOF
import sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client("unix:" + sys.argv[1])
client.send(b"POST /v1/apps/n/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
client.answer_head = client.fill()
client.close()
EOF
    wait_until is_equal 2 figure .applications.n.generation
    run -0 get /
    assert_output --partial 'build 2'
}

@test "one action at a time: the second is told which one runs" {
    build_numbered "$DIR/n.so" 1
    stop_reeve
    start_reeve <<EOF
prepare_timeout = 30s
app "n" { module = "$DIR/n.so" }
EOF
    build_numbered "$DIR/n.so" 2 -DHANG_INIT
    api /v1/apps/n/reload -N -X POST >"$DIR/first" 2>&1 3>&- &
    started+=("$!")
    wait_until grep -q preflight "$DIR/first"
    refuses 409 busy /v1/apps/n/reload -X POST
    jq -e '.detail | contains("a reload of n")' "$DIR/answer"
    refuses 409 busy /v1/workers/restart -X POST
    # What does not act is answered all the while, and what was there is served.
    run -0 get /
    assert_output --partial 'build 1'
    stop_reeve
    assert_equal "$(tail -n 1 "$DIR/first" | jq -r '.receipt.reason')" 'the server is stopping'
}

@test "while the server stops, changes are refused with 503 and questions answered" {
    stop_reeve
    start_reeve <<<"app \"n\" { module = \"$TEST_APPS/numbered.so\" }"
    hold /
    kill -TERM "$REEVE_PID"
    wait_until is_equal true figure .stopping
    refuses 503 stopping /v1/workers/scale --data '{"workers":3}'
    refuses 503 stopping /v1/workers/restart -X POST
    release
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

@test "another user is told that he has no permission, by the file's mode and by the server" {
    [ "$(id -u)" -eq 0 ] || skip "only root can be another user"
    need setpriv
    local open
    open=$(mktemp -d "${TMPDIR:-/tmp}/reeve-e2e.XXXXXX")
    folders+=("$open")
    chmod 755 "$open"
    cp "$REEVECTL" "$open/reevectl"
    as_nobody() { ASAN_OPTIONS='' UBSAN_OPTIONS='' setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    stop_reeve
    start_reeve <<<"control = \"$open/control.sock\""
    CONTROL=$open/control.sock
    assert_equal "$(stat -c %a "$CONTROL")" 600
    run -7 as_nobody "$open/reevectl" -s "$CONTROL" status
    assert_output --partial 'ermission'
    chmod 666 "$CONTROL"
    run -7 as_nobody "$open/reevectl" -s "$CONTROL" status
    assert_output --partial 'only root and the user that the server runs as'
    assert_equal "$(as_nobody curl -sS --unix-socket "$CONTROL" -o "/dev/null" -w '%{http_code}' http://reeve/v1/stats)" 403
    assert_equal "$(as_nobody curl -sS --unix-socket "$CONTROL" http://reeve/v1/shutdown -X POST | jq -r .error)" 'permission denied'
    has_logged 'user 65534 .* was refused'
    is_well
    stop_reeve
}
