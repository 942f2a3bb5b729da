#!/usr/bin/env bats
# bats file_tags=core
# Controllers, a fan-out over the client, and a database behind its pool, under load through twenty deployments and ten
# rolling restarts: nothing lost, nothing left behind.
load helpers
load postgres

# build APP N: a build of it that differs from the others
build() {
    printf 'int build_number(void);\nint build_number(void) { return %d; }\n#include "%s"\n' "$2" "$TOP/apps/$1/$1.c" \
        >"$DIR/$1-$2.c"
    cc -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -I"$TOP/include" -I"$TOP/lib" \
        -o "$DIR/$1-$2.so" "$DIR/$1-$2.c" "${@:3}"
}

install() { cp "$DIR/$1-$2.so" "$DIR/$1.so.new" && mv "$DIR/$1.so.new" "$DIR/$1.so"; }

setup() {
    local n services='' upstream
    need wrk
    need_postgres
    make_postgres
    start_postgres
    for n in 1 2 3; do
        build views $n
        build fanout $n
        build notes $n "$BUILD/lib/libreeve-pg.a" -lpq
    done
    for n in views fanout notes; do install $n 1; done
    upstream="http+unix://${DIR//\//%2F}%2Fupstream.sock"
    for n in 1 2 3 4 5; do services+="$upstream/hello $upstream/api/books "; done
    start_reeve <<CONF
workers = 2
listen "127.0.0.1:0" { }
listen "unix:$DIR/upstream.sock" { }
app "hello" { module = "$APPS/hello.so" mount = "/hello" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
app "views" { module = "$DIR/views.so" }
app "fanout" { module = "$DIR/fanout.so" mount = "/fanout" option { services = "$services" seconds = 10 } }
app "notes" { module = "$DIR/notes.so" mount = "/notes" option { database = "$CONNINFO" connections = 4 } }
CONF
    wait_until is_equal 201 status_of /notes/ -H 'Content-Type: application/json' -d '{"text": "the first"}'
}

@test "twenty deployments and ten restarts under a mixed load: nothing is lost, nothing stays" {
    local n before
    assert_equal "$(get /fanout/ | jq -c '[.services[].status] | unique')" '[200]'
    start_wrk -s "$BATS_TEST_DIRNAME/mixed.lua"
    for n in {1..20}; do
        install views $((n % 3 + 1))
        install fanout $((n % 3 + 1))
        install notes $((n % 3 + 1))
        ctl -j reload views fanout notes >>"$DIR/receipts"
        [ $((n % 2)) -eq 1 ] || ctl -j restart >>"$DIR/restarts"
    done
    stop_wrk
    assert_equal "$(jq -r 'select(.verdict) | .receipt.outcome' "$DIR/receipts" | sort | uniq -c | tr -s ' ')" ' 20 live'
    assert_equal "$(jq -r 'select(.verdict) | .receipt.outcome' "$DIR/restarts" | sort | uniq -c | tr -s ' ')" ' 10 done'
    assert_equal "$(figure '[.applications[] | .exceptions] | add')" 0
    wait_until is_equal 0 figure '[.applications[] | .held] | add'
    assert_equal "$(api /v1/stacks | jq '.stacks | length')" 0
    # Each worker has one generation of each mapped, and one pool of connections.
    wait_until is_equal '3' eval 'grep -ohE "/spool/(views|fanout|notes)/[0-9]+-" /proc/$(worker_pids | head -n 1)/maps | sort -u | wc -l'
    wait_until eval '[ "$(sessions)" -le 8 ]'
    echo "# $(grep 'requests in' "$DIR/wrk" | tr -s ' ') through 20 deployments and 10 restarts" >&3
}
