/* SPDX-License-Identifier: MIT */
/* Finds the systemd unit of sockets. */
#include <stdio.h>

#include "daemon/observe/internal.h"

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
