#!/usr/bin/env bats
# bats file_tags=core
# A body of any size passes in constant memory.
load helpers

@test "1 GB passes through echo in constant memory" {
    start_reeve <<EOF
workers = 1
app "echo" { module = "$APPS/echo.so" }
EOF
    local pid before
    pid=$(worker_pids)
    get / --data warm >/dev/null
    before=$(memory_of "$pid" VmHWM)
    run -0 bash -c "head -c 1073741824 /dev/zero | curl -sS --max-time 100 -H 'Expect:' -T - '$URL/' | wc -c"
    assert_output 1073741824
    echo "# peak memory of the worker: $before KiB before, $(memory_of "$pid" VmHWM) KiB after" >&3
    [ "$(memory_of "$pid" VmHWM)" -lt $((before + 2048)) ]
    assert_equal "$(figure .applications.echo.bytes_in)" $((1073741824 + 4))
    assert_equal "$(figure .applications.echo.bytes_out)" $((1073741824 + 4))
}

@test "1 GB goes to a slow reader in constant memory, by reeve_write" {
    start_reeve <<EOF
workers = 1
app "streams" { module = "$TEST_APPS/streams.so" }
EOF
    local pid before
    pid=$(worker_pids)
    get /vector >/dev/null
    before=$(memory_of "$pid" VmHWM)
    run -0 bash -c "curl -sS --max-time 100 '$URL/big?mb=1024' | wc -c"
    assert_output 1073741824
    [ "$(memory_of "$pid" VmHWM)" -lt $((before + 2048)) ]
}
