/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "ctl/terminal.h"
#include "ctl/top.h"

/* xterm's alternate screen, without a cursor (ctlseqs.ms of xterm) */
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"

struct top {
        struct client client;
        struct termios termios; /* of the terminal before we changed it */
        bool json;
        struct screen screen;
};

/* Returns the value for a metric's graph; NAN: unknown. JSON has no infinity, so a valid metric without a value is
 * infinite. If only bounds are known for a metric that is always shown, returns the upper bound and sets *ret_bounded:
 * its graph would be empty under most policies otherwise. */
static double value_of(const json_t *metric, bool *ret_bounded)
{
        *ret_bounded = is_always_shown(text_of(metric, "name")) && has_text(metric, "state", "bounded") &&
                       json_is_number(json_object_get(metric, "upper"));
        if (*ret_bounded)
                return number_of(metric, "upper");
        if (!has_text(metric, "state", "valid"))
                return NAN;
        return json_is_number(json_object_get(metric, "value")) ? number_of(metric, "value") : INFINITY;
}

/* Asks for a new description. Returns 0 or an exit status. */
static int sample(struct top *t)
{
        json_t *d, *metric;
        bool bounded;
        int status = client_describe(&t->client, &d);
        size_t i;

        if (status != 0)
                return status;
        json_decref(t->screen.description);
        t->screen.description = d;
        json_array_foreach(json_object_get(d, "metrics"), i, metric) {
                struct graph *g = screen_graph(&t->screen, text_of(metric, "name"));
                double value = value_of(metric, &bounded);

                if (g)
                        graph_add(g, value, bounded);
        }
        return 0;
}

/* twtuned answers root at any rate, and other users about twice a second (daemon/bus/read.c). */
static uint64_t interval_us(const struct top *t)
{
        return (uint64_t)(fmax(number_of(t->screen.description, "interval"), geteuid() == 0 ? 0.1 : 0.6) * 1e6);
}

static void measure_terminal(struct top *t)
{
        struct winsize size;

        t->screen.rows = 24;
        t->screen.columns = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
                t->screen.rows = size.ws_row;
                t->screen.columns = size.ws_col;
        }
}

/* --json: a line for each sample. Returns 0 or an exit status. */
static int print_line(const struct top *t)
{
        json_auto_t *line = json_pack("{s:f, s:O}", "time", (double)time(NULL), "metrics",
                                      json_object_get(t->screen.description, "metrics"));

        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
        putchar('\n');
        return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

static int show(struct top *t)
{
        if (t->json)
                return print_line(t);
        screen_draw(&t->screen);
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
        screen_draw(&((struct top *)userdata)->screen);
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
                        t->screen.first -= t->screen.first > 0;
                else if (keys[i] == 'B' || keys[i] == 'j')
                        t->screen.first += t->screen.first + 1 < t->screen.line;
        }
        screen_draw(&t->screen);
        return quit ? sd_event_exit(sd_event_source_get_event(source), 0) : 0;
}

/* Blocks the signal for sd_event_add_signal(3): libsystemd 247 lacks SD_EVENT_SIGNAL_PROCMASK, which would do so. */
static int add_signal(sd_event *event, int signal, sd_event_signal_handler_t handler, void *user)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, signal);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        return sd_event_add_signal(event, NULL, signal, handler, user);
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
                r = add_signal(event, ends[i], NULL, NULL);
        if (r >= 0 && !t->json)
                r = add_signal(event, SIGWINCH, on_resize, t);
        if (r >= 0 && !t->json)
                r = sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_keys, t);
        if (r >= 0)
                r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, interval_us(t), 1, on_timer, t);
        if (r >= 0)
                r = sd_event_loop(event);
        return r < 0 ? complain(EXIT_FAILURE, "the event loop failed: %s", strerror(-r)) : r;
}

static int run_on_terminal(struct top *t)
{
        struct termios raw;
        int status, again;

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
        /* The error is gone with the alternate screen. If this call fails as well, its error stays visible. */
        again = status != 0 ? sample(t) : 0;
        return again != 0 ? again : status;
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
        json_decref(top.screen.description);
        client_close(&top.client);
        return status;
}
