# nginx-websocket.bash: nginx in front of a reeve with WebSockets, event streams and ordinary requests, as its operator
# would write it. Load it after helpers; start_nginx_websocket sets URL, and NGINX_PORT for ws://.
# shellcheck shell=bash

nginx_is_up() { is_dead "$NGINX" || curl -sS -o /dev/null "http://127.0.0.1:$NGINX_PORT/"; }

# It cannot be told to let the kernel choose its port, so one that was free a moment ago is tried, and another if it is
# taken by then. It passes on what the client asks to be upgraded, and keeps connections to reeve for the rest.
start_nginx_websocket() {
    need nginx
    mkdir -p "$DIR/nginx"
    local user='' upstream=${URL#http://}
    [ "$(id -u)" -ne 0 ] || user='user root;' # else its worker, as nobody, could not write to our folders
    for _ in 1 2 3 4 5; do
        NGINX_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        cat >"$DIR/nginx/nginx.conf" <<CONF
daemon off;
$user
worker_processes 1;
error_log stderr notice;
pid $DIR/nginx/pid;
events { worker_connections 1024; }
http {
    access_log $DIR/nginx/access;
    client_body_temp_path $DIR/nginx/body;
    proxy_temp_path $DIR/nginx/proxy;
    fastcgi_temp_path $DIR/nginx/fastcgi;
    uwsgi_temp_path $DIR/nginx/uwsgi;
    scgi_temp_path $DIR/nginx/scgi;
    # Connection is a field of each hop: "upgrade" for who asks for it, else empty, so that connections are kept.
    map \$http_upgrade \$connection_upgrade { default upgrade; "" ""; }
    upstream reeve { server $upstream; keepalive 16; }
    server {
        listen 127.0.0.1:$NGINX_PORT;
        location / {
            proxy_pass http://reeve;
            proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection \$connection_upgrade;
            proxy_set_header Host \$http_host;
            # Longer than a WebSocket may be silent between two keep-alive pings.
            proxy_read_timeout 10m;
            # An event is passed on when it comes.
            proxy_buffering off;
            # What goes wrong is to be seen, not tried again.
            proxy_next_upstream off;
        }
    }
}
CONF
        nginx -p "$DIR/nginx" -c "$DIR/nginx/nginx.conf" >"$DIR/nginx/log" 2>&1 3>&- </dev/null &
        NGINX=$!
        started+=("$NGINX")
        wait_until nginx_is_up
        is_dead "$NGINX" || break
    done
    is_alive "$NGINX" || fail "$(cat "$DIR/nginx/log")"
    URL=http://127.0.0.1:$NGINX_PORT
}
