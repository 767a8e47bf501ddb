/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/terminal.h"
#include "lib/util/command_line.h"
#include "lib/util/suggest.h"
#include "lib/util/units.h"

/* clang-format off */
static const struct option long_options[] = {
        {"instance", required_argument, NULL, 'i'},
        {"json", no_argument, NULL, 'j'},
        {"since", required_argument, NULL, 's'},
        {"for", required_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'l'},
        {"all", no_argument, NULL, 'a'},
        {"verbose", no_argument, NULL, 'v'},
        {"no-pager", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
};
/* clang-format on */

static int command_help(const struct options *options);

static const struct command {
        const char *name, *arguments;
        int min, max;        /* number of arguments */
        const char *options; /* the options that it takes besides i and p, as letters of long_options */
        int (*run)(const struct options *options);
        const char *help;
} commands[] = {
        {"status", "[--all]", 0, 0, "ja", command_status, "show what is changed, for whom, and what to do"},
        {"advice", "", 0, 0, "j", command_advice, "show what a person should do, the worst first"},
        {"top", "", 0, 0, "j", command_top, "show rules, destinations and metrics, live"},
        {"rules", "", 0, 0, "j", command_rules, "show each rule, and why it is or is not active"},
        {"explain", "RULE|SYSCTL|METRIC", 1, 1, "j", command_explain, "explain a rule, a sysctl or a metric"},
        {"history", "[OPTION...]", 0, 0, "jslv", command_history, "show what was changed and why, from the journal"},
        {"diff", "", 0, 0, "j", command_diff, "show each sysctl: now, by default, who set it"},
        {"config", "", 0, 0, "j", command_config, "show each value in effect, with file and line"},
        {"record", "FILE [--for=TIME]", 1, 1, "f", command_record, "record the metrics to FILE, for twtuned --replay"},
        {"pause", "[TIME]", 0, 1, "", command_pause, "write no sysctl, and keep changed ones as they are"},
        {"resume", "", 0, 0, "", command_resume, "end a pause"},
        {"release", "SYSCTL|--all", 0, 1, "a", command_release, "put back now; no rule changes it until rearm"},
        {"rearm", "SYSCTL", 1, 1, "", command_rearm, "let rules change it again"},
        {"help", "", 0, 1, "", command_help, "print the help text"},
};

static int command_help(const struct options *options)
{
        (void)options;
        puts("twtunectl [OPTION...] COMMAND\n");
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                printf("  %-8s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
        puts("\n  -n --instance=NAME   ask twtuned@NAME, the one of that network namespace\n"
             "  -j --json            print JSON\n"
             "  -n --lines=N         history: the last N lines (there -n is not --instance)\n"
             "     --since=TIME      5min ago, 10:00, today, 2026-11-21, \"2026-11-21 10:00\"\n"
             "     --all             status: all instances; release: all that twtuned holds\n"
             "  -v --verbose         history: each record, not one line for each episode\n"
             "     --for=TIME        record for that time (10min) instead of until Ctrl-C\n"
             "     --no-pager        do not use a pager\n"
             "  -h --help            print this text\n"
             "  -V --version         print the version\n"
             "\n"
             "Without a command: status.\n"
             "Exit status: 0; 1 if diff finds a difference; 3 if twtuned is not running; 77 if\n"
             "only root may do that; other: see twtunectl(1).");
        return 0;
}

static const struct command *find_command(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

static int complain_unknown(const char *name)
{
        struct suggestion suggestion = SUGGESTION(name);
        char hint[128];

        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                suggestion_offer(&suggestion, commands[i].name);
        return complain(EX_USAGE, "unknown command '%s'%s; see twtunectl --help", name,
                        suggestion_hint(&suggestion, hint));
}

/* For history, -n with a number means --lines, as in journalctl(1), unless --lines is given, too; any other -n means
 * --instance. *ret_lines: 0 without --lines. Returns 0 or EX_USAGE. */
static int settle_n(const struct command *command, const char *given[static 128], uint64_t *ret_lines)
{
        bool history = command->run == command_history && !given['l'] && given['n'] &&
                       given['n'][strspn(given['n'], "0123456789")] == 0;

        if (given['n'])
                given[history ? 'l' : 'i'] = given['n'];
        *ret_lines = 0;
        if (!given['l'])
                return 0;
        if (whole_number_parse(given['l'], ret_lines) == 0 && *ret_lines > 0)
                return 0;
        return complain(EX_USAGE, "invalid number of lines '%s'", given['l']);
}

/* Checks the options, which are given by their letters, and the number of arguments. Returns 0 or EX_USAGE. */
static int check_usage(const struct command *command, const char *const given[static 128], int n)
{
        for (const struct option *o = long_options; o->name; o++)
                if (given[o->val] && !strchr("ip", o->val) && !strchr(command->options, o->val))
                        return complain(EX_USAGE, "%s has no option --%s", command->name, o->name);
        if (n < command->min || n > command->max || (command->run == command_release && (n == 1) == !!given['a']))
                return complain(EX_USAGE, "usage: twtunectl %s %s", command->name, command->arguments);
        if (command->run == command_status && given['a'] && given['i'])
                return complain(EX_USAGE, "status takes --all or --instance, not both");
        return 0;
}

static int run(int argc, char **argv)
{
        const char *given[128] = {NULL}, *name = "status"; /* given[letter]: argument or ""; NULL: not given */
        const struct command *command;
        char error[OPTION_ERROR_MAX];
        uint64_t lines;
        int letter, r;

        opterr = 0;
        while ((letter = getopt_long(argc, argv, ":n:jhvV", long_options, NULL)) != -1) {
                if (letter == '?' || letter == ':')
                        return complain(EX_USAGE, "%s", option_error(long_options, letter, argv, error));
                if (letter == 'h')
                        return command_help(NULL);
                if (letter == 'V') {
                        puts("twtunectl " TWTUNED_VERSION);
                        return 0;
                }
                given[letter] = optarg ? optarg : "";
        }
        if (optind < argc)
                name = argv[optind++];
        command = find_command(name);
        if (!command)
                return complain_unknown(name);
        r = settle_n(command, given, &lines);
        if (r == 0)
                r = check_usage(command, given, argc - optind);
        if (r != 0)
                return r;
        return command->run(&(struct options){
                .instance = given['i'],
                .argument = argv[optind],
                .since = given['s'],
                .lines = lines,
                .duration = given['f'],
                .json = given['j'],
                .all = given['a'],
                .verbose = given['v'],
                .no_pager = given['p'],
        });
}

int main(int argc, char **argv)
{
        int r, broken;

        setlocale(LC_ALL, "");
        setlocale(LC_NUMERIC, "C");
        signal(SIGPIPE, SIG_IGN);
        r = run(argc, argv);
        if (pager_close())
                return r; /* a person who leaves the pager early does not want the rest */
        errno = 0;
        broken = fflush(stdout) != 0 || ferror(stdout);
        if (!broken || errno == EPIPE)
                return broken && r == 0 ? EX_IOERR : r;
        return complain(EX_IOERR, "cannot write the output: %s", strerror(errno ? errno : EIO));
}
