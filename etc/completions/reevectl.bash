# bash completion for reevectl: installed as /usr/share/bash-completion/completions/reevectl. The
# words come from reevectl's own table of commands, so this file never needs to change.
eval "$(reevectl completion bash 2>/dev/null)"
