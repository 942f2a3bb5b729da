#!/usr/bin/env bats
# WebSockets: every case of the list (wscases), then what only this server has: callbacks and coroutines, slow and broken
# peers, deployments. Clients are Node's ws and python3-websockets, and raw bytes where no library would send them.
# tests/apps/sockets writes what its callbacks were told to the log.
load helpers

NODE() { node "$BATS_TEST_DIRNAME/ws-client.js" "${@:2}" "ws://127.0.0.1:$PORT$1"; }
PYTHON() { /usr/bin/python3 "$BATS_TEST_DIRNAME/ws-python.py" "${@:2}" "ws://127.0.0.1:$PORT$1"; }

# build OUT VERSION [FLAG...]: a build of the module that says which it is
build() {
    cc -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -D_GNU_SOURCE -I"$TOP/include" \
        -DVERSION="\"$2\"" "${@:3}" -o "$1.new" "$TOP/tests/apps/sockets/sockets.c" && mv "$1.new" "$1"
}

# begin [LINES]: a server with one worker
begin() {
    start_reeve <<CONF
workers = 1
${1:-}
app "sockets" { module = "${MODULE:-$TEST_APPS/sockets.so}" }
app "patient" { module = "$TEST_APPS/sockets.so" mount = "/patient" client_gone = ignore }
app "counted" { module = "$TEST_APPS/sockets.so" mount = "/counted" }
CONF
}

# told PATTERN [N]: the callbacks were told so, N (1) times
told() { is_equal "${2:-1}" grep -cE "journal: $1\$" "$LOG"; }
has_told() { wait_until told "$@"; }

# frame TEXT: one text frame, for raw: its mask is zero
frame() { printf '\\x81\\x%02x\\0\\0\\0\\0%s' $((128 + ${#1})) "$1"; }
handshake() {
    printf 'GET %s HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n' "$1"
    printf 'Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n'
}

setup_file() {
    need node python3
    begin
    export PORT URL
}

cases() {
    run -0 python3 "$BATS_TEST_DIRNAME/wscases" --jobs 4 --url "ws://127.0.0.1:$PORT/$1" "${@:2}"
    assert_line --regexp '^# [0-9]+ OK, [01] NON-STRICT, 0 FAILED'
    echo "$output" | tail -n 1
}

@test "every case of the list: callbacks" { cases echo --limit $((32 << 20)); }

@test "the cases of the list that are not of the codec's making: coroutines" { cases coroutine --only 1,2,5,7; }

@test "those that compress: with context kept" { cases context --only 12.1,12.3,12.5,13,D; }

@test "two independent clients see the same: texts, binaries, pings, a close" {
    local script=$'text a\nawait ^text a$\nbinary 00ff\nawait ^binary 00ff$\nping p\nawait ^pong p$\nbig 70000\nawait 70000\nclose 3001 bye'
    run -0 NODE /echo <<<"$script"
    assert_output $'open protocol= extensions=permessage-deflate\ntext a\nbinary 00ff\npong p\ntext of 70000 octets\nclose 3001'
    run -0 PYTHON /echo <<<"$script"
    assert_line --index 1 'text a'
    assert_line --index 4 'text of 70000 octets'
    assert_line --index 5 --regexp '^close 3001'
    run -0 NODE /plain <<<$'text a\nawait text\nclose'
    assert_line --index 0 'open protocol= extensions='
}

@test "what is no handshake is refused with the right status" {
    local key='Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' up='Upgrade: websocket' to='Connection: Upgrade' v='Sec-WebSocket-Version: 13'
    run -0 curl -sS --http1.1 --max-time 10 -o /dev/null -w '%{http_code} %header{Sec-WebSocket-Version} %header{Allow}\n' "$URL/echo" \
        --next -X POST -o /dev/null -H "$up" -H "$to" -H "$v" -H "$key" "$URL/echo" -w '%{http_code} %header{Allow}\n' \
        --next -o /dev/null -H "$up" -H "$to" -H 'Sec-WebSocket-Version: 8' -H "$key" "$URL/echo" -w '%{http_code} %header{Sec-WebSocket-Version}\n' \
        --next -o /dev/null -H "$up" -H "$to" -H "$v" -H 'Sec-WebSocket-Key: short' "$URL/echo" -w '%{http_code}\n' \
        --next -o /dev/null -X GET -d body -H "$up" -H "$to" -H "$v" -H "$key" "$URL/echo" -w '%{http_code}\n' \
        --next -o /dev/null -H "$up" -H "$to" -H "$v" -H "$key" -H 'Origin: https://example.com' "$URL/command" -w '%{http_code}\n'
    assert_output $'426 13 \n405 GET\n426 13\n400\n400\n403'
    run -0 NODE /command --header 'Origin: https://example.org' --protocol first --protocol second <<<close
    assert_line --index 0 --regexp '^open protocol=second'
    assert_line --index 1 'text second'
}

@test "what follows the handshake in the same packet is heard, a byte at a time, too" {
    local bytes
    bytes=$(handshake /echo)$(frame one)$(frame two)'\x88\x80\0\0\0\0'
    raw send "$PORT" "$bytes" >"$DIR/whole"
    raw send --by 1 "$PORT" "$bytes" >"$DIR/pieces"
    assert_equal "$(tail -n 1 "$DIR/whole" | od -An -c | tr -s ' ' | tr -d '\n')" "$(printf ' 201 003 o n e 201 003 t w o 210 \\0')"
    assert_equal "$(tail -n 1 "$DIR/whole")" "$(tail -n 1 "$DIR/pieces")"
    run -0 head -n 5 "$DIR/whole"
    assert_line --partial 'HTTP/1.1 101 Switching Protocols'
    assert_line --partial 'Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI='
}

@test "callbacks come in order, with the code and the reason of whoever closed first" {
    run -0 NODE /command <<<$'await welcome\ntext name A1\ntext close 4001 enough'
    assert_line --index 2 'close 4001 enough'
    has_told 'A1 closed 4001 enough, send EPIPE'
    run -0 NODE /command <<<$'text name A2\ntext peer\nawait 127.0.0.1:\nclose 3002 mine'
    has_told 'A2 closed 3002 mine, send EPIPE'
    run -0 NODE /command <<<$'text name A3\nawait welcome\nclose'
    has_told 'A3 closed 1005 , send EPIPE'
    run -0 NODE /command <<<$'text name A4\ntext peer\nawait 127\ndrop'
    has_told 'A4 closed 1006 , send EPIPE'
    run -0 NODE /command <<<$'text name A5\ntext nonsense'
    assert_line --index 2 'close 1011'
    has_told 'A5 closed 1011 , send EPIPE'
    has_logged 'on_message of a WebSocket with 127.0.0.1:[0-9]+ \(command\) failed'
}

@test "calls that cannot be are refused" {
    run -0 NODE /command <<<$'text wrong\nawait bad text\nclose'
    assert_line --partial 'text bad text EILSEQ; no kind EINVAL; long ping EMSGSIZE; 1005 EINVAL; 999 EINVAL; -1 EINVAL; long reason EINVAL; bad reason EINVAL; receive EDEADLK;'
    run -0 NODE /twice <<<$'await again\nclose'
    assert_line --partial 'text again EALREADY; write EPROTO; start EALREADY; read nothing'
    run -0 curl -sS --http1.1 --max-time 10 -H 'Upgrade: websocket' -H 'Connection: Upgrade' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "$URL/late"
    assert_output plain
    has_told 'too late: EPROTO'
}

@test "a view that fails after it: 1011; one that is slow: its callbacks wait" {
    run -0 NODE /failing <<<''
    assert_line --index 1 'close 1011'
    has_told 'failed view closed 1011 '
    run -0 NODE /slow-view <<<$'ping x\ntext early\nawait ^pong x$\nawait ^text now$\nawait ^text early$\nclose'
    assert_output $'open protocol= extensions=permessage-deflate\ntext not yet\npong x\ntext now\ntext early\nclose 1005'
    has_told 'view slept ok'
}

@test "while a callback waits pings are answered, and messages wait" {
    run -0 NODE /command <<<$'await welcome\ntext sleep 0.3\nping 1\nping 2\nawait ^pong 2$\ntext peer\nping 3\nawait ^text slept$\nawait 127\nawait ^pong 3$\nclose'
    assert_equal "$(sed -n '3,$p' <<<"$output" | sed -E 's/:[0-9]+$//')" $'pong 1\npong 2\ntext slept\ntext 127.0.0.1\npong 3\nclose 1005'
}

@test "a callback whose peer has gone is cancelled, unless the configuration says otherwise" {
    NODE /command <<<$'await welcome\ntext name B1\ntext sleep 3600\nping x\nawait pong\ndrop'
    has_told 'slept ECANCELED'
    has_told 'B1 closed 1006 , send EPIPE'
    NODE /patient/command <<<$'await welcome\ntext name B2\ntext sleep 0.2\nping x\nawait pong\ndrop'
    has_told 'slept ok'
    has_told 'B2 closed 1006 , send EPIPE'
    NODE /sleeping <<<$'text sleep\nping x\nawait pong\ndrop' # its wait is not in receive
    has_told 'view slept ECANCELED'
    run ! has_logged 'sleeping.* failed'
}

@test "to all: each one, and the shared form, in one message" {
    NODE /patient/command --no-deflate <<<$'await welcome\nawait ^text hello$\nclose' >"$DIR/other" &
    started+=($!)
    wait_until grep -q welcome "$DIR/other"
    run -0 NODE /patient/command <<<$'await welcome\ntext all hello\nawait ^text hello$\ntext shared xxxxxxxxx\nawait ^text x+$\nawait ^binary (78)+$\nclose'
    wait_until grep -q '^close' "$DIR/other"
}

@test "a client that does not read: the limit, 1008, and the rest of its time" {
    {
        printf 'await welcome\ntext name C1\npause\ntext flood\n'
        has_told 'flood ENOBUFS, pending little'
        echo resume
    } | NODE /command --no-deflate >"$DIR/reader"
    assert_equal "$(tail -n 1 "$DIR/reader")" 'close 1008 what was sent is not read'
    has_told 'C1 closed 1008 what was sent is not read, send EPIPE'
    { # one that goes on like that is cut
        printf 'text name C2\npause\ntext flood\n'
        has_told 'C2 closed 1008 what was sent is not read, send EPIPE'
        echo resume
    } | NODE /small --no-deflate >"$DIR/reader"
    assert_equal "$(tail -n 1 "$DIR/reader")" 'close 1006'
    assert_equal "$(figure '.applications.sockets.connections.cut_off')" 2
}

@test "writing waits for room, and for no longer than it was told" {
    {
        printf 'await welcome\ntext write -1\n'
        has_told 'write ok'
        echo close
    } | NODE /command --no-deflate >"$DIR/writer"
    assert_equal "$(grep -c '^binary of 100000 octets' "$DIR/writer")" 100
    {
        printf 'await welcome\npause\ntext write 0.1\n'
        has_told 'write ETIMEDOUT'
        echo resume
        echo drop
    } | NODE /command --no-deflate >"$DIR/reader"
    {
        printf 'await welcome\npause\ntext write 3600\n'
        wait_until is_equal 'in a callback of a connection' eval 'api /v1/stacks | jq -r ".stacks[] | select(.waits_in == \"reeve_websocket_write\") | .step"'
        echo drop
    } | NODE /command --no-deflate >"$DIR/reader"
    has_told 'write EPIPE'
}

@test "a silent peer is pinged; who answers stays, who does not is given up" {
    { # this one answers by itself
        printf 'text peer\nawait 127\n'
        raw send "$PORT" "$(handshake /small)$(frame 'name D1')" >"$DIR/silent"
        printf 'text peer\nawait 127\nclose\n'
    } | NODE /small >"$DIR/alive"
    assert_equal "$(tail -n 1 "$DIR/alive")" 'close 1005'
    grep -q reeve "$DIR/silent" # what the ping says
    has_told 'D1 closed 1006 , send EPIPE'
}

@test "a close that is not answered is not waited for without end" {
    run -0 raw send "$PORT" "$(handshake /small)$(frame 'name E1')$(frame 'close 4002')"
    has_told 'E1 closed 4002 , send EPIPE'
    raw send --half-close "$PORT" "$(handshake /command)$(frame 'name E2')" >"$DIR/half"
    has_told 'E2 closed 1006 , send EPIPE'
}

@test "receive: each of its answers" {
    run -0 NODE '/receive?limit=0.3&beside=1' <<<$'await close'
    has_told 'beside it EBUSY'
    has_told 'task ECANCELED'
    has_told 'receive ETIMEDOUT '
    has_told 'code 0'
    assert_line --index 1 'close 1011' # the view has failed
    run -0 NODE /receive <<<$'text a\ntext close\nawait close'
    has_told 'receive ok a'
    assert_line --index 1 'close 4000 bye'
    has_told 'code 4000'
    run -0 NODE /receive <<<$'text return\nawait close'
    assert_line --index 1 'close 1000'
    run -0 NODE /receive <<<'close 3003'
    has_told 'code 3003'
    NODE /receive <<<$'ping x\nawait pong\ndrop'
    has_told 'receive ECONNRESET '
    has_told 'code 1006'
    raw send "$PORT" "$(handshake /receive)\\x81\\x01x" >"$DIR/bad" # not masked
    has_told 'code 1002'
    wait_until is_equal '0 0' figure '"\(.applications.sockets.connections.open) \(.requests.active)"'
}

@test "messages and connections are counted" {
    local now='.applications.counted | "\(.connections.open) \(.connections.opened) \(.messages_in) \(.messages_out)"'
    {
        printf 'text a\nawait a\ntext b\nawait b\n'
        wait_until is_equal '1 1 2 2' figure "$now"
        echo close
    } | NODE /counted/echo >"$DIR/client"
    wait_until is_equal '0 1 2 2' figure "$now"
}

# ---- deployments, each with a server of its own ----------------------------------------------------------------------

@test "a new build takes over the connections that are at rest, and those that come to rest" {
    DIR=$BATS_TEST_TMPDIR
    MODULE=$DIR/sockets.so
    build "$MODULE" 1
    begin
    {
        printf 'await welcome\ntext version\nawait ^text 1$\ntext sleep 1\n'
        wait_until has_logged 'journal: open'
        build "$MODULE" 2 -DCOMMAND_PING=0.5
        ctl -j reload sockets >"$DIR/receipt"
        printf 'await slept\nawait adopted by 2\ntext version\nawait ^text 2$\nclose\n'
    } | NODE /command >"$DIR/client" &
    started+=($!)
    # That one answers no pings, of which the first build sends none within half a minute.
    raw send "$PORT" "$(handshake /command)$(frame 'name mute')" >"$DIR/mute" &
    started+=($!)
    {
        printf 'await welcome\ntext name idle\n'
        printf 'await adopted by 2\ntext version\nawait ^text 2$\nclose 3004\n'
    } | NODE /command >"$DIR/idle"
    wait_until grep -q '^close' "$DIR/client"
    assert_equal "$(grep -c 'adopted by 2' "$DIR/client" "$DIR/idle" | cut -d: -f2 | paste -sd' ')" '1 1'
    has_told 'idle closed 3004 , send EPIPE'
    has_told 'mute closed 1006 , send EPIPE'
    grep -q 'adopted by 2' "$DIR/mute"
    wait_until is_equal '3 0' figure '.applications.sockets | "\(.connections.moved) \(.connections.open)"'
    wait_until is_equal 1 eval "grep -oE '/spool/sockets/[0-9]+-' /proc/$(worker_pids)/maps | sort -u | wc -l"
}

@test "a module that runs on the loop: callbacks that cannot wait" {
    DIR=$BATS_TEST_TMPDIR
    MODULE=$DIR/sockets.so
    build "$MODULE" 1 -DFIELDS='.on_loop = true'
    begin
    run -0 NODE /command --no-deflate <<<$'await welcome\ntext name H1\ntext sleep 1\nawait slept\ntext write 1\nbig 10\nclose'
    has_told 'slept EDEADLK'
    has_told 'write (ok|EDEADLK)'
    has_told 'H1 closed .*'
    run -1 NODE /coroutine <<<close
    assert_output 'refused 500'
    has_logged 'an on_loop module needs an on_message'
}

@test "at the end of the drain connections get a last word and 1012; coroutines, too" {
    DIR=$BATS_TEST_TMPDIR
    begin 'drain_timeout = 200ms'
    NODE /command <<<$'await welcome\ntext name F1\nawait never' >"$DIR/callbacks" &
    started+=($!)
    NODE /coroutine <<<$'text a\nawait never' >"$DIR/coroutine" &
    started+=($!)
    wait_until is_equal 2 figure .connections.websockets
    stop_reeve
    wait_until grep -q '^close' "$DIR/callbacks"
    assert_equal "$(tail -n 2 "$DIR/callbacks")" $'text farewell\nclose 1012'
    wait_until grep -q '^close' "$DIR/coroutine"
    assert_equal "$(tail -n 1 "$DIR/coroutine")" 'close 1012'
    told 'F1 closed 1012 , send EPIPE'
    told 'coroutine ok 1012'
}

@test "a worker that ends at once still tells each" {
    DIR=$BATS_TEST_TMPDIR
    begin
    NODE /command <<<$'await welcome\ntext name G1\nawait never' >"$DIR/idle" &
    started+=($!)
    NODE /command <<<$'await welcome\ntext name G2\ntext sleep 3600\nawait never' >"$DIR/busy" &
    started+=($!)
    NODE /coroutine <<<$'text a\nawait never' >"$DIR/coroutine" &
    started+=($!)
    wait_until is_equal 3 figure .connections.websockets
    wait_until is_equal 4 figure .applications.sockets.messages_in
    stop_reeve QUIT
    told 'G1 closed 1006 , send EPIPE'
    told 'G2 closed 1006 , send EPIPE'
    told 'slept ECANCELED'
    told 'coroutine ECONNRESET 1006'
}

@test "a crash in a callback is told as that" {
    DIR=$BATS_TEST_TMPDIR
    begin
    run -0 NODE /command <<<$'await welcome\ntext crash'
    assert_line --index 2 'close 1006'
    wait_until has_logged 'in a callback of a connection'
}

@test "an adopt that can never be asked is told of, once" {
    cat >"$DIR/unlisted.c" <<'C'
#include <reeve/websocket.h>
static int echo(reeve_websocket *ws, const reeve_websocket_message *m) { return reeve_websocket_send(ws, m->data, m->size, m->kind); }
static int adopt(reeve_websocket *ws, uint32_t version) { return ws && version ? 0 : -1; }
static const reeve_websocket_protocol protocol = {REEVE_WEBSOCKET_PROTOCOL, .name = "unlisted", .on_message = echo, .adopt = adopt};
static int view(reeve_environ *environ, reeve_start_response *start)
{
    reeve_websocket_accept(environ, start, &protocol);
    return 0;
}
REEVE_APP(.name = "unlisted", .version = "1", .application = view);
C
    cc -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -o "$DIR/unlisted.so" "$DIR/unlisted.c"
    start_reeve <<<"workers = 1
app \"unlisted\" { module = \"$DIR/unlisted.so\" }"
    for _ in 1 2; do
        run -0 NODE / <<<$'text a\nawait a\nclose'
        assert_line 'text a'
    done
    assert_equal "$(grep -c 'protocol "unlisted" has an adopt, but does not stand in' "$LOG")" 1
}
