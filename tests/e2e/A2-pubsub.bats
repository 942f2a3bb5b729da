#!/usr/bin/env bats
# bats file_tags=core
# Publish/subscribe between workers: what each publishes arrives in all of them, whole and in order, whatever becomes of
# workers and builds meanwhile (tests/apps/bus checks it, and keeps a journal).
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load helpers

setup_file() {
    local n
    for n in 1 2; do
        cc -O1 -g -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -D_GNU_SOURCE -I"$TOP/include" -DBUILD=$n \
            -o "$BATS_FILE_TMPDIR/$n.so" "$TOP/tests/apps/bus/bus.c"
    done
}

put() { cp "$BATS_FILE_TMPDIR/$1.so" "$DIR/b.so.new" && mv "$DIR/b.so.new" "$DIR/b.so"; }

# serve WORKERS [LINES]: build 1, whose journal is $DIR/journal
serve() {
    put 1
    : >"$DIR/journal"
    start_reeve <<EOF2
workers = $1
${2:-}
app "b" { module = "$DIR/b.so" option { journal = "$DIR/journal" } }
EOF2
}

# report: what every worker has got, in $DIR/journal.NAME, once WORKERS of them have said so; sets REPORT
report() {
    REPORT=$((${REPORT:-0} + 1))
    get "/report?as=r$REPORT." >"$DIR/out"
    wait_until is_equal "$1" grep -c "^r$REPORT\. .* missed " "$DIR/journal"
    grep "^r$REPORT\. " "$DIR/journal" | cut -d' ' -f2- >"$DIR/report"
}
# all_have WORKERS COUNT [PUBLISHERS]: each worker has got COUNT messages of each publisher, in order, whole, and missed none
all_have() {
    report "$1"
    awk -v workers="$1" -v count="$2" -v publishers="${3:-$1}" '
        $3 == "from" { rows++; if ($5 != count || $6 || $7) bad++ }
        $3 == "missed" { if ($4) bad++ }
        END { exit !(rows == workers * publishers && !bad) }' "$DIR/report" || { cat "$DIR/report"; return 1; }
}
# has_workers N: so many serve
has_workers() { [ "$(worker_pids | wc -l)" -eq "$1" ]; }

@test "what each worker publishes arrives in all, whole and in order, from 8 bytes to 128 KiB" {
    serve 3 'pubsub_ring = 4m'
    get '/go?count=2000&size=8' >/dev/null
    wait_until all_have 3 2000
    get '/go?count=10&size=131072' >/dev/null
    wait_until all_have 3 2010
    get '/go?count=100&size=5000&pause=0.001' >/dev/null
    wait_until all_have 3 2110
    get '/go?count=20&size=131072' >/dev/null # the rings begin anew
    wait_until all_have 3 2130
    # A record is an eighth of the ring at most.
    assert_equal "$(get '/say?size=524288')" EMSGSIZE
    assert_equal "$(figure '[.pubsub.published >= 6390, .pubsub.delivered >= 19170, .pubsub.missed == 0] | all')" true
    stop_reeve
}

@test "a worker that is killed takes nothing along but its own, and its successor has its place" {
    serve 3
    local pids victim survivors
    pids=$(worker_pids)
    victim=$(head -n 1 <<<"$pids")
    survivors=$(tail -n 2 <<<"$pids")
    get '/go?count=3000&size=64&pause=0.002' >/dev/null
    has_begun() { report 3 && [ "$(awk -v pid="$victim" '$4 == pid && $5 > 100' "$DIR/report" | wc -l)" -eq 3 ]; }
    wait_until has_begun
    kill -KILL "$victim"
    wait_until is_equal 1 figure '.processes.respawns'
    wait_until has_workers 3
    # All of the survivors', and of the victim's what it had published: in order, and none broken.
    # shellcheck disable=SC2086
    set -- $survivors
    has_all() {
        report 3
        awk -v one="$1" -v two="$2" '
            ($2 == one || $2 == two) && ($4 == one || $4 == two) { rows++; if ($5 == 3000 && !$6 && !$7) good++ }
            $3 == "from" && ($6 || $7) { bad++ }
            ($2 == one || $2 == two) && $3 == "missed" && $4 { bad++ }
            END { exit !(rows == 4 && good == 4 && !bad) }' "$DIR/report" || { cat "$DIR/report"; return 1; }
    }
    wait_until has_all "$1" "$2"
    # The next round is published and received by the successor, too.
    local next
    next=$(comm -13 <(sort <<<"$pids") <(worker_pids | sort))
    get '/go?count=200' >/dev/null
    has_successors() {
        report 3
        [ "$(awk -v pid="$next" '$4 == pid && $5 == 200 && !$6 && !$7' "$DIR/report" | wc -l)" -eq 3 ] &&
            [ "$(awk -v pid="$next" '$2 == pid && $3 == "from" && $5 >= 200 && !$6' "$DIR/report" | wc -l)" -eq 3 ]
    }
    wait_until has_successors
}

@test "a new build's subscriptions take the place of the old one's" {
    serve 2
    get '/go?count=10' >/dev/null
    wait_until all_have 2 10
    put 2
    run -0 ctl -j reload b
    assert_equal "$(jq -c '.receipt | [.outcome, .held]' <<<"${lines[-1]}")" '["live",[]]'
    get '/go?count=20' >/dev/null
    wait_until all_have 2 20
    assert_equal "$(cut -d' ' -f1 "$DIR/report" | sort -u)" 2 # nobody of the old build has reported
    stop_reeve
}

@test "builds come and go under a flood, and a worker is killed: nothing is broken, and none of the old is called" {
    serve 3
    local n kills=0
    for n in 2 1 2 1 2 1 2 1; do
        get '/go?count=1000000&size=500&pause=0.0001' >/dev/null
        put "$n"
        if [ "$n" -eq 2 ]; then
            kill -KILL "$(worker_pids | head -n 1)"
            wait_until is_equal $((++kills)) figure '.processes.respawns'
        fi
        run ctl -j reload b
        assert_equal "$(jq -c '.receipt | [.outcome, .held]' <<<"${lines[-1]}")" '["live",[]]'
    done
    wait_until has_workers 3
    get '/go?count=100&size=500' >/dev/null
    has_hundreds() { report 3 && [ "$(awk '$1 == 1 && $5 >= 100' "$DIR/report" | wc -l)" -ge 9 ]; }
    wait_until has_hundreds
    assert_equal "$(awk '$1 != 1 || ($3 == "from" && $7)' "$DIR/report")" ''
    stop_reeve
}

@test "after a rolling restart, and an upgrade, it goes on" {
    serve 2
    get '/go?count=10' >/dev/null
    wait_until all_have 2 10
    ctl restart
    get '/go?count=30' >/dev/null
    wait_until all_have 2 30
    api /v1/upgrade -X POST >/dev/null 2>&1 || true # cut by the exec
    is_over() { [ "$(api /v1/deploys | jq -r '[.deploys[] | select(.kind == "upgrade")][0].outcome')" = 'done' ]; }
    wait_until is_over
    get '/go?count=40' >/dev/null
    wait_until all_have 2 40
    stop_reeve
}

@test "what nobody wants may be more at once than the ring holds: nothing else is missed" {
    serve 1
    get '/say?times=5000&size=1000' >/dev/null
    get '/go?count=10' >/dev/null
    wait_until all_have 1 10
    stop_reeve
}
