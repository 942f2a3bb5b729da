#!/usr/bin/env bats
# The files app: what it serves, what it answers to conditions and ranges, and that nothing leads out of its folder.
load helpers

setup_file() {
    local root=$DIR/root
    mkdir -p "$root/sub/deep" "$root/empty" "$root/.git" "$DIR/outside"
    echo '<h1>index</h1>' >"$root/index.html"
    echo 'sub index' >"$root/sub/index.html"
    echo 'deep' >"$root/sub/deep/file.txt"
    printf '0123456789' >"$root/ten.txt"
    : >"$root/nothing.txt"
    echo 'secret' | tee "$DIR/outside/secret.txt" "$DIR/secret.txt" "$root/.git/config" "$root/.htpasswd" >/dev/null
    echo 'spaced' >"$root/a name & <more>.txt"
    printf '\x7fELF' >"$root/unknown.xyz"
    head -c 1000000 /dev/urandom >"$root/big.bin"
    head -c 12000000 /dev/urandom >"$root/huge.bin"
    ln -s sub/deep/file.txt "$root/inside-link"
    ln -s ../outside/secret.txt "$root/outside-link"
    ln -s "$DIR/outside" "$root/outside-folder"
    ln -s /etc/passwd "$root/absolute-link"
    ln -s loop "$root/loop"
    mkfifo "$root/fifo"
    touch -d '2020-01-02 03:04:05 UTC' "$root/ten.txt"
    chmod 000 "$root/.htpasswd"
    start_reeve <<EOF
app "hello"   { module = "$APPS/hello.so" }
app "files"   { module = "$APPS/files.so" mount = "/f" option { root = "$root" } }
app "listing" { module = "$APPS/files.so" mount = "/list" option { root = "$root" listing = "on" dotfiles = "on" } }
EOF
}

ROOT=$BATS_FILE_TMPDIR/root

@test "a file arrives whole, small and large" {
    local name
    for name in ten.txt nothing.txt big.bin huge.bin sub/deep/file.txt unknown.xyz; do
        get "/f/$name" | cmp - "$ROOT/$name"
        assert_equal "$(header_of Content-Length "/f/$name")" "$(wc -c <"$ROOT/$name")"
    done
    assert_equal "$(get '/f/a%20name%20%26%20%3Cmore%3E.txt')" spaced
}

@test "HEAD has the same head and no body" {
    local path
    for path in ten.txt big.bin; do
        diff <(head_of "/f/$path" | grep -v '^Date') <(head_of "/f/$path" -I | grep -v '^Date')
    done
}

@test "media types go by the ending, in any case" {
    assert_equal "$(header_of Content-Type /f/index.html)" 'text/html; charset=utf-8'
    assert_equal "$(header_of Content-Type /f/ten.txt)" 'text/plain; charset=utf-8'
    assert_equal "$(header_of Content-Type /f/unknown.xyz)" 'application/octet-stream'
    local ending type
    while read -r ending type; do
        echo x >"$ROOT/typed.$ending"
        assert_equal "$ending $(header_of Content-Type "/f/typed.$ending")" "$ending $type"
    done <<'EOF'
css text/css; charset=utf-8
js text/javascript; charset=utf-8
json application/json
png image/png
JPG image/jpeg
svg image/svg+xml
woff2 font/woff2
wasm application/wasm
pdf application/pdf
EOF
}

@test "a folder is its index; without a slash it is a redirection to it; without an index 404" {
    assert_equal "$(get /f/)" '<h1>index</h1>'
    assert_equal "$(get /f/sub/)" 'sub index'
    assert_equal "$(status_of /f/sub)" 301
    assert_equal "$(header_of Location /f/sub)" /f/sub/
    assert_equal "$(header_of Location '/f/sub?a=b')" '/f/sub/?a=b'
    assert_equal "$(header_of Location /f)" /f/
    assert_equal "$(get /f -L)" '<h1>index</h1>'
    assert_equal "$(status_of /f/empty/)" 404
    assert_equal "$(status_of /f/missing)" 404
    assert_equal "$(status_of /f/ten.txt/)" 404
    # Never to another host, whatever the slashes.
    run -0 header_of Location '/f//sub'
    refute_output --regexp '^//'
}

@test "a listing, where it is on, names everything safely" {
    assert_equal "$(get /list/)" '<h1>index</h1>'
    run -0 get /list/sub/deep/
    assert_output --partial 'file.txt'
    mkdir -p "$ROOT/names"
    echo x >"$ROOT/names/<script>\"'&.txt"
    run -0 get /list/names/
    refute_output --partial '<script>'
    assert_output --partial '&lt;script&gt;'
    assert_equal "$(status_of /f/names/)" 404
}

@test "only GET and HEAD are answered" {
    local method
    for method in POST PUT DELETE PATCH OPTIONS; do
        assert_equal "$(status_of /f/ten.txt -X $method)" 405
    done
    assert_equal "$(header_of Allow /f/ten.txt -X POST)" 'GET, HEAD'
}

# ---- out of the root ----

@test "nothing leads out of the folder: no dots, no escapes, no links" {
    local path
    for path in /f/../secret.txt /f/../../etc/passwd /f/sub/../../secret.txt /f/%2e%2e/secret.txt /f/.%2e/secret.txt \
        /f/..%2fsecret.txt /f/%2e%2e%2fsecret.txt /f/sub/..%2f..%2fsecret.txt /f/%2e%2e%5csecret.txt /f//../secret.txt \
        /f/./../secret.txt '/f/..;/secret.txt' /f/outside-link /f/outside-folder/secret.txt /f/absolute-link /f/loop \
        "/f/$DIR/secret.txt" /f//etc/passwd /f/%2fetc/passwd /f/proc/self/environ /f/fifo \
        /f/%252e%252e/secret.txt '/f/ten.txt%00.html'; do
        run -0 curl -sS --max-time 10 --path-as-is -w ' %{http_code}' "$URL$path"
        refute_output --partial secret
        refute_output --partial root:
        assert_output --regexp ' (400|403|404)$'
    done
    assert_equal "$(get /f/inside-link)" deep
}

@test "names that begin with a dot are not there, unless the option says so" {
    assert_equal "$(status_of /f/.git/config)" 404
    assert_equal "$(status_of /f/.htpasswd)" 404
    assert_equal "$(status_of /f/sub/.%2e/.git/config --path-as-is)" 400
    assert_equal "$(get /list/.git/config)" secret
}

@test "a file that may not be read is 403" {
    [ "$(id -u)" -ne 0 ] || skip "root may read everything"
    assert_equal "$(status_of /list/.htpasswd)" 403
}

# ---- conditions ----

@test "ETag and Last-Modified: a client that has it gets 304, and no body" {
    local etag
    etag=$(header_of ETag /f/ten.txt)
    [[ $etag == '"'*'"' ]]
    assert_equal "$(header_of Last-Modified /f/ten.txt)" 'Thu, 02 Jan 2020 03:04:05 GMT'
    local condition
    for condition in "If-None-Match: $etag" "If-None-Match: W/$etag" "If-None-Match: \"x\", $etag" 'If-None-Match: *' \
        'If-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT' 'If-Modified-Since: Thursday, 02-Jan-20 03:04:05 GMT' \
        'If-Modified-Since: Thu Jan  2 03:04:05 2020' 'If-Modified-Since: Fri, 03 Jan 2020 00:00:00 GMT'; do
        assert_equal "$condition $(status_of /f/ten.txt -H "$condition")" "$condition 304"
    done
    for condition in 'If-None-Match: "x"' "If-None-Match: ${etag%\"}" 'If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT' \
        'If-Modified-Since: nonsense'; do
        assert_equal "$condition $(status_of /f/ten.txt -H "$condition")" "$condition 200"
    done
    # If-None-Match decides alone (RFC 9110 section 13.2.2).
    assert_equal "$(status_of /f/ten.txt -H 'If-None-Match: "x"' -H 'If-Modified-Since: Fri, 03 Jan 2020 00:00:00 GMT')" 200
    run -0 head_of /f/ten.txt -H "If-None-Match: $etag"
    assert_line "ETag: $etag"
    refute_output --partial Content-Length
}

@test "If-Match and If-Unmodified-Since that do not hold are 412" {
    local etag
    etag=$(header_of ETag /f/ten.txt)
    assert_equal "$(status_of /f/ten.txt -H "If-Match: $etag")" 200
    assert_equal "$(status_of /f/ten.txt -H 'If-Match: *')" 200
    assert_equal "$(status_of /f/ten.txt -H 'If-Match: "x"')" 412
    assert_equal "$(status_of /f/ten.txt -H "If-Match: W/$etag")" 412
    assert_equal "$(status_of /f/ten.txt -H 'If-Unmodified-Since: Thu, 02 Jan 2020 03:04:05 GMT')" 200
    assert_equal "$(status_of /f/ten.txt -H 'If-Unmodified-Since: Wed, 01 Jan 2020 00:00:00 GMT')" 412
}

@test "a file that changes is served anew at once, with another tag" {
    echo one >"$ROOT/changing.txt"
    local before
    before=$(header_of ETag /f/changing.txt)
    assert_equal "$(get /f/changing.txt)" one
    echo two >"$ROOT/changing.txt" # as long as the former
    assert_equal "$(get /f/changing.txt)" two
    [ "$(header_of ETag /f/changing.txt)" != "$before" ]
    echo three >"$ROOT/new.txt"
    mv "$ROOT/new.txt" "$ROOT/changing.txt"
    assert_equal "$(get /f/changing.txt)" three
    rm "$ROOT/changing.txt"
    assert_equal "$(status_of /f/changing.txt)" 404
}

# ---- ranges ----

# ranged RANGE: status, Content-Range and body of ten.txt
ranged() {
    curl -sS -D "$DIR/head" -o "$DIR/part" -H "Range: $1" "${@:2}" "$URL/f/ten.txt"
    echo "$(sed -n '1s/HTTP.1.1 \([0-9]*\).*/\1/p' "$DIR/head" | tr -d '\r')" \
        "$(sed -n 's/^Content-Range: \(.*\)\r$/\1/p' "$DIR/head")" "$(cat "$DIR/part")"
}

@test "a range is answered with 206 and exactly those bytes" {
    assert_equal "$(ranged bytes=0-4)" '206 bytes 0-4/10 01234'
    assert_equal "$(ranged bytes=5-)" '206 bytes 5-9/10 56789'
    assert_equal "$(ranged bytes=-3)" '206 bytes 7-9/10 789'
    assert_equal "$(ranged bytes=0-0)" '206 bytes 0-0/10 0'
    assert_equal "$(ranged bytes=9-99)" '206 bytes 9-9/10 9'
    assert_equal "$(ranged bytes=-99)" '206 bytes 0-9/10 0123456789'
    get /f/big.bin -H 'Range: bytes=999000-' | cmp - <(tail -c 1000 "$ROOT/big.bin")
    get /f/huge.bin -H 'Range: bytes=6000000-6999999' | cmp - <(tail -c +6000001 "$ROOT/huge.bin" | head -c 1000000)
    assert_equal "$(header_of Accept-Ranges /f/ten.txt)" bytes
}

@test "a range outside is 416 with the size, one that is none is ignored" {
    assert_equal "$(ranged bytes=10-)" '416 bytes */10 416 Range Not Satisfiable'
    assert_equal "$(ranged bytes=-0)" '416 bytes */10 416 Range Not Satisfiable'
    local range
    for range in bytes=5-4 bytes=a-b bytes= bytes=- bytes items=0-1 'bytes=0-1;2-3' bytes=--1; do
        assert_equal "$range $(ranged "$range")" "$range 200  0123456789"
    done
    assert_equal "$(ranged bytes=0-4 -X POST | cut -c1-3)" 405
}

@test "several ranges come as multipart; overlapping or very many ones as the whole" {
    run -0 get /f/ten.txt -i -H 'Range: bytes=0-1,4-5,-1'
    assert_line --partial '206 Partial Content'
    assert_line --partial 'multipart/byteranges; boundary='
    assert_equal "$(grep -c '^Content-Range: bytes [0-9]*-[0-9]*/10' <<<"$output")" 3
    assert_equal "$(get /f/ten.txt -H 'Range: bytes=0-1,4-5' -D "$DIR/head" | wc -c)" \
        "$(sed -n 's/^Content-Length: \([0-9]*\).*/\1/p' "$DIR/head")"
    assert_equal "$(ranged bytes=0-5,2-7)" '200  0123456789'
    local many
    many=bytes=$(seq 0 999 | sed 's/.*/&-&/' | paste -sd,)
    assert_equal "$(status_of /f/big.bin -H "Range: $many")" 200
}

@test "If-Range: the part only when the file is still the same" {
    local etag
    etag=$(header_of ETag /f/ten.txt)
    assert_equal "$(ranged bytes=0-1 -H "If-Range: $etag")" '206 bytes 0-1/10 01'
    assert_equal "$(ranged bytes=0-1 -H 'If-Range: "x"')" '200  0123456789'
    assert_equal "$(ranged bytes=0-1 -H "If-Range: W/$etag")" '200  0123456789'
    assert_equal "$(ranged bytes=0-1 -H 'If-Range: Thu, 02 Jan 2020 03:04:05 GMT')" '206 bytes 0-1/10 01'
    assert_equal "$(ranged bytes=0-1 -H 'If-Range: Fri, 03 Jan 2020 03:04:05 GMT')" '200  0123456789'
}

@test "a download that was broken off is continued" {
    head -c 500000 "$ROOT/big.bin" >"$DIR/part"
    curl -sS -C - -o "$DIR/part" "$URL/f/big.bin"
    cmp "$DIR/part" "$ROOT/big.bin"
}

@test "a root that is not there is refused before the first request" {
    write_config <<<"app \"files\" { module = \"$APPS/files.so\" option { root = \"$DIR/none\" } }"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_output --partial "no folder $DIR/none"
    write_config <<<"app \"files\" { module = \"$APPS/files.so\" }"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_output --partial 'option root is missing'
}
