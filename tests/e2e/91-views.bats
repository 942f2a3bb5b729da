#!/usr/bin/env bats
# Views: what a handler answers with, over the wire: text, JSON both ways, HTML from templates, redirections, problems.
load helpers

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # some look at the memory of the one worker
    mkdir "$DIR/templates"
    (
        cd "$DIR/templates" || exit 1
        # shellcheck disable=SC2016
        printf '<!doctype html>\n<title>{{$title}}none{{/title}}</title>\n{{$body}}{{/body}}\n' >layout.mustache
        # shellcheck disable=SC2016
        printf '{{<layout}}\n{{$title}}Hi {{name}}{{/title}}\n{{$body}}\n<a title="{{name}}">{{name}}</a>\n{{/body}}\n{{/layout}}\n' \
            >page.mustache
        printf '{{#rows}}{{#thousand}}{{>row}}{{/thousand}}{{/rows}}' >big.mustache
        printf '<p>one row of many, which are a page that never ends, or nearly so</p>\n' >row.mustache
        printf '{{>looped}}' >looped.mustache
    )
    start_views
}

start_views() {
    start_reeve <<EOF
workers = 1
app "viewed" { module = "$TEST_APPS/viewed.so" option { templates = "$BATS_FILE_TMPDIR/templates" } }
EOF
}

# python <<EOF: a script with raw.py's Client, PORT, json, a `client` that is connected, and post(BODY, TYPE)
python() {
    { echo "import json, os, sys, time; sys.path.insert(0, os.path.dirname('$RAW'))"
      echo "from raw import Client; PORT = '$PORT'; client = Client(PORT)"
      cat <<'EOF'
def post(body, type=b"application/json"):
    client.send(b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (type, len(body), body))
    return client.answer()
def problem(answer):
    assert answer.get("Content-Type") == "application/problem+json", answer.head
    assert json.loads(answer.body)["status"] == answer.status, answer.body
    return answer.status, json.loads(answer.body)["detail"]
EOF
      cat; } | python3 -
}

@test "text, a redirection and a problem have their types, lengths and headers" {
    python <<'EOF'
answer = client.ask("/text")
assert answer.status == 200 and answer.body.decode() == "grüß\n", answer.body
assert answer.get("Content-Type") == "text/plain; charset=utf-8" and answer.get("Content-Length") == "7"
assert answer.get("X-Content-Type-Options") == "nosniff" and answer.get("Set-Cookie") == "seen=1"

answer = client.ask("/moved?to=/text%3Fa=b")
assert answer.status == 303 and answer.get("Location") == "/text?a=b" and answer.body == b""
for to in ("/%0d%0aSet-Cookie:%20a=b", "/%0a", "/%c3%bc", "/a%20b", ""):
    answer = client.ask("/moved?to=" + to)
    assert problem(answer) == (400, "This is no place to go to."), answer.head
    assert not answer.get("Set-Cookie") and not answer.get("Location"), answer.head

assert problem(client.ask("/none")) == (404, "There is no such view.")
EOF
}

@test "JSON goes in and out; what is none is 400, of another type 415, too large 413, each on a connection that goes on" {
    python <<'EOF'
answer = post('{"a": [1, "grüß", {"b": null}]}'.encode())
assert answer.status == 200 and json.loads(answer.body) == {"was": {"a": [1, "grüß", {"b": None}]}}, answer.body
assert answer.get("Content-Type") == "application/json", answer.head
assert answer.body == '{"was":{"a":[1,"grüß",{"b":null}]}}'.encode()

assert problem(post(b"[" * 100000)) == (400, "The JSON may be at most 32 deep.")
assert problem(post(b'{"a":' * 100000)) == (400, "The JSON may be at most 32 deep.")
assert problem(post(b"[1,]"))[0] == 400
assert problem(post(b'{"a":1,"a":2}'))[0] == 400
assert problem(post(b'"\\u0000"'))[0] == 400
assert problem(post(b'"\xff"'))[0] == 400
assert problem(post(b"[1]\0"))[0] == 400
assert problem(post(b""))[0] == 400
assert problem(post(b"[1]", b"text/plain")) == (415, "The Content-Type has to be application/json, in UTF-8.")
assert problem(post(b"[" + b"0," * 100000 + b"0]")) == (413, "The JSON may have at most 65536 values.")
assert post(b'"' + b"x" * (1048576 - 2) + b'"').status == 200
client.send(b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n")
assert problem(client.answer()) == (413, "The JSON may have at most 1048576 bytes.")

client = Client(PORT)
client.send(b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
for _ in range(17):
    client.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
assert problem(client.answer())[0] == 413
EOF
}

@test "half a body and a hang-up: the request ends, and nothing is left of it" {
    python <<'EOF'
client.send(b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[1,")
client.half_close()
assert problem(client.answer()) == (400, "The body is not whole.")
for _ in range(20):
    client = Client(PORT)
    client.send(b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n[1,")
    client.close()
EOF
    wait_until is_equal 0 figure .requests.active
}

@test "a page shows what it is given as text, and its parent has the rest" {
    run -0 curl -sS -i "$URL/page?name=%3C%22%27%26%3Cscript%3E"
    assert_line --partial 'Content-Type: text/html; charset=utf-8'
    assert_line '<title>Hi &lt;&quot;&#39;&amp;&lt;script&gt;</title>'
    assert_line '<a title="&lt;&quot;&#39;&amp;&lt;script&gt;">&lt;&quot;&#39;&amp;&lt;script&gt;</a>'
    refute_output --partial '<script>'
    refute_output --partial none
    run -0 curl -sS "$URL/page?name=a%ff%22b"
    assert_line $'<a title="a\xef\xbf\xbd&quot;b">a\xef\xbf\xbd&quot;b</a>'
}

@test "a page that calls itself is a 500 with an id, and the log says why" {
    run -0 curl -sS -i "$URL/looped"
    assert_line --index 0 --partial '500 Internal Server Error'
    has_logged 'GET /looped|a page is not sent: it is too deep'
    assert_equal "$(status_of /text)" 200
}

# bats test_tags=core
@test "a large page waits for a slow reader, in the memory of a small one, and holds up nobody" {
    start_views # nobody else's requests are in its high-water mark
    local pid before
    pid=$(worker_pids)
    get /big?rows=10 >/dev/null
    before=$(memory_of "$pid" VmRSS)
    python <<EOF
slow, other = Client(PORT, receive_buffer=4096), Client(PORT)
slow.send(b"GET /big?rows=600 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
for _ in range(20):
    assert other.ask("/text").status == 200
answer = slow.answer()
assert len(answer.body) == 600 * 1000 * 71, len(answer.body)
assert answer.body[:71] == answer.body[-71:]

# A second one is not read to its end.
gone = Client(PORT, receive_buffer=4096)
gone.send(b"GET /big?rows=5000 HTTP/1.1\r\nHost: a\r\n\r\n")
gone.sock.recv(1000)
gone.close()
EOF
    wait_until is_equal 0 figure .requests.active
    is_sanitized || [ "$(memory_of "$pid" VmHWM)" -lt $((before + 4096)) ]
}

@test "a build whose templates are wrong is refused, with file, line and column" {
    mkdir "$DIR/bad"
    printf 'a\n  {{#b}}' >"$DIR/bad/page.mustache"
    run ! "$REEVE" -t -c <(printf 'listen "127.0.0.1:0" { }\nstate_dir = "%s"\napp "v" { module = "%s" option { templates = "%s" } }\n' \
        "$DIR/state" "$TEST_APPS/viewed.so" "$DIR/bad")
    assert_output --partial "$DIR/bad/page.mustache:2:6: \"b\" has no end"
}
