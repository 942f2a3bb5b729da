#!/usr/bin/env bats
# Clients and proxies that others have written: nginx in front, h2load, wrk, curl.
load helpers

begin() {
    build_numbered "$DIR/n.so" 1
    start_reeve <<EOF
app "n"     { module = "$DIR/n.so" }
app "echo"  { module = "$APPS/echo.so" mount = "/echo" }
app "sleep" { module = "$APPS/sleep.so" mount = "/sleep" }
app "streams" { module = "$TEST_APPS/streams.so" mount = "/streams" }
EOF
    REEVE_URL=$URL
}

# start_nginx: in front of reeve, with connections to it that are kept; from here on URL is nginx's. It cannot be told to
# let the kernel choose its port, so one that was free a moment ago is tried, and another if it is taken by then.
start_nginx() {
    need nginx
    mkdir -p "$DIR/nginx"
    local user=
    [ "$(id -u)" -ne 0 ] || user='user root;' # else its worker, as nobody, could not write to our folders
    for _ in 1 2 3 4 5; do
        NGINX_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        cat >"$DIR/nginx/nginx.conf" <<EOF
daemon off;
$user
worker_processes 1;
error_log stderr notice;
pid $DIR/nginx/pid;
events { worker_connections 512; }
http {
    access_log $DIR/nginx/access;
    client_body_temp_path $DIR/nginx/body;
    proxy_temp_path $DIR/nginx/proxy;
    fastcgi_temp_path $DIR/nginx/fastcgi;
    uwsgi_temp_path $DIR/nginx/uwsgi;
    scgi_temp_path $DIR/nginx/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    upstream reeve { server ${REEVE_URL#http://}; keepalive 32; keepalive_requests 1000000; }
    server {
        listen 127.0.0.1:$NGINX_PORT;
        location / {
            proxy_pass http://reeve;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            # What goes wrong is to be seen, not tried again.
            proxy_next_upstream off;
        }
    }
}
EOF
        nginx -p "$DIR/nginx" -c "$DIR/nginx/nginx.conf" >"$DIR/nginx/log" 2>&1 3>&- </dev/null &
        NGINX=$!
        started+=("$NGINX")
        nginx_is_up() { is_dead "$NGINX" || curl -sS -o /dev/null "http://127.0.0.1:$NGINX_PORT/"; }
        wait_until nginx_is_up
        is_dead "$NGINX" || break
    done
    is_alive "$NGINX" || fail "$(cat "$DIR/nginx/log")"
    URL=http://127.0.0.1:$NGINX_PORT
}

no_502() {
    run ! grep -vE '" (200|499) ' "$DIR/nginx/access"
    run ! grep -E '\[(error|crit|alert|emerg)\]' "$DIR/nginx/log"
}

put() { build_numbered "$DIR/n.so" "$1"; }

@test "nginx in front: requests, bodies both ways, and streams pass" {
    begin
    start_nginx
    run -0 get /
    assert_output --partial 'build 1'
    head -c 3000000 /dev/urandom >"$DIR/body"
    get /echo --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get /echo -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    assert_equal "$(get '/streams/big?mb=20' | wc -c)" $((20 << 20))
    assert_equal "$(get '/sleep?ms=100')" 'slept 100 ms'
    assert_equal "$(get '/streams/iterable?count=2')" $'piece 1\npiece 2'
    assert_equal "$(head_of / -I | head -n 1)" 'HTTP/1.1 200 OK'
    no_502
    # It does keep its connections.
    local before n
    before=$(figure .connections.accepted)
    for n in $(seq 50); do get / >/dev/null; done
    [ $(($(figure .connections.accepted) - before)) -le 4 ]
}

@test "nginx in front, under load, through reloads and a restart: no 502" {
    need wrk
    begin
    start_nginx
    start_wrk
    local n
    for n in 2 3 4 5 6; do
        put "$n"
        ctl reload n >/dev/null
        assert_equal "$(builds)" "build $n"
    done
    ctl restart >/dev/null
    get / | grep -q 'build 6'
    stop_wrk
    no_502
    kill -QUIT "$NGINX"
    end_of "$NGINX"
    stop_reeve
}

@test "nginx in front: a graceful stop finishes what it has passed on" {
    begin
    start_nginx
    hold /
    kill -TERM "$REEVE_PID"
    wait_until has_logged 'SIGTERM: stopping when all requests are done'
    release
    assert_equal "$(cut -d' ' -f1,2 "$DIR/held")" 'build 1'
    # nginx's idle connections to it end with nginx.
    kill -QUIT "$NGINX"
    end_of "$NGINX"
    end_of "$REEVE_PID"
    assert_equal "$STATUS" 0
}

@test "h2load in HTTP/1.1: every request succeeds, pipelined or not, through a reload" {
    need h2load
    begin
    run -0 h2load --h1 -n 20000 -c 16 -m 1 "$URL/"
    assert_output --partial '20000 succeeded, 0 failed, 0 errored, 0 timeout'
    assert_output --partial 'status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx'
    put 2
    h2load --h1 -n 100000 -c 16 -m 8 "$URL/" >"$DIR/h2load" 3>&- &
    local client=$!
    local before
    before=$(figure .requests.total)
    wait_until is_equal true figure ".requests.total > $before + 100"
    ctl reload n >/dev/null
    wait "$client"
    run -0 cat "$DIR/h2load"
    assert_output --partial '100000 succeeded, 0 failed, 0 errored, 0 timeout'
    assert_output --partial 'status codes: 100000 2xx, 0 3xx, 0 4xx, 0 5xx'
}

@test "wrk with pipelining and with bodies: no error, and the counts agree" {
    need wrk
    begin
    cat >"$DIR/pipeline.lua" <<'EOF'
init = function(args)
    local requests = {}
    for n = 1, 16 do requests[n] = wrk.format("POST", "/echo/" .. n, nil, string.rep("x", n * 100)) end
    all = table.concat(requests)
end
request = function() return all end
EOF
    run -0 wrk -t1 -c8 -d1s -s "$DIR/pipeline.lua" "$URL"
    refute_output --partial 'Socket errors'
    refute_output --partial 'Non-2xx'
    wait_until is_equal 0 figure .requests.active
    assert_equal "$(figure '.applications.echo | .requests - ([.responses[]] | add)')" 0
    # What was begun and not sent whole is the end of wrk's, not an error of the app's.
    assert_equal "$(figure .applications.echo.exceptions)" 0
}

@test "curl: many at once, resumed, with a slow hand" {
    begin
    local n
    for n in $(seq 50); do echo "url = \"$URL/echo?$n\""; echo "data = \"$n\""; echo "output = \"$DIR/got$n\""; echo next; done |
        sed '$d' >"$DIR/curlrc"
    curl -sS -Z --parallel-max 20 -K "$DIR/curlrc"
    for n in $(seq 50); do assert_equal "$(cat "$DIR/got$n")" "$n"; done
    head -c 200000 /dev/urandom >"$DIR/body"
    curl -sS --limit-rate 400k --data-binary "@$DIR/body" "$URL/echo" | cmp - "$DIR/body"
}
