# browser.bash: a headless Chromium that tests tell what to do (browser.js); one for each test at most.
# shellcheck disable=SC2154

start_browser() {
    need chromium-headless-shell node
    coproc chrome { node "$BATS_TEST_DIRNAME/browser.js" 2>"$DIR/chrome" 3>&-; }
    started+=("$chrome_PID")
}

# browser COMMAND...: does it, and waits until it was done; what it prints is in SHOWN
browser() {
    local line=''
    SHOWN=''
    printf '%s\neval a "done"\n' "$*" >&"${chrome[1]}"
    while [ "$line" != '"done"' ]; do
        SHOWN+=$line
        IFS= read -r -t 60 -u "${chrome[0]}" line || fail "the browser did not: $*: $(cat "$DIR/chrome")"
        [[ $line != error* ]] || fail "$line"
    done
}

end_browser() {
    local to=${chrome[1]}
    exec {to}>&-
    wait "$chrome_PID"
}
