#!/usr/bin/env bats
# bats file_tags=core
# reevectl top, looked at in a terminal of many sizes that terminal.py plays: what it shows of a real server, the figures it
# makes of samples that fake-control.py tells, what the keys do, and that the terminal is as before whatever happens.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
load helpers

T=$DIR/terminal

# look SIZE ARGUMENT...: `reevectl ARGUMENT...` in a terminal
look() {
    local size=$1
    shift
    rm -rf "$T"
    mkdir "$T"
    # Debian's own Python, which has Debian's pyte
    TERM=${TERMINAL:-xterm-256color} LC_ALL=C.UTF-8 /usr/bin/python3 "$BATS_TEST_DIRNAME/terminal.py" "$T" "$size" \
        "$REEVECTL" -s "$CONTROL" "$@" >"$DIR/terminal.log" 2>&1 3>&- &
    TOP_PID=$!
    started+=("$TOP_PID")
    wait_until test -p "$T/orders"
}

order() { echo "$*" >"$T/orders"; }
key() { order "key $1"; }

shows() { grep -qE -- "$1" "$T/screen" || { cat "$T/screen" && return 1; }; }
shows_not() { ! grep -E -- "$1" "$T/screen"; }
see() { wait_until shows "$1"; }
# row TEXT: that row, its blanks single
row() { grep -F -- "$1" "$T/screen" | head -n 1 | tr -s ' ' | sed 's/ $//'; }
# fits COLUMNS ROWS: nothing is outside, and no row was wrapped
fits() {
    [ "$(wc -l <"$T/screen")" -eq "$2" ] && ! grep -qE "^.{$(($1 + 1))}" "$T/screen"
}

# has_ended STATUS: with it, and the terminal is as it was
has_ended() {
    wait_until test -e "$T/ended"
    assert_equal "$(cat "$T/status")" "$1"
    assert_equal "$(sort -u "$T/settings" | wc -l)" 1
    # rmcup and cnorm, in this order of anything that was drawn: they are the last words
    run -0 tail -c 60 "$T/bytes"
    assert_output --partial $'\x1b[?1049l'
    run -0 eval "tail -c 100 '$T/bytes' | grep -c '25h'"
}

# fake <<EOF: a server that answers by this script (see fake-control.py)
fake() {
    CONTROL=$DIR/fake.sock
    cat >"$DIR/script.json"
    python3 "$BATS_TEST_DIRNAME/fake-control.py" "$CONTROL" "$DIR/script.json" >"$DIR/fake.log" 2>&1 3>&- &
    started+=("$!")
    wait_until test -S "$CONTROL"
}

# sample UPTIME N: of a server that has served N requests by then, half of them failed, each within 1.024 or 2.048 us
sample() {
    jq -n --argjson up "$1" --argjson n "$2" '{json: {
        version: "9.9", pid: 77, started_at: 1000, uptime: $up, stopping: false,
        connections: {accepted: ($n * 2), active: 3, idle: 1234, closed: 0},
        requests: {total: $n, active: 2}, processes: {target: 3, starting: 1, draining: 0},
        workers: [{id: 0, incarnation: 1, pid: 4711, status: "busy", accepting: true, requests: $n, active: 2,
                   connections: {open: 7}, rss: 3145728, last_spawn: 1000, respawn_count: 0,
                   loop_lag: {p99: 9, buckets: [[0.000001024, $n]]}},
                  {id: 1, incarnation: 4, pid: 4712, status: "stuck", accepting: false, requests: 0, active: 0,
                   connections: {open: 0}, rss: 9145728, last_spawn: 1000, respawn_count: 3, loop_lag: {p99: 9}}],
        applications: {
            good: {generation: 3, requests: ($n / 2), active: 2, responses: {"5xx": 0, none: 0}, held: 0,
                   connections: {open: 42}, messages_in: $n, messages_out: ($n * 2),
                   latency: {p50: 5, p99: 5, buckets: [[0.000001024, ($n / 2)]]}},
            bad: {generation: 12, requests: ($n / 2), active: 0, responses: {"5xx": ($n / 4), none: ($n / 4)}, held: 0,
                  latency: {p50: 5, p99: 5, buckets: [[0.000002048, ($n / 2)]]}}}}}'
}

FLIGHTS='{"json": {"worker": {"id": 0, "incarnation": 1}, "in_flight": [
    {"app": "good", "method": "GET", "path": "/young", "phase": "running", "age": 0.5, "in_phase": 0.5},
    {"app": "good", "method": "POST", "path": "/old", "phase": "waiting", "waits_in": "reeve_sleep", "age": 75.2}]}}'

# two_looks [STATUS] [FLIGHTS]: a server between whose two samples 400 requests were begun in 2 seconds
two_looks() {
    fake < <(jq -n --argjson first "$(sample 10 1000)" --argjson second "$(sample 12 1400)" \
        --argjson status "${1:-{\}}" --argjson flights "${2:-$FLIGHTS}" \
        '{"GET /v1/stats?buckets=1": [$first, $second], "GET /v1/status": [{json: $status}],
          "GET /v1/workers/0": [$flights], "*": [{status: 404}]}')
}

# ---- what it shows ------------------------------------------------------------------------------------------------------------

@test "of a real server: its workers, its applications, and the request that runs longest" {
    start_reeve <<EOF
app "hello" { module = "$APPS/hello.so" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
EOF
    curl -sS -o /dev/null "$URL/sleep/long?ms=60000" 2>/dev/null 3>&- &
    started+=("$!")
    look 80x24 top --interval 200ms
    see 'GET /sleep/long'
    see '^hello +1 '
    fits 80 24
    local pid
    for pid in $(worker_pids); do shows "^[01]\.1 +$pid (idle|busy) "; done
    shows "^reeve .* pid $REEVE_PID  up "
    shows '2 of 2 serve'
    get "/[1-200]" >/dev/null
    see '^hello .* [1-9][0-9.]* +0 +0 +0 +[0-9.]+ (us|ms|s) +[0-9.]+ (us|ms|s)'
    key q
    has_ended 0
    stop_reeve QUIT
}

@test "figures are of the time between two looks" {
    two_looks
    look 80x24 top --interval 60s
    see '^requests +200/s, 2 active, errors 100/s, p50 1\.02 us, p99 2\.05 us$'
    shows '^workers +1 of 3 serve, 1 starting; connections 3 active, 1,234 idle$'
    assert_equal "$(row 0.1)" '0.1 4711 busy 200 2 7 3.0 MiB 1.02 us 12 s'
    assert_equal "$(row 1.4)" '1.4 4712 stuck 0 0 0 8.7 MiB 9.00 s 12 s'
    assert_equal "$(row 'good ')" 'good 3 100 2 42 0 1.02 us 1.02 us'
    assert_equal "$(row 'bad ')" 'bad 12 100 0 0 100 2.05 us 2.05 us'
    order size 100x24
    see '3 active, 1,234 idle, 400 new/s$'
    # the longest first
    run -0 grep -A 2 '^ *AGE WORKER' "$T/screen"
    assert_line --index 1 --regexp '^ *7[5-9]\.[0-9] s 0\.1 +good +reeve_sleep +POST /old$'
    assert_line --index 2 --regexp '0\.1 +good +running +GET /young$'
    fits 100 24
}

@test "before there are two, and of a server that tells no histograms, it says what it knows" {
    fake <<<"{\"GET /v1/stats?buckets=1\": [$(sample 10 1000 | jq 'del(.. | .buckets?)')],
        \"GET /v1/status\": [{\"json\": {}}], \"*\": [{\"status\": 404}]}"
    look 80x24 top --interval 60s
    see '^requests +-/s, 2 active, errors -/s, p50 5\.00 s, p99 5\.00 s since the start$'
    assert_equal "$(row 'good ')" 'good 3 - 2 42 - 5.00 s 5.00 s'
    shows_not REQUEST
}

@test "what is wrong stands above the tables" {
    two_looks '{"incidents": 3, "starting": {"failures": 4, "next_try_in": 3.2, "last": "worker 1.3 exited"},
        "quarantine": [{"app": "bad", "path": "/kill", "is_prefix": true, "kills": 3, "remaining": 55.2, "refused": 17},
                       {"app": "bad", "path": "/b", "kills": 3, "remaining": 5, "refused": 0}]}'
    look 80x24 top --interval 60s
    see 'workers fail to start, 4 so far, next try in 3 s: worker 1\.3 exited'
    shows 'quarantine: bad /kill\.\.\. for 55 s, 17 refused, and 1 more'
    shows '3 incidents so far: `reevectl incidents`'
    # On a small one the tables come first.
    order size 80x12
    wait_until fits 80 12
    see 'workers fail to start'
    shows_not quarantine
    shows '^good '
}

@test "a server that is drained, and one that stops, say so" {
    start_reeve </dev/null
    look 80x24 top --interval 100ms
    see '2 of 2 serve'
    ctl drain
    see 'drained: takes no connections; `reevectl resume` opens it again'
    see '0 of 2 serve'
    ctl resume
    see '2 of 2 serve'
    shows_not 'drained:'
}

@test "text of the server never commands the terminal, and wide characters take two columns" {
    # shellcheck disable=SC1003
    local evil='\u001b[2J\u001b]0;evil\u0007\u009b31mx\u202ey\n\u007f'
    two_looks '{"starting": {"failures": 1, "next_try_in": 1, "last": "'"$evil"'漢字 é"}}' \
        "$(jq --arg path "$(printf '/\e[31mred\e\\\xff')" '.json.in_flight[0].path = $path' <<<"$FLIGHTS")"
    look 80x24 top --interval 60s
    see '1 so far, next try in 1 s: \?\[2J\?\]0;evil\?\?31mx\?y\?\?漢 ?字 ? é'
    see 'GET /\?\[31mred'
    run ! grep -qF 'evil'$'\x07' "$T/bytes"
    run ! grep -qP '\x1b\]0|\xc2\x9b|\xe2\x80\xae' "$T/bytes"
    fits 80 24
}

@test "of many workers it asks a few at each look, and shows as many as there is room for" {
    local many
    many=$(sample 10 1000 | jq '.json.workers = [range(40) as $i | .json.workers[0] + {id: $i, requests: $i}]')
    fake <<<"{\"GET /v1/stats?buckets=1\": [$many], \"GET /v1/status\": [{\"json\": {}}], \"*\": [$FLIGHTS]}"
    look 80x24 top --interval 60s
    see '^  [0-9]+ more$'
    shows '^good '
    wait_until is_equal 3 grep -c 'GET /v1/status' "$CONTROL.asked" # one before the screen, then two looks
    wait_until is_equal 8 grep -c 'GET /v1/workers/' "$CONTROL.asked"
    assert_equal "$(grep -o 'GET /v1/workers/.*' "$CONTROL.asked" | sort -u | wc -l)" 8
    order size 80x60
    wait_until shows '^39\.1 '
    key '\x1bOA'
    order size 80x24
    wait_until fits 80 24
    key '\x1bOB'
    wait_until shows_not '^0\.1 '
    shows '^1\.1 '
}

# ---- sizes --------------------------------------------------------------------------------------------------------------------

@test "a larger terminal shows more, a smaller one less, and none is wrapped" {
    two_looks
    look 80x24 top --interval 60s
    see '^requests +200/s'
    shows_not RESPAWNS
    order size 120x40
    see 'REQUESTS RESPAWNS$'
    fits 120 40
    shows '^bad .* 700 '
    shows '^good .* 600 +700 '
    order size 40x10
    wait_until fits 40 10
    see '^0\.1 +busy +200 '
    shows '^good '
    shows_not RESPAWNS
    local size
    for size in 20x6 80x3 10x2 1x1 300x5 3x100; do
        order size "$size"
        wait_until fits "${size%x*}" "${size#*x}"
        is_alive "$TOP_PID"
    done
    order size 80x24
    see 'POST /old'
    shows '^reeve 9\.9  pid 77  up 12 s +every 60 s  \? help  q quit$'
    key q
    has_ended 0
}

# ---- keys ---------------------------------------------------------------------------------------------------------------------

@test "keys: what is sorted by what, which table has the room, help, pause, interval" {
    two_looks
    look 80x24 top --interval 60s
    see '^requests +200/s'
    shows '^\*WORKER'
    key s
    see ' \*REQ/S +ACTIVE +CONN'
    key s
    key s
    see '\*RSS'
    assert_equal "$(grep -oE '^(0\.1|1\.4)' "$T/screen" | paste -sd' ')" '1.4 0.1'
    key a
    key s
    key s
    see '\*ERR/S'
    assert_equal "$(grep -oE '^(good|bad)' "$T/screen" | paste -sd' ')" 'bad good'
    # the heading of the one in focus is reversed
    wait_until grep -qE '^r+$' "$T/rows"
    assert_equal "$(sed -n "$(grep -nE '^r+$' "$T/rows" | cut -d: -f1)p" "$T/screen" | cut -c1-3)" APP
    key '\t'
    wait_until eval "sed -n \"\$(grep -nE '^r+\$' '$T/rows' | cut -d: -f1)p\" '$T/screen' | grep -q AGE"
    key '?'
    see 'pause, and go on'
    shows_not '^good '
    key '?'
    see '^good '
    key p
    see 'PAUSED'
    key p
    wait_until shows_not PAUSED
    key -
    see 'every 30 s'
    key +
    see 'every 60 s'
    key q
    has_ended 0
}

# ---- a server that is not there -----------------------------------------------------------------------------------------------

@test "a server that ends is waited for, and looked at again when it is back" {
    start_reeve </dev/null
    look 80x24 top --interval 100ms
    see '2 of 2 serve'
    stop_reeve
    see 'reeve is not running \(for [0-9]+ s\); trying again'
    shows '^hello '
    start_again
    wait_until shows_not 'not running'
    see "pid $REEVE_PID "
    ctl upgrade
    see '2 of 2 serve'
    see '^[2-9]\.1 '
    key q
    has_ended 0
}

@test "one that does not answer leaves the keys alone" {
    start_reeve </dev/null
    look 80x24 top --interval 100ms
    see '2 of 2 serve'
    kill -STOP "$REEVE_PID"
    see 'the server does not answer \(for [0-9]+ s\); trying again'
    key '?'
    see 'pause, and go on'
    key q
    has_ended 0
    kill -CONT "$REEVE_PID"
}

# ---- the terminal -------------------------------------------------------------------------------------------------------------

@test "TERM, INT, QUIT and HUP end it with status 130, and leave the terminal as it was" {
    two_looks
    local signal
    for signal in TERM INT QUIT HUP; do
        look 80x24 top --interval 60s
        see 'reeve 9\.9'
        order signal $signal
        has_ended 130
    done
    look 80x24 top --interval 60s
    see 'reeve 9\.9'
    key '\x03'
    has_ended 130
}

@test "stopped and continued it gives the terminal back, and takes it again" {
    two_looks
    look 80x24 top --interval 60s
    see '^requests +200/s'
    key '\x1a'
    wait_until test -e "$T/stopped"
    wait_until eval "tail -c 60 '$T/bytes' | grep -qF '[?1049l'"
    order signal CONT
    see '^requests +200/s'
    key q
    has_ended 0
}

@test "it ends when its terminal goes away" {
    two_looks
    look 80x24 top --interval 60s
    see 'reeve 9\.9'
    order hang up
    wait_until test -e "$T/ended"
}

@test "without a terminal, or with one that it cannot use, it says so with exit status 2" {
    two_looks
    run -2 --separate-stderr ctl top </dev/null
    assert_equal "$stderr" 'reevectl: top needs a terminal; `reevectl stats` prints the figures'
    run -2 ctl -j top
    assert_output --partial '`reevectl -j stats` has the figures'
    local terminal
    for terminal in dumb no-such-terminal; do
        TERMINAL=$terminal look 80x24 top
        wait_until test -e "$T/ended"
        assert_equal "$(cat "$T/status")" 2
        see '^reevectl: .*TERM'
    done
    look 80x24 top --interval 5ms
    wait_until test -e "$T/ended"
    see '100ms at least'
    CONTROL=$DIR/nobody look 80x24 top
    wait_until test -e "$T/ended"
    assert_equal "$(cat "$T/status")" 3
    see '^reevectl: reeve is not running'
}
