#!/usr/bin/env bats
# The chat room with a browser, a terminal and two WebSocket libraries, in several workers, behind nginx, and through
# deployments and restarts.
load helpers
load browser
load nginx-websocket

setup() {
    cp "$APPS/chatroom.so" "$DIR/chatroom.so"
    start_reeve <<CONF
workers = 3
drain_timeout = 500ms
listen "127.0.0.1:0" { }
listen "127.0.0.2:0" { protocol = chat app = "chatroom" }
app "chatroom" { module = "$DIR/chatroom.so" mount = "/chatroom" }
CONF
    CHAT_PORT=$(grep -oE '127\.0\.0\.2:[0-9]+' "$LOG" | tail -n 1 | cut -d: -f2)
}

# guest NAME: somebody at a terminal, who says what `say NAME` is given, and whose screen is $DIR/NAME
guest() {
    mkfifo "$DIR/$1.says"
    nc -N 127.0.0.2 "$CHAT_PORT" <"$DIR/$1.says" >"$DIR/$1" 3>&- &
    started+=("$!")
    exec {guests["$1"]}>"$DIR/$1.says"
    wait_until grep -q 'your name' "$DIR/$1"
    say "$1" "$1"
    wait_until grep -q "$1 has come" "$DIR/$1"
}
say() { echo "$2" >&"${guests[$1]}"; }
hears() { wait_until grep -qF "$2" "$DIR/$1"; }

# enter PAGE NAME URL
enter() {
    browser open "$1" "$3"
    browser type "$1" '#name' "$2"
    browser press "$1" Enter
    browser await "$1" "$2 has come"
}

@test "browsers, a terminal and two libraries talk with each other, across workers, deployments and nginx" {
    need nc node
    local -A guests
    local direct=$URL socket
    start_nginx_websocket
    socket=ws://127.0.0.1:$NGINX_PORT/chatroom/socket
    start_browser
    guest Bob
    enter a Ada "$direct/chatroom"
    enter b Grace "$URL/chatroom/" # through nginx
    hears Bob 'Grace has come'
    browser type a '#text' 'Good morning, <b>everybody</b>'
    browser press a Enter
    browser await b 'Ada: Good morning, <b>everybody</b>' # shown, and not believed
    hears Bob 'Ada: Good morning, <b>everybody</b>'
    say Bob 'And to you'
    browser await a 'Bob: And to you'
    say Bob $'caf\xe9, \xc3\xa0 vous' # the first is not UTF-8, and a browser would not be sent it
    browser await a 'Bob: caf?, à vous'
    # Each of the libraries says one thing, and waits until it has come back to it.
    printf 'text It is node\nawait node: It is\nclose\n' |
        node "$BATS_TEST_DIRNAME/ws-client.js" "$socket?name=node" >"$DIR/node"
    printf 'text It is python\nawait python: It is\nclose\n' |
        /usr/bin/python3 "$BATS_TEST_DIRNAME/ws-python.py" "${socket/$NGINX_PORT/${direct##*:}}?name=python" >"$DIR/python"
    hears Bob 'node: It is node'
    browser await b 'python: It is python'
    browser await a 'python has gone'

    ctl reload chatroom
    browser type b '#text' 'Still here'
    browser press b Enter
    hears Bob 'Grace: Still here'
    say Bob 'So am I'
    browser await a 'Bob: So am I'
    assert_equal "$(figure '.applications.chatroom.connections | [.open, .moved, .cut_off] | join(" ")')" '3 3 0'

    # A restart tells them, and the page comes back by itself.
    ctl restart
    browser await a 'connection ended: 1012'
    browser await b 'connection ended: 1012'
    hears Bob 'please connect again'
    wait_until is_equal 2 figure '.applications.chatroom.connections.open'
    guest Carol
    browser await a 'Carol has come'
    browser await b 'Carol has come'
    exec {guests[Bob]}>&- {guests[Carol]}>&-
    end_browser
    wait_until is_equal 0 figure '.applications.chatroom.connections.open'
    assert_equal "$(figure '.applications.chatroom.exceptions')" 0
}
