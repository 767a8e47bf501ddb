/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/graph.h"
#include "ctl/show.h"

#define GRAPHS_MAX 256u
#define NAME_WIDTH 30u
#define VALUE_WIDTH 13u
#define MOST_WIDTH 12u
#define HEAD_LINES 3u /* with the last line */

/* Of a terminal: xterm's alternate screen, without a cursor. */
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

struct top {
        struct client client;
        struct termios termios; /* as it was */
        int signals;            /* a signalfd */
        unsigned rows, columns, first;
        double interval;
        struct graph graph[GRAPHS_MAX];
        unsigned n_graphs;
        json_t *described;
};

static struct graph *find_graph(struct top *t, const char *name)
{
        for (unsigned i = 0; i < t->n_graphs; i++)
                if (strcmp(t->graph[i].name, name) == 0)
                        return &t->graph[i];
        if (t->n_graphs == GRAPHS_MAX)
                return NULL;
        snprintf(t->graph[t->n_graphs].name, sizeof(t->graph->name), "%s", name);
        return &t->graph[t->n_graphs++];
}

/* What is bounded is known to be no more than that. */
static double value_of(const json_t *metric)
{
        const char *state = text_of(metric, "state");

        if (strcmp(state, "valid") == 0)
                return json_is_number(json_object_get(metric, "value")) ? number_of(metric, "value") : INFINITY;
        return NAN;
}

static void add_samples(struct top *t)
{
        json_t *metric;
        size_t i;

        json_array_foreach(json_object_get(t->described, "metrics"), i, metric) {
                struct graph *g = find_graph(t, text_of(metric, "name"));

                if (g)
                        graph_add(g, value_of(metric));
        }
}

/* Takes a look; 0, or an exit status. */
static int sample(struct top *t)
{
        json_t *d = NULL;
        int status = client_describe(&t->client, &d);

        if (status != 0)
                return status;
        json_decref(t->described);
        t->described = d;
        t->interval = fmax(number_of(d, "interval"), 0.1);
        add_samples(t);
        return 0;
}

static void measure(struct top *t)
{
        struct winsize size;

        t->rows = 24;
        t->columns = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
                t->rows = size.ws_row;
                t->columns = size.ws_col;
        }
}

static const char *value_text(const json_t *metric, char buf[static VALUE_WIDTH * 2])
{
        const char *unit = text_of(metric, "unit"), *state = text_of(metric, "state");
        int digits = *unit && *unit != 'B' ? 1 : 0;

        if (strcmp(state, "valid") == 0)
                snprintf(buf, VALUE_WIDTH * 2, "%.*f%s", digits, value_of(metric), unit);
        else if (strcmp(state, "bounded") == 0 && json_is_number(json_object_get(metric, "upper")))
                snprintf(buf, VALUE_WIDTH * 2, "<= %.*f%s", digits, number_of(metric, "upper"), unit);
        else
                snprintf(buf, VALUE_WIDTH * 2, "-");
        return buf;
}

static unsigned name_width(const struct top *t)
{
        return MIN(NAME_WIDTH, MAX(t->columns, VALUE_WIDTH + 2) - VALUE_WIDTH - 1);
}

static void draw_metric(struct top *t, const json_t *metric)
{
        const char *name = text_of(metric, "name"), *unit = text_of(metric, "unit");
        unsigned fixed = NAME_WIDTH + 1 + VALUE_WIDTH + 2;
        const struct graph *g = find_graph(t, name);
        char value[VALUE_WIDTH * 2];
        unsigned width;

        width = name_width(t);
        printf("%-*.*s %*.*s", (int)width, (int)width, name, (int)VALUE_WIDTH, (int)VALUE_WIDTH,
               value_text(metric, value));
        if (!g || t->columns < fixed + MOST_WIDTH + 4)
                return;
        width = MIN(t->columns - fixed - MOST_WIDTH, GRAPH_SAMPLES);
        printf("  %s", colour_on(GREEN));
        graph_print(g, width);
        printf("%s", colour_off(GREEN));
        if (graph_most(g, width) > 0)
                printf(" %s%.4g%s%s", colour_on(DIM), graph_most(g, width), unit, colour_off(DIM));
}

static bool is_shown(const json_t *metric)
{
        const char *state = text_of(metric, "state");

        return strcmp(state, "valid") == 0 || strcmp(state, "bounded") == 0;
}

static void draw(struct top *t)
{
        const json_t *metrics = json_object_get(t->described, "metrics");
        enum colour colour = colour_of(text_of(t->described, "state"));
        unsigned line = HEAD_LINES, skipped = 0;
        json_t *metric;
        size_t i;

        printf(HOME "twtuned: %s%.*s%s" REST_OF_LINE "\n", colour_on(colour), (int)MAX(t->columns, 20u) - 10,
               text_of(t->described, "status"), colour_off(colour));
        printf("%s%-*.*s %*s%s%s" REST_OF_LINE "\n", colour_on(DIM), (int)name_width(t), (int)name_width(t), "METRIC",
               (int)VALUE_WIDTH, "NOW", t->columns > 80 ? "  BEFORE, AND THE MOST OF IT" : "", colour_off(DIM));
        json_array_foreach(metrics, i, metric) {
                if (!is_shown(metric) || skipped++ < t->first)
                        continue;
                if (line++ >= t->rows)
                        break;
                draw_metric(t, metric);
                fputs(REST_OF_LINE "\n", stdout);
        }
        printf("%s%.*s%s" REST_OF_LINE REST_OF_SCREEN, colour_on(DIM), (int)t->columns - 1,
               "q quits, up and down scroll", colour_off(DIM));
        fflush(stdout);
}

static void screen_begin(struct top *t)
{
        struct termios raw;

        tcgetattr(STDIN_FILENO, &t->termios);
        raw = t->termios;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        fputs(SCREEN_BEGIN, stdout);
}

static void screen_end(struct top *t)
{
        fputs(SCREEN_END, stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &t->termios);
}

static int open_signals(void)
{
        static const int wanted[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
        sigset_t mask;

        sigemptyset(&mask);
        for (unsigned i = 0; i < ELEMENTSOF(wanted); i++)
                sigaddset(&mask, wanted[i]);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        return signalfd(-1, &mask, SFD_CLOEXEC);
}

/* Keys: false: to quit. An arrow is ESC [ A or B. */
static bool take_keys(struct top *t)
{
        char keys[32];
        ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

        for (ssize_t i = 0; i < n; i++) {
                if (keys[i] == 'q' || keys[i] == 'Q')
                        return false;
                if (keys[i] == 'A' || keys[i] == 'k')
                        t->first -= t->first > 0;
                if ((keys[i] == 'B' || keys[i] == 'j') &&
                    t->first + 1 < json_array_size(json_object_get(t->described, "metrics")))
                        t->first++;
        }
        return n > 0;
}

static bool take_signal(struct top *t)
{
        struct signalfd_siginfo info;

        if (read(t->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo != SIGWINCH)
                return false;
        measure(t);
        return true;
}

static double monotonic(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Until q, a signal, or the daemon is gone. */
static int loop(struct top *t)
{
        struct pollfd fds[] = {{t->signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        double next = monotonic() + t->interval;
        int status;

        for (;;) {
                double left = next - monotonic();
                int n;

                draw(t);
                n = poll(fds, ELEMENTSOF(fds), left > 0 ? (int)ceil(left * 1000) : 0);
                if (n < 0 && errno != EINTR)
                        return complain(EX_OSERR, "poll: %s", strerror(errno));
                if ((fds[0].revents && !take_signal(t)) || (fds[1].revents && !take_keys(t)))
                        return 0;
                if (n > 0)
                        continue;
                status = sample(t);
                if (status != 0)
                        return status;
                next = monotonic() + t->interval;
        }
}

/* A line of JSON an interval, for other programs. */
static int print_lines(struct top *t)
{
        struct pollfd fd = {t->signals, POLLIN, 0};
        int status = 0;

        while (status == 0) {
                json_t *line = json_pack("{s:f, s:O}", "time", (double)time(NULL), "metrics",
                                         json_object_get(t->described, "metrics"));

                json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
                json_decref(line);
                putchar('\n');
                if (fflush(stdout) != 0)
                        return EX_IOERR;
                if (poll(&fd, 1, (int)(t->interval * 1000)) > 0 && !take_signal(t))
                        return 0;
                status = sample(t);
        }
        return status;
}

static int run(struct top *t, const struct options *o)
{
        int status;

        if (o->json)
                return print_lines(t);
        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return complain(EX_USAGE, "top needs a terminal; --json prints a line each time instead");
        measure(t);
        screen_begin(t);
        status = loop(t);
        screen_end(t);
        /* What was said went down with the screen. */
        return status != 0 ? sample(t) : 0;
}

int show_top(const struct options *o, char **args)
{
        static struct top top;
        int status = client_open(&top.client, o->instance);

        (void)args;
        if (status == 0)
                status = sample(&top);
        if (status == 0) {
                top.signals = open_signals();
                status = run(&top, o);
        }
        json_decref(top.described);
        client_close(&top.client);
        return status;
}
