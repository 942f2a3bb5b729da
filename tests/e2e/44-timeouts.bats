#!/usr/bin/env bats
# request_timeout: a request past its time is cancelled, wherever it waits: the client gets 504 or is cut off, the
# connection is in order, the application can tidy up, and nobody else notices.
load helpers

# A test asserts what happens and that it was not before its time; that it is not much later is only bounded by the
# client's own patience, and by the minute for which the views would sleep.
setup_file() {
    start_reeve <<EOF
workers = 1
request_timeout = 1s
app "tardy"  { module = "$TEST_APPS/tardy.so" option { journal = "$DIR/journal" } }
app "once"   { module = "$TEST_APPS/tardy.so" mount = "/once" }
app "longer" { module = "$APPS/sleep.so" mount = "/longer" request_timeout = 1h }
app "never"  { module = "$APPS/sleep.so" mount = "/never" request_timeout = 0 }
app "onloop" { module = "$TEST_APPS/onloop.so" mount = "/onloop" }
EOF
}

# journal NAME: what the application noted of requests with ?as=NAME
journal() { sed -n "s/^$1 //p" "$BATS_FILE_TMPDIR/journal"; }
# overdue APP: cancelled so far
overdue() { figure ".applications.$1.overdue"; }

# python <<EOF: a script with raw.py's Client, PORT, a `client` that is connected, and since(): seconds since it is
python() {
    { echo "import os, sys, time; sys.path.insert(0, os.path.dirname('$RAW'))"
      echo "from raw import Client; PORT = '$PORT'; client = Client(PORT); began = time.monotonic()"
      echo "def since(): return time.monotonic() - began"
      cat; } | python3 -
}

# begin_to_sleep: a request in the background, whose answer comes to $DIR/answer; ASKED is its client
begin_to_sleep() {
    curl -sS -o "$DIR/answer" "$URL/sleep" 3>&- &
    ASKED=$!
    started+=("$ASKED")
    wait_until is_equal 1 figure .requests.active
}

# ---- waiting ----

@test "a request that sleeps past its time is 504, and the connection serves the next one" {
    python <<'EOF'
answer = client.ask("/once/sleep")
assert answer.status == 504 and answer.get("Connection") is None, answer.head
assert answer.body.startswith(b"504 Gateway Timeout\nrequest id "), answer.body
assert since() >= 1, since()
assert client.ask("/").body == b"at once\n"
EOF
    assert_equal "$(figure '.applications.once | "\(.requests) \(.overdue) \(.active) \(.exceptions)"')" '1 1 0 0'
}

@test "the log says which request it was, in which build, for how long it ran and where it waited" {
    local id
    id=$(get /sleep | sed -n 's/^request id //p')
    has_logged "tardy 1: request $id: GET /sleep: cancelled after 1\.[0-9] s, while it waited in reeve_sleep at tardy\.so\+0x[0-9a-f]+$"
    assert_equal "$(grep -c "$id" "$LOG")" 1 # and not as a failure of the application too
}

@test "an app may have a longer limit of its own, or none" {
    run -0 get '/longer?ms=1700'
    assert_output 'slept 1700 ms'
    run -0 get '/never?ms=1700'
    assert_output 'slept 1700 ms'
    assert_equal "$(api /v1/config | jq -c '.app | map(.request_timeout)')" '[1,1,3600,0,1]'
    assert_equal "$(overdue longer) $(overdue never)" '0 0'
}

@test "an application without coroutines is not touched" {
    assert_equal "$(status_of /onloop)" 200
    assert_equal "$(overdue onloop)" 0
}

@test "those behind it on the same connection have a time of their own" {
    raw check "$PORT" <<'EOF'
504 200 504 200 open | GET /sleep HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /sleep HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n
EOF
}

@test "whoever waits again gets the error again, and then an end" {
    assert_equal "$(status_of '/insists?as=me')" 504
    run journal me
    assert_output $'insists: ECANCELED\ninsists: ECANCELED\ninsists: ECANCELED'
}

@test "an application that answers all the same has answered" {
    run -0 curl -sS -i --max-time 30 "$URL/replies"
    assert_line --index 0 --partial '503 Service Unavailable'
    assert_line --partial 'Retry-After: 7'
    assert_line 'I was too slow'
}

# ---- half an answer, slow clients ----

@test "an answer that was sent in part is cut" {
    run ! curl -sS --max-time 30 "$URL/half"
    assert_line half
    refute_output --partial 504
}

@test "an upload that stalls or drips is 504, and no part of it is taken for a request" {
    python <<'EOF'
client.send(b"POST /read?as=one HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n12345")
answer = client.answer()
assert answer.status == 504 and answer.get("Connection") == "close", answer.head
assert since() >= 1, since()
client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
try:
    assert client.rest() == b""
except ConnectionResetError:
    pass

client = Client(PORT)
client.send(b"POST /read?as=two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
client.sock.settimeout(0.05)
got = b""
while since() < 20 and not got:
    client.send(b"1\r\nx\r\n") # body_timeout would never end this
    try:
        got = client.sock.recv(4096)
    except TimeoutError:
        pass
assert b" 504 " in got, got
EOF
    assert_equal "$(journal one) $(journal two)" 'read: ECANCELED read: ECANCELED'
}

@test "a body that stalls for body_timeout before is 408" {
    start_reeve <<EOF
workers = 1
body_timeout = 500ms
request_timeout = 10m
app "tardy" { module = "$TEST_APPS/tardy.so" option { journal = "$DIR/journal" } }
EOF
    python <<'EOF'
client.send(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
assert client.answer().status == 408
EOF
    assert_equal "$(cat "$DIR/journal") $(overdue tardy)" '? read: ETIMEDOUT 0'
}

@test "a reader that is slow for too long is cut off" {
    python <<'EOF'
client = Client(PORT, receive_buffer=4096)
client.send(b"GET /write?as=writer HTTP/1.1\r\nHost: a\r\n\r\n")
total = 0
try:
    while since() < 20:
        time.sleep(0.02)
        n = len(client.sock.recv(4096)) # it takes something all the time
        if not n:
            break
        total += n
        if since() > 2: # what was sent before
            client.sock.setsockopt(1, 8, 1 << 20)
except ConnectionResetError:
    pass
assert total > 0 and since() < 20, (total, since())
EOF
    wait_until is_equal 'write: ECANCELED' journal writer
}

# ---- tidying up ----

@test "a body that is an iterable is closed, and hooks run" {
    run ! curl -sS --max-time 30 "$URL/iterable?as=it"
    assert_line piece
    wait_until is_equal $'closed: ok\nhook: ok' journal it
}

@test "an iterable that takes no notice is ended, and does not keep the worker" {
    run ! curl -sS --max-time 30 "$URL/heedless"
    assert_line whatever
    python <<'EOF'
client.send(b"HEAD /heedless HTTP/1.1\r\nHost: a\r\n\r\n") # nothing of it is sent, so nothing else would end it
assert client.answer(is_head=True).status == 200
try:
    assert client.rest() == b""
except ConnectionResetError:
    pass
assert since() >= 1, since()
assert Client(PORT).ask("/").status == 200
EOF
    assert_equal "$(figure '.workers[0].respawn_count')" 0
}

# ---- many, and deployments ----

@test "200 at once are all 504, and leave nothing behind" {
    start_reeve <<EOF
workers = 1
request_timeout = 2s
app "tardy" { module = "$TEST_APPS/tardy.so" }
EOF
    python <<'EOF'
clients = [Client(PORT) for _ in range(200)]
for each in clients:
    each.send(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
for each in clients:
    assert each.answer().status == 504
for each in clients: # the connections are as good as before
    assert each.ask("/").status == 200
EOF
    assert_equal "$(figure '.applications.tardy | "\(.overdue) \(.active) \(.requests) \(.responses."5xx") \(.exceptions)"')" \
        '200 0 400 200 0'
    assert_equal "$(figure '"\(.requests.overdue) \(.workers[0].overdue)"')" '200 200'
    api /metrics >"$DIR/metrics"
    assert_equal "$(python3 "$BATS_TEST_DIRNAME/metrics.py" get "$DIR/metrics" 'reeve_app_overdue_total{app="tardy"}')" 200
    local said more
    wait_until has_logged 'and [0-9]+ more requests were cancelled'
    said=$(grep -c 'cancelled after' "$LOG")
    more=$(grep -oE 'and [0-9]+ more requests were' "$LOG" | awk '{ n += $2 } END { print n }')
    assert_equal $((said + more)) 200
    [ "$said" -le 30 ]
    stop_reeve
    run ! grep -E 'Sanitizer|leak' "$LOG"
}

@test "the old code of a deployment is held no longer than that" {
    start_reeve <<EOF
workers = 1
unload_wait = 20s
request_timeout = 2s
app "tardy" { module = "$TEST_APPS/tardy.so" }
EOF
    begin_to_sleep
    run -0 ctl reload tardy
    assert_equal "$(api /v1/deploys | jq -c '.deploys[-1].outcome')" '"live"'
    end_of "$ASKED"
    grep -q '^504 Gateway Timeout' "$DIR/answer"
    assert_equal "$(figure '.applications.tardy | "\(.generation) \(.held) \(.generations | map(.held) | add)"')" '2 0 0'
    assert_equal "$(figure '.applications.tardy.generations[] | select(.generation == 1) | .overdue')" 1
}

@test "a worker that drains goes on to keep the time" {
    start_reeve <<EOF
workers = 1
request_timeout = 1s
app "tardy" { module = "$TEST_APPS/tardy.so" }
EOF
    begin_to_sleep
    stop_reeve
    end_of "$ASKED"
    grep -q '^504 Gateway Timeout' "$DIR/answer"
}

@test "a limit that changes needs no new build, only a reload of the configuration" {
    start_reeve <<EOF
workers = 1
app "tardy" { module = "$TEST_APPS/tardy.so" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
EOF
    assert_equal "$(status_of '/sleep?ms=1200')" 200
    sed -i 's|mount = "/sleep"|& request_timeout = 1s|' "$CONFIG"
    run -0 ctl reload --config
    assert_equal "$(status_of '/sleep?ms=30000')" 504
    assert_equal "$(figure '.applications.sleep | "\(.generation) \(.overdue)"')" '1 1'
}

@test "a limit is a duration from 0 to a day, or auto" {
    local value
    for value in -1 2d soon '""'; do
        write_config <<<"app \"sleep\" { module = \"$APPS/sleep.so\" request_timeout = $value }"
        run -2 "$REEVE" -t -c "$CONFIG"
        assert_output --partial 'request_timeout must be a duration from 0 to 1d'
    done
    write_config <<<"app \"sleep\" { module = \"$APPS/sleep.so\" request_timeout = auto }"
    run -0 "$REEVE" -t -c "$CONFIG"
}
