# bash completion for twtunectl(1)                                          -*- shell-script -*-
# SPDX-License-Identifier: MIT

# __twtunectl_names INSTANCE COMMAND FILTER: the names that a running twtuned knows; none if it does not run
__twtunectl_names() {
    local instance=()
    [[ -n $1 ]] && instance=(--instance="$1")
    twtunectl "${instance[@]}" --json "$2" 2>/dev/null | sed -n "$3"
}

__twtunectl_rules() {
    __twtunectl_names "$1" rules 's/^    "name": "\(.*\)",$/\1/p'
}

__twtunectl_metrics() {
    __twtunectl_names "$1" status '/^  "metrics": /,/^  ]/s/^      "name": "\(.*\)",$/\1/p'
}

__twtunectl_sysctls() {
    __twtunectl_names "$1" status 's/^      "name": "\(net\..*\)",$/\1/p'
}

_twtunectl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local commands='status advice top rules explain history diff config record pause resume release rearm help'
    local options='--instance= --json --since= --lines= --for= --all --verbose --no-pager --help --version'
    local i command= instance=

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -n|--instance) ((i++)); [[ ${COMP_WORDS[i]} == = ]] && ((i++)); instance=${COMP_WORDS[i]} ;;
            --since|--for|--lines) ((i++)); [[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;
            -*|=) ;;
            *) command=${command:-${COMP_WORDS[i]}} ;;
        esac
    done
    # bash splits words at "=".
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
    [[ $cur == = ]] && cur=
    case $prev in
        --since) COMPREPLY=($(compgen -W 'today yesterday 1h' -- "$cur")); return ;;
        --for) COMPREPLY=($(compgen -W '1min 10min 1h' -- "$cur")); return ;;
        -n|--instance)
            [[ $prev == -n && $command == history ]] && return
            COMPREPLY=($(compgen -W "$(systemctl list-units --all --plain --no-legend 'twtuned@*.service' 2>/dev/null |
                sed -n 's/^twtuned@\(.*\)\.service .*/\1/p')" -- "$cur"))
            return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
        return
    fi
    case $command in
        '') COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
        explain)
            COMPREPLY=($(compgen -W "$(__twtunectl_rules "$instance"; __twtunectl_sysctls "$instance"
                __twtunectl_metrics "$instance")" -- "$cur")) ;;
        release|rearm) COMPREPLY=($(compgen -W "$(__twtunectl_sysctls "$instance")" -- "$cur")) ;;
        pause) COMPREPLY=($(compgen -W '10min 1h' -- "$cur")) ;;
        record) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
}

complete -F _twtunectl twtunectl
