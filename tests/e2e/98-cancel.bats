#!/usr/bin/env bats
# Whoever waits is cancelled once at each wait there is (tests/apps/tour, in a build with a sanitizer, which has a way to do
# so; without it the tour is made as it is). Afterwards nothing is left: no task, no hold, no descriptor.
load helpers

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # they count what one worker has
    start_reeve <<EOF2
workers = 1
app "tour" { module = "$TEST_APPS/tour.so" option { upstream = "http+unix://${DIR//\//%2F}%2Fupstream.sock/echo" } }
app "echo" { module = "$APPS/echo.so" mount = "/echo" }
listen "127.0.0.1:0" { }
listen "unix:$DIR/upstream.sock" { }
EOF2
    export WORKER
    WORKER=$(worker_pids)
}

held() { figure '[.applications.tour.held, .requests.active] | join(" ")'; }
descriptors() { find "/proc/$WORKER/fd" -mindepth 1 | wc -l; }

# tour PATH MOST [CURL OPTION...]: with the first, the second ... wait cancelled, until there is none left; MOST are too many
tour() {
    local path=$1 most=$2 before
    curl -sS --max-time 60 "${@:3}" "$URL$path" | grep -q '^left 0$'
    wait_until is_equal '0 0' held
    before=$(descriptors)
    curl -sS --max-time 60 "${@:3}" "$URL$path?cancel=[1-$most]" >"$DIR/answers"
    assert_equal "$(grep -c '^left ' "$DIR/answers")" "$most"
    assert_equal "$(tail -n 1 "$DIR/answers" | grep -c 'left 0$')" 0 # those were all
    is_sanitized || assert_equal "$(head -n 1 "$DIR/answers")" 'left 1'
    ! is_sanitized || assert_equal "$(head -n 1 "$DIR/answers")" 'left 0'
    wait_until is_equal '0 0' held
    wait_until is_equal '0' eval 'api /v1/stacks | jq ".stacks | length"'
    wait_until is_equal "$before" descriptors
    assert_equal "$(worker_pids)" "$WORKER"
}

@test "in tasks and scopes" { tour /tasks 40; }

@test "in semaphores, mutexes, conditions and queues" { tour /turns 60; }

@test "at descriptors" { tour /descriptors 30; }

@test "for threads" { tour /threads 10; }

@test "for a pool" { tour /pools 30; }

@test "of the client" { tour /client 60; }

@test "in the body: JSON" {
    printf '{"a": [%s1]}' "$(printf '1,%.0s' {1..60000})" >"$DIR/body"
    tour /json 8 -H 'Content-Type: application/json' --data-binary "@$DIR/body" --limit-rate 1m -H 'Expect:'
}

@test "in the body: a form with a file, saved" {
    head -c 200000 /dev/urandom >"$DIR/file"
    tour /form 20 -F "file=@$DIR/file" -F 'name=value' --limit-rate 2m -H "X-Save: $DIR/saved" -H 'Expect:'
    assert_no_file "$DIR/saved"
}
