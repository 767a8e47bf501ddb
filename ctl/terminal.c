/* SPDX-License-Identifier: MIT */
#include "ctl/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/util/safe.h"
#include "lib/util/units.h"

static FILE *pager;

/* Looks at stdout in the first call only: later, stdout may be the pipe to the pager. */
static bool colours_on(void)
{
        static int colours = -1; /* undecided */
        const char *wish = getenv("SYSTEMD_COLORS"), *no = getenv("NO_COLOR"), *term = getenv("TERM");

        if (colours < 0 && wish)
                colours = strcmp(wish, "0") != 0 && strcmp(wish, "no") != 0 && strcmp(wish, "false") != 0;
        else if (colours < 0)
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
                {"healthy", GREEN},  {"acting", GREEN},      {"would-act", YELLOW},    {"active", GREEN},
                {"twtuned", GREEN},  {"advice", YELLOW},     {"paused", YELLOW},       {"ready", YELLOW},
                {"waiting", YELLOW}, {"disabled", DIM},      {"unavailable", DIM},     {"needless", DIM},
                {"degraded", RED},   {"left-alone", YELLOW}, {"someone else", YELLOW},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (strcmp(rows[i].state, state) == 0)
                        return rows[i].colour;
        return PLAIN;
}

void print_coloured(enum colour colour, const char *format, ...)
{
        va_list args;

        fputs(colour_on(colour), stdout);
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        fputs(colour_off(colour), stdout);
}

bool has_unicode(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* The shell command of the pager; NULL: none is wanted ("" and "cat"). */
static const char *pager_command(void)
{
        const char *command = getenv("SYSTEMD_PAGER");

        if (!command)
                command = getenv("PAGER");
        if (!command)
                command = "for p in less more; do command -v $p >/dev/null && exec $p; done; exec cat";
        return *command && strcmp(command, "cat") != 0 ? command : NULL;
}

void pager_open(const struct options *o)
{
        const char *less = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");
        const char *command = pager_command();

        if (o->no_pager || !command || !isatty(STDOUT_FILENO))
                return;
        colours_on(); /* must look at the terminal, not at the pipe */
        setenv("LESS", less ? less : "FRSXMK", 1);
        if (charset || has_unicode())
                setenv("LESSCHARSET", charset ? charset : "utf-8", 1);
        setenv("LESSSECURE", "1", 1); /* sudo may allow only twtunectl: less must not run a shell */
        fflush(stdout);
        pager = popen(command, "we");
        if (pager)
                dup2(fileno(pager), STDOUT_FILENO);
}

bool pager_close(void)
{
        if (!pager)
                return false;
        fflush(stdout);
        close(STDOUT_FILENO);
        pclose(pager);
        return true;
}

unsigned screen_width(void)
{
        struct winsize size = {0};

        return ioctl(pager ? STDERR_FILENO : STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t text_cut(const char *text, size_t room)
{
        size_t n = MIN(strlen(text), room);

        while (n > 0 && (text[n] & 0xc0) == 0x80)
                n--;
        return n;
}

/* Returns how many bytes of the text fit into room columns: all, else up to a blank, or if there is none, all that fit
 * without cutting a character. */
static size_t line_length(const char *text, size_t room)
{
        size_t n = room;

        if (strlen(text) <= room)
                return strlen(text);
        while (n > 0 && text[n] != ' ')
                n--;
        return n > 0 ? n : text_cut(text, room);
}

void print_broken(enum colour colour, const char *text, unsigned column, unsigned indent, unsigned least)
{
        unsigned width = screen_width();

        for (;;) {
                size_t room = width > column + least ? width - column : least;
                size_t n = width == 0 ? strlen(text) : line_length(text, room); /* no terminal: whole lines for grep */

                print_coloured(colour, "%.*s", (int)n, text);
                putchar('\n');
                text += n + strspn(text + n, " ");
                if (*text == 0)
                        return;
                printf("%*s", (int)indent, "");
                column = indent;
        }
}

void print_wrapped_from(const char *text, unsigned column, unsigned indent)
{
        print_broken(PLAIN, text, column, indent, TEXT_WIDTH_MIN);
}

void print_wrapped(const char *text, unsigned indent)
{
        if (*text == 0)
                return;
        printf("%*s", (int)indent, "");
        print_wrapped_from(text, indent, indent);
}

void print_item(unsigned indent, enum colour colour, const char *title, const char *text)
{
        printf("%*s", (int)indent, "");
        print_coloured(colour, "%s", title);
        fputs(": ", stdout);
        print_wrapped_from(text, indent + (unsigned)strlen(title) + 2, indent + 2);
}

int complain(int status, const char *format, ...)
{
        char text[1024];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        fputs("twtunectl: ", stderr);
        safe_print(text, stderr);
        fputc('\n', stderr);
        return status;
}

/* The unit words that may follow a number. */
static const struct {
        const char *word;
        double seconds;
} duration_units[] = {
        {"ms", 1e-3},    {"s", 1},     {"sec", 1},     {"second", 1},   {"seconds", 1}, {"m", 60},
        {"min", 60},     {"mins", 60}, {"minute", 60}, {"minutes", 60}, {"h", 3600},    {"hour", 3600},
        {"hours", 3600}, {"d", 86400}, {"day", 86400}, {"days", 86400},
};

int duration_of_person(const char *text, uint64_t *ret_ns)
{
        size_t n = strspn(text, "0123456789."), length;
        const char *unit = text + n + strspn(text + n, " "), *rest;
        char *end;
        double number = strtod(text, &end);

        length = strcspn(unit, " ");
        rest = unit + length + strspn(unit + length, " ");
        if (n == 0 || end != text + n || (*rest && strcmp(rest, "ago") != 0))
                return -EINVAL;
        for (unsigned i = 0; i < ELEMENTSOF(duration_units); i++)
                if (strlen(duration_units[i].word) == length && strncmp(duration_units[i].word, unit, length) == 0 &&
                    number * duration_units[i].seconds <= 366.0 * 86400) {
                        *ret_ns = (uint64_t)(number * duration_units[i].seconds * 1e9 + 0.5);
                        return 0;
                }
        return -EINVAL;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
        if (duration_of_person(text, ret_ns) == 0 && *ret_ns > 0 && !strstr(text, "ago"))
                return 0;
        return complain(EX_USAGE, "invalid duration '%s': write a number and s, min, h or d; at most 366d", text);
}
