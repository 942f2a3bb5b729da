# deploys.bash: what the tests of deployments share: three numbered applications, a deployment whose lines go to a file,
# and ways to hold one up in each of its phases.
load helpers

# The builds that the tests deploy, made once a file: 1 to 4 are good, the others bear names.
#   waits_first   waits in its preflight for $DIR/go
#   waits         waits in each worker for $DIR/go.PID
build_all() {
    local n
    for n in 1 2 3 4; do build_numbered "$DIR/$n.so" $n; done
    build_numbered "$DIR/says_no.so" 2 -DFAIL_INIT
    build_numbered "$DIR/waits_first.so" 2 \
        -DIN_INIT='if (reeve_is_preflight() && wait_for(reeve_option(module, "go")) != 0) return -1'
    local code='char go[256]; snprintf(go, sizeof(go), "%s.%d", reeve_option(module, "go"), (int)getpid());'
    build_numbered "$DIR/waits.so" 2 -DIN_INIT="$code if (!reeve_is_preflight() && wait_for(go) != 0) return -1"
}

# put BUILD [APP]: it takes the place of the app's module (a), as a whole
put() { cp "$BATS_FILE_TMPDIR/$1.so" "$DIR/${2:-a}.so.new" && mv "$DIR/${2:-a}.so.new" "$DIR/${2:-a}.so"; }

# begin [LINES]: a server of the apps a, b and c, each build 1
begin() {
    local app
    for app in a b c; do put 1 $app; done
    start_reeve <<CONF
${1:-}
app "a" { module = "$DIR/a.so" option { go = "$DIR/go" first = "$DIR/first" } }
app "b" { module = "$DIR/b.so" mount = "/b" option { go = "$DIR/go" first = "$DIR/first" } }
app "c" { module = "$DIR/c.so" mount = "/c" }
CONF
}

# answers: which build of each app answers, "1 2 1"; more than one of an app: "1+2 2 1"
answers() {
    local mount text=''
    for mount in '' b c; do
        curl -sSf --max-time 30 -H 'Connection: close' "$URL/$mount?[1-12]" >"$DIR/answers.$mount" || return 1
        [ "$(grep -c '^build ' "$DIR/answers.$mount")" -eq 12 ] || return 1
        text+=" $(cut -d' ' -f2 "$DIR/answers.$mount" | sort -u | paste -sd+)"
    done
    echo "${text# }"
}

# mapped APP GENERATION: that one, and no other, is mapped in every worker
mapped() {
    local pid
    for pid in $(worker_pids); do
        is_equal "$2" eval "grep -oE '/spool/$1/[0-9]+-' /proc/$pid/maps | grep -oE '[0-9]+' | sort -u" || return 1
    done
}

# is_tidy [N]: the spool has one file for each of the N (3) applications, and nothing else
is_tidy() { is_equal "${1:-3}" eval "find '$DIR/state/spool' -type f | wc -l"; }

# ---- a deployment ---------------------------------------------------------------------------------------------------------

# order PATH [JSON]: asks for it; its lines go to $DIR/stream, and its number to $NUMBER once it has begun
order() {
    : >"$DIR/stream"
    curl -sSN --unix-socket "$CONTROL" -d "${2:-{\}}" "http://reeve$1" >"$DIR/stream" 2>"$DIR/stream.error" 3>&- &
    ORDER=$!
    started+=("$ORDER")
    wait_until has_step begin
    NUMBER=$(jq -r 'select(.step == "begin") | .deploy' "$DIR/stream")
}

# has_step STEP [N]: the stream has N (1) or more lines of that step
has_step() { [ "$(grep -c "\"step\":\"$1\"" "$DIR/stream")" -ge "${2:-1}" ]; }

# await: the end of what was ordered
await() { end_of "$ORDER"; }

# deploy PATH [JSON]: orders it and awaits its end
deploy() {
    order "$@"
    await
}

# verdict JQ: of the stream's last line, which is a verdict
verdict() { tail -n 1 "$DIR/stream" | jq -er "if .verdict then ($1) else error end"; }

# receipt JQ [NUMBER]: of the history's
receipt() { api "/v1/deploys/${2:-$NUMBER}" | jq -r "$1"; }

# refusal PATH JSON: the control API's answer to an order that is refused at once: "404 the detail"
refusal() {
    api "$1" -d "$2" -w '\n%{http_code}' | jq -rs '"\(.[1]) \(.[0].detail)"'
}

pid_of() { api /v1/workers | jq -r ".workers[] | select(.id == $1) | .pid"; }

# ---- a deployment in a phase ------------------------------------------------------------------------------------------------

go() {
    local pid
    touch "$DIR/go"
    for pid in "$@"; do touch "$DIR/go.$pid"; done
}

# bring_to PHASE: a deployment of a's build 2 that stays there; W0 and W1 are the workers. In "commit" and "take back" W0
# is stopped, so that it does not do what it is told to; in a canary it is the one that runs it.
bring_to() {
    W0=$(pid_of 0) W1=$(pid_of 1)
    orphans+=("$W0" "$W1")
    local canary='{"canary":"1","for":60}'
    put 2
    case $1 in
    preflight)
        put waits_first
        order /v1/apps/a/reload
        wait_until has_step preflight
        ;;
    prepare)
        put waits
        order /v1/apps/a/reload
        go "$W0"
        wait_until has_step prepare
        ;;
    commit)
        put waits
        order /v1/apps/a/reload
        go "$W0"
        wait_until has_step prepare
        kill -STOP "$W0"
        go "$W1"
        wait_until has_step prepare 2
        ;;
    unload)
        hold /
        order /v1/apps/a/reload
        wait_until has_step commit
        ;;
    canary)
        order /v1/apps/a/reload "$canary"
        wait_until has_step canary
        ;;
    'take back')
        order /v1/apps/a/reload "$canary"
        wait_until has_step canary
        W0=$(pid_of "$(jq 'select(.step == "canary") | .workers[0]' "$DIR/stream" | head -n 1)")
        wait_until is_equal 1+2 eval "answers | cut -d' ' -f1" # it has confirmed
        kill -STOP "$W0"
        api /v1/deploys/cancel -d '{}' >/dev/null
        wait_until has_step 'take back'
        ;;
    esac
}

# let_go: whatever bring_to has held up
let_go() {
    go "$W0" "$W1"
    kill -CONT "$W0" 2>/dev/null || true
    touch "$DIR/released"
}
