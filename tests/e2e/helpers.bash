# helpers.bash: how every end-to-end test starts a server, waits, asks, and cleans up.
#
# A test file begins with
#     load helpers
# and either starts a server for each test (start_reeve in the test) or one for all of them (start_reeve in setup_file).
# Everything lives in bats' own temporary folders, ports are chosen by the kernel, and teardown ends what was started,
# by its process id: so tests run side by side and leave nothing behind. Nothing sleeps to let something happen: see
# wait_until.

load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load
bats_require_minimum_version 1.5.0

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILD=$TOP/${REEVE_BUILD:-build}
REEVE=$BUILD/bin/reeve
REEVECTL=$BUILD/bin/reevectl
APPS=$BUILD/apps
TEST_APPS=$BUILD/tests/apps
RAW=$BATS_TEST_DIRNAME/raw.py
export TOP BUILD REEVE REEVECTL APPS TEST_APPS RAW

export PYTHONDONTWRITEBYTECODE=1 # nothing is left in the source tree

# Whoever runs the tests may be a service with folders of its own.
unset RUNTIME_DIRECTORY STATE_DIRECTORY XDG_RUNTIME_DIR XDG_STATE_HOME

# This test's own folder; in setup_file that of the file, where a server for all of its tests lives.
DIR=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}

orphans=() # workers whose master the test kills: theirs is no parent any more that teardown could ask
folders=() # outside of bats' own, to be removed at the end
started=() # process ids of what this process started and has to end

# ---- waiting ----------------------------------------------------------------------------------------------------------

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# wait_until [-t SECONDS] COMMAND...: until it succeeds; fails, and says so, when it does not within 20 seconds
wait_until() {
    local limit=20 deadline tries=0
    if [ "$1" = -t ]; then
        limit=$2
        shift 2
    fi
    deadline=$(($(now_us) + limit * 1000000))
    until "$@" >"$DIR/wait_until" 2>&1; do
        if [ "$(now_us)" -gt "$deadline" ]; then
            echo "not within $limit seconds: $*"
            cat "$DIR/wait_until"
            return 1
        fi
        # Whoever asks all the time keeps the processor from what it waits for.
        if [ $((tries++)) -lt 10 ]; then sleep 0.02; else sleep 0.1; fi
    done
}

is_alive() { [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
is_dead() { ! is_alive "$1"; }
are_dead() {
    local pid
    for pid in "$@"; do is_dead "$pid" || return 1; done
}

# is_equal WANT COMMAND...: its output is WANT (for wait_until)
is_equal() {
    local want=$1 got
    shift
    got=$("$@") || return 1
    [ "$got" = "$want" ] || { echo "$got" && return 1; }
}

# ---- the server -------------------------------------------------------------------------------------------------------

# write_config <<EOF: a configuration from what is given and, where that says nothing, from what tests need
write_config() {
    local given
    given=$(cat)
    CONFIG=$DIR/reeve.conf
    CONTROL=$DIR/control.sock
    LOG=$DIR/log
    export CONFIG CONTROL LOG
    {
        grep -q '^workers' <<<"$given" || echo 'workers = 2'
        grep -q '^control' <<<"$given" || echo "control = \"$CONTROL\""
        grep -q '^state_dir' <<<"$given" || echo "state_dir = \"$DIR/state\""
        grep -q '^listen' <<<"$given" || echo 'listen "127.0.0.1:0" { }'
        grep -q '^app' <<<"$given" || echo "app \"hello\" { module = \"$APPS/hello.so\" }"
        echo "$given"
    } >"$CONFIG"
}

# launch COMMAND...: in the background, its output to $LOG, to be ended by teardown; sets REEVE_PID
launch() {
    "$@" >>"$LOG" 2>&1 3>&- 4>&- </dev/null &
    REEVE_PID=$!
    started+=("$REEVE_PID")
    export REEVE_PID
}

has_logged() { grep -qE -- "$1" "$LOG"; }

# is_ready: the log says so; fails for good when the process has ended
is_ready() {
    has_logged 'ready: .* listening on' || is_dead "$REEVE_PID"
}

# Sets PORT, of the first listener that has one, and URL.
find_port() {
    PORT=$(grep -o 'listening on .*' "$LOG" | tail -n 1 | grep -oE ':[0-9]+(,|$)' | head -n 1 | tr -d ':,')
    URL=http://127.0.0.1:$PORT
    export PORT URL
}

# start_reeve [WRAPPER...] <<EOF: writes the configuration, starts reeve and waits until it is ready
start_reeve() {
    write_config
    start_again "$@"
}

# start_again [WRAPPER...]: as start_reeve, with the configuration that is there
start_again() {
    : >"$LOG"
    launch "$@" "$REEVE" -c "$CONFIG"
    wait_until -t 60 is_ready
    if is_dead "$REEVE_PID"; then
        echo "reeve did not start:"
        cat "$LOG"
        return 1
    fi
    find_port
}

# end_of PID: waits for a child that was started here, sets STATUS to its exit status
end_of() {
    wait_until -t 40 is_dead "$1"
    STATUS=0
    wait "$1" || STATUS=$?
    local pid rest=()
    for pid in "${started[@]}"; do [ "$pid" = "$1" ] || rest+=("$pid"); done
    started=("${rest[@]}")
}

# stop_reeve [SIGNAL]: TERM, waits, and asserts a clean end: exit status 0, no process left
stop_reeve() {
    local children
    children=$(pgrep -P "$REEVE_PID" || true)
    kill -"${1:-TERM}" "$REEVE_PID"
    end_of "$REEVE_PID"
    [ "$STATUS" -eq 0 ] || fail "reeve ended with status $STATUS"
    # shellcheck disable=SC2086
    wait_until are_dead $children
}

# Ends what this process started: reeve at once, whatever it has to do, then its workers, should it have left some. A
# child that was not waited for keeps its id, so no other process can be hit.
end_started() {
    local pid workers
    workers="${orphans[*]} $(for pid in "${started[@]}"; do pgrep -P "$pid" || true; done)"
    for pid in "${started[@]}"; do
        [ "$pid" != "${REEVE_PID:-}" ] || kill -QUIT "$pid" 2>/dev/null || true
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${started[@]}"; do
        wait_until -t 5 is_dead "$pid" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for pid in $workers; do
        [[ $(readlink "/proc/$pid/exe") == */reeve ]] || continue
        wait_until -t 5 is_dead "$pid" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    started=()
    [ "${#folders[@]}" -eq 0 ] || rm -rf "${folders[@]}"
}

show_log() {
    [ -n "${LOG:-}" ] && [ -s "$LOG" ] || return 0
    echo "---- the end of $LOG"
    tail -n 40 "$LOG"
}

teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || show_log
    end_started
}

teardown_file() {
    end_started
}

# ---- asking -----------------------------------------------------------------------------------------------------------

# get PATH [CURL OPTION...]: the answer's body
get() { curl -sS --max-time 30 "${@:2}" "$URL$1"; }
# status_of PATH [CURL OPTION...]: the answer's status
status_of() { curl -sS --max-time 30 -o /dev/null -w '%{http_code}' "${@:2}" "$URL$1"; }
# head_of PATH [CURL OPTION...]: the answer's head, without CR
head_of() { curl -sS --max-time 30 -D - -o /dev/null "${@:2}" "$URL$1" | tr -d '\r'; }
# header_of NAME PATH [CURL OPTION...]: the value of one of its headers
header_of() { head_of "${@:2}" | sed -nE "s/^$1: //Ip"; }

# api PATH [CURL OPTION...]: the control API
api() { curl -sS --max-time 60 --unix-socket "$CONTROL" "${@:2}" "http://reeve$1"; }
# figure JQ: one figure of /v1/stats
figure() { api /v1/stats | jq -r "$1"; }
# worker_pids: of those that serve, one a line, sorted
worker_pids() { api /v1/workers | jq -r '.workers[] | select(.accepting) | .pid' | sort -n; }

ctl() { "$REEVECTL" -s "$CONTROL" "$@"; }

# raw ARGUMENT...: bytes as they are, see raw.py
raw() { python3 "$RAW" "$@"; }

# hold PATH: a request in the background that is not answered before release; PATH is that of an app which knows ?until=
hold() {
    local before
    before=$(figure .requests.active)
    rm -f "$DIR/released"
    curl -sS -o "$DIR/held" "$URL$1?until=$DIR/released" 2>"$DIR/held.error" 3>&- &
    HELD=$!
    started+=("$HELD")
    wait_until is_equal $((before + 1)) figure .requests.active
}

# release: lets it be answered, and waits for that; its answer is in $DIR/held
release() {
    touch "$DIR/released"
    wait "$HELD"
}

# memory_of PID FIELD: VmRSS, VmHWM ... of /proc/PID/status, in KiB
memory_of() { sed -nE "s/^$2:[[:space:]]*([0-9]+) kB/\1/p" "/proc/$1/status"; }

assert_no_file() { [ ! -e "$1" ] || fail "$1 is there"; }

is_sanitized() { [[ $BUILD == *asan* ]]; }

# need COMMAND...: skips the test where one is not installed; `make check` installs all, so in CI that is a failure
need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null && continue
        [ "${CI:-}" != true ] || fail "$command is not installed"
        skip "$command is not installed"
    done
}

# builds [N]: which builds of the numbered app answer N (40) requests, each on a connection of its own: "build 7"
builds() {
    curl -sSf --max-time 30 -H 'Connection: close' "$URL/?[1-${1:-40}]" >"$DIR/answers" || return 1
    [ "$(wc -l <"$DIR/answers")" -eq "${1:-40}" ] || return 1
    cut -d' ' -f1,2 "$DIR/answers" | sort -u
}

# ---- load ----------------------------------------------------------------------------------------------------------------

# start_wrk [WRK OPTION...]: load from 32 connections until stop_wrk; returns when it runs
start_wrk() {
    local before
    before=$(figure .requests.total)
    wrk -t1 -c32 -d300s --timeout 20s "$@" "$URL/" >"$DIR/wrk" 2>&1 3>&- &
    WRK=$!
    started+=("$WRK")
    wait_until is_equal true figure ".requests.total > $before + 100"
}

# stop_wrk: ends it, shows its figures and asserts that it saw no error
stop_wrk() {
    is_alive "$WRK" || fail "wrk has ended: $(cat "$DIR/wrk")"
    kill -INT "$WRK"
    end_of "$WRK"
    cat "$DIR/wrk"
    assert_equal "$STATUS" 0
    grep -q 'requests in' "$DIR/wrk"
    run ! grep -E 'Socket errors|Non-2xx' "$DIR/wrk"
}

# ---- modules ----------------------------------------------------------------------------------------------------------

# build_numbered OUT N [FLAG...]: build N of tests/apps/numbered, with the flags that app authors are told of. The file
# appears whole or not at all, as a careful operator would put it there.
build_numbered() {
    local out=$1 number=$2
    shift 2
    cc -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -DBUILD="$number" "$@" \
        -o "$out.new" "$TOP/tests/apps/numbered/numbered.c" && mv "$out.new" "$out"
}
