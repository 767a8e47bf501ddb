/* SPDX-License-Identifier: MIT */
/* Finds the cgroups of the units that rules name. A unit that is started again has a new cgroup. */

#include "daemon/observe/internal.h"

void units_want(struct observer *o, const struct unit_names *names)
{
        ports_use_units(o->ports, NULL);
        o->unit_names.n = names->n;
        memcpy(o->unit_names.name, names->name, names->n * sizeof(names->name[0]));
        o->units.n = 0;
        o->units_newest = 0;
        if (names->n > 0)
                ports_use_units(o->ports, &o->units);
}

void units_read(struct observer *o)
{
        uint64_t newest = ports_newest_cgroup(o->ports);

        if (o->unit_names.n == 0 || newest <= o->units_newest)
                return;
        if (cgroup_find_units(&o->cgroups, &o->unit_names, &o->units))
                o->units_newest = newest;
        ports_use_units(o->ports, &o->units);
}
