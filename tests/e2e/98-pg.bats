#!/usr/bin/env bats
# reeve/pg.h against a PostgreSQL of the test's own: queries, transactions, pools smaller than the load, time limits that reach
# the database, and databases that are down, come and go, or are none.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153
load helpers
load postgres

SIZE=4 # of the pool

# The database is shared, and killed at times: one test after the other.
setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    need_postgres
    make_postgres
    start_postgres
    sql 'CREATE TABLE things (name text UNIQUE)'
    mkdir "$DIR/garbage" "$DIR/silent" "$DIR/odd"
    python3 "$BATS_TEST_DIRNAME/impostor.py" "$DIR/garbage" "$DIR/silent" "$DIR/odd" 3>&- 4>&- &
    started+=("$!")
    wait_until test -S "$DIR/odd/.s.PGSQL.5432"
    start_reeve <<EOF
workers = 1
app "db" {
    module = "$TEST_APPS/database.so"
    option { database = "$CONNINFO application_name=reeve-db" size = $SIZE wait_limit = "0.5" max_result = "100000" }
}
app "short" {
    module = "$TEST_APPS/database.so" mount = "/short" request_timeout = 1s
    option { database = "$CONNINFO" size = 2 }
}
app "left" {
    module = "$TEST_APPS/database.so" mount = "/left" client_gone = close
    option { database = "$CONNINFO" size = 2 }
}
app "quick" {
    module = "$TEST_APPS/database.so" mount = "/quick"
    option { database = "$CONNINFO" size = 1 query_limit = "0.2" max_prepared = "-1" }
}
app "garbage" {
    module = "$TEST_APPS/database.so" mount = "/garbage"
    option { database = "host=$DIR/garbage" connect_limit = "0.3" }
}
app "silent" {
    module = "$TEST_APPS/database.so" mount = "/silent"
    option { database = "host=$DIR/silent" connect_limit = "0.3" }
}
app "odd" {
    module = "$TEST_APPS/database.so" mount = "/odd"
    option { database = "host=$DIR/odd" max_prepared = "-1" }
}
app "nowhere" {
    module = "$TEST_APPS/database.so" mount = "/nowhere"
    option { database = "host=no-such-host.invalid password=hunter2 user=hunter2" connect_limit = 20 }
}
app "notes" { module = "$APPS/notes.so" mount = "/notes" option { database = "$CONNINFO" connections = 2 } }
EOF
}

teardown_file() {
    [ -z "${POSTGRES:-}" ] || kill -INT "$POSTGRES" 2>/dev/null || true
    end_started
}

# ask PATH...: the answers, one after the other, by one client; a path is written as it stands in a URL
ask() { curl -sSg --max-time 30 "${@/#/$URL}"; }
# codes PATH...: likewise their statuses, one a line
codes() {
    local path args=()
    for path in "$@"; do args+=(-o /dev/null "$URL$path"); done
    curl -sSg --max-time 30 -w '%{http_code}\n' "${args[@]}"
}
# pool APP JQ: of its pool of connections
pool() { figure ".applications.$1.pools[] | select(.name == \"pg\") | $2"; }
is_as_the_database_says() { is_equal "$(sessions "application_name = 'reeve-db'")" pool db .open; }
is_at_rest() { is_equal '0 0' pool "$1" '"\(.in_use) \(.waiting)"'; }

# ---- statements ----

@test "queries with and without parameters, results of every shape" {
    run -0 ask '/query?sql=SELECT+1,NULL,$1::text&p=%27;--%C3%A4' '/query?sql=SELECT+g+FROM+generate_series(1,3)g' \
        '/query?sql=SELECT+WHERE+false' '/query?sql=' '/query?sql=SELECT+$1::int+%2B+1&p=41' \
        '/query?sql=UPDATE+pg_am+SET+amname=amname+WHERE+false'
    assert_output "1 3 1
1|NULL|';--ä
3 1 3
1
2
3
0 0 0
0 0 0
1 1 1
42
0 0 0"
}

@test "what the database refuses comes with its code, and the connection is used again" {
    run -0 ask '/query?sql=SELEC' '/query?sql=SELECT+1/0' '/query?sql=SELECT+$1::int&p=x' '/query?sql=SELECT+$1::int' \
        '/query?sql=COPY+things+TO+STDOUT' '/query?sql=SELECT+7'
    assert_line --index 0 'refused 121 42601 syntax error at or near "SELEC"'
    assert_line --index 1 'refused 121 22012 division by zero'
    assert_line --index 2 'refused 121 22P02 invalid input syntax for type integer: "x"'
    assert_line --index 3 --regexp '^refused 121 08P01 bind message supplies 0 parameters'
    assert_line --index 4 'misused 22 - COPY is not for this call'
    assert_line --index 6 7
}

@test "a result that is too large is not kept, row by row there is no limit" {
    run -0 ask "/query?sql=SELECT+repeat('x',50)FROM+generate_series(1,100000)" "/query?sql=SELECT+repeat('x',5000000)" \
        '/each?sql=SELECT+generate_series(1,100000)' '/each?sql=SELECT+generate_series(1,100000000)&most=1000' \
        '/each?sql=SELECT+1/(3-generate_series(1,9))' "/each?sql=SELECT+repeat('1',5000000)" '/query?sql=SELECT+7'
    assert_output "too-large 90 - the result is larger than max_result
too-large 90 - the result is larger than max_result
0 100000 5000050000
7 1000 500500
refused 121 22012 division by zero
too-large 90 - the result is larger than max_result
1 1 1
7"
    wait_until is_at_rest db
}

@test "a statement stays prepared, also when the table changes under it" {
    sql "CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)"
    run -0 ask '/query?sql=SELECT+*+FROM+changing' '/query?sql=SELECT+*+FROM+changing' '/query?sql=SELECT+name+FROM+pg_prepared_statements'
    assert_output --partial reeve
    sql "ALTER TABLE changing ADD b text DEFAULT 'new'"
    run -0 ask '/query?sql=SELECT+*+FROM+changing' '/query?sql=SELECT+*+FROM+changing'
    assert_output "1 2 1
1|new
1 2 1
1|new"
    run -0 ask '/quick/query?sql=SELECT+1' '/quick/query?sql=SELECT+count(*)FROM+pg_prepared_statements'
    assert_line --index 3 0
}

@test "transactions: committed, rolled back, forgotten, failed" {
    run -0 ask '/tx?then=nothing' '/tx?then=rollback' '/tx?then=fail' '/query?sql=SELECT+count(*)FROM+things' '/tx?then=commit' \
        '/tx?then=commit'
    assert_output "forgotten
0
refused 121 - a statement had failed: the transaction was rolled back
1 1 1
0
1
refused 121 23505 duplicate key value violates unique constraint \"things_name_key\""
    wait_until is_at_rest db
    assert_equal "$(sessions "state <> 'idle'")" 0
    sql 'TRUNCATE things'
}

# ---- pools ----

@test "more clients than connections share them" {
    seq 40 | sed "s|.*|url = \"$URL/query?sql=SELECT+pg_sleep(0.02),1\"\noutput = /dev/null|" >"$DIR/urls"
    curl -gZ --parallel-max 40 -w '%{http_code}\n' -K "$DIR/urls" >"$DIR/codes" 2>"$DIR/progress"
    assert_equal "$(sort "$DIR/codes" | uniq -c | xargs)" '40 200'
    assert_equal "$(pool db '"\(.open) \(.in_use) \(.waits > 30) \(.timeouts)"')" "$SIZE 0 true 0"
}

@test "who waits longer than wait_limit is told that there is no connection" {
    seq $SIZE | sed "s|.*|url = \"$URL/hold?ms=1500\"\noutput = /dev/null|" >"$DIR/urls"
    curl -Z --parallel-immediate -K "$DIR/urls" 2>"$DIR/progress" 3>&- &
    started+=("$!")
    wait_until is_equal $SIZE pool db .in_use
    run -0 ask '/query?sql=SELECT+1'
    assert_output 'unavailable 11 - all connections are in use'
    assert_equal "$(pool db .timeouts)" 1
    wait "$!"
    assert_equal "$(codes '/query?sql=SELECT+1')" 200
}

# ---- time limits ----

@test "a request past its time is 504, its query stopped in the database, its connection used again" {
    local opens
    codes '/short/query?sql=SELECT+1' '/short/query?sql=SELECT+1'
    opens=$(pool short .opens)
    assert_equal "$(codes '/short/query?sql=SELECT+pg_sleep(60)')" 504
    wait_until is_equal 0 sessions "state = 'active'"
    wait_until is_at_rest short
    assert_equal "$(codes '/short/query?sql=SELECT+1')" 200
    assert_equal "$(pool short '"\(.opens) \(.discarded)"')" "$opens 0"
}

@test "... and its transaction rolled back" {
    assert_equal "$(codes '/short/tx?then=sleep')" 504
    wait_until is_at_rest short
    assert_equal "$(sql 'SELECT count(*) FROM things') $(sessions "state <> 'idle'")" '0 0'
}

@test "a query whose client has gone is stopped in the database, its connection used again" {
    local opens client
    codes '/left/query?sql=SELECT+1'
    opens=$(pool left .opens)
    curl -sSg "$URL/left/query?sql=SELECT+pg_sleep(60)" >/dev/null 2>&1 3>&- &
    client=$!
    wait_until is_equal 1 sessions "state = 'active'"
    kill "$client"
    wait_until is_equal 0 sessions "state = 'active'"
    wait_until is_at_rest left
    assert_equal "$(codes '/left/query?sql=SELECT+1')" 200
    assert_equal "$(pool left '"\(.opens) \(.discarded)"')" "$opens 0"
}

# cancelled PATH: with the first, the second ... wait cancelled, until there is none left; a build without a sanitizer
# cancels none
cancelled() {
    curl -sS --max-time 60 -o /dev/null -w '%{http_code}\n' "$URL$1&cancel=[1-30]" >"$DIR/codes"
    assert_equal "$(wc -l <"$DIR/codes")" 30
    assert_equal "$(tail -n 1 "$DIR/codes")" 200
    # A database that is quicker than we are lets nobody wait, now and then.
    ! is_sanitized || grep -qv 200 <(head -n 3 "$DIR/codes")
    wait_until is_at_rest left
    wait_until is_equal 0 sessions "state <> 'idle'"
}

@test "whoever is cancelled at any of the waits leaves nothing behind: no query, no transaction, no place in the pool" {
    cancelled '/left/query?sql=SELECT+pg_sleep(0.01)'
    cancelled '/left/each?sql=SELECT+generate_series(1,300)'
    cancelled '/left/tx?then=rollback'
    assert_equal "$(codes '/left/query?sql=SELECT+1')" 200
    sql 'DELETE FROM things'
}

@test "a statement past query_limit is stopped, and the only connection is there for the next" {
    run -0 ask '/quick/query?sql=SELECT+pg_sleep(60)' '/quick/query?sql=SELECT+7'
    assert_output "stopped 110 - its time was over
1 1 1
7"
    assert_equal "$(sessions "state = 'active'")" 0
}

@test "what an application raises is no reason to send a statement again" {
    sql "CREATE FUNCTION picky(n int) RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN
        IF n > 2 THEN PERFORM refuse(n); END IF; RETURN n; END \$\$;
        CREATE FUNCTION refuse(n int) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN
        PERFORM nextval('asked'); RAISE feature_not_supported; END \$\$;
        CREATE SEQUENCE asked"
    run -0 ask '/each?sql=SELECT+picky(generate_series(1,9))' '/query?sql=SELECT+last_value+FROM+asked'
    assert_line --index 0 --regexp '^refused 121 0A000'
    assert_line --index 2 1
}

@test "a statement that was broken off while it was prepared is prepared anew" {
    local backend
    backend=$(ask '/left/query?sql=SELECT+pg_backend_pid()' | tail -n 1)
    kill -STOP "$backend"
    curl -sS --max-time 0.3 "$URL/left/query?sql=SELECT+77" >"$DIR/broken" 2>&1 || true
    kill -CONT "$backend"
    wait_until is_at_rest left
    run -0 ask '/left/query?sql=SELECT+77'
    assert_output "1 1 1
77"
}

@test "a database that does not even take cancellations keeps nobody, no thread and no connection" {
    local before
    before=$(pool quick .discarded)
    ask '/quick/query?sql=SELECT+1' >"$DIR/first"
    kill -STOP "$POSTGRES" # whose children go on
    run -0 ask '/quick/query?sql=SELECT+pg_sleep(20)'
    assert_output 'stopped 110 - its time was over'
    wait_until is_equal "$((before + 1)) 0" pool quick '"\(.discarded) \(.in_use)"' || { kill -CONT "$POSTGRES" && return 1; }
    kill -CONT "$POSTGRES"
    wait_until is_equal 200 codes '/quick/query?sql=SELECT+1'
}

# ---- databases of odd habits ----

@test "each call has its own error, however long the database takes to get ready" {
    curl -sS "$URL/odd/query?sql=slow" >"$DIR/slow" 3>&- &
    started+=("$!")
    wait_until is_equal 1 pool odd .in_use
    assert_equal "$(ask '/odd/query?sql=quick')" 'refused 121 42601 the quick one'
    wait "$!"
    assert_equal "$(cat "$DIR/slow")" 'refused 121 23505 the slow one'
}

@test "a commit that is not confirmed is none" {
    assert_equal "$(ask '/odd/tx?then=commit')" 'refused 121 - a statement had failed: the transaction was rolled back'
    assert_equal "$(figure .incidents)" 0
}

# ---- databases that are not there ----

@test "what is no database is answered for, soon, and without the password" {
    local began=$EPOCHSECONDS
    assert_equal "$(codes /{garbage,silent,nowhere}'/query?sql=SELECT+1' | sort -u)" 503
    run -0 ask /{garbage,garbage,silent,silent,nowhere}'/query?sql=SELECT+1'
    assert_output --partial 'unavailable 113 - no answer in time'
    assert_output --partial 'unavailable 113 - the name of its host is not known'
    refute_output --partial hunter
    run ! grep hunter "$LOG"
    assert [ $((EPOCHSECONDS - began)) -le 15 ]
    wait_until is_at_rest garbage
    assert_equal "$(pool garbage '"\(.open) \(.opens)"')" '0 0'
}

@test "connections that the database has ended are replaced unseen" {
    ask '/query?sql=SELECT+1' >"$DIR/first"
    sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'reeve%'" >"$DIR/ended"
    assert_equal "$(codes '/query?sql=SELECT+'{1,2,3,4,5,6} | sort -u)" 200
}

@test "builds that follow each other under load lose nothing, and the old ones' connections are closed" {
    local before
    before=$(pool db .takes)
    wrk -t1 -c8 -d300s --timeout 20s "$URL/query?sql=SELECT+2" >"$DIR/wrk" 2>&1 3>&- &
    WRK=$!
    started+=("$WRK")
    wait_until is_equal true pool db ".takes > $before + 100"
    for _ in 1 2 3 4 5; do ctl reload db; done
    stop_wrk
    wait_until is_equal $SIZE pool db .size
    wait_until is_at_rest db
    wait_until is_as_the_database_says
}

# ---- the example ----

@test "notes: added, listed, shown, deleted; and what it refuses" {
    local json=(-H 'Content-Type: application/json')
    run -0 get /notes/ "${json[@]}" -d '{"text":"milk & <eggs>"}'
    assert_equal "$(jq -c '[.id, .text]' <<<"$output")" '[1,"milk & <eggs>"]'
    assert_equal "$(get /notes/ | jq -c '[.[] | .id]') $(get /notes/1 | jq .id)" '[1] 1'
    assert_equal "$(status_of /notes/1 -X DELETE) $(codes /notes/1 /notes/x | xargs)" '204 404 404'
    assert_equal "$(status_of /notes/ "${json[@]}" -d '{"text":""}') $(status_of /notes/ -d x)" '400 415'
    assert_equal "$(status_of /notes/ "${json[@]}" -d "{\"text\":\"$(printf '%010000d' 0)\"}")" 413
    assert_equal "$(codes /notes/9223372036854775807 /notes/9223372036854775808 | xargs)" '404 404'
}

# ---- the last one: its database goes with it ----

@test "a database that is killed and started again under load: errors meanwhile, then as before" {
    local before
    before=$(pool db .takes)
    wrk -t1 -c8 -d300s "$URL/query?sql=SELECT+1" >"$DIR/wrk" 2>&1 3>&- &
    WRK=$!
    started+=("$WRK")
    wait_until is_equal true pool db ".takes > $before + 500"
    stop_postgres QUIT
    wait_until is_equal 503 codes '/query?sql=SELECT+1'
    start_postgres
    wait_until is_equal 200 codes '/query?sql=SELECT+1'
    kill -INT "$WRK"
    end_of "$WRK"
    assert_equal "$STATUS" 0
    wait_until is_at_rest db
    wait_until is_as_the_database_says
    assert_equal "$(figure .incidents)" 0
    stop_postgres
}
