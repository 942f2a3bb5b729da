#!/usr/bin/env bats
# What an application waits for besides its client: other servers, its own sockets, threads, turns. While one waits the
# others go on, and each wait ends when the request is cancelled.
load helpers

setup_file() {
    start_reeve <<EOF
workers = 1
offload_threads = 2
app "waits" { module = "$TEST_APPS/waits.so" }
app "tardy" { module = "$TEST_APPS/waits.so" mount = "/tardy" request_timeout = 1s }
EOF
}

# start_waits: a server of this test's own
start_waits() {
    start_reeve <<EOF
workers = 1
drain_timeout = 1s
app "waits" { module = "$TEST_APPS/waits.so" }
EOF
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start_nginx PORT: there and at $DIR/nginx/socket, with a page
start_nginx() {
    mkdir -p "$DIR/nginx/html"
    echo 'a page of nginx' >"$DIR/nginx/html/page"
    chmod -R a+rX "$DIR"
    cat >"$DIR/nginx/conf" <<EOF
pid $DIR/nginx/pid;
daemon off;
master_process off;
error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path $DIR/nginx/body; proxy_temp_path $DIR/nginx/proxy; fastcgi_temp_path $DIR/nginx/fastcgi;
    uwsgi_temp_path $DIR/nginx/uwsgi; scgi_temp_path $DIR/nginx/scgi;
    server { listen unix:$DIR/nginx/socket; root $DIR/nginx/html; }
    server { listen 127.0.0.1:$1; root $DIR/nginx/html; }
}
EOF
    nginx -p "$DIR/nginx" -c "$DIR/nginx/conf" >"$DIR/nginx/log" 2>&1 3>&- &
    started+=("$!")
    wait_until [ -S "$DIR/nginx/socket" ]
}

# ---- other servers and clients ----

@test "another server is asked by address, by name and by path" {
    need nginx
    local port at
    port=$(free_port)
    start_nginx "$port"
    for at in "host=127.0.0.1&port=$port" "host=localhost&port=$port" "host=unix:$DIR/nginx/socket&port="; do
        run -0 get "/get?$at&path=/page&limit=20"
        assert_line --index 0 --partial 'HTTP/1.1 200 OK'
        assert_line 'a page of nginx'
    done
}

@test "a server that is not there is an error, and one that says nothing runs out of time" {
    local port unknown
    port=$(free_port)
    unknown=$(printf "n%.0s" {1..70}) # no part of a name is that long, so nobody is asked
    run -0 get "/get?limit=20&port=$port&host={127.0.0.1,localhost,unix:$DIR/nobody,$unknown}"
    assert_output $'connect: ECONNREFUSED\nconnect: ECONNREFUSED\nconnect: ENOENT\nconnect: EHOSTUNREACH'
    nc -lk 127.0.0.1 "$port" </dev/null >"$DIR/said" 2>&1 3>&- &
    started+=("$!")
    wait_until is_equal 'read: ETIMEDOUT' get "/get?host=127.0.0.1&port=$port&limit=0.2"
    assert_equal "$(head -n 1 "$DIR/said" | tr -d '\r')" 'GET / HTTP/1.0'
}

@test "two clients are accepted and served at the same time" {
    local asked
    curl -sSN --max-time 30 -o "$DIR/answer" "$URL/accept" 3>&- &
    asked=$!
    started+=("$asked")
    wait_until [ -s "$DIR/answer" ]
    python3 - "$(head -n 1 "$DIR/answer")" <<'EOF'
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) for _ in range(2)]
for text in (b"one", b"two", b"three" * 20000): # by turns: neither has the server for itself
    for client in clients:
        client.sendall(text)
    for client in clients:
        assert client.makefile("rb").read(len(text)) == text
for client in clients:
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
EOF
    end_of "$asked"
    assert_equal "$(tail -n 1 "$DIR/answer")" 'echoes: ok'
}

# ---- each wait ----

@test "of twenty tasks two work at a time" {
    assert_equal "$(get /turns)" 'most at a time 2: ok'
}

WAITS=semaphore,mutex,condition,get,put,fd,read,write,accept

@test "each wait ends with its own limit" {
    run -0 get "/vain?limit=0.05&in={$WAITS}"
    assert_output "$(tr , '\n' <<<"$WAITS" | sed 's/$/: ETIMEDOUT/')"
}

@test "each wait ends when the request is cancelled, and the log tells where it was" {
    local call
    curl -sS --max-time 60 --parallel --parallel-immediate "$URL/tardy/vain?in={$WAITS}" >"$DIR/answers" 2>"$DIR/progress"
    assert_equal "$(sort "$DIR/answers")" "$(tr , '\n' <<<"$WAITS" | sort | sed 's/$/: ECANCELED/')"
    for call in semaphore_acquire mutex_lock condition_wait queue wait_fd; do
        has_logged "GET /tardy/vain: cancelled after .*, while it waited in reeve_$call at waits\.so\+0x"
    done
}

# ---- threads ----

# begin_to_offload [PATH]: in the background, until a thread works on it; ends when $DIR/go is there. ASKED is its client
begin_to_offload() {
    curl -sS --max-time 60 -o "$DIR/answer" "$URL${1:-/offload}?until=$DIR/go" 3>&- &
    ASKED=$!
    started+=("$ASKED")
    wait_until has_logged "application: a thread waits for $DIR/go"
}

# go_on: the thread's work is done; its answer is in $DIR/answer
go_on() {
    touch "$DIR/go"
    end_of "$ASKED"
}

@test "while a thread works the others are served" {
    begin_to_offload
    assert_equal "$(get '/?[1-20]' | sort | uniq -c | tr -s ' ')" ' 20 at once'
    run -0 ctl stacks
    assert_output --partial 'reeve_offload'
    cat "/proc/$(worker_pids)"/task/*/comm | grep -q '^reeve-offload$'
    go_on
    assert_equal "$(cat "$DIR/answer")" 'offload: ok'
}

@test "what a thread works on is waited for in spite of a cancellation" {
    begin_to_offload /tardy/offload-and-sleep
    wait_until has_logged 'GET /tardy/offload-and-sleep: cancelled after .*, while it waited in reeve_offload at'
    is_alive "$ASKED"
    go_on
    assert_equal "$(cat "$DIR/answer")" $'offload: ok\nsleep: ECANCELED'
}

held_by_the_first() { figure '.applications.waits.generations | map(select(.generation == 1) | .held) | add // 0'; }

@test "an old build is held as long as a thread runs its code, and no longer" {
    start_reeve <<EOF
workers = 1
unload_wait = 100ms
app "waits" { module = "$TEST_APPS/waits.so" }
EOF
    begin_to_offload
    run -0 ctl reload waits
    assert_output --partial 'reeve_offload'
    go_on
    assert_equal "$(cat "$DIR/answer")" 'offload: ok'
    wait_until is_equal 0 held_by_the_first
    assert_equal "$(get /)" 'at once'
}

@test "a crash in a thread is told as that, and the worker replaced" {
    start_waits
    run ! get /crash
    wait_until has_logged "signal 11 .* at address 0x20, in another thread than its loop's, in waits 1"
    wait_until is_equal 'at once' get /
}

@test "a thread whose stack overflows leaves a trace" {
    ! is_sanitized || skip "the sanitizer tells of it itself"
    start_waits
    run ! get /overflow
    wait_until has_logged "was killed by signal 11 .* in another thread than its loop's, in waits 1"
    run ! has_logged 'left no trace'
}

@test "a thread that does not end keeps no worker from ending" {
    start_waits
    begin_to_offload
    stop_reeve # after drain_timeout
    run ! grep -E 'ERROR: AddressSanitizer|signal' "$LOG"
    start_again
    begin_to_offload
    stop_reeve QUIT
    run ! grep -E 'ERROR: AddressSanitizer|signal' "$LOG"
}
