/* SPDX-License-Identifier: MIT */
#include "lib/util/port_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

static void assign(uint64_t *bits, uint64_t value)
{
        if (*bits != value)
                *bits = value;
}

void port_set_add_all(struct port_set *set, const struct port_set *others)
{
        for (unsigned i = 0; i < ELEMENTSOF(set->bit); i++)
                assign(&set->bit[i], set->bit[i] | others->bit[i]);
}

void port_set_remove_all(struct port_set *set, const struct port_set *others)
{
        for (unsigned i = 0; i < ELEMENTSOF(set->bit); i++)
                assign(&set->bit[i], set->bit[i] & ~others->bit[i]);
}

void port_set_assign(struct port_set *set, const struct port_set *others)
{
        for (unsigned i = 0; i < ELEMENTSOF(set->bit); i++)
                assign(&set->bit[i], others->bit[i]);
}

void port_set_clear(struct port_set *set)
{
        static const struct port_set empty;

        port_set_assign(set, &empty);
}

int port_set_parse(const char *text, struct port_set *ret)
{
        struct port_set set = {0};
        const char *p = text;

        while (*p && strcmp(p, "\n") != 0) {
                uint64_t first = 0, last;

                if (p != text && *p++ != ',')
                        return -EINVAL;
                p = number_parse(p, &first);
                last = first;
                if (p && *p == '-')
                        p = number_parse(p + 1, &last);
                if (!p || first > last || last > UINT16_MAX)
                        return -EINVAL;
                for (; first <= last; first++)
                        port_set_add(&set, (unsigned)first);
        }
        port_set_assign(ret, &set);
        return 0;
}

/* Returns the first port from `port` on that is in the set, or is not in it if `in` is false; 65536: none. */
static unsigned port_find(const struct port_set *set, unsigned port, bool in)
{
        const uint64_t none = in ? 0 : UINT64_MAX; /* a word to skip as a whole */

        while (port <= UINT16_MAX && port_set_has(set, port) != in)
                port = port % 64 == 0 && set->bit[port / 64] == none ? port + 64 : port + 1;
        return port;
}

size_t port_set_format(const struct port_set *set, char *buf)
{
        unsigned first = port_find(set, 0, true), end;
        size_t n = 0;

        buf[0] = 0;
        for (; first <= UINT16_MAX; first = port_find(set, end, true)) {
                end = port_find(set, first, false);
                n += (size_t)sprintf(buf + n, "%s%u", n > 0 ? "," : "", first);
                if (end > first + 1)
                        n += (size_t)sprintf(buf + n, "-%u", end - 1);
        }
        return n;
}
