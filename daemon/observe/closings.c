/* SPDX-License-Identifier: MIT */
/* Listens for TCP connections that end, so that only the ticks wake up the daemon on an idle host (early.c). When a
 * TCP socket of this netns is destroyed, even if a TIME_WAIT takes its place, the kernel reports that to a multicast
 * group of NETLINK_SOCK_DIAG (net/core/sock_diag.c:sock_diag_broadcast_destroy; since Linux 4.2). Joining needs no
 * capability, and the reports cost nothing while nobody is in the group. */

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

/* Passes one of n messages at random, so that the descriptor becomes readable after about n. */
static int pass_one_of(int fd, unsigned n)
{
        struct sock_filter program[] = {
                {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)},
                {BPF_JMP | BPF_JGT | BPF_K, 0, 1, UINT32_MAX / MAX(n, 1u)},
                {BPF_RET | BPF_K, 0, 0, 0},
                {BPF_RET | BPF_K, 0, 0, UINT32_MAX},
        };
        const struct sock_fprog filter = {ELEMENTSOF(program), program};

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ? -errno : 0;
}

static int join(int fd)
{
        static const int groups[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY};
        const struct sockaddr_nl any = {.nl_family = AF_NETLINK};

        if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
                return -errno;
        for (unsigned i = 0; i < ELEMENTSOF(groups); i++)
                if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
                        return -errno;
        return 0;
}

int observer_listen(struct observer *o, unsigned connections)
{
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
        int r = fd < 0 ? -errno : pass_one_of(fd, connections);

        if (r == 0)
                r = join(fd);
        if (r < 0 && fd >= 0)
                close(fd);
        if (r < 0)
                return r;
        observer_unlisten(o);
        return o->closings = fd;
}

void observer_unlisten(struct observer *o)
{
        if (o->closings > 0)
                close(o->closings);
        o->closings = 0;
}
