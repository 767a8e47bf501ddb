/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/terminal.h"

static const struct option long_options[] = {
        {"instance", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"since", required_argument, NULL, 's'},
        {"for", required_argument, NULL, 'f'},
        {"all", no_argument, NULL, 'a'},
        {"no-pager", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
};

static const struct command {
        const char *name, *arguments;
        int min, max;        /* number of arguments */
        const char *options; /* which of --json, --since, --for and --all it takes: letters of long_options */
        int (*run)(const struct options *options);
        const char *help;
} commands[] = {
        {"status", "[--all]", 0, 0, "ja", command_status, "show the state, the active rules and who set each sysctl"},
        {"top", "", 0, 0, "j", command_top, "show the metrics, live"},
        {"rules", "", 0, 0, "j", command_rules, "show each rule, and why it is or is not active"},
        {"explain", "RULE|SYSCTL", 1, 1, "j", command_explain, "show each condition with its value, and what is set"},
        {"history", "[--since=TIME]", 0, 0, "js", command_history, "show what was changed and why, from the journal"},
        {"config", "", 0, 0, "j", command_config, "show each value in effect, with its file and line"},
        {"record", "FILE [--for=TIME]", 1, 1, "f", command_record, "record the metrics to FILE, for twtuned --replay"},
        {"pause", "[TIME]", 0, 1, "", command_pause, "write no sysctl, and keep what is changed as it is"},
        {"resume", "", 0, 0, "", command_resume, "end a pause"},
        {"release", "SYSCTL|--all", 0, 1, "a", command_release, "put back now; no rule changes it until rearm"},
        {"rearm", "SYSCTL", 1, 1, "", command_rearm, "let rules change it again"},
};

static void print_help(void)
{
        puts("twtunectl [OPTION...] COMMAND\n");
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                printf("  %-8s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
        puts("\n  -n --instance=NAME   ask twtuned@NAME, the one of that network namespace\n"
             "  -j --json            print JSON\n"
             "     --since=TIME      2h (ago), today, yesterday, 2026-11-21, \"2026-11-21 10:00\"\n"
             "     --all             status: all instances, in a table; release: all that twtuned holds\n"
             "     --for=TIME        record for that time (10min) instead of until Ctrl-C\n"
             "     --no-pager        do not use a pager\n"
             "  -h --help            print this text\n"
             "     --version         print the version\n"
             "\n"
             "Without a command: status.\n"
             "Exit status: 0; 3 if twtuned is not running; 77 if only root may do that; other: see twtunectl(1).");
}

static const struct command *find_command(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

/* Checks the options, which are given by their letters, and the number of arguments. Returns 0 or EX_USAGE. */
static int check_usage(const struct command *command, const char *const given[static 128], int n)
{
        for (const struct option *o = long_options; o->name; o++)
                if (given[o->val] && !strchr("np", o->val) && !strchr(command->options, o->val))
                        return complain(EX_USAGE, "%s has no option --%s", command->name, o->name);
        if (n < command->min || n > command->max || (command->run == command_release && (n == 1) == !!given['a']))
                return complain(EX_USAGE, "usage: twtunectl %s %s", command->name, command->arguments);
        if (command->run == command_status && given['a'] && given['n'])
                return complain(EX_USAGE, "status takes --all or --instance, not both");
        return 0;
}

static int run(int argc, char **argv)
{
        const char *given[128] = {NULL}, *name = "status"; /* given: by letter, the text of an option, or "" */
        const struct command *command;
        int letter, r;

        while ((letter = getopt_long(argc, argv, "n:jh", long_options, NULL)) != -1) {
                if (letter == '?')
                        return EX_USAGE; /* getopt_long() has printed the error */
                if (letter == 'h')
                        print_help();
                if (letter == 'v')
                        puts("twtunectl " TWTUNED_VERSION);
                if (letter == 'h' || letter == 'v')
                        return 0;
                given[letter] = optarg ? optarg : "";
        }
        if (optind < argc)
                name = argv[optind++];
        command = find_command(name);
        if (!command)
                return complain(EX_USAGE, "unknown command '%s'; see twtunectl --help", name);
        r = check_usage(command, given, argc - optind);
        if (r != 0)
                return r;
        return command->run(&(struct options){
                .instance = given['n'],
                .argument = argv[optind],
                .since = given['s'],
                .duration = given['f'],
                .json = given['j'],
                .all = given['a'],
                .no_pager = given['p'],
        });
}

int main(int argc, char **argv)
{
        int r;

        setlocale(LC_ALL, "");
        setlocale(LC_NUMERIC, "C");
        signal(SIGPIPE, SIG_IGN); /* a person may leave the pager early */
        r = run(argc, argv);
        pager_close();
        if (fflush(stdout) == 0 || r != 0)
                return r;
        return errno == EPIPE ? EX_IOERR : complain(EX_IOERR, "cannot write the output: %s", strerror(errno));
}
