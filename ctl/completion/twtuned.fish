# fish completion for twtuned(8)
# SPDX-License-Identifier: MIT

complete -c twtuned -f
complete -c twtuned -n '__fish_contains_opt check lint' -F
complete -c twtuned -l config -r -F -d 'Read FILE alone'
complete -c twtuned -l observe -d 'Decide and log, but write no sysctl'
complete -c twtuned -l hold -d 'Put nothing back when systemd restarts the unit'
complete -c twtuned -l netns -r -F -d 'Enter this network namespace first'
complete -c twtuned -l all-netns -d 'Run a daemon in each network namespace'
complete -c twtuned -l record -r -F -d 'Append a row of CSV for each tick'
complete -c twtuned -l once -d 'Print every metric once'
complete -c twtuned -l json -d 'Print or log JSON'
complete -c twtuned -l check -d 'Print every error of the configuration'
complete -c twtuned -l verbose -d 'Print every value in effect, with --check'
complete -c twtuned -l lint -d 'Print what each TCP line of sysctl.d does'
complete -c twtuned -l fix -d 'Print the files without what does harm, with --lint'
complete -c twtuned -l replay -r -F -d 'Print what the rules decide over a recording'
complete -c twtuned -l restore -d 'Put back all that a dead twtuned left changed'
complete -c twtuned -s h -l help -d 'Print the help text'
complete -c twtuned -s V -l version -d 'Print the version'
