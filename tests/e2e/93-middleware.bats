#!/usr/bin/env bats
# The bundled middleware, seen by curl and Python's gzip: what passes, what is answered in its place, and what comes of it
# when the application, the client or the time is at an end. tests/apps/wrapped has a prefix for each.
load helpers

WRAPPED=$BATS_TEST_DIRNAME/wrapped.py

setup_file() {
    start_reeve <<EOT
workers = 1
write_timeout = 60s
app "wrapped" { module = "$TEST_APPS/wrapped.so" option { journal = "$DIR/journal" } }
EOT
    JOURNAL=$DIR/journal
    export JOURNAL
}

# heads PATH [CURL OPTION...]: status line and headers of each answer, in lower case
heads() { curl -sS --max-time 30 -o /dev/null -D - "${@:2}" "$URL$1" | tr -d '\r' | tr '[:upper:]' '[:lower:]'; }

# has_line PREFIX-PATTERN...: each is the beginning of a line of $output
has_lines() {
    local line
    for line in "$@"; do
        grep -q "^$line" <<<"$output" || fail "no line \"$line\" in: $output"
    done
}

lacks_lines() {
    local line
    for line in "$@"; do
        ! grep -q "^$line" <<<"$output" || fail "there is a line \"$line\" in: $output"
    done
}

@test "gzip: clients that ask for it get the same bytes in fewer" {
    # Of each path curl's decoded bytes are those without compression.
    local path plain packed
    for path in 'lines?size=100000' 'lines?size=100000&piece=333' declared file iterable 'lines?size=5000000' \
        'lines?size=1024' 'lines?size=1023' 'lines?size=0&piece=1'; do
        plain=$(get "/gzip/$path" | cksum)
        packed=$(get "/gzip/$path" --compressed | cksum)
        assert_equal "$path: $packed" "$path: $plain"
    done
    run -0 python3 "$WRAPPED" "$PORT" sizes
    assert_output "ok"
}

@test "gzip: the headers say what is in the body, also to HEAD, and what another client would get" {
    run -0 heads /gzip/lines -H 'Accept-Encoding: gzip'
    has_lines 'content-encoding: gzip' 'vary: accept-encoding' 'etag: w/"tag"' 'content-length: [1-9][0-9]\{2,3\}$'
    lacks_lines accept-ranges
    run -0 heads '/gzip/lines?size=5000000&type=text/plain;x' -H 'Accept-Encoding: gzip'
    has_lines 'content-encoding: gzip'
    run -0 heads /gzip/lines
    has_lines 'vary: accept-encoding' 'etag: "tag"' 'accept-ranges: bytes'
    lacks_lines content-encoding
    run -0 heads /gzip/declared -I -H 'Accept-Encoding: gzip'
    has_lines 'http/1.1 200' 'content-encoding: gzip' 'transfer-encoding: chunked' 'vary: accept-encoding'
    lacks_lines content-length
    run -0 heads /gzip/declared -I
    has_lines 'content-length: 20000' 'vary: accept-encoding'
    # Nobody reads a file to drop it.
    run -0 heads /gzip/huge -I -H 'Accept-Encoding: gzip'
    has_lines 'http/1.1 200' 'content-encoding: gzip' 'vary: accept-encoding'
    lacks_lines content-length
    run -0 heads /gzip/huge -I
    has_lines 'content-length: 1099511627776' 'vary: accept-encoding'
    run -0 heads '/gzip/lines?size=500' -H 'Accept-Encoding: gzip'
    has_lines 'content-length: 500' 'etag: "tag"' 'vary: accept-encoding'
    lacks_lines content-encoding
}

@test "gzip: what is encoded, partial, of another type, or not to be touched stays as it is" {
    local query
    for query in 'header=Content-Encoding&value=br' 'header=Cache-Control&value=max-age=1,no-transform' \
        'header=Content-Range&value=x'; do
        run -0 heads "/gzip/header?$query" -H 'Accept-Encoding: gzip'
        has_lines 'content-length: 4000'
        lacks_lines vary 'content-encoding: gzip'
    done
    # A part says as much of what it depends on as the whole does.
    query='header=Content-Range&value=bytes%200-3999/5000&status=206%20Partial%20Content'
    run -0 heads "/gzip/header?$query" -H 'Accept-Encoding: gzip'
    has_lines 'content-length: 4000' 'vary: accept-encoding'
    lacks_lines content-encoding
    run -0 heads '/gzip/lines?type=image/png' -H 'Accept-Encoding: gzip'
    lacks_lines vary content-encoding
    run -0 heads '/gzip/lines?type=application/problem%2Bjson' -H 'Accept-Encoding: gzip'
    has_lines 'content-encoding: gzip'
    # Nobody who refuses it gets it, and who refuses all else gets nothing else.
    run -0 heads '/gzip/lines' -H 'Accept-Encoding: gzip;q=0, *'
    lacks_lines content-encoding
    run -0 heads '/gzip/lines?type=image/png&size=10' -H 'Accept-Encoding: gzip, identity;q=0'
    has_lines 'content-encoding: gzip'
    run -0 heads '/gzip/lines?type=text/event-stream;charset=utf-8' -H 'Accept-Encoding: gzip, identity;q=0'
    lacks_lines 'content-encoding: gzip'
    run -0 heads '/gzip/header?header=ETag&value=%22a%22&status=304%20Not%20Modified' -H 'Accept-Encoding: gzip'
    has_lines 'http/1.1 304' 'etag: w/"a"' 'vary: accept-encoding'
}

@test "gzip: a flush reaches the client, who decodes the first piece before the second is written" {
    run -0 python3 "$WRAPPED" "$PORT" stream
    assert_output "ok"
}

@test "gzip: no more encoders than allowed; the next response leaves as it is" {
    run -0 python3 "$WRAPPED" "$PORT" few
    assert_output "ok"
}

@test "gzip: a client that hangs up, or takes nothing, ends the response and frees what it took" {
    run -0 python3 "$WRAPPED" "$PORT" hang-up
    assert_output "ok"
    wait_until grep -q 'endless has ended' "$JOURNAL"
}

@test "gzip: a handler that fails gives 500 without a trace of it, or is cut off; one that is short fails" {
    run -0 curl -sSi --compressed "$URL/gzip/fails"
    assert_line --index 0 --partial '500 Internal Server Error'
    refute_output --partial secret
    refute_output --partial -i content-encoding
    run curl -sSi --compressed "$URL/gzip/fails-sent"
    assert [ "$status" -ne 0 ]
    assert_equal "$(status_of /gzip/short -H 'Accept-Encoding: gzip')" 500
    assert_equal "$(status_of /gzip/go)" 200
}

@test "gzip: a handler that begins anew in vain gives 500, and no half of a stream as if it were all" {
    local path
    for path in 'anew?size=2000' 'anew?size=60000' 'anew?size=10'; do
        run -0 heads "/gzip/$path" -H 'Accept-Encoding: gzip'
        has_lines 'http/1.1 500'
        lacks_lines content-encoding
    done
}

@test "basic: who is known is let in under their name, all others are asked" {
    assert_equal "$(get /basic/who -u ann:secret)" "Basic ann"
    assert_equal "$(get /basic/who -u 'björn:pass:word')" "Basic björn"
    run -0 heads /basic/who
    has_lines 'http/1.1 401' 'www-authenticate: basic realm="the app", charset="utf-8"'
    local credentials
    for credentials in ann:secre ann:secrets ann: :secret anna:secret ann:pass:word; do
        assert_equal "$credentials $(status_of /basic/who -u "$credentials")" "$credentials 401"
    done
    assert_equal "$(status_of /basic/who -H 'Authorization: Bearer token-of-ann')" 401
    for credentials in 'Basic' 'Basic !!!!' 'Basic YW5u' 'Basic YW5uOgE=' 'Basic YW5uOnNlY3JldA==x'; do
        assert_equal "$credentials $(status_of /basic/who -H "Authorization: $credentials")" "$credentials 400"
    done
}

@test "bearer: a token that is known stands for its user, others are told what is wrong" {
    assert_equal "$(get /bearer/who -H 'Authorization: bearer token-of-ann')" "Bearer ann"
    assert_equal "$(get /ask/who -H 'Authorization: Bearer good')" "Bearer asked-good"
    run -0 heads /bearer/who
    has_lines 'http/1.1 401' 'www-authenticate: bearer realm="the app"$'
    run -0 heads /bearer/who -H 'Authorization: Bearer token-of-bob'
    has_lines 'http/1.1 401' 'www-authenticate: bearer realm="the app", error="invalid_token"'
    run -0 heads /bearer/who -H 'Authorization: Bearer a b'
    has_lines 'http/1.1 400' 'www-authenticate: bearer realm="the app", error="invalid_request"'
    assert_equal "$(status_of /ask/who -H 'Authorization: Bearer bad')" 401
    assert_equal "$(status_of /ask/who -H 'Authorization: Bearer broken')" 500
}

@test "CORS: a preflight is answered for origins that are allowed, and says nothing to others" {
    local preflight=(-X OPTIONS -H 'Access-Control-Request-Method: PUT')
    run -0 heads /cors/who "${preflight[@]}" -H 'Origin: https://app.example'
    has_lines 'http/1.1 204' 'access-control-allow-origin: https://app.example' 'access-control-allow-methods: get, put' \
        'access-control-allow-headers: x-token, content-type' 'access-control-allow-credentials: true' \
        'access-control-max-age: 600' 'vary: origin'
    run -0 heads /cors/who "${preflight[@]}" -H 'Origin: https://app.example.evil.example'
    has_lines 'http/1.1 204' 'vary: origin'
    lacks_lines access-control
    run -0 heads /any/who "${preflight[@]}" -H 'Origin: https://other.example'
    has_lines 'http/1.1 204' 'access-control-allow-origin: \*' 'access-control-allow-methods: get, head, post'
    lacks_lines vary access-control-allow-credentials
}

@test "CORS: an answer gets its headers in place of the application's, and Vary in any case" {
    run -0 heads /cors/who -H 'Origin: http://[::1]:8080'
    has_lines 'http/1.1 200' 'access-control-allow-origin: http://\[::1\]:8080' 'access-control-expose-headers: etag' \
        'access-control-allow-credentials: true' 'vary: cookie, origin'
    lacks_lines 'access-control-allow-origin: https://wrong'
    run -0 heads /cors/error?status=404%20Not%20Found -X OPTIONS -H 'Origin: https://app.example'
    has_lines 'http/1.1 404' 'access-control-allow-origin: https://app.example' 'vary: origin'
    run -0 heads /cors/who
    has_lines 'vary: cookie, origin'
    run -0 heads /cors/error?status=404%20Not%20Found -H 'Origin: https://evil.example'
    has_lines 'vary: origin'
    lacks_lines access-control
    run -0 heads /cors/who -H 'Origin: https://evil.example' # for whom the application has one
    has_lines 'vary: cookie, origin'
    lacks_lines access-control
}

@test "rate limit: the burst passes, then 429 says when to come again; each key for itself" {
    run -0 heads '/rate/who?user=[1-2]&n=[1-3]'
    assert_equal "$(grep -c '^http/1.1 200' <<<"$output")" 4
    assert_equal "$(grep -c '^http/1.1 429' <<<"$output")" 2
    assert_equal "$(grep -c '^retry-after: \(100\|9[0-9]\)$' <<<"$output")" 2
    assert_equal "$(grep '^ratelimit-remaining' <<<"$output" | tr -dc '0-9')" 100100
    assert_equal "$(grep -c '^ratelimit-limit: 2$' <<<"$output")" 6
    assert_equal "$(grep -c '^ratelimit-reset: \(200\|1[0-9][0-9]\)$' <<<"$output")" 6
    run -0 heads '/rate/who?n=[1-5]'
    assert_equal "$(grep -c '^http/1.1 200' <<<"$output")" 5
}

@test "time limit: 504 when nothing was sent, cut off else, and an answer is an answer" {
    run -0 curl -sSi "$URL/time/waits?ms=60000"
    assert_line --index 0 --partial '504 Gateway Timeout'
    refute_output --partial begun
    refute_output --partial iterable
    has_logged 'the time limit of 0.05 s has passed'
    run curl -sSi "$URL/time/waits?ms=60000&begun=1"
    assert [ "$status" -ne 0 ]
    assert_output --partial begun
    run -0 get '/time/waits?ms=60000&late=1'
    assert_output $'waited\na piece of an iterable'
    run -0 get '/time/waits?ms=1'
    assert_line waited
}

@test "error pages: where there is no body there is one, of the kind that the client prefers" {
    local error='/pages/error?status=404%20Not%20%3CFound%3E'
    run -0 curl -sSi "$URL$error"
    assert_line --partial 'Content-Type: text/plain; charset=utf-8'
    assert_line --partial 'Allow: GET'
    assert_line --partial 'Vary: Accept'
    assert_line '404 Not <Found>'
    assert_line --regexp '^request id [0-9a-f]{16}$'
    run -0 get "$error" -H 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'
    assert_output --partial '<h1>404 Not &#60;Found&#62;</h1>'
    run -0 get "$error" -H 'Accept: text/html;q=0.1, application/json'
    assert_equal "$(jq -r '"\(.status) \(.error)"' <<<"$output")" '404 Not <Found>'
    assert_equal "$(get "$error&body=mine" -H 'Accept: text/html')" mine
    run -0 heads "$error" -I
    has_lines 'http/1.1 404' 'content-type: text/plain'
    lacks_lines 'content-length: 0'
    # Where GET gets the application's own, so does HEAD, without seeing it.
    run -0 heads "$error&body=mine&length=4" -I
    has_lines 'http/1.1 404' 'content-type: text/css' 'content-length: 4'
    run -0 heads '/all/header?header=A&value=b&status=404%20No' -I -u ann:secret -H 'Accept-Encoding: gzip'
    has_lines 'http/1.1 404' 'content-type: text/plain$' 'content-encoding: gzip'
    assert_equal "$(get '/pages/who')" '- -'
    # All of them, and in words of the application's.
    assert_equal "$(get '/replace/error?status=404%20No&body=mine')" 'my page of kind 0'
    run -0 get '/replace/error?status=503%20No&body=mine' -H 'Accept: application/json'
    assert_equal "$(jq -r .status <<<"$output")" 503
}

@test "all of them around one handler" {
    run -0 curl -sSi --compressed -u ann:secret -H 'Origin: https://app.example' "$URL/all/lines?size=5000"
    assert_line --partial 'Content-Encoding: gzip'
    assert_line --partial 'Access-Control-Allow-Origin: https://app.example'
    assert_line --regexp '^Vary: Accept-Encoding, Origin'
    run -0 curl -sSi --compressed -u ann:secret -H 'Origin: https://app.example' "$URL/all/waits?ms=60000"
    assert_line --index 0 --partial '504'
    assert_line --partial 'Access-Control-Allow-Origin: https://app.example'
    assert_equal "$(status_of /all/lines)" 401
}

@test "an option that is wrong refuses the build with a sentence" {
    write_config <<EOT
workers = 1
app "wrapped" { module = "$TEST_APPS/wrapped.so" option { gzip_level = 10 } }
EOT
    run "$REEVE" -t -c "$CONFIG"
    assert [ "$status" -ne 0 ]
    assert_output --partial 'gzip: level is from 1 to 9'
}
