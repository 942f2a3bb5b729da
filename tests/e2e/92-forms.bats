#!/usr/bin/env bats
# Forms and files: the upload app, asked by curl -F and by whoever means no good.
load helpers

setup_file() {
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # some look at the memory of the one worker
    mkdir "$DIR/in"
    start_reeve <<EOF
workers = 1
app "upload" { module = "$APPS/upload.so" option { folder = "$DIR/in" max_size = "120000000" } }
EOF
}

IN=$BATS_FILE_TMPDIR/in

# python <<EOF: a script with raw.py's Client, PORT, and post(body, type): the answer to a form with the boundary B
python() {
    { printf '%s\n' "import os, sys, time; sys.path.insert(0, os.path.dirname('$RAW'))" \
        "from raw import Client; PORT = '$PORT'" \
        'PART = b"Content-Disposition: form-data; name=f; filename=x\r\n\r\n"' \
        'FORM = "multipart/form-data; boundary=B"' \
        'def post(body, type=FORM): return Client(PORT).ask("/", "POST", [("Content-Type", type)], body)'
      cat; } | python3 -
}

# descriptors PID: how many it has open
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }

@test "files arrive whole, under names that lead nowhere" {
    printf 'one\r\n--\r\n' >"$DIR/one.txt"
    : >"$DIR/empty"
    head -c 300000 /dev/urandom >"$DIR/random bytes.bin"
    run -0 curl -sS -i "$URL/" -F "f=@$DIR/one.txt" -F "g=@$DIR/random bytes.bin;type=x/y" -F 'note=just text' \
        -F "h=@$DIR/empty" -F "f=@$DIR/one.txt;filename=../../up€.txt" -F "f=@$DIR/one.txt;filename=.." \
        -F "big=<$DIR/random bytes.bin"
    assert_line --index 0 --partial '201 Created'
    assert_line '{"files":[{"name":"one.txt","size":9},{"name":"random_bytes.bin","size":300000},{"name":"empty","size":0},{"name":"up___.txt","size":9},{"name":"file","size":9}]}'
    cmp "$DIR/one.txt" "$IN/one.txt"
    cmp "$DIR/random bytes.bin" "$IN/random_bytes.bin"
    cmp "$DIR/one.txt" "$IN/up___.txt"
    # None of another name, and what is there stays.
    run -0 curl -sS -w ' %{http_code}' "$URL/" -F "f=@$DIR/empty;filename=one.txt"
    assert_output --partial ' 409'
    cmp "$DIR/one.txt" "$IN/one.txt"
    assert_equal "$(find "$IN" -name '.*' -type f)" ''
    get / | grep -q '<form method="post"'
}

# bats test_tags=core
@test "50 MB pass in constant memory, as a file and as a field" {
    local pid before
    pid=$(worker_pids)
    head -c 52428800 /dev/urandom >"$DIR/large"
    get / -F 'f=x;filename=warm' >/dev/null
    before=$(memory_of "$pid" VmHWM)
    run -0 get / -F "f=@$DIR/large;filename=large" -F "g=<$DIR/large" -H 'Transfer-Encoding: chunked'
    assert_output '{"files":[{"name":"large","size":52428800}]}'
    cmp "$DIR/large" "$IN/large"
    is_sanitized || [ "$(memory_of "$pid" VmHWM)" -lt $((before + 2048)) ]
}

@test "a client that hangs up leaves no file and no descriptor" {
    mkdir "$DIR/in"
    start_reeve <<EOF
workers = 1
app "upload" { module = "$APPS/upload.so" option { folder = "$DIR/in" } }
EOF
    WORKER=$(worker_pids) python <<'EOF'
def descriptors(): return len(os.listdir("/proc/%s/fd" % os.environ["WORKER"]))
def wait_for(is_so):
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, descriptors()
        time.sleep(0.01)
before = descriptors()
clients = [Client(PORT) for _ in range(5)]
for client in clients:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: " + FORM.encode() +
                b"\r\nContent-Length: 1000000\r\n\r\n--B\r\n" + PART + b"whole\r\n--B\r\n" + PART + b"x" * 200000)
wait_for(lambda: descriptors() == before + 15) # a connection and two files each
for client in clients:
    client.close()
wait_for(lambda: descriptors() == before)
EOF
    assert_equal "$(ls -A "$DIR/in")" ''
}

@test "a disk that gets full: 507, nothing is left, and there is room for the next" {
    unshare -rm true 2>/dev/null || skip "no namespaces here"
    # shellcheck disable=SC2016
    on_small_disk() {
        exec unshare -rm sh -c 'mount -t tmpfs -o size=1m none "$0" && exec "$@"' "$DIR/disk" "$@"
    }
    mkdir "$DIR/disk"
    start_reeve on_small_disk <<EOF
workers = 1
app "upload" { module = "$APPS/upload.so" option { folder = "$DIR/disk" } }
EOF
    local pid before
    pid=$(worker_pids)
    before=$(descriptors "$pid")
    head -c 900000 /dev/urandom >"$DIR/file"
    run -0 curl -sS -w ' %{http_code}\n' "$URL/" -F "f=@$DIR/file;filename=1" -F "f=@$DIR/file;filename=2" \
        --next -sS -w ' %{http_code}\n' "$URL/" -F "f=@$DIR/file;filename=3"
    assert_line 'There is no room left for the file.'
    assert_line ' 507'
    assert_line ' 201'
    assert_equal "$(ls -A "/proc/$pid/root$DIR/disk")" 3
    cmp "$DIR/file" "/proc/$pid/root$DIR/disk/3"
    wait_until is_equal "$before" descriptors "$pid"
}

@test "bad bodies: each has its answer, and the server goes on" {
    python <<'EOF'
END = b"--B--\r\n"
FIELD = b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
URLENCODED = "application/x-www-form-urlencoded"
LONG = "multipart/form-data; boundary=" + "B" * 71
for want, body, *type in (
    (201, END), (201, FIELD + END), (201, b"a=1&b=%20", URLENCODED),
    (400, b"junk"), (400, b"--B\r\n" + PART + b"no end"), (400, FIELD + b"--Bx\r\n" + END),
    (400, b"--B\n" + PART + b"1\r\n" + END), (400, b"--B\r\nX: y\r\n\r\n1\r\n" + END),
    (400, b"--B\r\nContent-Disposition: form-data; filename=x\r\n\r\n1\r\n" + END),
    (400, b"--B\r\nX: y\r\n folded\r\n" + PART + b"1\r\n" + END), (400, b"--B\r\n\0" + PART + b"\r\n" + END),
    (400, b"--B\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''%ff\r\n\r\n1\r\n" + END),
    (415, b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n" + PART + b"--C--\r\n" + END),
    (415, b"--B\r\nContent-Transfer-Encoding: base64\r\n" + PART + b"MQ==\r\n" + END),
    (413, b"--B\r\nX: " + b"y" * 9000 + b"\r\n" + PART + b"1\r\n" + END),
    (413, b"--B\r\nContent-Disposition: form-data; name=\"" + b"n" * 1000000 + b"\"\r\n\r\n1\r\n" + END),
    (413, b"--B\r\n" + b"X: y\r\n" * 17 + PART + b"1\r\n" + END),
    (413, FIELD * 1001 + END), (413, (b"--B\r\n" + PART + b"1\r\n") * 65 + END),
    (400, b"\r\n--" * 250000), (400, b"--B\r\n" + PART + b"\r\n--\r" * 200000),
    (415, b"{}", "application/json"), (415, b"a=1", URLENCODED + "; charset=latin1"),
    (400, END, "multipart/form-data"), (400, END, LONG), (400, END, "multipart/form-data; boundary=B; boundary=C"),
    (400, END, 'multipart/form-data; boundary="B'), (400, b"a=%", URLENCODED), (400, b"a=%00", URLENCODED),
    (413, b"&".join([b"a"] * 1001), URLENCODED), (413, b"a" * 1048577, URLENCODED),
):
    answer = post(body, *type)
    assert answer.status == want, (want, answer.status, answer.body, type, body[:200])
    assert want == 201 or answer.body.endswith(b".\n"), answer.body
# Refused before anything of it is sent.
client = Client(PORT)
client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nExpect: 100-continue\r\nContent-Length: 120000001\r\n\r\n"
            % FORM.encode())
assert client.answer(with_interim=True).status == 413
assert Client(PORT).ask("/", "PUT").get("Allow") == "GET, HEAD, POST"
EOF
    assert_no_file "$IN/x"
    assert_equal "$(figure '.workers[0].incarnation')" 1
}

@test "an upload app that could not keep a file is refused" {
    local option want
    while IFS='|' read -r option want; do
        write_config <<<"app \"upload\" { module = \"$APPS/upload.so\" option { $option } }"
        run ! "$REEVE" -t -c "$CONFIG"
        assert_output --partial "$want"
    done <<EOF
|option { folder = "..." } is missing
folder = "$DIR/none"|No such file or directory
folder = "$DIR" max_size = "10 MB"|is neither a size nor
folder = "$DIR" max_size = "-5"|is neither a size nor
EOF
}
