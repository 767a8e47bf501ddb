# bash completion for twtuned(8)                                            -*- shell-script -*-
# SPDX-License-Identifier: MIT

_twtuned() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local options='--config= --observe --hold --netns= --all-netns --record= --once --json --check --verbose --lint'
    options+=' --fix --replay= --restore --help --version'

    COMPREPLY=()
    # bash splits words at "=".
    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
    [[ $cur == = ]] && cur=
    case $prev in
        --config|--netns|--record|--replay) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
    elif [[ " ${COMP_WORDS[*]} " == *" --check "* || " ${COMP_WORDS[*]} " == *" --lint "* ]]; then
        compopt -o filenames
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}

complete -F _twtuned twtuned
