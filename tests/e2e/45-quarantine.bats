#!/usr/bin/env bats
# The quarantine: a route that killed workers again and again is answered 503 by all of them, until its time is over,
# another build is live, or an operator lifts it; everything else is served all the while.
load helpers

setup_file() {
    trouble "$BATS_FILE_TMPDIR/trouble.so"
    trouble "$BATS_FILE_TMPDIR/other.so" -DSTACK=131072
}

# trouble FILE [CC OPTION...]: a build of it
trouble() {
    cc -O1 -g -w -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" "${@:2}" -o "$1" \
        "$TOP/tests/e2e/trouble.c"
}

# begin [LINES]: a server of two workers, which are not to leave core files
begin() {
    cp "$BATS_FILE_TMPDIR/trouble.so" "$DIR/trouble.so"
    ulimit -c 0
    start_reeve <<CONF
${1:-}
app "trouble" { module = "$DIR/trouble.so" }
app "hello" { module = "$APPS/hello.so" mount = "/hello" }
CONF
}

# serving N: exactly N workers serve
serving() { is_equal "$1" eval 'worker_pids | wc -l'; }

# deaths: how many workers have died so far
deaths() { figure .processes.respawns; }

# strike PATH [N]: asks for it N (3) times; each time a worker dies of it
strike() {
    local before i
    for i in $(seq "${2:-3}"); do
        before=$(deaths)
        run ! get "$1" -f
        wait_until is_equal "$((before + 1))" deaths
    done
    wait_until serving 2
}

# is_quarantined PATH: it is answered 503 by either worker, and none dies
is_quarantined() {
    local before i
    before=$(deaths)
    for i in 1 2 3 4 5 6; do assert_equal "$(status_of "$1" -H 'Connection: close')" 503; done
    assert_equal "$(deaths)" "$before"
}

listed() { api /v1/quarantine | jq -c '[.quarantine[] | "\(.app) \(.generation) \(.path)\(if .is_prefix then "*" else "" end)"]'; }

@test "the third worker that a route kills is the last: from then on it is answered 503" {
    begin
    strike /null 2
    assert_equal "$(listed)" '[]'
    strike /null 1
    is_quarantined /null
    run -0 has_logged 'trouble 1: /null is answered 503 for 60 s: it has killed 3 workers within [0-9.]+ s; `reevectl lift trouble /null` lifts it'
    assert_equal "$(grep -c 'is answered 503' "$LOG")" 1
    # The same route in other words; and nothing else.
    is_quarantined '/null?n=1'
    is_quarantined /n%75ll
    assert_equal "$(status_of /null -X POST -d body)" 503
    assert_equal "$(status_of /ok)" 200
    assert_equal "$(status_of /nul)" 404
    assert_equal "$(status_of /null/)" 404
    assert_equal "$(get /hello)" 'Hello, World!'
    stop_reeve
}

@test "the answer says when to come again, and the connection goes on" {
    begin
    strike /null
    run -0 head_of /null
    assert_line 'HTTP/1.1 503 Service Unavailable'
    assert_line --regexp '^Retry-After: (60|[45][0-9])$'
    refute_line 'Connection: close'
    run -0 get /null
    assert_line --index 0 '503 Service Unavailable'
    assert_line --regexp '^request id [0-9a-f]{16}$'
    # A body is read past, and what follows it is served.
    python3 - "$PORT" <<PY
import sys; sys.path.insert(0, "$(dirname "$RAW")")
from raw import Client
client = Client(sys.argv[1])
answer = client.ask("/null", method="POST", body=b"x" * 5000)
assert answer.status == 503, answer.status
assert client.ask("/ok").status == 200
PY
    # Other errors of the server's own do not say it.
    run -0 head_of /ok -H 'Expect: the worst'
    refute_line --partial 'Retry-After'
}

@test "refused requests are counted as such, and nowhere as the application's" {
    begin
    strike /null
    local before
    before=$(figure '"\(.requests.refused) \(.applications.trouble.requests)"')
    is_quarantined /null
    assert_equal "$(figure '"\(.requests.refused - 6) \(.applications.trouble.requests)"')" "$before"
    assert_equal "$(figure .requests.quarantined)" 6
    assert_equal "$(api /v1/quarantine | jq '.quarantine[0].refused')" 6
    run -0 api /metrics
    assert_line 'reeve_quarantined 1'
    assert_line 'reeve_requests_quarantined_total 6'
    ctl lift --all
    run -0 api /metrics
    assert_line 'reeve_quarantined 0'
    assert_line 'reeve_requests_quarantined_total 6'
}

@test "status tells of it, in JSON and in words" {
    begin
    run -0 ctl status
    refute_output --partial 'killed workers'
    assert_equal "$(ctl -j status | jq -c .quarantine)" '[]'
    strike /null
    run -0 ctl -j status
    jq -e '.quarantined == 1 and (.quarantine | length) == 1' <<<"$output"
    jq -e '.quarantine[0] | .app == "trouble" and .generation == 1 and .path == "/null" and .kills == 3
        and .remaining > 20 and .remaining <= 60 and .refused == 0 and (has("is_prefix") | not)
        and (now - .since | . >= 0 and . < 40)' <<<"$output"
    run -0 ctl status
    assert_line --partial 'answered 503, since they killed workers (`reevectl lift APP PATH`)'
    assert_line --regexp '^trouble +1 +/null +3 +0 '
}

@test "what is lifted is served again, and has as many kills before it as at the beginning" {
    begin
    strike /null
    strike /fpe
    run -0 ctl lift trouble /null
    assert_output 'trouble 1: /null is served again'
    run -0 has_logged 'trouble 1: /null is served again: the quarantine was lifted'
    strike /null 2
    is_quarantined /fpe
    strike /null 1
    is_quarantined /null
    # As it may be written in a request.
    run -0 ctl lift trouble /n%75ll
    run -0 ctl lift trouble
    assert_output 'trouble 1: /fpe is served again'
    assert_equal "$(listed)" '[]'
}

@test "lift: all at once, and what there is nothing to lift of" {
    begin
    run -1 ctl lift --all
    assert_output --partial 'nothing of that is quarantined'
    strike /null
    strike /fpe
    run -2 ctl lift
    assert_output --partial '--all'
    run -2 ctl lift --all trouble
    run -2 ctl lift trouble null
    assert_output --partial '"path" has to be a path as in a request'
    run -2 ctl lift trouble /null /fpe
    run -1 ctl lift nobody
    assert_output --partial 'there is no application "nobody"'
    run -1 ctl lift hello
    run -1 ctl lift trouble /other
    assert_equal "$(api /v1/quarantine/lift -d '{"app":7}' -o /dev/null -w '%{http_code}')" 400
    assert_equal "$(api /v1/quarantine/lift -d '{"route":"/null"}' -o /dev/null -w '%{http_code}')" 400
    assert_equal "$(api /v1/quarantine/lift -d '{"app":"hello"}' -o /dev/null -w '%{http_code}')" 404
    assert_equal "$(listed)" '["trouble 1 /null","trouble 1 /fpe"]'
    run -0 ctl -j lift --all
    assert_equal "$(jq -c '[.lifted[].path]' <<<"$output")" '["/null","/fpe"]'
}

@test "when its time is over it is served again" {
    begin 'quarantine_time = 4s
quarantine_after = 1'
    strike /null 1
    assert_equal "$(status_of /null)" 503
    wait_until has_logged 'trouble 1: /null is served again$'
    assert_equal "$(listed)" '[]'
    strike /null 1
    assert_equal "$(status_of /null)" 503
}

@test "kills that are too far apart are no reason" {
    begin 'quarantine_time = 1s
quarantine_after = 2'
    local i
    for i in 1 2 3; do
        strike /null 1
        sleep 1.1 # the time itself is what this is about
    done
    run ! has_logged 'is answered 503'
}

@test "a new build is asked again, and one that did not go live changes nothing" {
    begin
    strike /null
    echo 'no module' >"$DIR/trouble.so.new" && mv "$DIR/trouble.so.new" "$DIR/trouble.so"
    run -4 ctl reload trouble
    is_quarantined /null
    cp "$BATS_FILE_TMPDIR/other.so" "$DIR/trouble.so.new" && mv "$DIR/trouble.so.new" "$DIR/trouble.so"
    run -0 ctl reload trouble
    assert_equal "$(listed)" '[]'
    wait_until has_logged 'trouble 1: /null was quarantined, and another build is asked now'
    strike /null
    is_quarantined /null
    run -0 has_logged 'trouble 3: /null is answered 503'
}

@test "workers that come later obey, too: a restart, one that is killed, one more" {
    begin
    strike /null
    run -0 ctl restart
    is_quarantined /null
    kill -KILL "$(figure '.workers[0].pid')"
    wait_until serving 2
    is_quarantined /null
    ctl scale +1
    wait_until serving 3
    is_quarantined /null
    run -0 ctl reload --config
    is_quarantined /null
}

@test "an upgrade takes it over: it is obeyed, told, lifted, and ends in its time" {
    begin 'quarantine_time = 12s'
    strike /null
    run -0 ctl upgrade
    is_quarantined /null
    assert_equal "$(listed)" '["trouble 1 /null"]'
    run -0 ctl lift trouble /null
    strike /null
    is_quarantined /null
    run -0 ctl upgrade
    wait_until -t 60 has_logged 'trouble 1: /null is served again$'
}

@test "workers that are killed from outside say nothing about what they do" {
    begin
    echo 'wrk.path = "/block?n=5"' >"$DIR/block.lua" # so that there is nearly always one that runs
    start_wrk -c 8 -s "$DIR/block.lua"
    local pids signal
    for signal in KILL SEGV KILL ABRT KILL; do
        pids=$(worker_pids)
        # shellcheck disable=SC2086
        kill -"$signal" $pids
        # shellcheck disable=SC2086
        wait_until are_dead $pids
        wait_until serving 2
    done
    stop_wrk || true
    [ "$(deaths)" -ge 10 ]
    run ! has_logged 'is answered 503'
    assert_equal "$(listed)" '[]'
    assert_equal "$(status_of /ok)" 200
}

@test "quarantine_after = 0: never; and when it becomes 0, what is quarantined is served" {
    begin 'quarantine_after = 0'
    strike /null 5
    assert_equal "$(listed)" '[]'
    sed -i 's/quarantine_after = 0/quarantine_after = 1/' "$CONFIG"
    run -0 ctl reload --config
    strike /null 1
    is_quarantined /null
    sed -i 's/quarantine_after = 1/quarantine_after = 0/' "$CONFIG"
    run -0 ctl reload --config
    wait_until has_logged 'trouble 1: /null is served again, since quarantine_after is 0 now'
    strike /null 1
}

@test "many routes of a folder that kill are taken together, and what lies beside it is served" {
    cat >"$DIR/users.c" <<'C'
#include <reeve/app.h>
#include <stdlib.h>
#include <string.h>
static int users(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ);
    if (strncmp(path, "/users/", 7) == 0 && strcmp(path, "/users/good") != 0)
        abort();
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "ok\n", 3);
}
REEVE_APP(.name = "users", .version = "1.0.0", .application = users);
C
    cc -O1 -w -shared -fPIC -fvisibility=hidden -I"$TOP/include" -o "$DIR/users.so" "$DIR/users.c"
    ulimit -c 0
    start_reeve <<<"quarantine_after = 2
app \"users\" { module = \"$DIR/users.so\" }"
    local i
    for i in 1 2 3; do strike "/users/$i" 1; done
    assert_equal "$(status_of /users/good)" 200
    strike /users/4 1
    is_quarantined /users/5
    assert_equal "$(status_of /users/good)" 503
    assert_equal "$(status_of /users)" 200
    assert_equal "$(status_of /)" 200
    run -0 has_logged 'users 1: /users/\* is answered 503 for 60 s: 4 routes in it have killed 4 workers within [0-9.]+ s; `reevectl lift users /users/` lifts it'
    run -0 ctl status
    assert_line --regexp '^users +1 +/users/\* +4 +'
    run -0 ctl lift users /users/5
    assert_output 'users 1: /users/* is served again'
    assert_equal "$(status_of /users/good)" 200
}

@test "a route that exits, overflows or loops counts as one that crashes" {
    begin 'quarantine_after = 2
hang_timeout = 1s'
    local path
    for path in /exit /recurse /loop; do
        strike "$path" 2
        is_quarantined "$path"
    done
    assert_equal "$(listed)" '["trouble 1 /exit","trouble 1 /recurse","trouble 1 /loop"]'
    assert_equal "$(status_of /ok)" 200
}
