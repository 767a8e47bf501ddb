/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lint_host.h"
#include "once.h"
#include "service.h"

enum mode {
        MODE_RUN,
        MODE_ONCE,
        MODE_CHECK,
        MODE_LINT,
        MODE_RESTORE,
        MODE_VERSION,
        MODE_HELP,
};

static const struct option options[] = {
        {"once", no_argument, NULL, MODE_ONCE},
        {"check", no_argument, NULL, MODE_CHECK},
        {"lint", no_argument, NULL, MODE_LINT},
        {"restore", no_argument, NULL, MODE_RESTORE},
        {"version", no_argument, NULL, MODE_VERSION},
        {"help", no_argument, NULL, MODE_HELP},
        {"config", required_argument, NULL, 'c'},
        {"observe", no_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
};

static void print_help(void)
{
        puts("twtuned [--config=FILE] [--observe]   watch, and change sysctls by the rules; in the foreground\n"
             "twtuned --once [--json]               print every metric once: NAME VALUE UNIT [WHOSE]\n"
             "twtuned --check [--config=FILE]       print every error of the configuration; 0, or 78;\n"
             "        [--verbose]                   every value that is in effect, and its FILE:LINE\n"
             "twtuned --lint [FILE...]              print what each TCP line of sysctl.d or FILE does; 0, or 1\n"
             "twtuned --restore                     put back all that a dead twtuned left changed\n"
             "twtuned --version | --help\n"
             "\n"
             "  --config=FILE   read FILE alone, not " TWTUNED_POLICY ", " TWTUNED_CONF "\n"
             "                  and " TWTUNED_CONF ".d/*.conf\n"
             "  --observe       decide and log, write nothing\n"
             "\n"
             "SIGHUP reads the configuration again; SIGTERM and SIGINT put everything back and end.");
}

static int usage(const char *text)
{
        fprintf(stderr, "twtuned: %s; see twtuned --help\n", text);
        return EX_USAGE;
}

static int run_mode(enum mode mode, const char *config_file, bool observe, bool json, bool verbose, char *const *files)
{
        switch (mode) {
        case MODE_RUN:
                return service_run(config_file, observe);
        case MODE_ONCE:
                return once_print(json);
        case MODE_CHECK:
                return service_check(config_file, verbose);
        case MODE_LINT:
                return lint_print(files);
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

int main(int argc, char **argv)
{
        static char stderr_buffer[8192];
        const char *config_file = NULL;
        enum mode mode = MODE_RUN;
        bool observe = false, json = false, verbose = false;
        int c;

        setvbuf(stderr, stderr_buffer, _IOLBF, sizeof(stderr_buffer));
        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == '?')
                        return usage("that is no option");
                if (c == 'c')
                        config_file = optarg;
                else if (c == 'o')
                        observe = true;
                else if (c == 'j')
                        json = true;
                else if (c == 'v')
                        verbose = true;
                else if (mode != MODE_RUN)
                        return usage("only one of --once, --check, --lint, --restore, --version and --help");
                else
                        mode = (enum mode)c;
        }
        if (optind < argc && mode != MODE_LINT)
                return usage("only --lint takes arguments");
        if (config_file && mode != MODE_RUN && mode != MODE_CHECK)
                return usage("--config goes with the daemon and with --check");
        if (observe && mode != MODE_RUN)
                return usage("--observe goes with the daemon");
        if (json && mode != MODE_ONCE)
                return usage("--json goes with --once");
        if (verbose && mode != MODE_CHECK)
                return usage("--verbose goes with --check");
        return run_mode(mode, config_file, observe, json, verbose, argv + optind);
}
