/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/graph.h"
#include "ctl/terminal.h"

#define GRAPHS_MAX 256u
#define NAME_WIDTH 30u
#define VALUE_WIDTH 13u
#define MOST_WIDTH 12u
#define OTHER_LINES 3u /* the state, the titles and the keys */

/* xterm's alternate screen, without a cursor (ctlseqs.ms of xterm) */
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

struct top {
        struct client client;
        struct termios termios; /* the terminal's before we changed them */
        unsigned rows, columns; /* of the terminal */
        unsigned first;         /* metric shown */
        bool json;
        struct graph graph[GRAPHS_MAX];
        unsigned n_graphs;
        json_t *description; /* of the last sample */
};

/* Finds or makes the graph of a metric. NULL: there are too many. */
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

/* NAN: unknown, or bounded only. JSON has no infinity, so a valid metric without a value is infinite. */
static double value_of(const json_t *metric)
{
        if (!has_text(metric, "state", "valid"))
                return NAN;
        return json_is_number(json_object_get(metric, "value")) ? number_of(metric, "value") : INFINITY;
}

/* Asks for a new description. Returns 0 or an exit status. */
static int sample(struct top *t)
{
        json_t *d, *metric;
        int status = client_describe(&t->client, &d);
        size_t i;

        if (status != 0)
                return status;
        json_decref(t->description);
        t->description = d;
        json_array_foreach(json_object_get(d, "metrics"), i, metric) {
                struct graph *g = find_graph(t, text_of(metric, "name"));

                if (g)
                        graph_add(g, value_of(metric));
        }
        return 0;
}

static uint64_t interval_us(const struct top *t)
{
        return (uint64_t)(fmax(number_of(t->description, "interval"), 0.1) * 1e6);
}

static void measure_terminal(struct top *t)
{
        struct winsize size;

        t->rows = 24;
        t->columns = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
                t->rows = size.ws_row;
                t->columns = size.ws_col;
        }
}

/* "3.2%"; "<= 4%": bounded; "-": bounded, without an upper bound. NULL: the metric has neither value nor bounds. */
static const char *value_text(const json_t *metric, char buf[static VALUE_WIDTH * 2])
{
        const char *unit = text_of(metric, "unit");
        int digits = *unit && *unit != 'B' ? 1 : 0;

        if (has_text(metric, "state", "valid"))
                snprintf(buf, VALUE_WIDTH * 2, "%.*f%s", digits, value_of(metric), unit);
        else if (!has_text(metric, "state", "bounded"))
                return NULL;
        else if (json_is_number(json_object_get(metric, "upper")))
                snprintf(buf, VALUE_WIDTH * 2, "<= %.*f%s", digits, number_of(metric, "upper"), unit);
        else
                snprintf(buf, VALUE_WIDTH * 2, "-");
        return buf;
}

static unsigned name_width(const struct top *t)
{
        return MIN(NAME_WIDTH, MAX(t->columns, VALUE_WIDTH + 2) - VALUE_WIDTH - 1);
}

static void draw_metric(struct top *t, const json_t *metric, const char *value)
{
        const struct graph *g = find_graph(t, text_of(metric, "name"));
        unsigned fixed = NAME_WIDTH + 1 + VALUE_WIDTH + 2, width = name_width(t);

        printf("%-*.*s %*.*s", (int)width, (int)width, text_of(metric, "name"), (int)VALUE_WIDTH, (int)VALUE_WIDTH,
               value);
        if (!g || t->columns < fixed + MOST_WIDTH + 4)
                return;
        width = MIN(t->columns - fixed - MOST_WIDTH, GRAPH_SAMPLES);
        printf("  %s", colour_on(GREEN));
        graph_print(g, width);
        printf("%s", colour_off(GREEN));
        if (graph_most(g, width) > 0)
                print_coloured(DIM, " %.4g%s", graph_most(g, width), text_of(metric, "unit"));
}

static void draw_screen(struct top *t)
{
        enum colour colour = colour_of(text_of(t->description, "state"));
        int status_width = (int)MAX(t->columns, 20u) - 10, name = (int)name_width(t);
        unsigned line = OTHER_LINES, skipped = 0;
        char buf[VALUE_WIDTH * 2];
        json_t *metric;
        size_t i;

        printf(HOME "twtuned: ");
        print_coloured(colour, "%.*s", status_width, text_of(t->description, "status"));
        fputs(REST_OF_LINE "\n", stdout);
        print_coloured(DIM, "%-*.*s %*s%s", name, name, "METRIC", (int)VALUE_WIDTH, "NOW",
                       t->columns > 80 ? "  BEFORE, AND ITS MAXIMUM" : "");
        fputs(REST_OF_LINE "\n", stdout);
        json_array_foreach(json_object_get(t->description, "metrics"), i, metric) {
                const char *value = value_text(metric, buf);

                if (!value || skipped++ < t->first)
                        continue;
                if (line++ >= t->rows)
                        break;
                draw_metric(t, metric, value);
                fputs(REST_OF_LINE "\n", stdout);
        }
        print_coloured(DIM, "%.*s", (int)t->columns - 1, "q quits, up and down scroll");
        fputs(REST_OF_LINE REST_OF_SCREEN, stdout);
        fflush(stdout);
}

/* --json: a line for each sample. Returns 0 or an exit status. */
static int print_line(const struct top *t)
{
        json_auto_t *line = json_pack("{s:f, s:O}", "time", (double)time(NULL), "metrics",
                                      json_object_get(t->description, "metrics"));

        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
        putchar('\n');
        return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

static int show(struct top *t)
{
        if (t->json)
                return print_line(t);
        draw_screen(t);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct top *t = userdata;
        int status = sample(t);

        (void)usec;
        if (status == 0)
                status = show(t);
        if (status != 0)
                return sd_event_exit(sd_event_source_get_event(source), status);
        sd_event_source_set_time_relative(source, interval_us(t));
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        (void)source;
        (void)info;
        measure_terminal(userdata);
        draw_screen(userdata);
        return 0;
}

/* An arrow key sends ESC [ A (up) or ESC [ B (down). */
static int on_keys(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct top *t = userdata;
        char keys[32];
        ssize_t n = read(fd, keys, sizeof(keys));
        bool quit = n <= 0;

        (void)events;
        for (ssize_t i = 0; i < n; i++) {
                if (keys[i] == 'q' || keys[i] == 'Q')
                        quit = true;
                else if (keys[i] == 'A' || keys[i] == 'k')
                        t->first -= t->first > 0;
                else if (keys[i] == 'B' || keys[i] == 'j')
                        t->first += t->first + 1 < json_array_size(json_object_get(t->description, "metrics"));
        }
        draw_screen(t);
        return quit ? sd_event_exit(sd_event_source_get_event(source), 0) : 0;
}

/* Shows each sample until q, a signal, or the end of the daemon. Returns the exit status. */
static int loop(struct top *t)
{
        static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        int status = show(t), r;

        if (status != 0)
                return status;
        r = sd_event_new(&event);
        for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(ends); i++)
                r = sd_event_add_signal(event, NULL, ends[i] | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
        if (r >= 0 && !t->json)
                r = sd_event_add_signal(event, NULL, SIGWINCH | SD_EVENT_SIGNAL_PROCMASK, on_resize, t);
        if (r >= 0 && !t->json)
                r = sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_keys, t);
        if (r >= 0)
                r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, interval_us(t), 1, on_timer, t);
        if (r >= 0)
                r = sd_event_loop(event);
        return r < 0 ? complain(EX_OSERR, "the event loop failed: %s", strerror(-r)) : r;
}

static int run_on_terminal(struct top *t)
{
        struct termios raw;
        int status;

        measure_terminal(t);
        tcgetattr(STDIN_FILENO, &t->termios);
        raw = t->termios;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        fputs(SCREEN_BEGIN, stdout);
        status = loop(t);
        fputs(SCREEN_END, stdout);
        fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &t->termios);
        /* The error was printed on the alternate screen, which is gone: the next call prints it on the normal one. */
        return status != 0 ? sample(t) : 0;
}

static int run(struct top *t)
{
        int status = sample(t);

        if (status != 0)
                return status;
        return t->json ? loop(t) : run_on_terminal(t);
}

int command_top(const struct options *o)
{
        static struct top top;
        int status;

        top.json = o->json;
        if (!o->json && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
                return complain(EX_USAGE, "top needs a terminal; --json prints a line for each sample instead");
        status = client_open(&top.client, o->instance);
        if (status == 0)
                status = run(&top);
        json_decref(top.description);
        client_close(&top.client);
        return status;
}
