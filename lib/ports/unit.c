/* SPDX-License-Identifier: MIT */
/* The cgroup and the units that have sockets toward a destination. */

#include "lib/ports/table_internal.h"

static uint32_t units_of(const struct ports *ports, uint64_t cgroup)
{
        return ports->units ? unit_cgroups_find(ports->units, cgroup) : 0;
}

/* Several units may have sockets toward a destination: one that a rule names is shown before the others. When such a
 * unit is started again, ports->units no longer has its old cgroup, so its new one is shown. */
void unit_add(struct ports *ports, struct destination *d, uint64_t cgroup)
{
        uint32_t units = units_of(ports, cgroup);

        if (d->cgroup == 0 || (units != 0 && units_of(ports, d->cgroup) == 0))
                d->cgroup = cgroup;
        if (cgroup == d->cgroup)
                d->cgroup_seen = cgroup != 0;
        else if (d->other_cgroup == 0)
                d->other_cgroup = cgroup;
        d->units |= units;
        ports->newest_cgroup = MAX(ports->newest_cgroup, cgroup);
}

void unit_commit(struct destination *d)
{
        if (!d->cgroup_seen && d->units == 0 && d->other_cgroup != 0)
                d->cgroup = d->other_cgroup;
}

void ports_give_cgroup(struct ports *ports, uint64_t id, uint64_t cgroup)
{
        struct destination *d = destination_find(ports->shown, id);

        if (d)
                unit_add(ports, d, cgroup);
}

void ports_use_units(struct ports *ports, const struct unit_cgroups *units)
{
        ports->units = units;
        for (unsigned slot = 0; slot < ports->shown->slots; slot++) {
                struct destination *d = &ports->shown->destination[slot];

                d->units = units ? d->units | units_of(ports, d->cgroup) : 0;
        }
}

uint64_t ports_newest_cgroup(const struct ports *ports)
{
        return ports->newest_cgroup;
}
