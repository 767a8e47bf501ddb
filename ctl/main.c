/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/show.h"

enum {
        OPTION_SINCE = 256,
        OPTION_FOR,
        OPTION_ALL,
        OPTION_NO_PAGER,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        {"instance", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"for", required_argument, NULL, OPTION_FOR},
        {"all", no_argument, NULL, OPTION_ALL},
        {"no-pager", no_argument, NULL, OPTION_NO_PAGER},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
};

/* A command a row. */
static const struct command {
        const char *name, *arguments;
        int least, most; /* arguments */
        bool shows;      /* --json is for it */
        int (*run)(const struct options *options, char **args);
        const char *help;
} commands[] = {
        {"status", "[--all]", 0, 0, true, show_status, "what twtuned does now, and who owns each sysctl"},
        {"top", "", 0, 0, true, show_top, "the metrics, live"},
        {"rules", "", 0, 0, true, show_rules, "each rule, and why it is or is not active"},
        {"explain", "RULE|SYSCTL", 1, 1, true, show_explanation, "what it would take, what it does, who owns it"},
        {"history", "[--since=TIME]", 0, 0, true, show_history, "what was changed and why, from the journal"},
        {"config", "", 0, 0, true, show_config, "each value in effect, and its file and line"},
        {"record", "FILE [--for=TIME]", 1, 1, false, do_record, "what is seen to FILE, for twtuned --replay"},
        {"pause", "[TIME]", 0, 1, false, do_pause, "write nothing, hold what is held"},
        {"resume", "", 0, 0, false, do_resume, "end a pause"},
        {"release", "SYSCTL|--all", 0, 1, false, do_release, "put back now, and leave alone from then on"},
        {"rearm", "SYSCTL", 1, 1, false, do_rearm, "let rules change it again"},
};

int complain(int status, const char *format, ...)
{
        va_list args;

        fputs("twtunectl: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        return status;
}

static void print_help(void)
{
        puts("twtunectl [OPTION...] COMMAND\n");
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                printf("  %-8s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
        puts("\n  -n --instance=NAME   of twtuned@NAME, another network namespace\n"
             "  -j --json            as JSON\n"
             "     --since=TIME      2h (ago), today, yesterday, 2026-11-21, \"2026-11-21 10:00\"\n"
             "     --all             of status: all instances, in a table; of release: all that is held\n"
             "     --for=TIME        10min; without it until Ctrl-C\n"
             "     --no-pager\n"
             "  -h --help\n"
             "     --version\n"
             "\n"
             "Exit status: 0; 3 when twtuned is not running; 77 when only root may; another when it failed.");
}

static const struct command *find_command(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

/* What is wrong with the command line; NULL: nothing. */
static const char *find_error(const struct command *c, const struct options *o, int n)
{
        bool is_release = c->run == do_release, is_status = c->run == show_status;

        if (n < c->least || n > c->most || (is_release && (n == 1) == o->all))
                return c->arguments;
        if (o->json && !c->shows)
                return "it shows nothing, so --json is not for it";
        if (o->since && c->run != show_history)
                return "--since is for history";
        if (o->time && c->run != do_record)
                return "--for is for record";
        if (o->all && !is_release && !is_status)
                return "--all is for release and status";
        if (o->all && is_status && o->instance)
                return "--all is of all instances";
        return NULL;
}

/* -1: go on; else an exit status. */
static int parse(int argc, char **argv, struct options *o)
{
        int c;

        while ((c = getopt_long(argc, argv, "n:jh", long_options, NULL)) != -1) {
                switch (c) {
                case 'n':
                        o->instance = optarg;
                        break;
                case 'j':
                        o->json = true;
                        break;
                case OPTION_SINCE:
                        o->since = optarg;
                        break;
                case OPTION_FOR:
                        o->time = optarg;
                        break;
                case OPTION_ALL:
                        o->all = true;
                        break;
                case OPTION_NO_PAGER:
                        o->no_pager = true;
                        break;
                case 'h':
                        print_help();
                        return 0;
                case OPTION_VERSION:
                        puts("twtunectl " TWTUNED_VERSION);
                        return 0;
                default:
                        return EX_USAGE;
                }
        }
        return -1;
}

static int run(int argc, char **argv)
{
        static char *status[] = {"status", NULL};
        const struct command *command;
        struct options options = {0};
        const char *error;
        char **args;
        int r;

        r = parse(argc, argv, &options);
        if (r >= 0)
                return r;
        args = optind < argc ? argv + optind : status;
        command = find_command(args[0]);
        if (!command)
                return complain(EX_USAGE, "there is no command %s; see twtunectl --help", args[0]);
        error = find_error(command, &options, optind < argc ? argc - optind - 1 : 0);
        if (error)
                return complain(EX_USAGE, "twtunectl %s %s", command->name, error);
        return command->run(&options, args + 1);
}

int main(int argc, char **argv)
{
        int r;

        setlocale(LC_ALL, "");
        setlocale(LC_NUMERIC, "C");
        signal(SIGPIPE, SIG_IGN); /* a pager that is left early is no failure */
        r = run(argc, argv);
        pager_close();
        if (fflush(stdout) == 0 || r != 0)
                return r;
        return errno == EPIPE ? EX_IOERR : complain(EX_IOERR, "cannot write the output: %s", strerror(errno));
}
