/* SPDX-License-Identifier: MIT */
/* Which destinations matter most. */

#include <math.h>
#include <string.h>

#include "lib/ports/table.h"
#include "lib/util/macro.h"

double ports_busyness(const struct destination *d)
{
        return fmax(ports_value(d, METRIC_PORTS_FORECAST).lower, ports_value(d, METRIC_PORTS_DEMAND).lower);
}

unsigned ports_most_busy(const struct ports *ports, const struct destination *ret[], unsigned most)
{
        unsigned n = 0;

        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *d = ports_destination(ports, slot);
                unsigned at = n;

                if (d->id == 0)
                        continue;
                while (at > 0 && ports_busyness(d) > ports_busyness(ret[at - 1]))
                        at--;
                if (at == most)
                        continue;
                n = MIN(n + 1, most);
                memmove(&ret[at + 1], &ret[at], (n - at - 1) * sizeof(*ret));
                ret[at] = d;
        }
        return n;
}

const struct destination *ports_busiest(const struct ports *ports)
{
        const struct destination *busiest[1];

        return ports_most_busy(ports, busiest, 1) > 0 ? busiest[0] : NULL;
}

struct ports_range ports_highest(const struct ports *ports, unsigned metric)
{
        struct ports_range highest = {0};

        for (unsigned slot = 0; slot < ports_slots(ports); slot++) {
                const struct destination *d = ports_destination(ports, slot);

                if (d->id == 0)
                        continue;
                highest.lower = fmax(highest.lower, ports_value(d, metric).lower);
                highest.upper = fmax(highest.upper, ports_value(d, metric).upper);
        }
        return highest;
}
