#!/usr/bin/env bats
# Views that call other services: the HTTP client against services that others have written, and against odd ones.
load helpers

# start_odd [SOCKET]: odd-server.py; sets ODD, its URL, and ODD_LOG
start_odd() {
    ODD_LOG=$DIR/odd$#
    : >"$ODD_LOG"
    python3 "$BATS_TEST_DIRNAME/odd-server.py" "$@" >>"$ODD_LOG" 2>&1 3>&- </dev/null &
    started+=("$!")
    wait_until test -s "$ODD_LOG"
    ODD=http://127.0.0.1:$(head -n 1 "$ODD_LOG")
}

# begin [SETTING]: one worker with the caller app, and the odd service
begin() {
    start_odd
    start_reeve <<EOF
workers = 1
${1:-}
app "caller" { module = "$TEST_APPS/caller.so" }
EOF
}

odd_saw() { grep -qE "^$1\$" "$ODD_LOG"; }
odd_count() { grep -cE "^$1" "$ODD_LOG"; }

# caller PATH [PARAMETER=VALUE...]: what the caller app says
caller() {
    local options=() parameter
    for parameter in "${@:2}"; do options+=(--data-urlencode "$parameter"); done
    curl -sS --max-time 30 -G "${options[@]}" "$URL$1"
}

# table <<EOF: a path of the odd service a line, and what fetching it shall give; all in one curl
table() {
    local path want options=()
    while read -r path want; do
        options+=("$URL/fetch?url=$ODD$path")
        printf '%s: %s\n' "$path" "$want" >>"$DIR/want"
    done
    curl -sS --max-time 60 -w '|%{url}\n' "${options[@]}" >"$DIR/got"
    tr '\n' ' ' <"$DIR/got" | sed -E 's, *\|http[^ ]*=http://[^/]*(/[^ ]*) ,|\1\n,g' |
        awk -F'|' '{ print $2 ": " $1 }' >"$DIR/shown"
    diff -u "$DIR/want" "$DIR/shown"
}

@test "answers of all kinds of framing are understood, and connections kept where that is right" {
    begin
    table <<EOF
/plain status 200 plain
/no-reason status 200 ok
/until-close status 200 all of it
/http10 status 200 ok
/http10-keep status 200 ok
/says-close status 200 ok
/chunks status 200 one two!
/204 status 204
/304 status 304
/interim status 200 ok
/empty status 200
/and-more status 200 ok
/plain status 200 plain
/keeps-briefly status 200 ok
/plain status 200 plain
EOF
    run -0 grep -E '^GET' "$ODD_LOG"
    assert_output - <<EOF
GET /plain 1
GET /no-reason 1
GET /until-close 1
GET /http10 2
GET /http10-keep 3
GET /says-close 3
GET /chunks 4
GET /204 4
GET /304 4
GET /interim 4
GET /empty 4
GET /and-more 4
GET /plain 5
GET /keeps-briefly 5
GET /plain 6
EOF
    stop_reeve
}

@test "answers that are none, are ambiguous, end too soon or are too much are errors" {
    begin
    table <<EOF
/garbage error EBADMSG
/http2 error EBADMSG
/http09 error EBADMSG
/bare-lf error EBADMSG
/bare-lf-later error EBADMSG
/folded error EBADMSG
/two-lengths error EBADMSG
/same-lengths error EBADMSG
/length-list error EBADMSG
/length-sign error EBADMSG
/length-huge error EBADMSG
/both-framings error EBADMSG
/coding error EBADMSG
/coding10 error EBADMSG
/space-in-name error EBADMSG
/nul error EBADMSG
/upgrade error EBADMSG
/bad-chunk error EBADMSG
/loose-chunk error EBADMSG
/interim-flood error EBADMSG
/endless-extension error EBADMSG
/close error ECONNRESET
/half-head error ECONNRESET
/half-body error ECONNRESET
/half-chunk error ECONNRESET
/no-last-chunk error ECONNRESET
/huge-head error EMSGSIZE
/huge-line error EMSGSIZE
/many-lines error EMSGSIZE
/large error EFBIG
/large-chunks error EFBIG
/large-until-close error EFBIG
/endless error EFBIG
EOF
    assert_equal "$(caller /fetch "url=$ODD/large" max_body=9000000 | wc -c)" 9000011
    assert_equal "$(caller /fetch "url=$ODD/large-until-close" max_body=9000000 | wc -c)" 9000011
    stop_reeve
}

@test "a service that is silent or slow meets the limits, and sees the connection closed" {
    begin
    assert_equal "$(caller /fetch "url=$ODD/never" answer=0.2)" 'error ETIMEDOUT'
    assert_equal "$(caller /fetch "url=$ODD/never" timeout=0.2)" 'error ETIMEDOUT'
    assert_equal "$(caller /fetch "url=$ODD/slowly" answer=0.3)" 'error ETIMEDOUT'
    assert_equal "$(caller /fetch "url=$ODD/slowly" timeout=0.3)" 'error ETIMEDOUT'
    assert_equal "$(caller /fetch "url=$ODD/stall" idle=0.2)" 'error ETIMEDOUT'
    assert_equal "$(caller /scoped "url=$ODD/never" scope=0.2)" $'error ETIMEDOUT\nscope ETIMEDOUT'
    assert_equal "$(caller /scoped "url=$ODD/plain" scope=5)" 'in time'
    wait_until is_equal 6 odd_count close
    # Nobody listens; nobody is known by that name; a name that is.
    assert_equal "$(caller /fetch url=http://127.0.0.1:1/)" 'error ECONNREFUSED'
    assert_equal "$(caller /fetch url=http://no-such-host.invalid/ connect=5 | grep -cE 'EHOSTUNREACH|ETIMEDOUT')" 1
    assert_equal "$(caller /fetch "url=${ODD/127.0.0.1/localhost}/plain")" $'status 200\nplain'
    stop_reeve
}

@test "when a client goes, or its request is over its time, the service sees the connection closed" {
    begin 'request_timeout = 1'
    run caller /fetch "url=$ODD/never"
    wait_until odd_saw 'close 1'
    run curl -sS --max-time 0.3 "$URL/fetch?url=$ODD/stall"
    wait_until odd_saw 'close 2'
    stop_reeve
}

@test "what is no request is refused before anything is sent" {
    begin
    local break=$'\r\nX: y'
    assert_equal "$(caller /fetch "url=$ODD/plain$break")" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" "method=GET / HTTP/1.1$break")" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" name=A "value=b$break")" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" "name=A:$break" value=b)" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" name=Host value=a/b)" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" method=CONNECT)" 'error EINVAL'
    assert_equal "$(caller /fetch "url=$ODD/plain" name=Content-Length value=7)" 'error EPERM'
    assert_equal "$(caller /fetch "url=$ODD/plain" name=Transfer-Encoding value=chunked)" 'error EPERM'
    assert_equal "$(caller /fetch url=http://user:password@127.0.0.1/)" 'error EINVAL'
    assert_equal "$(caller /fetch url=https://127.0.0.1/)" 'error EPROTONOSUPPORT'
    assert_equal "$(odd_count open)" 0
    # And what is one arrives as it is.
    run -0 caller /fetch "url=$ODD/echo?a=b%20c#fragment" method=PATCH body=text name=Host value=example.org
    assert_output --regexp 'status 200
PATCH a=b%20c
content-length: 4
host: example.org
user-agent: reeve/[0-9.]+

text'
    stop_reeve
}

@test "a connection that the service has closed is not used; nor is one kept that is not read out" {
    begin
    assert_equal "$(caller /fetch "url=$ODD/which" n=4 | tail -n 1)" 'connection 1 request 4'
    assert_equal "$(caller /fetch "url=$ODD/which" n=2 alone=1 | grep -c 'request 1')" 2
    # A service that closes just when the next request comes: GET goes once more, POST does not.
    assert_equal "$(caller /fetch "url=$ODD/then-close" n=4 | grep -c '^status 200')" 4
    assert_equal "$(caller /fetch "url=$ODD/then-close" n=4 body=x | grep -c '^error ECONNRESET')" 2
    # A short rest of an answer is read past, for a long one the connection goes.
    caller /part "url=$ODD/plain" first=1
    caller /part "url=$ODD/large" first=10
    wait_until odd_saw "(close|end) $(sed -nE 's/^GET .large //p' "$ODD_LOG")"
    assert_equal "$(sed -nE 's/^GET .plain //p' "$ODD_LOG")" "$(sed -nE 's/^GET .large //p' "$ODD_LOG")"
    # An exchange that is left open goes with its scope, and the log tells.
    caller /part "url=$ODD/stall" first=1 leave=1
    wait_until odd_saw "close $(sed -nE 's/^GET .stall //p' "$ODD_LOG")"
    has_logged 'an exchange with 127.0.0.1:[0-9]+ was left open'
    stop_reeve
}

@test "more requests than connections wait for their turn" {
    begin
    assert_equal "$(caller /limit "url=$ODD/" connections=3 idle=2)" set
    assert_equal "$(caller /many "url=$ODD/plain" n=100)" '100 answers, 500 bytes'
    assert_equal "$(odd_count open)" 3
    wait_until odd_saw 'close [0-9]+' # two are kept
    assert_equal "$(caller /many "url=$ODD/never" n=10 timeout=0.3)" $'error ETIMEDOUT\n0 answers, 0 bytes'
    assert_equal "$(caller /many "url=$ODD/plain" n=10)" '10 answers, 50 bytes'
    stop_reeve
}

@test "bodies stream both ways, and an answer that comes early is heard" {
    begin
    head -c 3000000 /dev/urandom >"$DIR/body"
    get "/proxy?url=$ODD/mirror" --data-binary "@$DIR/body" | cmp - "$DIR/body"
    get "/proxy?url=$ODD/mirror" -H 'Transfer-Encoding: chunked' --data-binary "@$DIR/body" | cmp - "$DIR/body"
    assert_equal "$(caller /both "url=$ODD/mirror" mb=20)" "status 200, $((20 << 20)) bytes"
    assert_equal "$(caller /both "url=$ODD/mirror" mb=5 chunked=1)" "status 200, $((5 << 20)) bytes"
    assert_equal "$(caller /both "url=$ODD/want" mb=1 expect=1)" 'status 200, 18 bytes'
    assert_equal "$(caller /fetch "url=$ODD/want" body=hello expect=1)" $'status 200\n5 unasked 0'
    # One that does not say that it wants it gets it after a second.
    assert_equal "$(caller /fetch "url=$ODD/mirror" body=hello expect=1)" $'status 200\nhello'
    assert_equal "$(caller /both "url=$ODD/refuse" mb=50)" $'sent EPIPE\nstatus 413, 3 bytes'
    assert_equal "$(caller /both "url=$ODD/refuse" mb=1 expect=1)" $'sent EPIPE\nstatus 413, 3 bytes'
    assert_equal "$(caller /push "url=$ODD/refuse" mb=50)" $'sent EPIPE\nstatus 413'
    assert_equal "$(caller /push "url=$ODD/refuse-and-close" mb=50)" $'sent EPIPE\nstatus 413'
    # A service that takes nothing.
    assert_equal "$(caller /push "url=$ODD/wait?5" mb=50 idle=0.3)" $'sent ETIMEDOUT\nstatus -1'
    stop_reeve
}

@test "redirections are followed when asked for, with the method and headers that they allow" {
    begin
    assert_equal "$(caller /fetch "url=$ODD/redirect?302,/plain")" 'status 302'
    assert_equal "$(caller /fetch "url=$ODD/redirect?302,plain" redirects=1)" $'status 200\nplain'
    assert_equal "$(caller /fetch "url=$ODD/loop" redirects=5)" 'error ELOOP'
    assert_equal "$(odd_count 'GET /loop')" 6
    assert_equal "$(caller /fetch "url=$ODD/redirect?302,https://127.0.0.1/" redirects=5)" 'error EPROTONOSUPPORT'
    assert_equal "$(caller /fetch "url=$ODD/redirect?302,file:///etc/passwd" redirects=5)" 'error EBADMSG'
    assert_equal "$(caller /fetch "url=$ODD/redirect?302,http+unix://%2Frun%2Fx/" redirects=5)" 'error EBADMSG'
    # Method and body; and who is trusted with what.
    run -0 caller /fetch "url=$ODD/redirect?302,/echo" redirects=1 body=text name=Authorization value=secret
    assert_output --regexp $'GET \nauthorization: secret\nhost: [^\n]*\nuser-agent: [^\n]*$'
    run -0 caller /fetch "url=$ODD/redirect?307,/echo" redirects=1 body=text
    assert_output --regexp $'POST \ncontent-length: 4\nhost: .*\ntext$'
    run -0 caller /fetch "url=$ODD/redirect?302,${ODD/127.0.0.1/localhost}/echo" redirects=1 name=Authorization value=secret
    assert_output --regexp $'GET \nhost: localhost:[0-9]*\nuser-agent: [^\n]*$'
    stop_reeve
}

@test "Unix sockets, and background work" {
    begin
    caller /background "url=$ODD/plain"
    wait_until has_logged 'in the background: status 200'
    start_odd "$DIR/service"
    assert_equal "$(caller /fetch "url=http+unix://${DIR//\//%2F}%2Fservice/echo" n=2 | grep -c '^host: localhost$')" 2
    assert_equal "$(odd_count open)" 1
    stop_reeve
}

# ---- services that others have written ----

# start_nginx [PORT]: files, and /count, which tells how many requests its connection has had; sets NGINX_URL. A port that
# was free a moment ago is tried, and another if it is taken by then.
start_nginx() {
    need nginx
    mkdir -p "$DIR/nginx/html"
    [ -e "$DIR/nginx/html/file" ] || seq 200000 | head -c 1000000 >"$DIR/nginx/html/file"
    local user=
    [ "$(id -u)" -ne 0 ] || user='user root;' # else its worker, as nobody, could not write to our folders
    for _ in 1 2 3 4 5; do
        NGINX_PORT=${1:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
        cat >"$DIR/nginx/nginx.conf" <<EOF
daemon off;
$user
worker_processes 1;
error_log stderr notice;
pid $DIR/nginx/pid;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $DIR/nginx/body;
    proxy_temp_path $DIR/nginx/proxy;
    fastcgi_temp_path $DIR/nginx/fastcgi;
    uwsgi_temp_path $DIR/nginx/uwsgi;
    scgi_temp_path $DIR/nginx/scgi;
    client_max_body_size 1k;
    gzip on;
    gzip_types *;
    server {
        listen 127.0.0.1:$NGINX_PORT;
        location / { root $DIR/nginx/html; }
        location /count { return 200 "request \$connection_requests\n"; }
    }
}
EOF
        nginx -p "$DIR/nginx" -c "$DIR/nginx/nginx.conf" >>"$DIR/nginx/log" 2>&1 3>&- </dev/null &
        NGINX=$!
        started+=("$NGINX")
        nginx_is_up() { is_dead "$NGINX" || curl -sS -o /dev/null "http://127.0.0.1:$NGINX_PORT/"; }
        wait_until nginx_is_up
        is_dead "$NGINX" || break
    done
    is_alive "$NGINX" || fail "$(cat "$DIR/nginx/log")"
    NGINX_URL=http://127.0.0.1:$NGINX_PORT
}

restart_nginx() {
    kill -QUIT "$NGINX"
    end_of "$NGINX"
    start_nginx "$NGINX_PORT"
}

@test "nginx: keep-alive, files, chunks, a refused upload, a hundred at once, and its restart" {
    begin
    start_nginx
    assert_equal "$(caller /fetch "url=$NGINX_URL/count" n=50 | tail -n 1)" 'request 50'
    caller /fetch "url=$NGINX_URL/file" | tail -c 1000000 | cmp - "$DIR/nginx/html/file"
    assert_equal "$(caller /fetch "url=$NGINX_URL/nothing" | head -n 1)" 'status 404'
    assert_equal "$(caller /fetch "url=$NGINX_URL/file" method=HEAD)" 'status 200'
    caller /fetch "url=$NGINX_URL/file" name=Accept-Encoding value=gzip headers=1 >"$DIR/got"
    grep -aq '^Transfer-Encoding: chunked' "$DIR/got"
    sed '1,/^Content-Encoding/d' "$DIR/got" | zcat | cmp - "$DIR/nginx/html/file"
    assert_equal "$(caller /push "url=$NGINX_URL/file" mb=20 | tail -n 1)" 'status 413'
    assert_equal "$(caller /many "url=$NGINX_URL/file" n=100 max_body=2000000)" '100 answers, 100000000 bytes'
    # It closes the idle connections when it ends, which is seen when it happens: POST works at once, too.
    restart_nginx
    assert_equal "$(caller /fetch "url=$NGINX_URL/count" method=POST n=3 | grep -c '^status 200')" 3
    restart_nginx
    assert_equal "$(caller /many "url=$NGINX_URL/count" n=30 | grep -c '^30 answers')" 1
    stop_reeve
}

@test "python's http.server" {
    begin
    mkdir "$DIR/files"
    seq 20000 >"$DIR/files/numbers"
    python3 -u -m http.server -b 127.0.0.1 -d "$DIR/files" 0 >"$DIR/python" 2>&1 3>&- </dev/null &
    started+=("$!")
    wait_until grep -q 'port [0-9]' "$DIR/python"
    local url
    url=http://127.0.0.1:$(grep -oE 'port [0-9]+' "$DIR/python" | cut -d' ' -f2)/numbers
    caller /fetch "url=$url" n=2 | tail -n 20000 | cmp - "$DIR/files/numbers"
    assert_equal "$(caller /many "url=$url" n=20)" "20 answers, $((20 * $(wc -c <"$DIR/files/numbers"))) bytes"
    stop_reeve
}

@test "fanout: it takes no longer than its limit, and tells what has come by then" {
    start_odd
    start_reeve <<EOF
workers = 1
app "fanout" {
    module = "$APPS/fanout.so"
    option {
        services = "$ODD/plain $ODD/never $ODD/wait?0.1 $ODD/chunks $ODD/until-close $ODD/garbage http://127.0.0.1:1/ $ODD/204 $ODD/empty $ODD/stall"
        seconds = 0.8
    }
}
EOF
    run -0 eval 'get / | jq -r ".services[] | .status // .error"'
    assert_output - <<EOF
200
no answer in time
200
200
200
Bad message
Connection refused
204
200
no answer in time
EOF
    wait_until odd_saw "close $(sed -nE 's/^GET .never //p' "$ODD_LOG")"
    wait_until odd_saw "close $(sed -nE 's/^GET .stall //p' "$ODD_LOG")"
    stop_reeve
}

@test "idle connections outlive a reload, and close when their worker drains" {
    begin
    assert_equal "$(caller /fetch "url=$ODD/which")" $'status 200\nconnection 1 request 1'
    ctl reload caller
    assert_equal "$(caller /fetch "url=$ODD/which")" $'status 200\nconnection 1 request 2'
    curl -sS -o "$DIR/held" "$URL/fetch?url=$ODD/wait?1" 3>&- &
    started+=("$!")
    wait_until odd_saw 'GET /wait[?]1 1'
    caller /fetch "url=$ODD/which" >/dev/null
    kill -TERM "$REEVE_PID"
    wait_until odd_saw 'close 2' # while the request still runs
    run ! odd_saw 'close 1'
    end_of "$REEVE_PID"
    assert_equal "$(cat "$DIR/held")" $'status 200\nwaited'
}
