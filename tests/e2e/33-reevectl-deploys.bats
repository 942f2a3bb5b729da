#!/usr/bin/env bats
# reevectl and deployments, against fake-control.py: what is asked, what is told, and the exit status, also when the
# connection breaks, the server dies, somebody presses Ctrl-C or the JSON is of another age. What the real server does
# is tested from 50 on.
load helpers

FAKE=$BATS_TEST_DIRNAME/fake-control.py

# fake <<EOF: a server that answers by this script (see fake-control.py), at $CONTROL; ended by teardown
fake() {
    CONTROL=$DIR/control.sock
    cat >"$DIR/script.json"
    rm -f "$CONTROL" "$CONTROL.asked"
    python3 "$FAKE" "$CONTROL" "$DIR/script.json" >"$DIR/fake.log" 2>&1 3>&- &
    FAKE_PID=$!
    started+=("$FAKE_PID")
    wait_until test -S "$CONTROL"
}

# asked: the last request
asked() { tail -n 1 "$CONTROL.asked"; }

# background ARGUMENT...: reevectl, its output to $DIR/out; sets CTL
background() {
    "$REEVECTL" -s "$CONTROL" "$@" >"$DIR/out" 2>&1 3>&- &
    CTL=$!
    started+=("$CTL")
}

BEGIN='{"step":"begin","deploy":7,"action":"a reload of hello"}'
LIVE='{"verdict":"live","deploy":7,"receipt":{"deploy":7,"kind":"reload","outcome":"live",
    "apps":[{"app":"hello","generation":2,"from":1,"version":"1.0.1","outcome":"live"}],
    "workers":[{"id":0,"incarnation":1,"ok":true},{"id":1,"incarnation":1,"ok":true}],"seconds":{"total":0.31}}}'

# ---- what is asked ----------------------------------------------------------------------------------------------------

@test "each verb asks what its words and options say: one request, whole numbers and fractions as the server wants them" {
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,$LIVE]}]}"
    local words want
    while IFS='|' read -r words want; do
        # shellcheck disable=SC2086
        run -0 ctl $words
        assert_equal "$(asked)" "$want"
    done <<'EOF'
reload|POST /v1/apps/reload {}
reload --all|POST /v1/apps/reload {}
reload a|POST /v1/apps/a/reload {}
reload a b a|POST /v1/apps/reload {"apps":["a","b"]}
reload --config|POST /v1/config/reload {}
reload a --canary 1|POST /v1/apps/a/reload {"canary":"1"}
--canary=25% reload a b|POST /v1/apps/reload {"canary":"25%","apps":["a","b"]}
reload a --canary 1 --for 30s --max-errors 1% --max-latency 2x --min-requests 20|POST /v1/apps/a/reload {"canary":"1","for":30,"max_errors":0.01,"max_latency":2,"min_requests":20}
reload a --canary 1 --for=500ms --max-errors=0.05 --max-latency=1.5|POST /v1/apps/a/reload {"canary":"1","for":0.5,"max_errors":0.05,"max_latency":1.5}
reload a --canary 1 --for 2m|POST /v1/apps/a/reload {"canary":"1","for":120}
reload a --canary 1 --for 1.5|POST /v1/apps/a/reload {"canary":"1","for":1.5}
reload a --canary 1 --min-requests 0|POST /v1/apps/a/reload {"canary":"1","min_requests":0}
rollback a|POST /v1/apps/a/rollback {}
rollback a 3|POST /v1/apps/a/rollback {"generation":3}
restart|POST /v1/workers/restart {}
restart --max-unavailable 2|POST /v1/workers/restart {"max_unavailable":2}
upgrade|POST /v1/upgrade {}
upgrade --binary /srv/reeve|POST /v1/upgrade {"binary":"/srv/reeve"}
EOF
    cd "$DIR"
    run -0 ctl upgrade --binary new/reeve
    assert_equal "$(asked)" "POST /v1/upgrade {\"binary\":\"$DIR/new/reeve\"}"
}

@test "a wrong option is exit status 2 with a sentence on what was expected, and nothing is asked" {
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,$LIVE]}]}"
    local words want
    while IFS='|' read -r words want; do
        # shellcheck disable=SC2086
        run -2 ctl $words
        assert_output --partial "$want"
    done <<'EOF'
reload a --for 30s|--for says nothing without --canary
reload a --max-errors 1%|without --canary
reload a --max-latency 2x|without --canary
reload a --min-requests 5|without --canary
reload a --canary|there is nothing behind "--canary"
reload a --canary 0|--canary takes a number of workers from 1 on, or a percentage such as 25%, not "0"
reload a --canary 0%|or a percentage
reload a --canary 101%|or a percentage
reload a --canary 5%x|or a percentage
reload a --canary -1|or a percentage
reload a --canary many|or a percentage
reload a --canary 1 --for soon|--for takes a time such as 30s
reload a --canary 1 --for 0|--for takes a time
reload a --canary 1 --for -5|--for takes a time
reload a --canary 1 --for 1e3|--for takes a time
reload a --canary 1 --for inf|--for takes a time
reload a --canary 1 --for=|--for takes a time
reload a --canary 1 --for 1.2.3|--for takes a time
reload a --canary 1 --for 99999999999999999999|--for takes a time
reload a --canary 1 --max-errors 1|--max-errors takes a percentage such as 1%
reload a --canary 1 --max-errors 101%|a percentage
reload a --canary 1 --max-errors nan|a percentage
reload a --canary 1 --max-latency 0.5|--max-latency takes a factor from 1 on
reload a --canary 1 --max-latency x|a factor
reload a --canary 1 --max-latency 2xx|a factor
reload a --canary 1 --min-requests -1|--min-requests takes a whole number
reload a --canary 1 --min-requests 1.5|a whole number
reload a --canary 1 --min-requests 99999999999|a whole number
reload --config a|with --config there is nothing to name, not "a"
reload --all a|with --all there is nothing to name
reload --config --all|--config cannot stand beside --all
reload --config --canary 1|--config cannot stand beside --canary
reload --now|reload takes no option --now
reload --no-wait=yes|there is no option "--no-wait=yes"
reload a --cannary 1|did you mean "--canary"
status --canary 1|status takes no option --canary
rollback|an argument is missing
rollback a b|a generation is a whole number
rollback a 0|a generation is a whole number
rollback a 1 2|one argument too many
restart --max-unavailable 0|a whole number
upgrade --binary|nothing behind
upgrade --binary=|--binary takes the path of a file
history a b|one argument too many
history --limit 0|a whole number
-t 0 status|--timeout takes a time
EOF
    assert_no_file "$CONTROL.asked"
}

# ---- what is told -----------------------------------------------------------------------------------------------------

@test "progress is one line a step for people, and as it came for programs" {
    fake <<EOF
{"*":[{"lines":[$BEGIN,{"step":"preflight","app":"hello","generation":2},
  {"step":"prepare","app":"hello","generation":2,"worker":0,"incarnation":1,"ok":true,"seconds":0.0021},
  {"step":"prepare","app":"hello","generation":2,"worker":1,"incarnation":4,"ok":false,"reason":"not here"},
  {"step":"take back","reason":"it was too slow"},
  {"step":"commit","seconds":0.001},
  {"step":"unload","app":"hello","generation":1,"worker":0,"incarnation":1,"ok":true},
  {"step":"spawned","worker":2,"incarnation":1,"pid":123},
  {"step":"listener","address":"127.0.0.1:80","change":"added"},
  {"step":"check"},
  {"step":"check","binary":"/srv/reeve"},$LIVE]}]}
EOF
    run -0 ctl reload hello
    assert_output - <<'EOF'
deployment 7: a reload of hello
  preflight  hello generation 2
  prepare    hello generation 2 in worker 0.1, 2.10 ms
  prepare    hello generation 2 in worker 1.4: refused: not here
  take back  it was too slow
  commit     1.00 ms
  unload     hello generation 1 in worker 0.1
  spawned    worker 2.1, pid 123
  listener   127.0.0.1:80, added
  check
  check      /srv/reeve
hello generation 2 (1.0.1): live, before: generation 1
deployment 7: live in 2 workers after 310 ms
EOF
    run -0 ctl -j reload hello
    assert_equal "$(jq -r '.step // .verdict' <<<"$output" | paste -sd,)" \
        'begin,preflight,prepare,prepare,take back,commit,unload,spawned,listener,check,check,live'
    assert_equal "${#lines[@]}" 12
}

@test "the exit status is that of the verdict" {
    local verdict status
    while IFS='|' read -r verdict status; do
        fake <<<"{\"*\":[{\"lines\":[$BEGIN,{\"verdict\":\"$verdict\",\"deploy\":7,\"reason\":\"because\",
            \"receipt\":{\"outcome\":\"$verdict\",\"reason\":\"because\"}}]}]}"
        run "-$status" ctl reload hello
        assert_output --partial 'deployment 7: '
        [ "$status" -eq 0 ] || assert_output --partial because
        run "-$status" ctl -j reload hello
    done <<'EOF'
live|0
done|0
failed|1
rejected|4
aborted|4
rolled back|5
timed out|6
interrupted|6
of a newer server|6
EOF
}

@test "a failure after workers were drained is in part: exit status 6" {
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,{\"step\":\"draining\",\"worker\":0},{\"verdict\":\"failed\",\"reason\":\"no memory\"}]}]}"
    run -6 ctl restart
    assert_output --partial 'no memory'
}

@test "a refusal tells each application's reason and what it said; what was serving goes on" {
    fake <<EOF
{"*":[{"lines":[$BEGIN,{"verdict":"rejected","deploy":7,"reason":"init says no","receipt":{"kind":"reload","outcome":"rejected",
  "reason":"init says no","apps":[
  {"app":"a","generation":5,"outcome":"rejected","reason":"init says no","stderr":"first\nsecond","warnings":["cJSON_Parse clashes"]},
  {"app":"b","generation":2,"outcome":"aborted"}]}}]}]}
EOF
    run -4 ctl reload a b
    assert_output - <<'EOF'
deployment 7: a reload of hello
a generation 5: rejected: init says no
  warning: cJSON_Parse clashes
  what it said while it was tried:
first
second
b generation 2: aborted
deployment 7: rejected; what was serving before goes on serving
EOF
}

CANARY='"canary":{"workers":[0],"seconds":30,"verdict":"taken back","reason":"5.00% of its requests failed",
    "old":{"generation":1,"requests":1234,"errors":0,"error_rate":0,"p99":0.0012},
    "new":{"generation":2,"requests":400,"errors":20,"error_rate":0.05,"crashes":1,"p99":0.0013}}'

@test "a canary that is taken back: exit status 5, both columns of figures; while it runs few lines go to no terminal" {
    local step='{"step":"canary","workers":[0],"seconds_left":27,"new":{"requests":400,"error_rate":0.05,"p99":0.0013},
        "old":{"error_rate":0.001,"p99":0.0012}}'
    fake <<EOF
{"*":[{"lines":[$BEGIN,$step,$step,$step,{"step":"take back","reason":"5.00% of its requests failed"},
  {"verdict":"rolled back","deploy":7,"reason":"5.00% of its requests failed","receipt":{"kind":"reload","outcome":"rolled back",$CANARY}}]}]}
EOF
    run -5 ctl reload hello --canary 1
    assert_equal "$(grep -c 'canary  ' <<<"$output")" 1
    assert_line '  canary     27 s left: 5.00% of 400 fail (old 0.10%), p99 1.30 ms (old 1.20 ms)'
    assert_line --regexp '^error rate +0\.00% +5\.00%$'
    assert_line --regexp '^requests +1,234 +400$'
    assert_line --partial 'deployment 7: rolled back: 5.00% of its requests failed'
    refute_output --partial $'\e'
    refute_output --partial $'\r'
}

@test "on a terminal the canary's line is written over, and ended before the next" {
    need script
    local step='{"step":"canary","seconds_left":27,"new":{"requests":400}}'
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,$step,$step,{\"step\":\"promote\"},$LIVE]}]}"
    TERM=xterm run -0 script -qec "stty cols 60; '$REEVECTL' -s '$CONTROL' reload hello --canary 1" /dev/null
    assert_equal "$(grep -o $'\r  canary' <<<"$output" | wc -l)" 2
    assert_output --partial $'\e[K\r\n'
    assert_output --partial promote
    # No line is wider than the terminal: it would wrap, and could not be written over.
    assert_equal "$(grep -o 'canary[^'$'\e'']*' <<<"$output" | awk 'length > 57' | wc -l)" 0
}

@test "what the old code is held by is told by kind and site" {
    local held='"held":[{"app":"hello","generation":1,"worker":0,"count":4,"by":[
        {"kind":"request","waits_in":"reeve_write","site":"numbered.c:44 answer_forever","count":3},{"kind":"timer","site":"numbered.so+0x12","count":1}]},
        {"app":"hello","generation":1,"worker":1,"count":2,"by":[],"reason":"does not answer"}]'
    fake <<EOF
{"GET /v1/apps":[{"json":{"applications":{"hello":{"mount":"/","generation":3,"generations":[
  {"generation":3,"held":9,"by":[{"kind":"request","site":"not.c:1 told","count":9}]},
  {"generation":1,"held":4,"by":[{"kind":"request","waits_in":"reeve_sleep","site":"numbered.c:44 answer_forever","count":3}]}]},
  "other":{"generation":3,"generations":[{"generation":2,"held":5}]},"free":{"generation":2,"generations":[{"generation":1,"held":0}]}}}}],
 "*":[{"lines":[$BEGIN,{"verdict":"live","deploy":7,"receipt":{"kind":"reload","outcome":"live",$held}}]}]}
EOF
    run -0 ctl reload hello
    assert_line --regexp '^hello +1 +0 +3 +request +reeve_write +numbered.c:44 answer_forever$'
    assert_line --regexp '^hello +1 +1 +2 +does not answer +- +-$'
    assert_line --regexp '^hello +1 +0 +1 +timer +- +numbered.so\+0x12$'
    run -0 ctl apps
    assert_line --regexp '^hello +1 +3 +request +reeve_sleep +numbered.c:44 answer_forever$'
    assert_line --regexp '^other +2 +5 +- +- +-$'
    refute_output --partial 'not.c'
    refute_line --regexp '^free +1 '
}

RECEIPT='{"deploy":7,"kind":"reload","action":"a reload of hello","asked_by":{"uid":0,"pid":4711},"began_at":1732200000.1,
    "outcome":"rolled back","reason":"it was slow","apps":[{"app":"hello","generation":2,"from":1,"rollback_to":1,"version":"1.0.1",
    "build_id":"abc123","sha256":"5e884898da28047151d0e56f8dc62927","size":123456,"module":"/srv/hello.so","outcome":"rolled back",
    "handover":{"done":2,"refused":1,"reason":"too old"},"warnings":["cJSON_Parse clashes"],"stderr":"a word\n"}],
    "workers":[{"id":0,"incarnation":3,"ok":true,"seconds":0.002,"committed":true,"unloaded":false},
    {"id":1,"incarnation":1,"ok":false,"seconds":0.002,"reason":"not in a worker"}],'"$CANARY"',
    "held":[{"app":"hello","generation":1,"worker":0,"count":3,"by":[{"kind":"request","site":"a.c:4 f","count":3}]}],
    "seconds":{"preflight":0.1,"prepare":0.01,"total":30.1}}'

@test "show N is the receipt in full, show NAME an application" {
    fake <<EOF
{"GET /v1/deploys/7":[{"json":$RECEIPT}],"GET /v1/deploys/8":[{"status":404,"json":{"error":"not found","detail":"no deployment 8 is kept"}}],
 "GET /v1/apps/hello":[{"json":{"name":"hello","mount":"/","generation":2}}]}
EOF
    run -0 ctl show 7
    local want
    for want in 'deployment 7: a reload of hello: rolled back' 'root (pid 4711), Nov 21' '30.1 s: preflight 100 ms' 'it was slow' \
        'hello generation 2 (1.0.1): rolled back' 'before    generation 1' 'module of generation 1' /srv/hello.so '121 KiB' abc123 \
        5e884898da28047151d0e56f8dc62927 'went over in 2 workers, in 1 not: too old' 'cJSON_Parse clashes' 'a word' \
        'not in a worker' 'canary on worker 0 for 30 s: taken back' 'a.c:4 f'; do
        assert_output --partial "$want"
    done
    assert_line --regexp '^ +0\.3 +yes +2\.00 ms +yes +no'
    assert_line --regexp '^requests +1,234 +400$'
    assert_equal "$(awk 'length > 80' <<<"$output")" ''
    assert_equal "$(ctl -j show 7 | jq -c .)" "$(jq -c . <<<"$RECEIPT")"
    run -1 ctl show 8
    assert_output --partial 'no deployment 8 is kept'
    run -0 ctl show hello
    assert_output --partial 'hello at /, generation 2'
}

@test "history lists the deployments, of one application if so asked, the latest N if so asked" {
    fake <<EOF
{"GET /v1/deploys":[{"json":{"deploys":[
  {"deploy":1,"kind":"start","outcome":"live","apps":[{"app":"hello","generation":1,"version":"1.0.0"},{"app":"echo","generation":1}],"seconds":{"total":0.2}},
  $RECEIPT,
  {"deploy":8,"kind":"restart","outcome":"running","asked_by":{"signal":"SIGHUP"}},
  {"deploy":9,"kind":"reload","outcome":"rejected","apps":[{"app":"echo","from":1,"generation":2}],"asked_by":{"uid":4294967294}}]}}]}
EOF
    run -0 ctl history
    assert_line --index 0 --regexp '^DEPLOY +WHEN +KIND +APPLICATION +OUTCOME +BY +TOOK$'
    assert_line --regexp '^ +1 +- +start +hello 1 1.0.0 +live +- +200 ms$'
    assert_line --regexp '^ +echo 1 *$'
    assert_line --regexp '^ +7 .*reload +hello 1->2 1.0.1 +rolled back +root +30.1 s$'
    assert_line --regexp '^ +8 +- +restart +- +running +SIGHUP +-$'
    assert_equal "$(awk 'length > 80' <<<"$output")" ''
    run -0 ctl history hello
    assert_equal "${#lines[@]}" 4
    assert_equal "$(ctl -j history echo | jq -c '.deploys | map(.deploy)')" '[1,9]'
    assert_equal "$(ctl -j history --limit 2 | jq -c '.deploys | map(.deploy)')" '[8,9]'
    assert_equal "$(ctl -j history echo --limit=1 | jq -c '.deploys | map(.deploy)')" '[9]'
    run -0 ctl history nothing
    assert_output --partial 'no deployment'
}

@test "busy is exit status 1 with the number of the deployment that runs; so is nothing to cancel" {
    fake <<'EOF'
{"POST /v1/deploys/cancel":[{"json":{"cancelled":7}},{"status":409,"json":{"error":"nothing to cancel","detail":"no deployment is running"}}],
 "*":[{"status":409,"json":{"error":"busy","detail":"deployment 7 (a reload of hello) is running; it can be given up"}}]}
EOF
    local verb
    for verb in 'reload hello' 'reload a b' 'reload --config' 'rollback hello' restart upgrade 'reload --no-wait'; do
        # shellcheck disable=SC2086
        run -1 ctl $verb
        assert_output --partial 'deployment 7 (a reload of hello) is running'
    done
    run -0 ctl cancel
    assert_output "deployment 7 is given up; \`reevectl show 7\` tells how it ends"
    assert_equal "$(asked)" 'POST /v1/deploys/cancel '
    run -1 ctl cancel
    assert_output --partial 'no deployment is running'
}

@test "--no-wait returns with the number as soon as it has begun, but tells a verdict that was there at once" {
    fake <<<"{\"POST /v1/apps/a/reload\":[{\"lines\":[{\"verdict\":\"failed\",\"reason\":\"no memory\"}]}],
        \"*\":[{\"lines\":[$BEGIN,{\"_until\":\"$DIR/never\"}]}]}"
    run -0 ctl reload --no-wait hello
    assert_output "deployment 7 (a reload of hello) has begun; \`reevectl show 7\` tells how it ends"
    assert_equal "$(ctl -j reload --no-wait | jq -c .)" '{"begun":true,"deploy":7}'
    run -1 ctl reload --no-wait a
    assert_output --partial 'no memory'
}

# ---- Ctrl-C -----------------------------------------------------------------------------------------------------------

@test "Ctrl-C in a deployment: 130, and which state it is left in; cancel is named where it helps" {
    fake <<EOF
{"POST /v1/workers/restart":[{"lines":[{"step":"begin","deploy":8,"action":"a restart"},{"_until":"$DIR/never"}]}],
 "*":[{"lines":[$BEGIN,{"step":"preflight","app":"hello","generation":2},{"_until":"$DIR/never"}]}]}
EOF
    background reload hello
    wait_until grep -q preflight "$DIR/out"
    kill -TERM "$CTL" # a shell's background job ignores INT; both are heeded alike
    end_of "$CTL"
    assert_equal "$STATUS" 130
    run -0 tail -n 1 "$DIR/out"
    assert_output "reevectl: interrupted; deployment 7 (a reload of hello) goes on in the server; \`reevectl show 7\` tells how it ended, \`reevectl cancel\` gives it up"
    background restart
    wait_until grep -q 'a restart' "$DIR/out"
    kill -TERM "$CTL"
    end_of "$CTL"
    assert_equal "$STATUS" 130
    run -0 tail -n 1 "$DIR/out"
    assert_output "reevectl: interrupted; deployment 8 (a restart) goes on in the server; \`reevectl show 8\` tells how it ended"
}

@test "Ctrl-C before the server has said that it began: not known; before it could be asked: nothing was begun" {
    fake <<<"{\"*\":[{\"lines\":[{\"_made\":\"$DIR/asked\"},{\"_until\":\"$DIR/never\"}]}]}"
    background reload hello
    wait_until test -e "$DIR/asked"
    kill -TERM "$CTL"
    end_of "$CTL"
    assert_equal "$STATUS" 130
    run -0 cat "$DIR/out"
    assert_output --partial 'not known whether it was begun'
    # A socket whose queue is full: nobody accepts.
    python3 - "$DIR/full.sock" "$DIR/full" <<'EOF' 3>&- &
import signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(0)
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
open(sys.argv[2], "w").close()
signal.pause()
EOF
    started+=("$!")
    wait_until test -e "$DIR/full"
    # shellcheck disable=SC2030
    CONTROL=$DIR/full.sock
    background reload hello
    wait_until grep -qE '^SigCgt:.*4[0-9a-f]{2}2$' "/proc/$CTL/status" # it is set up to be interrupted
    kill -TERM "$CTL"
    end_of "$CTL"
    assert_equal "$STATUS" 130
    run -0 cat "$DIR/out"
    assert_output 'reevectl: interrupted; nothing was begun'
    run -6 ctl -t 100ms reload hello
    assert_output 'reevectl: no verdict within 0.1 seconds; nothing was begun'
}

@test "-t ends the waiting with 6, and says what goes on" {
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,{\"_until\":\"$DIR/never\"}]}]}"
    run -6 ctl -t 200ms reload hello
    assert_output --partial 'no verdict within 0.2 seconds; deployment 7 (a reload of hello) goes on in the server'
}

# ---- a connection that breaks -----------------------------------------------------------------------------------------

@test "the connection breaks in the midst: the receipt is asked for until it tells the outcome" {
    fake <<EOF
{"GET /v1/deploys/7":[{"json":{"deploy":7,"outcome":"running"}},{"status":503,"json":{}},{"raw":""},{"raw":"nonsense"},
   {"json":{"deploy":7,"outcome":"running"}},{"json":$RECEIPT}],
 "*":[{"lines":[$BEGIN,{"step":"preflight","app":"hello","generation":2},{"_close":true}]}]}
EOF
    run -5 ctl reload hello
    assert_line --partial 'the connection broke'
    assert_line --partial 'deployment 7: rolled back'
    assert_equal "$(grep -c 'GET /v1/deploys/7' "$CONTROL.asked")" 6
    run -5 ctl -j reload hello
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '"\(.verdict) \(.deploy) \(.receipt.reason)"')" 'rolled back 7 it was slow'
}

@test "a stream that ends without a verdict is the same" {
    fake <<<"{\"GET /v1/deploys/7\":[{\"json\":{\"deploy\":7,\"outcome\":\"live\"}}],\"*\":[{\"lines\":[$BEGIN]}]}"
    run -0 ctl reload hello
    assert_output --partial 'deployment 7: live'
}

@test "who answers afterwards knows nothing of it: exit status 6 says so" {
    fake <<<"{\"GET /v1/deploys/7\":[{\"status\":404,\"json\":{}}],\"*\":[{\"lines\":[$BEGIN,{\"_close\":true}]}]}"
    run -6 ctl reload hello
    assert_output --partial 'knows nothing of deployment 7 (a reload of hello)'
}

@test "the server dies in the midst: exit status 6, and how to learn more" {
    fake <<<"{\"*\":[{\"lines\":[$BEGIN,{\"_exit\":true}]}]}"
    run -6 ctl reload hello
    assert_output --partial 'reeve has gone in the midst of deployment 7 (a reload of hello) (nobody listens'
    assert_output --partial 'reevectl show 7'
}

@test "hung up on before anything was told: 6 while the server runs, 3 when it has gone; never that nothing changed" {
    fake <<<'{"*":[{"lines":[{"_close":true}]}],"GET /v1/status":[{"json":{}}]}'
    run -6 ctl reload hello
    assert_output --partial 'not known whether it was begun'
    fake <<<'{"*":[{"lines":[{"_exit":true}]}]}'
    run -3 ctl reload hello
    assert_output --partial 'not running any more'
}

@test "Ctrl-C while the receipt is asked for says the same as before" {
    fake <<EOF
{"GET /v1/deploys/7":[{"json":{"deploy":7,"outcome":"running"}}],"*":[{"lines":[$BEGIN,{"_close":true}]}]}
EOF
    background reload hello
    wait_until grep -q 'the connection broke' "$DIR/out"
    kill -TERM "$CTL"
    end_of "$CTL"
    assert_equal "$STATUS" 130
    run -0 tail -n 1 "$DIR/out"
    assert_output --partial 'deployment 7 (a reload of hello) goes on in the server'
}

# ---- upgrade ----------------------------------------------------------------------------------------------------------

@test "upgrade follows the server through its exec, while its socket answers nobody, to the outcome" {
    fake <<EOF
{"POST /v1/upgrade":[{"lines":[{"step":"begin","deploy":9,"action":"an upgrade"},{"step":"check","binary":"/srv/reeve"},
   {"step":"exec"},{"_away":"$DIR/back"}]}],
 "GET /v1/deploys/9":[{"json":{"deploy":9,"kind":"upgrade","outcome":"running","workers":[]}},
   {"json":{"deploy":9,"kind":"upgrade","outcome":"running","workers":[{"id":2,"incarnation":1}]}},
   {"json":{"deploy":9,"kind":"upgrade","outcome":"done","workers":[{"id":2,"incarnation":1},{"id":3,"incarnation":1}],"seconds":{"total":1.2}}}]}
EOF
    background upgrade
    wait_until grep -q reconnect "$DIR/out"
    touch "$DIR/back"
    end_of "$CTL"
    assert_equal "$STATUS" 0
    assert_equal "$(cat "$DIR/out")" "deployment 9: an upgrade
  check      /srv/reeve
  exec
  reconnect
  ready      worker 2.1
  ready      worker 3.1
deployment 9: the new binary runs after 1.20 s"
}

@test "an upgrade that the server refuses, or that fails before its exec, changes nothing" {
    fake <<EOF
{"*":[{"lines":[{"step":"begin","deploy":9,"action":"an upgrade"},{"verdict":"rejected","deploy":9,"reason":"/srv/reeve is no reeve"}]},
      {"lines":[{"step":"begin","deploy":9,"action":"an upgrade"},{"step":"exec"},{"verdict":"failed","deploy":9,"reason":"exec: no memory"}]}]}
EOF
    run -4 ctl upgrade
    assert_output --partial '/srv/reeve is no reeve'
    run -1 ctl upgrade
    assert_output --partial 'exec: no memory'
}

# ---- JSON of another age ----------------------------------------------------------------------------------------------

@test "odd JSON never crashes it: members missing, of other types, too many, too large" {
    RECEIPT=$RECEIPT run -0 python3 "$BATS_TEST_DIRNAME/odd-json.py" "$REEVECTL" "$DIR"
}

@test "a stream that dribbles byte by byte is read as one that comes at once" {
    fake <<<"{\"*\":[{\"lines\":[{\"_dribble\":true},$BEGIN,{\"step\":\"preflight\",\"app\":\"hello\",\"generation\":2},$LIVE]}]}"
    run -0 ctl reload hello
    assert_line '  preflight  hello generation 2'
    assert_line --partial 'live in 2 workers'
}

@test "what answers is no reeve: said, without a crash" {
    fake <<'EOF'
{"*":[{"raw":"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},{"raw":"SSH-2.0\r\n"},{"raw":"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"},
      {"raw":"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"},{"json":{"verdict":"live"}}]}
EOF
    local _
    for _ in 1 2 3 4 5; do run -1 ctl reload hello; done
    assert_output --partial 'what answers there is not reeve'
}

# ---- help and completion ----------------------------------------------------------------------------------------------

@test "help names every option of a verb; no line of it is wider than 80 columns" {
    local option verb
    run -0 "$REEVECTL" help reload
    for option in all config canary for max-errors max-latency min-requests no-wait; do
        assert_line --regexp "^      --$option( |\$)"
    done
    run -0 "$REEVECTL" help restart
    assert_output --partial '--max-unavailable N'
    refute_output --partial --canary
    for verb in $("$REEVECTL" help | sed -n '/^Verbs/,/^$/s/^  \([a-z]*\).*/\1/p') ''; do
        [ "$verb" = stats ] && continue
        # shellcheck disable=SC2086
        run -0 "$REEVECTL" help $verb
        assert_equal "$(awk 'length > 80' <<<"$output")" ''
    done
}

# completed WORD...: what bash offers for the last of them
completed() {
    # shellcheck disable=SC2016
    bash -c 'PATH=$(dirname "$0"):$PATH
        eval "$("$0" completion bash)"
        COMP_WORDS=(reevectl "$@") COMP_CWORD=$#
        compopt() { COMPREPLY=(FILES); }
        _reevectl
        echo "${COMPREPLY[@]}"' "$REEVECTL" "$@"
}

@test "completion knows verbs, their options, which of those have a value, and applications" {
    fake <<<'{"*":[{"json":{"applications":{"hello":{},"help":{},"echo":{}}}}]}'
    assert_equal "$(completed re)" 'reload restart resume reopen'
    assert_equal "$(completed ro)" rollback
    assert_equal "$(completed reload --c)" '--config --canary'
    assert_equal "$(completed reload --m)" '--max-errors --max-latency --min-requests'
    assert_equal "$(completed restart --m)" --max-unavailable
    assert_equal "$(completed status --m)" ''
    assert_equal "$(completed -s "$CONTROL" reload he)" 'hello help'
    assert_equal "$(completed -s "$CONTROL" reload --canary 1 --for = 30s e)" echo
    assert_equal "$(completed reload --canary '')" ''
    assert_equal "$(completed upgrade --binary '')" FILES
    assert_equal "$(completed -s "$CONTROL" rollback hel)" 'hello help'
    assert_equal "$(completed -s "$CONTROL" history ec)" echo
}
