/* SPDX-License-Identifier: MIT
 *
 * churn: the TCP load that the tests, the benchmarks and the demo share. It opens and closes connections
 * and sends nothing over them, because what is measured is the choice of a port in connect(). */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4() */
#endif

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "churn.h"

static volatile sig_atomic_t stopped;

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "churn: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static void on_stop(int signo)
{
        (void)signo;
        stopped = 1;
}

/* Nothing to do: the signal is there to end a connect() to a silent peer, which lasts two minutes. */
static void on_alarm(int signo)
{
        (void)signo;
}

static void handle_signals(void)
{
        /* Without SA_RESTART, so that a blocking call returns with EINTR. */
        const struct sigaction stop = {.sa_handler = on_stop};
        const struct sigaction wake = {.sa_handler = on_alarm};

        if (sigaction(SIGTERM, &stop, NULL) < 0 || sigaction(SIGINT, &stop, NULL) < 0 ||
            sigaction(SIGALRM, &wake, NULL) < 0)
                die("sigaction");
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
                die("clock_gettime");
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Returns early when a signal arrives. */
static void sleep_until(uint64_t when)
{
        const struct timespec ts = {
                .tv_sec = (time_t)(when / NSEC_PER_SEC),
                .tv_nsec = (long)(when % NSEC_PER_SEC),
        };

        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* The moment at which --seconds is over; from then on every blocking call is interrupted, again and again,
 * since a single signal could come just before the call. */
static uint64_t arm_deadline(uint64_t start, uint64_t seconds)
{
        const struct itimerval timer = {
                .it_value.tv_sec = (time_t)seconds,
                .it_interval.tv_usec = 10000,
        };

        if (seconds == 0)
                return UINT64_MAX;
        if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
                die("setitimer");
        return start + seconds * NSEC_PER_SEC;
}

/* Thousands of connections are held open, and the usual soft limit is 1024 because of select(). */
static void raise_fd_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                die("getrlimit");
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                die("setrlimit");
}

/* ---- server ---- */

/* listen() cuts INT_MAX down to somaxconn. */
static int server_listen(const struct address *a)
{
        const int yes = 1, no = 0;
        int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                die("socket");
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
                die("SO_REUSEADDR");
        if (a->sa.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
                die("IPV6_V6ONLY");
        if (bind(fd, &a->sa, a->size) < 0)
                die("bind");
        if (listen(fd, INT_MAX) < 0)
                die("listen");
        return fd;
}

static void server_watch(int epoll, int op, int fd, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.fd = fd};

        if (epoll_ctl(epoll, op, fd, &event) < 0)
                die("epoll_ctl");
}

/* True when the peer is gone, or sent something: then it wants the server to close first. */
static bool server_shall_close(int fd)
{
        char sink[4096];
        ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

        return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

/* Returns false when no descriptor is left, and a connection must close before the next is accepted. */
static bool server_accept(int epoll, int listener, bool close_first)
{
        /* A bound, so that under a storm the watched connections get their turn. */
        for (int i = 0; i < 256; i++) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd < 0)
                        return errno != EMFILE && errno != ENFILE;
                /* Most peers of this tool have closed by now; epoll is for the others. */
                if (close_first || server_shall_close(fd))
                        close(fd);
                else
                        server_watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP);
        }
        return true;
}

static int run_server(const struct options *o)
{
        struct epoll_event events[256];
        int listener = server_listen(&o->peer);
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        bool accepting = true;

        if (epoll < 0)
                die("epoll_create1");
        server_watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
        puts("ready");
        fflush(stdout);

        while (!stopped) {
                int n = epoll_wait(epoll, events, 256, -1);

                for (int i = 0; i < n; i++) {
                        int fd = events[i].data.fd;

                        if (fd == listener) {
                                accepting = server_accept(epoll, listener, o->close_first);
                                if (!accepting)
                                        server_watch(epoll, EPOLL_CTL_MOD, listener, 0);
                        } else if (server_shall_close(fd)) {
                                close(fd);
                                if (!accepting)
                                        server_watch(epoll, EPOLL_CTL_MOD, listener, EPOLLIN);
                                accepting = true;
                        }
                }
        }
        return EXIT_SUCCESS;
}

/* ---- client and hold ---- */

/* Returns a connected socket, or -errno of bind() or connect(). */
static int open_connection(const struct options *o)
{
        int fd = socket(o->peer.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = 0;

        if (fd < 0)
                die("socket");
        if (o->keepalive && setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)) < 0)
                die("SO_KEEPALIVE");
        if (o->reuse_address && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
                die("SO_REUSEADDR");
        if (o->bind_no_port && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) < 0)
                die("IP_BIND_ADDRESS_NO_PORT");
        if (o->has_local && bind(fd, &o->local.sa, o->local.size) < 0)
                r = -errno;
        else if (connect(fd, &o->peer.sa, o->peer.size) < 0)
                r = -errno;
        if (r < 0) {
                close(fd);
                return r;
        }
        return fd;
}

static void wait_for_eof(int fd)
{
        char sink[4096];

        while (!stopped && recv(fd, sink, sizeof(sink), 0) > 0)
                ;
}

/* How long connects took, in us: exact below 65 ms; a longer one counts as 65 ms. */
#define LATENCIES 65536u

struct progress {
        uint64_t start, second; /* the second, or step, that is counted now, from 1 */
        uint64_t step;          /* ns */
        bool measured;
        uint64_t slowest, latency[LATENCIES];
        uint64_t connects, failures;
        uint64_t total_connects, total_failures;
        int last_error;
};

static void progress_print(struct progress *p)
{
        printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", p->second, p->connects, p->failures);
        fflush(stdout);
        p->total_connects += p->connects;
        p->total_failures += p->failures;
        p->connects = p->failures = 0;
        p->second++;
}

static uint64_t progress_next(const struct progress *p)
{
        return p->start + p->second * p->step;
}

static void progress_print_due(struct progress *p, uint64_t now)
{
        while (now >= progress_next(p))
                progress_print(p);
}

static void progress_latency(struct progress *p, uint64_t ns)
{
        uint64_t us = ns / 1000;

        p->latency[us < LATENCIES ? us : LATENCIES - 1]++;
        if (us > p->slowest)
                p->slowest = us;
}

static unsigned latency_below(const struct progress *p, unsigned percent)
{
        uint64_t n = 0, all = p->total_connects;
        unsigned us = 0;

        while (us < LATENCIES - 1 && (n += p->latency[us]) * 100 < all * percent)
                us++;
        return us;
}

static void progress_finish(struct progress *p)
{
        if (p->connects != 0 || p->failures != 0)
                progress_print(p);
        if (p->measured)
                printf("latency %u %u %" PRIu64 "\n", latency_below(p, 50), latency_below(p, 99), p->slowest);
        printf("total %" PRIu64 " %" PRIu64 "\n", p->total_connects, p->total_failures);
        fflush(stdout);
}

/* An error is worth a line when it is not the one that came before. */
static void progress_failed(struct progress *p, int error)
{
        p->failures++;
        if (error != p->last_error)
                fprintf(stderr, "churn: connect: %s\n", strerror(error));
        p->last_error = error;
}

/* True for --server-closes of a hundred connections, evenly spread. */
static bool server_closes_next(const struct options *o, const struct progress *p)
{
        uint64_t n = p->total_connects + p->connects;

        return (n + 1) * o->server_closes / 100 > n * o->server_closes / 100;
}

static void client_connect_once(const struct options *o, struct progress *p)
{
        uint64_t begun = p->measured ? now_ns() : 0;
        int fd = open_connection(o);

        if (fd >= 0 && p->measured)
                progress_latency(p, now_ns() - begun);
        if (fd >= 0) {
                if (server_closes_next(o, p) && send(fd, "", 1, MSG_NOSIGNAL) == 1)
                        wait_for_eof(fd);
                else if (o->read_eof)
                        wait_for_eof(fd);
                p->connects++;
                close(fd);
        } else if (fd != -EINTR)
                progress_failed(p, -fd);
}

/* The n-th connection of a paced client is due at `base + n / rate`: an absolute time, so that lateness
 * does not add up. A client that is late by more than 100 ms does not catch up: that would be a burst. */
struct pace {
        uint64_t rate, base, n;
};

static uint64_t pace_due(struct pace *p, uint64_t now)
{
        uint64_t due;

        if (p->rate == 0)
                return 0;
        due = p->base + p->n * NSEC_PER_SEC / p->rate;
        if (now <= due + NSEC_PER_SEC / 10)
                return due;
        p->base = now;
        p->n = 0;
        return now;
}

static int run_client(const struct options *o)
{
        uint64_t start = now_ns(), deadline = arm_deadline(start, o->seconds), left = o->count;
        static struct progress progress;
        struct pace pace = {.rate = o->rate, .base = start};

        progress.start = start;
        progress.second = 1;
        progress.measured = o->step > 0;
        progress.step = o->step > 0 ? o->step * NSEC_PER_SEC / 1000 : NSEC_PER_SEC;
        /* The usual slack of 50 us would be half a period at 10,000 a second. */
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

        while (!stopped) {
                uint64_t now = now_ns(), due = pace_due(&pace, now), report;

                progress_print_due(&progress, now);
                report = progress_next(&progress);
                if (now >= deadline)
                        break;
                if (due > now) {
                        sleep_until(due < report ? due : report);
                        continue;
                }
                client_connect_once(o, &progress);
                pace.n++;
                if (left > 0 && --left == 0)
                        break;
        }
        progress_finish(&progress);
        return EXIT_SUCCESS;
}

static int run_hold(const struct options *o)
{
        uint64_t deadline;

        if (o->count == 0)
                churn_usage();
        for (uint64_t i = 0; i < o->count && !stopped; i++) {
                int fd = open_connection(o); /* closed by exit, all at once */

                if (fd < 0) {
                        errno = -fd;
                        die("connect");
                }
        }
        printf("holding %" PRIu64 "\n", o->count);
        fflush(stdout);

        deadline = arm_deadline(now_ns(), o->seconds);
        while (!stopped && now_ns() < deadline)
                poll(NULL, 0, 1000); /* not pause(): a signal may come just before */
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        static const struct {
                const char *name;
                int (*run)(const struct options *o);
        } commands[] = {
                {"server", run_server},
                {"client", run_client},
                {"hold", run_hold},
        };

        if (argc < 2)
                churn_usage();
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
                if (strcmp(argv[1], commands[i].name) == 0) {
                        struct options o = churn_options(argc - 1, argv + 1);

                        handle_signals();
                        raise_fd_limit();
                        return commands[i].run(&o);
                }
        churn_usage();
}
