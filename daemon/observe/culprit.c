/* SPDX-License-Identifier: MIT */
/* The culprit of a metric: the destination or listener that it is about, and the systemd unit of its sockets. */
#include <stdio.h>

#include "daemon/observe/internal.h"

const char *observer_find_unit(struct observer *o, uint64_t cgroup)
{
        return cgroup_unit(&o->cgroups, cgroup);
}

void fill_culprit(struct observer *o, struct snapshot *s, unsigned metric, const char *name, uint64_t cgroup)
{
        snprintf(s->who[metric], sizeof(s->who[metric]), "%s", name);
        snprintf(s->unit[metric], sizeof(s->unit[metric]), "%s", cgroup_unit(&o->cgroups, cgroup));
}
