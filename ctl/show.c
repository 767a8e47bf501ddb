/* SPDX-License-Identifier: MIT */
#include "ctl/show.h"

#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pager;
static int colours = -1; /* not known yet */

bool colours_on(void)
{
        const char *wish = getenv("SYSTEMD_COLORS"), *no = getenv("NO_COLOR"), *term = getenv("TERM");

        if (colours >= 0)
                return colours;
        if (wish)
                colours = strcmp(wish, "0") != 0 && strcmp(wish, "no") != 0 && strcmp(wish, "false") != 0;
        else
                colours = (!no || !*no) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
        return colours;
}

const char *colour_on(enum colour colour)
{
        static const char *const codes[] = {
                [PLAIN] = "",       [BOLD] = "\033[1m",   [DIM] = "\033[2m",
                [RED] = "\033[31m", [GREEN] = "\033[32m", [YELLOW] = "\033[33m",
        };

        return colours_on() ? codes[colour] : "";
}

const char *colour_off(enum colour colour)
{
        return colours_on() && colour != PLAIN ? "\033[0m" : "";
}

enum colour colour_of(const char *state)
{
        static const struct {
                const char *state;
                enum colour colour;
        } rows[] = {
                {"healthy", GREEN},  {"acting", GREEN},        {"active", GREEN},    {"ready", YELLOW},
                {"advice", YELLOW},  {"paused", YELLOW},       {"degraded", RED},    {"left-alone", YELLOW},
                {"waiting", YELLOW}, {"disabled", DIM},        {"unavailable", DIM}, {"needless", DIM},
                {"twtuned", GREEN},  {"someone else", YELLOW},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (strcmp(rows[i].state, state) == 0)
                        return rows[i].colour;
        return PLAIN;
}

bool has_unicode(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* The first that is set, or there; an empty one, or "cat", is none. */
static const char *pager_command(void)
{
        const char *command = getenv("SYSTEMD_PAGER");

        if (!command)
                command = getenv("PAGER");
        if (!command)
                command = "for p in less more; do command -v $p >/dev/null && exec $p; done; exec cat";
        return *command && strcmp(command, "cat") != 0 ? command : NULL;
}

static void pager_run(const char *command, const int pipe_fds[2])
{
        const char *less = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");

        dup2(pipe_fds[0], STDIN_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        setenv("LESS", less ? less : "FRSXMK", 1);
        if (charset || has_unicode())
                setenv("LESSCHARSET", charset ? charset : "utf-8", 1);
        setenv("LESSSECURE", "1", 1); /* this may run as root, by sudo */
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
}

void pager_open(const struct options *o)
{
        const char *command = pager_command();
        int fds[2];

        if (o->no_pager || !command || !isatty(STDOUT_FILENO) || pager > 0)
                return;
        colours_on(); /* as of the terminal, not of the pipe */
        if (pipe(fds) < 0)
                return;
        fflush(stdout);
        pager = fork();
        if (pager == 0)
                pager_run(command, fds);
        if (pager > 0)
                dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
}

void pager_close(void)
{
        if (pager <= 0)
                return;
        fflush(stdout);
        close(STDOUT_FILENO);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = 0;
}

void print_wrapped(const char *text, unsigned indent)
{
        struct winsize size = {0};
        unsigned width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > indent + 30 ? size.ws_col : 100;

        while (*text) {
                size_t n = strlen(text), room = width - indent;

                if (n > room) {
                        for (n = room; n > 0 && text[n] != ' '; n--)
                                ;
                        n = n > 0 ? n : room;
                }
                printf("%*s%.*s\n", (int)indent, "", (int)n, text);
                text += n + strspn(text + n, " ");
        }
}

int print_json(const json_t *value)
{
        json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
        return 0;
}

const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

double number_of(const json_t *object, const char *key)
{
        return json_number_value(json_object_get(object, key));
}

bool is_true(const json_t *object, const char *key)
{
        return json_is_true(json_object_get(object, key));
}

json_t *find_named(const json_t *array, const char *name)
{
        size_t i;
        json_t *item;

        json_array_foreach(array, i, item)
                if (strcmp(text_of(item, "name"), name) == 0)
                        return item;
        return NULL;
}

const char *time_text(double seconds, char buf[static TIME_TEXT_MAX])
{
        long s = (long)floor(seconds);

        if (s >= 3600)
                snprintf(buf, TIME_TEXT_MAX, "%ldh %ldmin", s / 3600, s / 60 % 60);
        else if (s >= 60)
                snprintf(buf, TIME_TEXT_MAX, "%ldmin %lds", s / 60, s % 60);
        else
                snprintf(buf, TIME_TEXT_MAX, "%lds", s);
        return buf;
}
