#!/usr/bin/env bats
# The access log: one whole line for each request, that no client can forge.
load helpers

COMBINED='^127\.0\.0\.1 - - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} [+-][0-9]{4}\] "[A-Z]+ [^ "]+ HTTP/1\.[01]" [0-9]{3} [0-9]+ "[^"]*" "[^"]*"$'

begin() {
    start_reeve <<EOF
access_log = "$DIR/access"
$1
app "hello"   { module = "$APPS/hello.so" }
app "echo"    { module = "$APPS/echo.so"  mount = "/echo" }
app "bad"     { module = "$TEST_APPS/misbehave.so" mount = "/bad" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
}

has_lines() { is_equal "$1" eval "wc -l <'$DIR/access'"; }

@test "combined: as Apache and nginx write it" {
    begin ''
    get /path?q=1 -A 'agent/1' -e 'http://from/' >/dev/null
    get /echo --data 12345 -A 'agent/2' >/dev/null
    get /none -I -A 'agent/3' >/dev/null
    get /bad/fails -A 'agent/4' >/dev/null
    wait_until has_lines 4
    run ! grep -vE "$COMBINED" "$DIR/access"
    run -0 cat "$DIR/access"
    assert_line --partial '"GET /path?q=1 HTTP/1.1" 200 14 "http://from/" "agent/1"'
    assert_line --partial '"POST /echo HTTP/1.1" 200 5 "-" "agent/2"'
    assert_line --partial '"HEAD /none HTTP/1.1" 200 0 "-" "agent/3"'
    assert_line --regexp '"GET /bad/fails HTTP/1.1" 500 [0-9]+ "-" "agent/4"$'
}

@test "json: one object a line, that says more" {
    begin 'access_format = json'
    get '/path?q=1' -A 'agent/1' -e 'http://from/' >/dev/null
    get /echo --data 12345 >/dev/null
    wait_until has_lines 2
    jq -s -e 'map(select(.target == "/path?q=1"))[0] | .method == "GET" and .status == 200 and .bytes_out == 14 and .bytes_in == 0
        and .remote == "127.0.0.1" and .app == "hello" and .generation == 1 and .referer == "http://from/"
        and .user_agent == "agent/1" and .protocol == "HTTP/1.1" and .seconds >= 0 and .seconds < 10
        and (.id | test("^[0-9a-f]{16}$")) and (.time - now | fabs) < 60' "$DIR/access"
    jq -s -e 'map(select(.app == "echo"))[0] | .bytes_in == 5 and .bytes_out == 5 and .referer == null' "$DIR/access"
}

@test "the id in the log is the one that the client was told" {
    begin 'access_format = json'
    local id
    id=$(get /bad/fails | sed -n 's/^request id //p')
    wait_until has_lines 1
    assert_equal "$(jq -r .id "$DIR/access")" "$id"
    has_logged "request $id"
}

@test "what a client sends can end no field, no line, and no JSON" {
    local format agent
    for format in combined json; do
        rm -f "$DIR/access"
        begin "access_format = $format"
        for agent in 'quote" 200 1 "-" "' 'back\slash' $'tab\there' $'latin \xe9' $'utf \xc3\xa9' $'esc \x1b'; do
            [[ $agent == *$'\x1b'* ]] || get / -A "$agent" -e "$agent" >/dev/null
        done
        get '/%22%0a%5c?%22' >/dev/null
        get /ok?%0d%0a -A "$(printf 'x%.0s' $(seq 5000))" >/dev/null
        wait_until has_lines 7
        if [ "$format" = json ]; then
            jq -e . "$DIR/access" >/dev/null
            assert_equal "$(jq -r 'select(.user_agent == "quote\" 200 1 \"-\" \"") | .status' "$DIR/access")" 200
            assert_equal "$(jq -r 'select(.user_agent == "back\\slash") | .status' "$DIR/access")" 200
        else
            run ! grep -avE "$COMBINED" "$DIR/access"
            run -0 grep -c 'quote\\x22 200' "$DIR/access"
        fi
        run ! grep -aP '[^\x20-\x7e]' "$DIR/access"
        stop_reeve
    done
}

@test "requests that the server refuses itself are logged too" {
    begin ''
    raw send "$PORT" 'GET /.. HTTP/1.1\r\nHost: a\r\n\r\n' >/dev/null
    raw send "$PORT" 'nonsense\r\n\r\n' >/dev/null
    raw send "$PORT" 'GET /{x*9000} HTTP/1.1\r\nHost: a\r\n\r\n' >/dev/null
    raw send "$PORT" 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n' >/dev/null
    wait_until has_lines 4
    assert_equal "$(grep -oE '" (400|414|501) ' "$DIR/access" | sort | tr -d '\n')" '" 400 " 400 " 414 " 501 '
}

@test "a request that is cut off is logged with what was sent of it" {
    begin 'access_format = json'
    run ! curl -sS "$URL/bad/fails-sent"
    run curl -sS --max-time 1 -o /dev/null "$URL/streams/iterable"
    wait_until has_lines 2
    jq -e -s 'map(select(.target == "/streams/iterable"))[0].bytes_out > 1000' "$DIR/access"
}

@test "lines of several workers under load are whole, and none is missing" {
    need wrk
    write_config <<EOF
workers    = 4
access_log = "$DIR/access"
EOF
    start_again
    wrk -t1 -c16 -d2s "$URL/a?b=c" >"$DIR/wrk"
    stop_reeve
    assert_equal "$(wc -l <"$DIR/access")" "$(grep -cE "$COMBINED" "$DIR/access")"
    # wrk does not count the last answers of each connection, which it no longer waits for.
    local counted
    counted=$(sed -nE 's/^ *([0-9]+) requests in.*/\1/p' "$DIR/wrk")
    [ "$(wc -l <"$DIR/access")" -ge "$counted" ] && [ "$(wc -l <"$DIR/access")" -le $((counted + 64)) ]
}

@test "USR1 under load: the files together have every line, whole" {
    begin ''
    local n count
    python3 - "$PORT" "$DIR/enough" >"$DIR/count" 3>&- <<EOF &
import os, sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
clients = [Client(sys.argv[1]) for _ in range(4)]
count = 0
while not os.path.exists(sys.argv[2]):
    assert clients[count % 4].ask("/%d" % count).status == 200
    count += 1
print(count)
EOF
    local client=$!
    started+=("$client")
    for n in 1 2 3 4 5; do
        wait_until test -s "$DIR/access"
        mv "$DIR/access" "$DIR/access.$n"
        kill -USR1 "$REEVE_PID"
        wait_until test -e "$DIR/access"
    done
    touch "$DIR/enough"
    wait "$client"
    stop_reeve
    count=$(cat "$DIR/count")
    assert_equal "$(cat "$DIR/access" "$DIR"/access.? | wc -l)" "$count"
    assert_equal "$(cat "$DIR/access" "$DIR"/access.? | grep -cE "$COMBINED")" "$count"
    assert_equal "$(cat "$DIR/access" "$DIR"/access.? | sed -E 's/.*"GET (.[0-9]+) .*/\1/' | sort -u | wc -l)" "$count"
}

@test "a line is on its way before long, without more requests, and a stop loses none" {
    begin ''
    get /first >/dev/null
    wait_until has_lines 1
    get /last >/dev/null
    stop_reeve
    run -0 grep -c '/last' "$DIR/access"
}

@test "it can go to standard output" {
    write_config <<<'access_log = "/dev/stdout"'
    start_again
    get /to-stdout >/dev/null
    wait_until has_logged '"GET /to-stdout HTTP/1.1" 200'
}

@test "without configuration there is none" {
    start_reeve </dev/null
    get /secret-path >/dev/null
    stop_reeve
    run ! grep -r secret-path "$DIR"
}

@test "an access log that cannot be written is said, and requests are served without" {
    [ -e /dev/full ] || skip "no /dev/full"
    write_config <<<'access_log = "/dev/full"'
    start_again
    local n
    for n in 1 2 3 4 5; do assert_equal "$(get /)" 'Hello, World!'; done
    wait_until has_logged 'access log .*(cannot write|No space left)'
    assert_equal "$(get /)" 'Hello, World!'
    [ "$(wc -l <"$LOG")" -lt 30 ]
}
