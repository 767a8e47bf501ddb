/* SPDX-License-Identifier: MIT */
/* Finds the systemd unit of sockets. */
#include <netinet/tcp.h>
#include <stdio.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

#define SEEK_TRIES 3u
#define SEEK_NS (50 * NSEC_PER_MSEC) /* no further try after so much CPU time */
#define SEEK_EVERY_NS (10 * NSEC_PER_SEC)

const char *observer_find_unit(struct observer *o, uint64_t cgroup)
{
        return cgroup_unit(&o->cgroups, cgroup);
}

void fill_culprit(struct observer *o, struct snapshot *s, unsigned metric, const char *endpoint, uint64_t cgroup)
{
        o->named[metric] = true;
        snprintf(s->endpoint[metric], sizeof(s->endpoint[metric]), "%s", endpoint);
        snprintf(s->culprit[metric], sizeof(s->culprit[metric]), "%s", cgroup_unit(&o->cgroups, cgroup));
}

static void on_live(void *user, const struct inet_diag_msg *socket, size_t length)
{
        struct observer *o = user;
        struct destination_key key;

        destination_key_of(socket, &key);
        if (o->found == 0 && destination_key_equal(&key, &o->sought))
                o->found = diag_cgroup(socket, length);
}

static void begin(struct observer *o)
{
        o->found = 0;
}

int seek_cgroup(struct observer *o, const struct destination *d)
{
        const struct sock_diag_query query = {.states = SOCK_DIAG_CONNECTIONS & ~BIT(TCP_TIME_WAIT),
                                              .low = (uint16_t)o->limits.low,
                                              .high = (uint16_t)o->limits.high};
        uint64_t id = d->id, until = thread_cpu_ns() + SEEK_NS;
        int r = 0;

        o->found = 0;
        o->sought = d->key;
        for (unsigned tries = 0; r == 0 && o->found == 0 && tries < SEEK_TRIES && thread_cpu_ns() < until; tries++)
                r = observer_dump(o, &query, begin, on_live);
        if (r == 0 && o->found != 0)
                ports_give_cgroup(o->ports, id, o->found);
        return r;
}

uint64_t observer_find_cgroup(struct observer *o, uint64_t destination)
{
        const struct destination *d = ports_find(o->ports, destination);
        uint64_t begun = thread_cpu_ns();
        int r;

        if (!d || o->now < o->seek_again_at)
                return 0;
        r = seek_cgroup(o, d);
        budget_debit(o, DUMP_LIVE, begun);
        o->seek_again_at = MAX(o->now + SEEK_EVERY_NS, o->settled_at);
        return r == 0 ? o->found : 0;
}
