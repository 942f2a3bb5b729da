#!/usr/bin/env bats
# The configuration file: what is wrong with one is a sentence with file and line, and nothing is started.
load helpers

# refused TEXT <<EOF: `reeve -t` answers with exactly one line that begins with the file's name, and has TEXT
refused() {
    write_config
    run --separate-stderr -2 "$REEVE" -t -c "$CONFIG"
    assert_equal "$output" ""
    # shellcheck disable=SC2154
    assert_equal "${#stderr_lines[@]}" 1
    # shellcheck disable=SC2154
    output=$stderr assert_output --partial "$CONFIG:$1"
}

# refuse_all <<EOF: each line is what is to be said of a line of configuration, | and that line, the first of the file
refuse_all() {
    local want line
    while IFS='|' read -r want line; do
        printf '%s\nlisten "127.0.0.1:0" { }\napp "hello" { module = "%s/hello.so" }\n' "$line" "$APPS" >"$CONFIG"
        run -2 "$REEVE" -t -c "$CONFIG"
        assert_equal "${#lines[@]}" 1
        assert_output --partial "$CONFIG:1: $(sed 's/ *$//' <<<"$want")"
    done
}

setup() { CONFIG=$DIR/reeve.conf; }

@test "an unknown key, a wrong type and a value out of bounds are errors with file and line" {
    refuse_all <<'EOF'
unknown key "wrokers"                         | wrokers = 2
workers must be auto or a number from 1       | workers = 0
workers must be auto or a number from 1       | workers = many
workers must be auto or a number from 1       | workers = -1
head_timeout must be a duration from          | head_timeout = 10x
head_timeout must be a duration from          | head_timeout = 0
head_timeout must be a duration from          | head_timeout = 2d
max_head must be a size from                  | max_head = 10q
max_head must be a size from                  | max_head = 100
max_headers must be a number from             | max_headers = 0
server_header must be on or off               | server_header = maybe
log_level must be debug, info, warn or error  | log_level = loud
access_format must be combined or json        | access_format = xml
access_log: there is no folder                | access_log = "/no/such/folder/access.log"
pid_file: there is no folder                  | pid_file = "/no/such/folder/pid"
keep must be a number from 1 to 1000          | keep = 0
keep_receipts must be a number from 10        | keep_receipts = 9
fallback must be none or last-good            | fallback = last
unload_timeout must be a duration from 0      | unload_timeout = 2d
upgrade_timeout must be a duration from 1ms   | upgrade_timeout = 0
max_unavailable must be a number from 1       | max_unavailable = 0
max_unavailable = 5 must be less than         | workers = 2 max_workers = 5 max_unavailable = 5
max_workers = 2 is too few for 2 workers      | workers = 2 max_workers = 2
the path of the control socket                | control = "/tmp/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
EOF
}

@test "what is wrong in a section is reported with the line inside it" {
    refused '7: unknown key "modul" in app "other"' <<EOF
app "hello" { module = "$APPS/hello.so" }
app "other" {
    modul = "$APPS/hello.so"
}
EOF
    refused '5: app "hello" has no module' <<<'app "hello" { }'
    refused "5: module \"$DIR/missing.so\" cannot be read: No such file or directory" \
        <<<"app \"hello\" { module = \"$DIR/missing.so\" }"
    refused "5: module \"$DIR\" cannot be read: it is a folder" <<<"app \"hello\" { module = \"$DIR\" }"
    refused 5: <<<'listen "nowhere" { }'
}

@test "a chat listener names one app that is there, and no app names it" {
    refuse_all <<EOF
protocol must be http or chat, not "smtp"                            | listen "127.0.0.1:1" { protocol = smtp }
listen "127.0.0.1:1": protocol = chat needs app = "NAME"             | listen "127.0.0.1:1" { protocol = chat }
listen "127.0.0.1:1": there is no app "helo"                         | listen "127.0.0.1:1" { protocol = chat app = "helo" }
listen "127.0.0.1:1": app is for protocol = chat only                | listen "127.0.0.1:1" { app = "hello" }
app "b": the listener "127.0.0.1:1" speaks chat, and is bound to     | listen "127.0.0.1:1" { protocol = chat app = b } app b { module = "$APPS/hello.so" listen = {"127.0.0.1:1"} }
EOF
}

@test "two apps at one mount, with one name, or two listeners at one address are errors" {
    refused "7: app \"b\" is mounted at \"/x\", where app \"a\" (line 5) is" <<EOF
app "a" { module = "$APPS/hello.so" mount = "/x" }
app "b" { module = "$APPS/hello.so"
          mount = "/x" }
EOF
    refused '6: there already is an app "a" (line 5)' <<EOF
app "a" { module = "$APPS/hello.so" }
app "a" { module = "$APPS/hello.so" mount = "/b" }
EOF
    refused '6: there already is a listener at "127.0.0.1:8099" (line 5)' <<EOF
listen "127.0.0.1:8099" { }
listen "127.0.0.1:8099" { }
EOF
    refused '5: app "a": there is no listener "127.0.0.1:1"' <<EOF
app "a" { module = "$APPS/hello.so" listen = {"127.0.0.1:1"} }
EOF
}

@test "a mount that could never match is an error" {
    local mount
    for mount in x /x/ //x /x/../y '/a%20b' '/a?b'; do
        refused '5: mount' <<<"app \"a\" { module = \"$APPS/hello.so\" mount = \"$mount\" }"
    done
}

@test "a file that is torn, no text, or not there is an error" {
    printf 'workers = 2\napp "x" {\n' >"$CONFIG"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_output --partial "$CONFIG:"
    head -c 4096 /dev/urandom >"$CONFIG"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_output --partial "$CONFIG"
    : >"$CONFIG"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_output --partial "$CONFIG: no listener"
    run -2 "$REEVE" -t -c "$DIR"
    run -2 "$REEVE" -t -c "$DIR/missing.conf"
    assert_output --partial "$DIR/missing.conf"
    assert_output --partial 'No such file or directory'
}

@test "a server is not started either with a configuration that is wrong" {
    write_config <<<'wrokers = 2'
    run -2 "$REEVE" -c "$CONFIG"
    assert_output --partial 'unknown key "wrokers"'
    assert_no_file "$CONTROL"
    assert_no_file "$DIR/state"
}

@test "-t says ok, changes nothing, and does not mind a server that runs on the same configuration" {
    start_reeve </dev/null
    run -0 "$REEVE" -t -c "$CONFIG"
    assert_output "$CONFIG: ok"
    assert_equal "$(get /)" "Hello, World!"
    assert_equal "$(figure .generation)" 1
    stop_reeve
    rm -r "$DIR/state"
    run -0 "$REEVE" -t -c "$CONFIG"
    assert_no_file "$DIR/state"
    assert_no_file "$CONTROL"
}

@test "-t finds places that a server could not make, and makes none" {
    refuse_all <<EOF
control: "/dev/null" is there already, and is no socket      | control = "/dev/null"
control: the folder of "$DIR/a/b/c" cannot be made           | control = "$DIR/a/b/c"
control: "/dev/null/c" cannot be made: /dev/null: Not        | control = "/dev/null/c"
state_dir: nothing can be kept in "/dev/null": /dev/null     | state_dir = "/dev/null"
EOF
    printf 'control = "%s/a/c" state_dir = "%s/b/c/d"\nlisten "127.0.0.1:0" { }\napp "hello" { module = "%s/hello.so" }\n' \
        "$DIR" "$DIR" "$APPS" >"$CONFIG"
    run -0 "$REEVE" -t -c "$CONFIG"
    assert_no_file "$DIR/a"
    assert_no_file "$DIR/b"
}

@test "-t finds a module that cannot be loaded, has no descriptor, or says no, and tells which" {
    echo 'no module' >"$DIR/text.so"
    refused "5: app \"broken\": $DIR/text.so" <<<"app \"broken\" { module = \"$DIR/text.so\" }"
    build_numbered "$DIR/n.so" 1 -DMISSING_SYMBOL
    refused '6: app "n": ' <<EOF
app "hello" { module = "$APPS/hello.so" }
app "n" { module = "$DIR/n.so" mount = "/n" }
EOF
    output=$stderr assert_output --partial 'reeve_no_such_function'
    build_numbered "$DIR/n.so" 1 -DNO_DESCRIPTOR
    refused '5: app "n": it has no REEVE_APP descriptor' <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 1 -DFAIL_INIT
    refused '5: app "n": this build says no' <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 1 -DFAIL_SELFTEST
    refused '5: app "n": 2 and 2 make 5' <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 1 -DCRASH_INIT
    refused '5: app "n": crashed with signal 6' <<<"app \"n\" { module = \"$DIR/n.so\" }"
    build_numbered "$DIR/n.so" 1 -DHANG_INIT
    refused '6: app "n": did not finish' <<EOF
prepare_timeout = 500ms
app "n" { module = "$DIR/n.so" }
EOF
}

@test "-t shows what the module wrote to stderr before it said no" {
    write_config <<<"app \"o\" { module = \"$TEST_APPS/options.so\" option { refuse = \"wrong colour\" } }"
    run -2 "$REEVE" -t -c "$CONFIG"
    assert_line 'what init writes to stderr'
    assert_line "$CONFIG:5: app \"o\": wrong colour"
}

@test "a server whose app says no does not start, and says why" {
    write_config <<<"app \"o\" { module = \"$TEST_APPS/options.so\" option { refuse = \"wrong colour\" } }"
    run -1 "$REEVE" -c "$CONFIG"
    assert_output --partial 'not started: app "o": wrong colour'
    assert_no_file "$CONTROL"
}

@test "the options of an app reach it, and only it" {
    start_reeve <<EOF
app "one" { module = "$TEST_APPS/options.so" mount = "/one" option { colour = "red" size = 12 } }
app "two" { module = "$TEST_APPS/options.so" mount = "/two" option { colour = "blue" } }
EOF
    assert_equal "$(get /one)" $'colour=red\nsize=12'
    assert_equal "$(get /two)" $'colour=blue\nsize=(none)'
}

@test "values take units, the environment and comments" {
    SIZE=12 start_reeve <<EOF
# a comment
keep_alive = 2m   // another
head_timeout = 1500ms
max_head = 64k
/* and
   a third */
app "one" { module = "$TEST_APPS/options.so" option { colour = "\${COLOUR:-green}" size = "\${SIZE}" } }
EOF
    assert_equal "$(get /)" $'colour=green\nsize=12'
    assert_equal "$(api /v1/config | jq -c '[.keep_alive, .head_timeout, .max_head]')" '[120,1.5,65536]'
}

@test "the configuration in force is shown whole, with the defaults that the reference names" {
    start_reeve </dev/null
    api /v1/config >"$DIR/config.json"
    local key value count=0
    while read -r key value; do
        run -0 jq -e --arg k "$key" 'has($k)' "$DIR/config.json"
        case $value in
        auto | off | stderr | on) continue ;;
        *[0-9]s) value=${value%s} ;;
        *[0-9]k) value=$((${value%k} * 1024)) ;;
        *[0-9]m) value=$((${value%m} * 1048576)) ;;
        esac
        assert_equal "$key $(jq -r ".$key" "$DIR/config.json")" "$key $value"
        count=$((count + 1))
    done < <(sed -nE 's/^# ([a-z_]+) = ([^ ]+)$/\1 \2/p' "$TOP/etc/reeve.conf")
    [ "$count" -ge 15 ]
}

@test "the reference itself is a configuration that passes, also with every default written out" {
    sed "s|build/apps|$APPS|" "$TOP/etc/reeve.conf" >"$CONFIG"
    run -0 "$REEVE" -t -c "$CONFIG"
    sed -i -E -e 's/^# ([a-z_]+ = )/\1/' -e 's/^    # ((name|backlog|mount|listen|request_timeout) = )/    \1/' "$CONFIG"
    grep -q '^workers = auto' "$CONFIG"
    run -0 "$REEVE" -t -c "$CONFIG"
    assert_output "$CONFIG: ok"
}
