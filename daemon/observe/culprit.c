/* SPDX-License-Identifier: MIT */
/* Which unit owns the sockets that a reading speaks of. */
#include <stdio.h>

#include "daemon/observe/internal.h"
#include "daemon/observe/observer.h"

const char *observer_find_unit(struct observer *o, uint64_t cgroup)
{
        return cgroup_unit(&o->cgroups, cgroup);
}

void fill_unit(struct observer *o, struct snapshot *s, unsigned metric, uint64_t cgroup)
{
        snprintf(s->unit[metric], sizeof(s->unit[metric]), "%s", cgroup_unit(&o->cgroups, cgroup));
}
