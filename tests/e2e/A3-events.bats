#!/usr/bin/env bats
# bats file_tags=core
# Server-Sent Events and long polls: what is published comes to those who listen, one that has gone is noticed, one that does
# not read is cut off, and a deployment waits for none of them.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load helpers
load browser

# serve [LINES]: the test app bus, whose journal is $DIR/journal, and the board
serve() {
    : >"$DIR/journal"
    start_reeve <<EOF2
${1:-workers = 1}
app "b" { module = "$TEST_APPS/bus.so" option { journal = "$DIR/journal" } }
app "events" { module = "$APPS/events.so" mount = "/events" }
EOF2
}

# listen FILE PATH [CURL OPTION...]: a stream in the background, into $DIR/FILE; sets LISTENER
listen() {
    curl -sSN --max-time 60 -D "$DIR/$1.head" -o "$DIR/$1" "${@:3}" "$URL$2" 3>&- 2>"$DIR/$1.error" &
    LISTENER=$!
    started+=("$LISTENER")
    wait_until grep -q '^HTTP' "$DIR/$1.head"
}
has_got() { grep -qF -- "$2" "$DIR/$1"; }
active() { figure .requests.active; }

@test "a stream carries what is published, a line a field, and tells in its head what it is" {
    serve
    listen got /stream
    get '/say?text=one'
    get '/say?text=two%0Alines%0D%0Aand%0Dmore%0A'
    wait_until has_got got 'data: more'
    assert_equal "$(sed '/^: /,+1d' "$DIR/got" | tr '\n' '|')" 'data: one||data: two|data: lines|data: and|data: more|data: ||'
    run cat "$DIR/got.head"
    assert_output --partial 'Content-Type: text/event-stream'
    assert_output --partial 'Cache-Control: no-cache'
    assert_output --partial 'X-Accel-Buffering: no'
    wait_until has_got got ': ' # the stream is silent, and says so
}

@test "a client that has gone is noticed at once, also one that only ends its side" {
    serve
    listen got /stream
    kill "$LISTENER"
    wait_until is_equal 'stream 0' tail -n 1 "$DIR/journal"
    wait_until is_equal 0 active
    : >"$DIR/journal"
    for path in /poll /stream; do
        printf 'GET %s HTTP/1.1\r\nHost: h\r\n\r\n' "$path" | raw_close
    done
    wait_until is_equal 2 grep -c . "$DIR/journal"
    assert_equal "$(sort "$DIR/journal" | tr '\n' ' ')" 'poll ECANCELED stream 0 '
    wait_until is_equal 0 active
    run ! has_logged 'failed'
}

# Sends what comes on its input, then ends its side, and waits for the server to end its.
raw_close() {
    python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
s.settimeout(20)
while s.recv(65536): pass' "$PORT" || true # a reset is an end, too
}

@test "a long poll waits for the next, and gets it" {
    serve
    get /poll >"$DIR/got" 3>&- &
    LISTENER=$!
    started+=("$LISTENER")
    wait_until is_equal 1 active
    get '/say?text=here'
    wait "$LISTENER"
    assert_equal "$(cat "$DIR/got")" here
    # The board's, from message to message: one that has come meanwhile is not waited for.
    get /events/next >"$DIR/got" 3>&- &
    LISTENER=$!
    started+=("$LISTENER")
    wait_until is_equal 1 active
    get /events/board -d 'some
words' -d 'more words' >/dev/null
    wait "$LISTENER"
    assert_equal "$(tail -n +2 "$DIR/got")" 'some
words&more words'
    get /events/board -d 'next' >/dev/null
    assert_equal "$(get "/events/next?after=$(head -n 1 "$DIR/got")" | tail -n 1)" next
}

@test "a client that does not read is cut off, or is left with what is newest" {
    serve
    local path before i fd
    for path in '/stream?capacity=8' '/stream?capacity=8&slow=drop'; do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' "$path" >&"$fd"
        wait_until is_equal 1 active
        before=$(figure .pubsub.missed)
        # What the kernel takes has been sent: no more than 60 MB.
        for i in {1..75}; do
            get '/say?text=lost&times=8&size=100000' >/dev/null
            [ "$(figure .pubsub.missed)" -eq "$before" ] || break
        done
        get '/say?text=last'
        assert [ "$(figure .pubsub.missed)" -gt "$before" ]
        if [[ $path == *drop ]]; then
            timeout 20 sed '/^data: last/q' <&"$fd" | grep -a '^: [0-9]* missed'
        else
            # All that was queued, and then the end.
            timeout 20 cat <&"$fd" >"$DIR/got"
            run ! grep -aq '^data: last' "$DIR/got"
            grep -aq '^data: lost' "$DIR/got"
        fi
        exec {fd}>&-
        wait_until is_equal 0 active
    done
}

@test "the board: what is said in one worker comes to the streams of all, with ids to go on from" {
    serve 'workers = 3'
    local i said
    for i in {1..6}; do listen "got$i" /events/stream; done
    for said in first second third; do
        assert_equal "$(get /events/board -d "$said")" 'It is on its way.'
        for i in {1..6}; do wait_until has_got "got$i" "data: $said"; done
    done
    assert_equal "$(for i in {1..6}; do grep '^id: ' "$DIR/got$i" | sort; done | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' ')" '6 6 6 '
    wait_until has_got got1 'event: clock'
    # Whoever has seen the first comes back, to whatever worker.
    listen again /events/stream -H "Last-Event-ID: $(sed -n 's/^id: //p' "$DIR/got1" | head -n 1)"
    wait_until has_got again 'data: third'
    assert_equal "$(grep -c '^data: first' "$DIR/again" || true)" 0
    assert_equal "$(grep -cE '^data: (second|third)' "$DIR/again")" 2
    # What is no message.
    assert_equal "$(status_of /events/board) $(status_of /events/board -d '') $(status_of /events/none) $(
        head -c 1001 /dev/zero | tr '\0' x | status_of /events/board --data-binary @-)" '405 400 404 413'
    head -c 1000 /dev/zero | tr '\0' y | get /events/board --data-binary @-
    wait_until has_got again "data: $(head -c 1000 /dev/zero | tr '\0' y)"
    assert_equal "$(header_of Content-Type /events/)" 'text/html; charset=utf-8'
}

@test "a deployment ends the board's streams, and does not wait for their clients" {
    serve 'workers = 2'
    local i
    for i in 1 2 3; do listen "got$i" /events/stream; done
    run -0 ctl -j reload events
    assert_equal "$(jq -c '.receipt | [.outcome, .held]' <<<"${lines[-1]}")" '["live",[]]'
    for i in 1 2 3; do # ended as a response ends, not cut
        end_of "${started[1]}"
        assert_equal "$STATUS" 0
    done
    listen new /events/stream
    get /events/board -d hello
    wait_until has_got new 'data: hello'
    listen followed /stream # whose application does not care
    stop_reeve
    for i in 1 2; do
        end_of "${started[-1]}"
        assert_equal "$STATUS" 0
    done
    run ! has_logged 'took too long'
}

@test "the board in a browser, which comes back to the next build, and misses nothing" {
    serve
    start_browser
    browser open a "$URL/events/"
    browser type a '#text' 'First & <b>foremost</b>'
    browser press a Enter
    browser await a 'First & <b>foremost</b>' # shown, and not believed
    wait_until is_equal 1 active
    ctl reload events
    get /events/board -d 'Meanwhile' # its stream has ended, and it is not back yet
    browser await a 'Meanwhile'
    browser eval a 'document.querySelectorAll("li").length'
    assert_equal "$SHOWN" 2
    ctl restart
    wait_until is_equal 1 active
    get /events/board -d 'Afterwards'
    browser await a 'Afterwards'
    end_browser
    wait_until is_equal 0 active
}
