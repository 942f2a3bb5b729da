#!/usr/bin/env bats
# Long-lived connections when processes and builds come and go: who is told, who is cut, what the receipt says of it,
# and that nobody is lost or counted twice. drain.py is the clients, tests/apps/lasting the application, whose last
# callbacks take their time.
load helpers

# begin [LINE...]: a server of one worker, its listeners in PORT and CHAT; the app's options in OPTIONS
begin() {
    export MODULE=$DIR/lasting.so CHAT
    cp "$TEST_APPS/lasting.so" "$MODULE"
    start_reeve <<CONF
workers = 1
unload_timeout = 3600
unload_wait = 1
listen "127.0.0.1:0" { }
listen "127.0.0.2:0" { protocol = chat app = "lasting" }
app "lasting" { module = "$MODULE"  option { ${OPTIONS:-close_nap = "0.2"} } }
$(printf '%s\n' "$@")
CONF
    CHAT=$(grep -oE '127\.0\.0\.2:[0-9]+' "$LOG" | tail -n 1)
}

drain() { python3 "$BATS_TEST_DIRNAME/drain.py" "$@"; }

# told PATTERN: the callbacks were told so, how often
told() { grep -cE "journal: $1\$" "$LOG"; }

@test "a restart tells all of them, lets their last callbacks return, and has lost nothing" {
    begin 'drain_timeout = 100ms'
    drain told
    assert_equal "$(told 'websocket closed 1012, napped ok')" 2
    assert_equal "$(told 'chat closed 0, napped ok')" 1
    run ! has_logged 'the drain took too long'
}

@test "what a restart had to cut it does not hide" {
    begin 'drain_timeout = 100ms'
    drain cut
    has_logged 'the drain took too long: 1 connections are cut, 1 requests among them'
    has_logged 'the drain took too long: 0 connections are cut, .* and 1 callbacks of connections'
    assert_equal "$(told 'napped ECANCELED')" 1
}

@test "the last callback of the last connection is waited for" {
    begin 'drain_timeout = 20'
    drain last "$REEVE_PID"
    end_of "$REEVE_PID"
    [ "${STATUS:-}" = 0 ]
    assert_equal "$(told 'websocket closed 1000, napped ok')" 1
}

@test "connections that the application makes move, or are told, and keep no worker" {
    export DIALLED=$DIR/dialled.sock
    OPTIONS="dial = \"unix:$DIALLED\"" begin 'drain_timeout = 60'
    drain made
}

@test "a canary that is taken back gives its connections back" {
    begin
    drain canary
}

@test "an upgraded request is one connection, without a request's limits, and nothing of it is lost" {
    begin 'max_connections = 3' 'request_timeout = 200ms'
    drain upgraded
    assert_equal "$(told 'filter closed')" 1
    drain balanced
    run ! has_logged 'died|killed'
}
