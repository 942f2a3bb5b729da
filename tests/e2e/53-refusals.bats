#!/usr/bin/env bats
# What preflight refuses, one test for each kind: under load, without one request that fails; reevectl says why and ends
# with 4; the old build goes on answering; and a good build that is deployed right after goes live.
load helpers

setup_file() {
    need wrk
    build_numbered "$DIR/1.so" 1
    build_numbered "$DIR/9.so" 9
}

# put FILE: it takes the place of the module, as a whole
put() { cp "$1" "$DIR/n.so.new" && mv "$DIR/n.so.new" "$DIR/n.so"; }

# build FLAG...: a build 2 that is no good takes the place of the module
build() { build_numbered "$DIR/n.so" 2 "$@"; }

# begin: build 1 is live, and under load
begin() {
    put "$BATS_FILE_TMPDIR/1.so"
    start_reeve <<EOF2
prepare_timeout = 2s
app "n" { module = "$DIR/n.so" }
EOF2
    start_wrk -c8
}

# refused REASON: the module that lies there now is, and nothing has changed
refused() {
    run -4 ctl reload n
    assert_output --partial "$1"
    assert_equal "$(builds 8)" 'build 1'
}

# at_last: a good build goes live, and no request has failed meanwhile
at_last() {
    put "$BATS_FILE_TMPDIR/9.so"
    run -0 ctl reload n
    stop_wrk
    assert_equal "$(builds)" 'build 9'
    assert_equal "$(figure '.workers | map(.respawn_count) | add')" 0
}

# ---- code that does not let itself be loaded ---------------------------------------------------------------------------

@test "a constructor that aborts" {
    begin
    build -DLOADING='fputs("about to abort\n", stderr); abort()'
    refused 'crashed with signal 6 (Aborted) in a constructor, while it was loaded'
    assert_output --partial 'about to abort'
    at_last
}

@test "a constructor that ends the process" {
    begin
    build -DLOADING='_exit(0)'
    refused 'ended with exit status 0 in a constructor, while it was loaded'
    at_last
}

@test "a constructor that never ends" {
    begin
    build -DLOADING='for (;;) pause()'
    refused 'did not finish its preflight within 2 s: it was in a constructor, while it was loaded'
    at_last
}

@test "an init that never ends" {
    begin
    build -DIN_INIT='for (volatile int i = 0;; i++)'
    refused 'did not finish its preflight within 2 s: it was in init'
    at_last
}

@test "an init that waits for ever" {
    begin
    build -DIN_INIT='while (reeve_sleep(1) == 0)'
    refused 'did not finish its preflight within 2 s: it was in init'
    at_last
}

@test "an init that exits" {
    begin
    build -DIN_INIT='exit(3)'
    refused ' in init'
    assert_output --regexp 'ended with exit status [13] in init' # 1: what the master had in use counts as leaked
    at_last
}

# bats test_tags=core
@test "an init that crashes" {
    begin
    build -DIN_INIT='raise(SIGSEGV)'
    if is_sanitized; then
        refused 'in init'
    else
        refused 'crashed with signal 11 (Segmentation fault) in init'
    fi
    build -DCRASH_INIT
    refused 'crashed with signal 6 (Aborted) in init'
    at_last
}

@test "an init that says no" {
    begin
    build -DFAIL_INIT
    refused 'this build says no'
    at_last
}

@test "an init that floods the log: the first of it is shown, and the master goes on" {
    begin
    build -DIN_INIT='for (int i = 0; i < 20000; i++) fprintf(stderr, "line %d of a flood\n", i); return -1'
    refused 'its init failed without giving a reason'
    assert_output --partial 'line 0 of a flood'
    [ "${#output}" -lt 30000 ]
    at_last
}

@test "an init that floods without end" {
    begin
    build -DIN_INIT='for (;;) fputs("a flood\n", stderr)'
    refused 'it was in init'
    at_last
}

@test "an undefined symbol: a library's, or one of a newer interface" {
    begin
    build -DLOADING='extern void not_defined_anywhere(void); not_defined_anywhere()'
    refused 'undefined symbol: not_defined_anywhere'
    build -DMISSING_SYMBOL
    refused "$DIR/n.so needs reeve_no_such_function, which this server does not have: was it built for a newer reeve?"
    at_last
}

@test "a shared library of its own: by search path, beside the module, by path" {
    begin
    mkdir "$DIR/lib"
    echo 'int own(void) { return 2; }' | cc -shared -fPIC -xc -o "$DIR/lib/libown.so" -
    local own='extern int own(void); own()'
    build -DLOADING="$own" -L"$DIR/lib" -lown "-Wl,-rpath,/nowhere:$DIR/lib" -Wl,--no-as-needed -lown
    refused "$DIR/n.so needs $DIR/lib/libown.so, a shared library of its own"
    build -DLOADING="$own" -Wl,--no-as-needed -L"$DIR/lib" -lown '-Wl,-rpath,$ORIGIN/lib'
    refused "$DIR/n.so needs $DIR/lib/libown.so, a shared library of its own"
    build -DLOADING="$own" -Wl,--no-as-needed "$DIR/lib/libown.so"
    refused "$DIR/n.so needs $DIR/lib/libown.so, a shared library of its own"
    assert_output --partial 'link it statically'
    at_last
}

# ---- files that are no module --------------------------------------------------------------------------------------------

@test "a file that is cut short, wherever" {
    begin
    local size length
    size=$(wc -c <"$BATS_FILE_TMPDIR/9.so")
    for length in 4 63 64 1000 $((size / 2)) $((size - 1)); do
        head -c "$length" "$BATS_FILE_TMPDIR/9.so" >"$DIR/n.so"
        refused "$DIR/n.so is cut short: was it still being written?"
    done
    at_last
}

@test "no file, an empty one, a folder, a FIFO, a text" {
    begin
    rm "$DIR/n.so"
    refused "$DIR/n.so cannot be read: No such file or directory"
    : >"$DIR/n.so"
    refused "$DIR/n.so is empty"
    rm "$DIR/n.so"
    mkdir "$DIR/n.so"
    refused "$DIR/n.so is no regular file"
    rmdir "$DIR/n.so"
    mkfifo "$DIR/n.so"
    refused "$DIR/n.so is no regular file"
    rm "$DIR/n.so"
    echo 'int main;' >"$DIR/n.so"
    refused "$DIR/n.so is no ELF file"
    at_last
}

@test "a file that the server may not read" {
    [ "$(id -u)" -ne 0 ] || skip 'root may read everything'
    begin
    chmod 0 "$DIR/n.so"
    refused "$DIR/n.so cannot be read: Permission denied"
    chmod 600 "$DIR/n.so"
    at_last
}

@test "another machine's module: by its machine, its width, its byte order" {
    begin
    [ "$(uname -m)" = x86_64 ] || skip 'written for x86-64'
    put "$BATS_FILE_TMPDIR/9.so"
    poke() { printf %b "$2" | dd of="$DIR/n.so" bs=1 seek="$1" conv=notrunc status=none; }
    poke 18 '\xb7\x00'
    refused "$DIR/n.so is built for aarch64, this server is x86-64"
    poke 18 '\x3e\x00'
    poke 4 '\x01'
    refused "$DIR/n.so is a 32-bit file, this server is 64-bit"
    poke 4 '\x02'
    poke 5 '\x02'
    poke 18 '\x00\x3e'
    refused "$DIR/n.so is big-endian, this server is little-endian"
    at_last
}

@test "an executable, an object file, a library that is no application" {
    begin
    echo 'int main(void) { return 0; }' | cc -xc -no-pie -o "$DIR/n.so" -
    refused "$DIR/n.so is an executable, no shared object: link it with -shared"
    echo 'int main(void) { return 0; }' | cc -xc -fPIE -pie -o "$DIR/n.so" -
    refused "$DIR/n.so is an executable, no shared object: link it with -shared"
    echo 'int x;' | cc -xc -c -o "$DIR/n.so" -
    refused "$DIR/n.so is an object file, no shared object: link it with -shared"
    build -DNO_DESCRIPTOR
    refused 'it has no REEVE_APP descriptor'
    at_last
}

# rewrite FILE...: the module is written anew again and again, in place, with these contents by turns
rewrite() {
    while :; do
        local file
        for file in "$@"; do cat "$file" >"$DIR/n.so"; done
    done
}

@test "a file that is overwritten while it is staged: refused or whole, never half" {
    begin
    build_numbered "$DIR/2.so" 2
    rewrite "$DIR/2.so" "$BATS_FILE_TMPDIR/9.so" 3>&- &
    local writer=$! live
    started+=("$writer")
    for _ in 1 2 3; do
        run ctl reload n
        [[ $status = 0 || $status = 4 && $output =~ ("keeps changing"|"changed while"|"is cut short"|"is empty") ]] ||
            fail "$status: $output"
        live=$(builds)
        [[ $live =~ ^build\ [129]$ ]] || fail "$live"
    done
    kill "$writer"
    end_of "$writer"
    at_last
}

# ---- a descriptor that does not fit -----------------------------------------------------------------------------------------

@test "another interface: the field is named, with what it says and what is expected" {
    begin
    build -DFIELDS='.magic = 0x12345678'
    refused '.magic is 0x12345678 and must be 0x52454556'
    build -DFIELDS='.abi_major = 9'
    refused '.abi_major is 9 and must be 1'
    build -DFIELDS='.abi_minor = 77'
    refused '.abi_minor is 77 and may be'
    assert_output --partial 'it was built for a newer reeve'
    build -DFIELDS='.size = 10000'
    refused '.size is 10000 bytes and must be from '
    build -DFIELDS='.size = 3'
    refused '.size is 3 bytes and must be from '
    at_last
}

@test "each field of the descriptor that does not fit is named" {
    begin
    build -DFIELDS='.name = "no blank"'
    refused '.name is "no blank" and must be letters, digits'
    build -DFIELDS='.version = NULL'
    refused '.version is missing'
    build -DFIELDS='.application = NULL'
    refused '.application is missing'
    build -DFIELDS='.stack_size = 1000'
    refused '.stack_size is 1000 bytes and must be from 32 KiB to 1 GiB'
    build -DFIELDS='.selftest_paths = (const char *const[]){"/", "x", NULL}'
    refused '.selftest_paths has "x", and a path must begin with "/"'
    build -DFIELDS='.name = NULL, .version = NULL'
    refused '.name is missing; .version is missing'
    at_last
}

# ---- tests that fail --------------------------------------------------------------------------------------------------------

@test "a selftest that fails" {
    begin
    build -DFAIL_SELFTEST
    refused '2 and 2 make 5'
    at_last
}

# paths PATH...: a build with these selftest_paths takes the place of the module
paths() {
    local list
    list=$(printf '"%s", ' "$@")
    build -DFIELDS=".selftest_paths = (const char *const[]){${list}NULL}"
}

@test "a selftest path that is answered with 500, or not at all, or crashes" {
    begin
    paths / '/x?fail'
    refused 'selftest_paths: GET /x?fail answered 500 Internal Server Error'
    assert_output --partial 'GET /x: failed' # what the server's log says of it
    paths '/?until=/no/such/file'
    refused 'it was in the answer to GET /?until=/no/such/file (selftest_paths)'
    paths '/?crash'
    refused 'crashed with signal 9 (Killed) in the answer to GET /?crash (selftest_paths)'
    at_last
}

@test "a selftest path that breaks off" {
    begin
    cat >"$DIR/n.c" <<'EOF'
#include <reeve/app.h>
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    start_response(env, "200 OK", REEVE_HEADERS({"Content-Length", "5"}));
    reeve_write(env, "12", 2);
    reeve_flush(env);
    return 0;
}
static const char *const paths[] = {"/", 0};
REEVE_APP(.name = "n", .version = "2", .application = answer, .selftest_paths = paths);
EOF
    cc -shared -fPIC -I"$TOP/include" -o "$DIR/n.so" "$DIR/n.c"
    refused 'selftest_paths: GET / was answered in part only'
    at_last
}

@test "selftest paths are asked for as by a client: below the mount, on a coroutine, an endless answer too" {
    put "$BATS_FILE_TMPDIR/1.so"
    start_reeve <<EOF
app "n" { module = "$DIR/n.so" mount = "/a/ä" option { trace = "$DIR/trace" } }
EOF
    cat >"$DIR/n.c" <<'EOF'
#include <stdio.h>
#include <string.h>
#include <reeve/app.h>
static const char *const paths[] = {"/one?x=%20y", "/two", "/endless", 0};
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    static const char block[10000];
    FILE *trace = fopen(reeve_option(reeve_environ_module(env), "trace"), "a");

    fprintf(trace, "%s %s %s %s %d\n", reeve_environ_get(env, "SCRIPT_NAME"), reeve_path(env), reeve_query(env),
            reeve_environ_get(env, "HTTP_USER_AGENT"), reeve_is_preflight());
    fclose(trace);
    if (reeve_sleep(0.01) != 0)
        return -1;
    start_response(env, strcmp(reeve_path(env), "/two") ? "200 OK" : "302 Found", REEVE_NO_HEADERS);
    while (!strcmp(reeve_path(env), "/endless"))
        if (reeve_write(env, block, sizeof block) != 0)
            return 0;
    return 0;
}
REEVE_APP(.name = "n", .version = "2", .application = answer, .selftest_paths = paths, ON_LOOP);
EOF
    cc -shared -fPIC -I"$TOP/include" -DON_LOOP= -o "$DIR/n.so" "$DIR/n.c"
    run -0 ctl reload n
    assert_equal "$(cat "$DIR/trace")" '/a/ä /one x=%20y reeve-preflight 1
/a/ä /two  reeve-preflight 1
/a/ä /endless  reeve-preflight 1'
    # Where nothing may wait the same answers fail.
    cc -shared -fPIC -I"$TOP/include" -DON_LOOP='.on_loop = true' -o "$DIR/n.so" "$DIR/n.c"
    run -4 ctl reload n
    assert_output --partial 'selftest_paths: GET /one?x=%20y answered 500 Internal Server Error'
}

@test "a build that crashes at the very end of its preflight" {
    begin
    cat >"$DIR/n.c" <<'EOF'
#include <stdlib.h>
#include <reeve/app.h>
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, "200 OK", REEVE_NO_HEADERS);
}
static void fini(reeve_module *module)
{
    (void)module;
    abort();
}
REEVE_APP(.name = "n", .version = "2", .application = answer, .fini = fini);
EOF
    cc -shared -fPIC -I"$TOP/include" -o "$DIR/n.so" "$DIR/n.c"
    refused 'crashed with signal 6 (Aborted) in fini'
    at_last
}

@test "what is no reason to refuse a build is told: by -t, and by the server that takes it" {
    put "$BATS_FILE_TMPDIR/1.so"
    start_reeve <<EOF
app "n" { module = "$DIR/n.so" }
EOF
    cat >"$DIR/n.c" <<'EOF'
#include <reeve/app.h>
const char *cJSON_Version(void) { return "mine"; }
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, cJSON_Version()[0] == 'm' ? "200 OK" : "500 Not Mine", REEVE_NO_HEADERS);
}
REEVE_APP(.name = "n", .version = "2", .application = answer);
EOF
    cc -shared -fPIC -Wl,-z,execstack -I"$TOP/include" -o "$DIR/n.so" "$DIR/n.c"
    local clash='cJSON_Version is defined in the module and in the server, whose copy wins'
    run -0 "$REEVE" -t -c "$CONFIG"
    assert_output --partial 'app "n": warning: it asks for an executable stack'
    assert_output --partial "app \"n\": warning: $clash"
    run -0 ctl -j reload n
    assert_equal "$(tail -n 1 <<<"$output" | jq -r '.receipt.apps[0].warnings | length')" 2
    wait_until has_logged "$clash"
    assert_equal "$(status_of /)" 500 # as the warning said
}
