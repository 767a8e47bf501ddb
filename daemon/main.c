/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/commands/check.h"
#include "daemon/commands/lint.h"
#include "daemon/commands/once.h"
#include "daemon/commands/replay.h"
#include "daemon/service.h"

enum mode {
        MODE_RUN,
        MODE_ONCE,
        MODE_CHECK,
        MODE_LINT,
        MODE_RESTORE,
        MODE_REPLAY,
        MODE_VERSION,
        MODE_HELP,
};

/* clang-format off */
static const struct option options[] = {
        {"once", no_argument, NULL, MODE_ONCE},
        {"check", no_argument, NULL, MODE_CHECK},
        {"lint", no_argument, NULL, MODE_LINT},
        {"replay", required_argument, NULL, MODE_REPLAY},
        {"restore", no_argument, NULL, MODE_RESTORE},
        {"version", no_argument, NULL, MODE_VERSION},
        {"help", no_argument, NULL, MODE_HELP},
        {"config", required_argument, NULL, 'c'},
        {"observe", no_argument, NULL, 'o'},
        {"hold", no_argument, NULL, 'h'},
        {"record", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
};
/* clang-format on */

static void print_help(void)
{
        puts("twtuned [--config=FILE] [--observe] [--hold] [--record=FILE]\n"
             "                                      watch, and change sysctls by the rules; in the foreground\n"
             "twtuned --once [--json]               print every metric once: NAME VALUE UNIT [WHOSE]\n"
             "twtuned --check [--config=FILE]       print every error of the configuration; 0, or 78;\n"
             "        [--verbose]                   every value that is in effect, and its FILE:LINE\n"
             "twtuned --lint [FILE...]              print what each TCP line of sysctl.d or FILE does; 0, or 1\n"
             "twtuned --replay=FILE [--config=FILE] print what the rules would do over a recording; changes nothing\n"
             "twtuned --restore                     put back all that a dead twtuned left changed\n"
             "twtuned --version | --help\n"
             "\n"
             "  --config=FILE   read FILE alone, not " TWTUNED_POLICY ", " TWTUNED_CONF "\n"
             "                  and " TWTUNED_CONF ".d/*.conf\n"
             "  --observe       decide and log, write nothing\n"
             "  --hold          for a unit beside twtuned-restore.service: a restart leaves changed what is changed\n"
             "  --record=FILE   write what is seen to FILE, a row of CSV a tick; FILE must be new or empty\n"
             "\n"
             "SIGHUP reads the configuration again; SIGTERM and SIGINT put everything back and end.");
}

static int usage(const char *text)
{
        fprintf(stderr, "twtuned: %s; see twtuned --help\n", text);
        return EX_USAGE;
}

/* What is left of the command line. */
struct arguments {
        enum mode mode;
        const char *config_file, *record_file, *replay_file;
        bool observe, hold, json, verbose;
        char *const *files; /* of --lint */
};

static int run_mode(const struct arguments *a)
{
        switch (a->mode) {
        case MODE_RUN:
                return service_run(a->config_file, a->observe, a->hold, a->record_file);
        case MODE_ONCE:
                return once_print(a->json);
        case MODE_CHECK:
                return check_print(a->config_file, a->verbose);
        case MODE_LINT:
                return lint_print(a->files);
        case MODE_REPLAY:
                return replay_print(a->replay_file, a->config_file);
        case MODE_RESTORE:
                return service_restore();
        case MODE_VERSION:
                puts("twtuned " TWTUNED_VERSION);
                return 0;
        case MODE_HELP:
                print_help();
                return 0;
        }
        return EX_SOFTWARE;
}

/* The text of a usage error, or NULL. */
static const char *parse(int argc, char **argv, struct arguments *a)
{
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == '?')
                        return "that is no option";
                if (c == 'c')
                        a->config_file = optarg;
                else if (c == 'r')
                        a->record_file = optarg;
                else if (c == 'o')
                        a->observe = true;
                else if (c == 'h')
                        a->hold = true;
                else if (c == 'j')
                        a->json = true;
                else if (c == 'v')
                        a->verbose = true;
                else if (a->mode != MODE_RUN)
                        return "only one of --once, --check, --lint, --replay, --restore, --version and --help";
                else
                        a->mode = (enum mode)c;
                if (c == MODE_REPLAY)
                        a->replay_file = optarg;
        }
        a->files = argv + optind;
        if (optind < argc && a->mode != MODE_LINT)
                return "only --lint takes arguments";
        if (a->config_file && a->mode != MODE_RUN && a->mode != MODE_CHECK && a->mode != MODE_REPLAY)
                return "--config goes with the daemon, --check and --replay";
        if ((a->observe || a->hold || a->record_file) && a->mode != MODE_RUN)
                return "--observe, --hold and --record go with the daemon";
        if (a->json && a->mode != MODE_ONCE)
                return "--json goes with --once";
        if (a->verbose && a->mode != MODE_CHECK)
                return "--verbose goes with --check";
        return NULL;
}

/* What was printed is there, or the exit status says that it is not. */
static int finish(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        fprintf(stderr, "twtuned: cannot write the output: %s\n", strerror(errno));
        return EX_IOERR;
}

int main(int argc, char **argv)
{
        static char stderr_buffer[8192];
        struct arguments arguments = {.mode = MODE_RUN};
        const char *error;

        setvbuf(stderr, stderr_buffer, _IOLBF, sizeof(stderr_buffer));
        error = parse(argc, argv, &arguments);
        return error ? usage(error) : finish(run_mode(&arguments));
}
