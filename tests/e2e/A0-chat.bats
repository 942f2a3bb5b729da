#!/usr/bin/env bats
# Chat protocols: every callback, the coroutine style, producers, limits, outgoing connections, and what becomes of
# connections when code and processes are replaced. chat.py is the client.
load helpers

# Three times the same protocol, with other options.
setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # they count what one worker has
    cp "$TEST_APPS/talker.so" "$DIR/talker.so"
    start_reeve <<EOF2
workers = 1
drain_timeout = 1
unload_timeout = 3600
unload_wait = 1
listen "127.0.0.2:0" { }
listen "127.0.0.1:0" { protocol = chat  app = "talker"  name = "talk" }
listen "127.0.0.3:0" { protocol = chat  app = "tight" }
listen "127.0.0.4:0" { protocol = chat  app = "served" }
listen "unix:$DIR/talk.sock" { protocol = chat  app = "talker" }
app "hello"  { module = "$APPS/hello.so" }
app "talker" { module = "$DIR/talker.so"  mount = "/talker" }
app "tight"  { module = "$TEST_APPS/talker.so"  mount = "/tight"
               option { max_input = "1000"  max_output = "200000"  idle = "0.3" } }
app "served" { module = "$TEST_APPS/talker.so"  mount = "/served"  option { style = "serve"  max_input = "1000" } }
EOF2
    export TALK TIGHT SERVED URL=http://127.0.0.2:$PORT
    { read -r _ && read -r TALK && read -r TIGHT && read -r SERVED; } < <(api /v1/status | jq -r '.sockets[].address')
}

chat() { python3 "$BATS_TEST_DIRNAME/chat.py" "$@"; }

# chats: open now, and what holds each app's code
chats() { figure '[.applications[].held, .connections.chats] | join(" ")'; }

# nothing_left: all chats have ended, with their callbacks
nothing_left() { wait_until is_equal '0 0 0 0 0' chats; }

# converse ADDRESS: a conversation in the background; what is said to it goes to fd 7, what it says to $DIR/heard
converse() {
    rm -f "$DIR/say"
    mkfifo "$DIR/say"
    nc -N "${1%:*}" "${1#*:}" <"$DIR/say" >"$DIR/heard" 2>/dev/null 3>&- &
    NC=$!
    started+=("$NC")
    exec 7>"$DIR/say"
}
say() { printf '%s\r\n' "$@" >&7; }
heard() { wait_until is_equal "$1" cat "$DIR/heard"; }
hang_up() {
    exec 7>&-
    end_of "$NC"
}

# build_talker N [FLAG...]: where talker's build is deployed from
build_talker() {
    cc -O1 -D_GNU_SOURCE -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -DBUILD="$1" \
        "${@:2}" -o "$DIR/new.so" "$TOP/tests/apps/talker/talker.c"
    mv "$DIR/new.so" "$BATS_FILE_TMPDIR/talker.so"
}

@test "nc gets its answers, also when it has nothing more to say" {
    run -0 nc -N "${TALK%:*}" "${TALK#*:}" < <(printf 'echo one\r\nnap 0.05\r\necho two\r\n')
    assert_output $'one\nslept\ntwo'
    run -0 nc -N -U "$BATS_FILE_TMPDIR/talk.sock" < <(printf 'who\r\n')
    assert_output --regexp '^unix at unix:/.*/talk.sock, pid [0-9]+$'
    nothing_left
}

@test "callbacks: terminators, lengths, waiting, reading on, failing, closing" {
    chat callbacks "$TALK"
    nothing_left
}

@test "producers pause where nobody reads, and are closed once; writers wait" {
    chat producers "$TALK"
    nothing_left
}

@test "limits: unterminated lines, clients that do not read, silence, clients that have gone" {
    local before
    before=$(figure .applications.tight.connections.cut_off)
    chat limits "$TIGHT"
    nothing_left
    [ "$(figure .applications.tight.connections.cut_off)" -ge $((before + 6)) ]
}

@test "the coroutine style" {
    chat served "$SERVED"
    nothing_left
}

@test "outgoing connections, in both styles" {
    chat outgoing "$TALK" "$SERVED" "$BATS_FILE_TMPDIR/talk.sock"
    nothing_left
}

@test "whoever waits is cancelled once at each wait" {
    chat tour "$TALK" "$SERVED"
    nothing_left
}

@test "a new build answers on the old connections, once their callbacks have returned" {
    build_talker 2
    converse "$TALK"
    say 'remember me' 'recall' 'nap 1'
    heard $'build 1: me'
    ctl reload talker
    heard $'build 1: me\nslept'
    say 'recall'
    heard $'build 1: me\nslept\nbuild 2: me'
    hang_up
    nothing_left
    assert_equal "$(figure .applications.talker.connections.moved)" 1
}

@test "what the new build does not adopt stays with the old one, and holds it" {
    converse "$TALK"
    say 'remember stay' 'recall'
    heard 'build 2: stay'
    build_talker 3
    run -0 ctl reload talker
    assert_output --regexp 'talker +2 +0 +1 +connection'
    say 'recall'
    heard $'build 2: stay\nbuild 2: stay'
    hang_up
    nothing_left
    assert_equal "$(get /talker/ | cut -d: -f1)" 'build 3'
}

@test "a restart bids farewell once the drain's time is over" {
    local before
    before=$(worker_pids)
    converse "$TALK"
    say 'echo here'
    heard 'here'
    ctl restart || [ $? -eq 6 ]
    heard $'here\nfarewell'
    hang_up
    wait_until is_dead "$before"
    nothing_left
}

@test "with a worker its chats die, and the next one serves others" {
    local before
    before=$(worker_pids)
    converse "$TALK"
    say 'echo here'
    heard 'here'
    say 'die'
    wait_until is_dead "$before"
    hang_up
    wait_until is_equal 'again' eval "printf 'echo again\\r\\n' | nc -N ${TALK%:*} ${TALK#*:}"
    nothing_left
}

@test "apps/linekv: lines, counted bodies, bodies of several lines; all workers have what one was told" {
    start_reeve <<EOF2
workers = 2
listen "127.0.0.1:0" { protocol = chat  app = "linekv" }
listen "127.0.0.2:0" { }
app "linekv" { module = "$APPS/linekv.so" }
EOF2
    chat linekv "127.0.0.1:$PORT"
    # A new build has what was stored, and who is connected.
    converse "127.0.0.1:$PORT"
    say 'get three'
    heard $'NONE\r'
    ctl reload linekv
    say 'set three 5' 'value' 'get three'
    heard $'NONE\r\nSTORED\r\nVALUE three 5\r\nvalue\r'
    assert_equal "$(figure .applications.linekv.connections.moved)" 1
    URL=http://127.0.0.2:$(api /v1/status | jq -r '.sockets[1].address' | sed 's/.*://')
    wait_until is_equal '3 keys, 26 bytes' get /
    hang_up
}
