# fish completion for twtunectl(1)
# SPDX-License-Identifier: MIT

# The names that a running twtuned knows; none if it does not run.
function __twtunectl_rules
    twtunectl --json rules 2>/dev/null | string replace -rf '^    "name": "(.*)",$' '$1'
end

function __twtunectl_sysctls
    twtunectl --json status 2>/dev/null | string replace -rf '^      "name": "(net\..*)",$' '$1'
end

function __twtunectl_metrics
    twtunectl --json status 2>/dev/null | sed -n '/^  "metrics": /,/^  ]/s/^      "name": "\(.*\)",$/\1/p'
end

set -l commands status advice top rules explain history diff config record pause resume release rearm help
set -l none "not __fish_seen_subcommand_from $commands"

complete -c twtunectl -f
complete -c twtunectl -n $none -a status -d 'Show what is changed, for whom, and what to do'
complete -c twtunectl -n $none -a advice -d 'Show what a person should do, the worst first'
complete -c twtunectl -n $none -a top -d 'Show rules, destinations and metrics, live'
complete -c twtunectl -n $none -a rules -d 'Show each rule, and why it is or is not active'
complete -c twtunectl -n $none -a explain -d 'Explain a rule, a sysctl or a metric'
complete -c twtunectl -n $none -a history -d 'Show what was changed and why, from the journal'
complete -c twtunectl -n $none -a diff -d 'Show each sysctl: now, by default, who set it'
complete -c twtunectl -n $none -a config -d 'Show each value in effect, with file and line'
complete -c twtunectl -n $none -a record -d 'Record the metrics to FILE, for twtuned --replay'
complete -c twtunectl -n $none -a pause -d 'Write no sysctl, and keep changed ones as they are'
complete -c twtunectl -n $none -a resume -d 'End a pause'
complete -c twtunectl -n $none -a release -d 'Put back now; no rule changes it until rearm'
complete -c twtunectl -n $none -a rearm -d 'Let rules change it again'
complete -c twtunectl -n $none -a help -d 'Print the help text'

complete -c twtunectl -n '__fish_seen_subcommand_from explain' -a '(__twtunectl_rules)' -d rule
complete -c twtunectl -n '__fish_seen_subcommand_from explain release rearm' -a '(__twtunectl_sysctls)' -d sysctl
complete -c twtunectl -n '__fish_seen_subcommand_from explain' -a '(__twtunectl_metrics)' -d metric
complete -c twtunectl -n '__fish_seen_subcommand_from pause' -a '10min 1h'
complete -c twtunectl -n '__fish_seen_subcommand_from record' -F
complete -c twtunectl -l instance -x -d 'Ask twtuned@NAME, the one of that network namespace'
complete -c twtunectl -n 'not __fish_seen_subcommand_from history' -s n -x -d 'Ask twtuned@NAME, as --instance'
complete -c twtunectl -s j -l json -d 'Print JSON'
complete -c twtunectl -n '__fish_seen_subcommand_from history' -s n -l lines -x -d 'The last N'
complete -c twtunectl -s v -l verbose -d 'history: each record, not one line for each episode'
complete -c twtunectl -l since -x -a 'today yesterday 1h' -d 'Changes since that time'
complete -c twtunectl -l for -x -a '1min 10min 1h' -d 'Record for that time'
complete -c twtunectl -l all -d 'status: all instances; release: all that twtuned holds'
complete -c twtunectl -l no-pager -d 'Do not use a pager'
complete -c twtunectl -s h -l help -d 'Print the help text'
complete -c twtunectl -s V -l version -d 'Print the version'
