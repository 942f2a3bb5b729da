#!/usr/bin/env bats
# Pools in reports, and what the server does with what applications leave in them. What a pool is in itself is shown by
# tests/unit/test_app_pool.c, and at work by 98-pg.bats.
load helpers

# The pool of numbers opens without a database, and the other one never does.
setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true
    start_reeve <<EOF
workers = 2
app "n" { module = "$TEST_APPS/database.so" option { database = "host=$BATS_FILE_TMPDIR" } }
EOF
}

# pool JQ: of the pool of numbers
pool() { figure ".applications.n.pools[] | select(.name == \"numbers\") | $1"; }

@test "what is not given back is closed, and the log says where it was taken" {
    curl -sS "$URL/forget" "$URL/forget" "$URL/forget" "$URL/forget" "$URL/forget"
    assert_equal "$(pool '[.size, .open, .in_use, .waiting, .takes, .timeouts, .opens, .discarded, .failures] | tojson')" \
        '[6,0,0,0,5,0,5,5,0]'
    assert_equal "$(grep -c 'n 1: pool numbers: what was taken at tests/apps/database/database.c:[0-9]* was not given back' "$LOG")" 5
}

@test "pools are in the report of the app, and in /metrics" {
    assert_equal "$(api /v1/apps/n | jq -c '[.pools[].name]')" '["numbers","pg"]'
    assert_equal "$(figure '.applications.n.pools[] | select(.name == "pg") | "\(.size) \(.open) \(.opens)"')" '20 0 0'
    api /metrics >"$DIR/metrics"
    python3 "$BATS_TEST_DIRNAME/metrics.py" check "$DIR/metrics"
    assert_equal "$(python3 "$BATS_TEST_DIRNAME/metrics.py" get "$DIR/metrics" 'reeve_pool_discarded_total{app="n",pool="numbers"}')" \
        "$(pool .discarded)"
}

@test "the figures go on when a build is replaced, and count no pool that is gone" {
    local before
    before=$(pool .takes)
    ctl reload n
    curl -sS "$URL/forget"
    assert_equal "$(pool '"\(.takes) \(.size)"')" "$((before + 1)) 6"
}

@test "a worker that dies takes its gauges along, and leaves its counters" {
    local before worker
    before=$(pool .takes)
    worker=$(worker_pids | head -n 1)
    kill -KILL "$worker"
    wait_until is_equal 1 figure .incidents
    wait_until is_equal 2 figure '[.workers[] | select(.accepting)] | length'
    assert_equal "$(pool '"\(.takes) \(.size) \(.open) \(.in_use)"')" "$before 6 0 0"
}
