/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/audit/journal.h"
#include "daemon/commands/check.h"
#include "daemon/commands/lint.h"
#include "daemon/commands/once.h"
#include "daemon/commands/replay.h"
#include "daemon/privilege.h"
#include "daemon/service.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/util/command_line.h"
#include "lib/util/macro.h"

enum mode {
        MODE_RUN,
        MODE_ONCE,
        MODE_CHECK,
        MODE_LINT,
        MODE_RESTORE,
        MODE_REPLAY,
        MODE_ALL_NETNS,
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
        {"all-netns", no_argument, NULL, MODE_ALL_NETNS},
        {"version", no_argument, NULL, MODE_VERSION},
        {"help", no_argument, NULL, MODE_HELP},
        {"config", required_argument, NULL, 'c'},
        {"netns", required_argument, NULL, 'n'},
        {"observe", no_argument, NULL, 'o'},
        {"hold", no_argument, NULL, 'H'},
        {"record", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"fix", no_argument, NULL, 'f'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
};
/* clang-format on */

static void print_help(void)
{
        puts("twtuned [--config=FILE] [--observe] [--hold] [--record=FILE] [--netns=PATH] [--json]\n"
             "                                      run the daemon in the foreground\n"
             "twtuned --all-netns [--config=FILE] [--observe] [--json]\n"
             "                                      run a daemon here and in each network namespace that has a name\n"
             "twtuned --once [--config=FILE] [--json]\n"
             "                                      print rules that are ready to act, then every metric: NAME VALUE "
             "UNIT [WHOSE]\n"
             "twtuned --check [FILE]                print every error of the configuration; exit with 0 or 78\n"
             "        [--verbose]                   print every value in effect, and its FILE:LINE, as well\n"
             "twtuned --lint [--json] [FILE...]     print what each TCP line of sysctl.d or FILE does; exit with 1\n"
             "                                      if a line does harm\n"
             "twtuned --lint --fix [FILE...]        print what would remain without the lines that do harm or "
             "nothing\n"
             "twtuned --replay=FILE [--config=FILE] print what the rules decide over a recording; change nothing\n"
             "twtuned --restore                     put back all that a dead twtuned left changed\n"
             "twtuned -V | --version | -h | --help\n"
             "\n"
             "  --config=FILE   read FILE alone, not " TWTUNED_POLICY ", " TWTUNED_CONF "\n"
             "                  and " TWTUNED_CONF ".d/*.conf\n"
             "  --observe       decide and log, but write no sysctl\n"
             "  --hold          put nothing back when systemd restarts the unit (with twtuned-restore.service)\n"
             "  --netns=PATH    enter that network namespace first (also with --once and --restore), and keep no\n"
             "                  capability but CAP_NET_ADMIN\n"
             "  --json          with the daemon: log to stderr, one JSON object a line, as journalctl -o json\n"
             "  --record=FILE   append a row of CSV for each tick to FILE, which must be new or empty\n"
             "\n"
             "SIGHUP reloads the configuration; SIGTERM and SIGINT put everything back and end the daemon.");
}

static int usage(const char *text)
{
        fprintf(stderr, "twtuned: %s; see twtuned --help\n", text);
        return EX_USAGE;
}

/* The command line, borrowed from argv. */
struct arguments {
        enum mode mode;
        const char *given[128]; /* by letter or mode: the argument of the option, or ""; NULL: not given */
        char *const *files;     /* of --lint, up to a NULL */
        char **argv;            /* all of it */
};

static int run_mode(const struct arguments *a)
{
        const char *config_file = a->given['c'];
        int r;

        if (a->given['j'] && (a->mode == MODE_RUN || a->mode == MODE_ALL_NETNS))
                journal_as_json();
        r = a->given['n'] ? privilege_run_in_netns(a->given['n']) : 0;
        if (r != 0)
                return r;
        switch (a->mode) {
        case MODE_RUN:
                return service_run(&(struct service_options){.config_file = config_file,
                                                             .observe_only = a->given['o'],
                                                             .hold = a->given['H'],
                                                             .record_file = a->given['r'],
                                                             .netns = a->given['n']});
        case MODE_ONCE:
                return once_print(config_file, a->given['j']);
        case MODE_CHECK:
                return check_print(config_file, a->given['v']);
        case MODE_LINT:
                return lint_print(a->files, a->given['f'] ? LINT_REMAINS : a->given['j'] ? LINT_JSON : LINT_TEXT);
        case MODE_REPLAY:
                return replay_print(a->given[MODE_REPLAY], config_file);
        case MODE_RESTORE:
                return service_restore();
        case MODE_ALL_NETNS:
                return supervisor_run(config_file, a->given['o'], a->argv);
        case MODE_VERSION:
                puts("twtuned " TWTUNED_VERSION);
                return 0;
        case MODE_HELP:
                print_help();
                return 0;
        }
        return EX_SOFTWARE;
}

/* For each option: the modes that take it, a bit each, and the usage error in all others. */
/* clang-format off */
static const struct use {
        char letter;
        unsigned modes;
        const char *error;
} uses[] = {
        {'c', BIT(MODE_RUN) | BIT(MODE_ONCE) | BIT(MODE_CHECK) | BIT(MODE_REPLAY) | BIT(MODE_ALL_NETNS),
         "--config is only for the daemon, --all-netns, --once, --check and --replay"},
        {'H', BIT(MODE_RUN), "--hold and --record are only for the daemon"},
        {'r', BIT(MODE_RUN), "--hold and --record are only for the daemon"},
        {'o', BIT(MODE_RUN) | BIT(MODE_ALL_NETNS), "--observe is only for the daemon and --all-netns"},
        {'n', BIT(MODE_RUN) | BIT(MODE_ONCE) | BIT(MODE_RESTORE),
         "--netns is only for the daemon, --once and --restore"},
        {'j', BIT(MODE_RUN) | BIT(MODE_ALL_NETNS) | BIT(MODE_ONCE) | BIT(MODE_LINT),
         "--json is only for the daemon, --all-netns, --once and --lint"},
        {'f', BIT(MODE_LINT), "--fix is only for --lint, without --json"},
        {'v', BIT(MODE_CHECK), "--verbose is only for --check"},
};
/* clang-format on */

static bool is_wrong(const struct arguments *a, const struct use *use)
{
        return a->given[(unsigned char)use->letter] &&
               (!(use->modes & BIT(a->mode)) || (use->letter == 'f' && a->given['j']));
}

/* Reads the command line. Returns the text of a usage error, or NULL. */
static const char *parse(int argc, char **argv, struct arguments *a)
{
        static char error[OPTION_ERROR_MAX];
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
                if (c == '?' || c == ':')
                        return option_error(options, c, argv, error);
                c = c == 'h' ? MODE_HELP : c == 'V' ? MODE_VERSION : c;
                a->given[c] = optarg ? optarg : "";
                if (c > MODE_HELP)
                        continue;
                if (a->mode != MODE_RUN)
                        return "--once, --check, --lint, --replay, --restore, --all-netns, --version and --help "
                               "exclude each other";
                a->mode = (enum mode)c;
        }
        a->files = argv + optind;
        if (a->mode == MODE_RUN && argc == 2 && strcmp(argv[1], "help") == 0)
                a->mode = MODE_HELP;
        else if (a->mode == MODE_CHECK && argc - optind == 1 && !a->given['c'])
                a->given['c'] = argv[optind];
        else if (optind < argc && a->mode != MODE_LINT)
                return a->mode == MODE_CHECK ? "--check takes one file" : "only --check and --lint take arguments";
        for (unsigned i = 0; i < ELEMENTSOF(uses); i++)
                if (is_wrong(a, &uses[i]))
                        return uses[i].error;
        return NULL;
}

/* Flushes stdout. Returns status, or EX_IOERR if the output was not written. */
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
        struct arguments arguments = {.mode = MODE_RUN, .argv = argv};
        const char *error;

        setvbuf(stderr, stderr_buffer, _IOLBF, sizeof(stderr_buffer));
        error = parse(argc, argv, &arguments);
        return error ? usage(error) : finish(run_mode(&arguments));
}
