#!/usr/bin/env bats
# bats file_tags=core
# Thousands of connections of every kind (HTTP, chat, WebSocket, a stream of events) through twenty deployments of builds
# that really differ: none is lost, and the new code answers on the old connections.
load helpers

MANY=${REEVE_MANY:-10000}

install() { cp "$DIR/$1.so" "$DIR/company.so.new" && mv "$DIR/company.so.new" "$DIR/company.so"; }

setup() {
    local n
    for n in {1..21}; do
        cc -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -DNUMBER="$n" \
            -o "$DIR/$n.so" "$TOP/tests/apps/company/company.c"
    done
    install 1
    start_reeve <<CONF
workers = 2
keep_alive = 1h
unload_wait = 100ms
listen "127.0.0.1:0" { }
listen "127.0.0.2:0" { name = "lines" protocol = chat app = "company" }
app "company" { module = "$DIR/company.so" }
CONF
    CHAT_PORT=$(api /v1/config | jq -r '.listen[] | select(.protocol == "chat") | .address' | grep -oE '[0-9]+$')
}

# tell TEXT: to the clients; what they answer comes to $DIR/answer
tell() {
    echo "$1" >&"${many[1]}"
    IFS= read -r -t 120 -u "${many[0]}" answer
}

@test "ten thousand mixed connections through twenty deployments: none lost, all answered by the new code" {
    local n each=$((MANY / 4)) answer many
    coproc many { python3 "$BATS_TEST_DIRNAME/many.py" --port "${URL##*:}" --chat-host 127.0.0.2 --chat-port "$CHAT_PORT" --ws-path /socket \
        --http "$each" --chat "$each" --ws "$each" --sse "$each" --every 5 2>"$DIR/many.err" 3>&-; }
    started+=("$many_PID")
    IFS= read -r -t 120 -u "${many[0]}" answer
    assert_equal "$(jq -c '[.open[]]' <<<"$answer")" "[$each,$each,$each,$each]"
    for n in {2..21}; do
        install "$n"
        ctl -j reload company >>"$DIR/receipts"
        # The streams of events stay with their build, and tell of what the new one publishes.
        tell "until $n 60"
        jq -e --arg n "$n" '.lost == {} and .unanswered == {} and ([.answers[] | keys[]] | unique == [$n])' <<<"$answer" ||
            fail "after build $n: $answer"
    done
    tell report
    assert_equal "$(jq -c '[.lost, [.open[]]]' <<<"$answer")" "[{},[$each,$each,$each,$each]]"
    assert_equal "$(jq -r 'select(.verdict) | .receipt.outcome' "$DIR/receipts" | sort | uniq -c | tr -s ' ')" ' 20 live'
    assert_equal "$(figure '.applications.company | [.exceptions, .connections.open, .connections.moved, .connections.cut_off]
        | join(" ")')" "0 $((2 * each)) $((40 * each)) 0"
    echo "# $MANY connections, 20 deployments; the slowest answer of the last round took $(jq .slowest_ms <<<"$answer") ms" >&3
    exec {many[1]}>&-
    wait "$many_PID"
    wait_until is_equal 2 figure '.applications.company.held' # by the job's timer, in each worker
}
