/* SPDX-License-Identifier: MIT */
/* The CPU time of observing, in process: `bench-observe PAIRS` prints, for the sockets of the netns that it runs in,
 * SOCKETS DISCARD_NS OBSERVE_NS OVER_NS CHEAP_US RSS_KB
 * DISCARD: a loop that only receives the same dump; OVER: the median of the paired differences; these and OBSERVE are
 * per socket. CHEAP: a tick without a dump. RSS: anonymous memory. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/now.h"
#include "daemon/observe/observer.h"
#include "daemon/observe/sock_diag.h"
#include "lib/config/config.h"
#include "lib/util/macro.h"

#define PAIRS_MAX 101
#define CHEAP_TICKS 200

static unsigned long sockets;

static void count(void *user, const struct inet_diag_msg *socket, size_t length)
{
        (void)user, (void)socket, (void)length;
        sockets++;
}

/* Receives a dump and ignores all but its end. Returns its CPU time, ns. */
static uint64_t discard(struct mnl_socket *socket, unsigned seq)
{
        struct {
                struct nlmsghdr header;
                struct inet_diag_req body;
        } request = {
                .header = {.nlmsg_len = sizeof(request),
                           .nlmsg_type = TCPDIAG_GETSOCK,
                           .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                           .nlmsg_seq = seq},
                .body = {.idiag_family = AF_INET, .idiag_states = SOCK_DIAG_CONNECTIONS},
        };
        static _Alignas(struct nlmsghdr) char buf[32768];
        uint64_t begun = thread_cpu_ns();

        if (mnl_socket_sendto(socket, &request, sizeof(request)) < 0)
                abort();
        do
                if (mnl_socket_recvfrom(socket, buf, sizeof(buf)) <= 0)
                        abort();
        while (((const struct nlmsghdr *)buf)->nlmsg_type != NLMSG_DONE);
        return thread_cpu_ns() - begun;
}

static void tick(struct observer *o, struct snapshot *s, bool dump_sockets)
{
        const struct watch_list none = {0};
        struct unread unread = {0};
        bool dump;

        observer_read(o, s, &dump, &unread);
        if (dump_sockets)
                observer_read_sockets(o, &none, s, &unread);
        if (unread.error < 0)
                abort();
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
        qsort(values, n, sizeof(values[0]), compare);
        return values[n / 2];
}

static unsigned anonymous_kb(void)
{
        FILE *f = fopen("/proc/self/status", "r");
        unsigned kb = 0;
        char line[128];

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "RssAnon: %u", &kb) == 1)
                        break;
        if (f)
                fclose(f);
        return kb;
}

int main(int argc, char **argv)
{
        unsigned pairs = argc > 1 ? (unsigned)MIN(strtoul(argv[1], NULL, 10), PAIRS_MAX) : 21;
        const struct sock_diag_query all = {.states = SOCK_DIAG_CONNECTIONS};
        static double discarded[PAIRS_MAX], observed[PAIRS_MAX], over[PAIRS_MAX], cheap[CHEAP_TICKS];
        struct mnl_socket *socket = mnl_socket_open(NETLINK_SOCK_DIAG);
        struct sock_diag diag = {0};
        static struct snapshot s;
        struct counters counters;
        struct observer *o;

        counters_init(&counters);
        if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 || observer_new("/proc", &o) < 0)
                abort();
        observer_set_config(o, NULL, &counters);
        if (sock_diag_dump(&diag, &all, count, NULL) < 0)
                abort();
        tick(o, &s, true);
        for (unsigned i = 0; i < pairs; i++) {
                uint64_t begun;

                discarded[i] = (double)discard(socket, i + 1);
                begun = thread_cpu_ns();
                tick(o, &s, true);
                observed[i] = (double)(thread_cpu_ns() - begun);
                over[i] = observed[i] - discarded[i];
        }
        for (unsigned i = 0; i < CHEAP_TICKS; i++) {
                uint64_t begun = thread_cpu_ns();

                tick(o, &s, false);
                cheap[i] = (double)(thread_cpu_ns() - begun);
        }
        printf("%lu %.1f %.1f %.1f %.1f %u\n", sockets, median(discarded, pairs) / (double)MAX(sockets, 1ul),
               median(observed, pairs) / (double)MAX(sockets, 1ul), median(over, pairs) / (double)MAX(sockets, 1ul),
               median(cheap, CHEAP_TICKS) / 1e3, anonymous_kb());
        observer_free(o);
        sock_diag_close(&diag);
        mnl_socket_close(socket);
        return 0;
}
